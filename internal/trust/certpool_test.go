package trust

import (
	"bytes"
	"crypto/x509"
	"testing"
	"time"

	"domain-secured/internal/testkit/pki"
)

// TestNamesOfIssuers: an issuer that is written in another way is the same (RFC 5280
// section 7.1), and the chain is of the certificates as they are.
func TestNamesOfIssuers(t *testing.T) {
	root := ca(t, nil, "Root")
	authority := ca(t, root, "Authority")
	rename := func(c *pki.Certificate, by *pki.CA, from, to string) *x509.Certificate {
		t.Helper()
		other, err := by.Resign(c, func(tbs []byte) []byte { return bytes.Replace(tbs, []byte(from), []byte(to), 1) })
		if err != nil {
			t.Fatal(err)
		}
		return other.Leaf
	}
	server := leaf(t, authority, "mx.example")
	for _, c := range []struct {
		what                  string
		ofServer, ofAuthority string // how their issuers are written: tag, length, text
		want                  bool
	}{
		{"as it is", "\x13\x09Authority", "\x13\x04Root", true},
		{"case", "\x13\x09AUTHORITY", "\x13\x04Root", true},
		{"encoding", "\x0c\x09Authority", "\x13\x04Root", true},
		{"of the root", "\x13\x09Authority", "\x0c\x04rOOT", true},
		{"of both", "\x0c\x09aUTHORITY", "\x0c\x04root", true},
		{"another", "\x13\x09Authoritz", "\x13\x04Root", false},
		{"another root", "\x13\x09Authority", "\x13\x04Roof", false},
	} {
		above := rename(&authority.Certificate, root, "\x13\x04Root", c.ofAuthority)
		below := rename(server, authority, "\x13\x09Authority", c.ofServer)
		presented := &Certificate{Fingerprint: sum(below.Raw), DER: below.Raw, X509: below, Presented: []*x509.Certificate{above}}
		chains, err := NewChains(newStore(t)).Build(presented, pool(root), usage("any"), time.Now())
		if got := err == nil; got != c.want {
			t.Errorf("%s: %v", c.what, err)
		}
		if c.want && (len(chains) != 1 || len(chains[0]) != 3 || chains[0][0] != below || chains[0][1] != above || chains[0][2] != root.Certificate.Leaf) {
			t.Errorf("%s: other certificates: %v", c.what, chains)
		}
	}
}

// TestPathLength: RFC 5280 section 6.1.4 (l).
func TestPathLength(t *testing.T) {
	root := ca(t, nil, "Root")
	below := func(of *pki.CA, name, constraints string) *pki.CA {
		t.Helper()
		o := pki.CAOptions{Name: name}
		if constraints != "" {
			o.Extra = with(t, "2.5.29.19", constraints)
		}
		c, err := of.Intermediate(o)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const none, one = "30060101ff020100", "30060101ff020101"
	a, b := below(root, "A", none), below(root, "A", one)
	for what, c := range map[string]struct {
		last *pki.CA
		why  string
	}{
		"none, itself":              {a, ""},
		"none, and a new key":       {below(a, "A", ""), ""},
		"none, and two new keys":    {below(below(a, "A", ""), "A", ""), ""},
		"none, and another":         {below(a, "B", ""), "may have 0 authorities below it and has 1"},
		"none, key, another":        {below(below(a, "A", ""), "B", ""), "may have 0 authorities below it and has 1"},
		"one, and another":          {below(b, "C", ""), ""},
		"one, another, its new key": {below(below(b, "C", ""), "C", ""), ""},
		"one, and two":              {below(below(b, "C", ""), "D", ""), "may have 1 authorities below it and has 2"},
		"the new key says none":     {below(below(b, "A", none), "B", ""), "may have 0 authorities below it and has 1"},
	} {
		t.Run(what, func(t *testing.T) { judge(t, presented(leaf(t, c.last, "mx.example")), pool(root), c.why) })
	}
}
