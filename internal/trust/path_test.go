package trust

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/pki"
)

// line is a root, an authority below it, and a leaf.
type line struct {
	root, ca pki.CAOptions
	leaf     pki.LeafOptions
}

// issue makes the line. change, if there is one, has the last word on what the
// leaf says.
func (l line) issue(t testing.TB, change func([]byte) []byte) (*Certificate, Roots) {
	t.Helper()
	l.root.Name, l.ca.Name = "Root", "Authority"
	root, err := pki.NewCA(l.root)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := root.Intermediate(l.ca)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Leaf(l.leaf)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		if leaf, err = ca.Resign(leaf, change); err != nil {
			t.Fatal(err)
		}
	}
	return presented(leaf), pool(root)
}

// presented is what a server presents, which may be an authority's certificate.
func presented(c *pki.Certificate) *Certificate {
	return &Certificate{Fingerprint: sum(c.DER), DER: c.DER, X509: c.Leaf, Presented: c.Chain}
}

// judge compares what building a chain says with why: "" is for a good one.
func judge(t *testing.T, c *Certificate, roots Roots, why string) {
	t.Helper()
	_, err := NewChains(newStore(t)).Build(c, roots, usage("any"), time.Now())
	switch {
	case err == nil && why != "":
		t.Errorf("accepted, not refused for %q", why)
	case err != nil && (why == "" || !strings.Contains(err.Error(), why)):
		t.Errorf("refused for %q, want %q", err, why)
	}
}

// with is one extension, its value in hexadecimal; "!" before its identifier
// makes it critical.
func with(t testing.TB, id, value string) []pkix.Extension {
	t.Helper()
	id, critical := strings.CutPrefix(id, "!")
	e := pkix.Extension{Critical: critical}
	for arc := range strings.SplitSeq(id, ".") {
		n, err := strconv.Atoi(arc)
		if err != nil {
			t.Fatal(err)
		}
		e.Id = append(e.Id, n)
	}
	var err error
	if e.Value, err = hex.DecodeString(value); err != nil {
		t.Fatal(err)
	}
	return []pkix.Extension{e}
}

// limits are name constraints that permit names and exclude others.
func limits(t testing.TB, critical bool, permitted, excluded []pki.Name) []pkix.Extension {
	t.Helper()
	e, err := pki.NameConstraints(critical, permitted, excluded)
	if err != nil {
		t.Fatal(err)
	}
	return []pkix.Extension{e}
}

// TestPath: what crypto/x509 passes over is refused, and its valid neighbour is
// not. Where crypto/x509 refuses itself, this holds it to that.
func TestPath(t *testing.T) {
	const (
		usageID, basicID, policiesID = "2.5.29.15", "2.5.29.19", "2.5.29.32"
		mappingID, policyID, extID   = "2.5.29.33", "2.5.29.36", "2.5.29.37"
		nobodysID                    = "1.3.6.1.4.1.55738.666.1"

		noUsage, lists, signs, seals = "03020700", "03020102", "03020204", "03020520"
		signsAll                     = "03020284" // signatures and certificates
		isCA, isCAofNone             = "30030101ff", "30060101ff020100"
	)
	bits := func(n uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), n-1) }
	ext := func(id, value string) []pkix.Extension { return with(t, id, value) }
	dns := []pki.Name{pki.DNS("woodgrovebank.com")}
	nameless := []byte{0x30, 0}
	root := func(o pki.CAOptions) line { return line{root: o} }
	ca := func(o pki.CAOptions) line { return line{ca: o} }
	leaf := func(o pki.LeafOptions) line { return line{leaf: o} }
	for _, c := range []struct {
		what string
		line line
		why  string
	}{
		{"nothing special", line{}, ""},

		{"serial of 160 bits", leaf(pki.LeafOptions{Serial: bits(160)}), ""},
		{"serial of 161 bits", leaf(pki.LeafOptions{Serial: bits(161)}), "161 bits, more than 160"},
		{"serial zero", leaf(pki.LeafOptions{Serial: new(big.Int)}), ""},
		{"authority's serial", ca(pki.CAOptions{Serial: bits(176)}), "176 bits, more than 160"},
		{"root's serial", root(pki.CAOptions{Serial: bits(176)}), ""},

		{"nameless leaf", leaf(pki.LeafOptions{RawSubject: nameless}), ""},
		{"nameless authority", ca(pki.CAOptions{RawSubject: nameless}), "its issuer has no name"},
		{"nameless root", root(pki.CAOptions{RawSubject: nameless}), "its issuer has no name"},

		{"root, usage of none", root(pki.CAOptions{Extra: ext(usageID, noUsage)}), "does not let it sign certificates"},
		{"root, usage of another", root(pki.CAOptions{Extra: ext(usageID, lists)}), "cannot sign this kind"},
		{"authority, usage of none", ca(pki.CAOptions{Extra: ext(usageID, noUsage)}), "does not let it sign certificates"},
		{"authority, usage of another", ca(pki.CAOptions{Extra: ext(usageID, lists)}), "cannot sign this kind"},
		{"authority, usage to sign", ca(pki.CAOptions{Extra: ext(usageID, signs)}), ""},
		{"leaf, usage of none", leaf(pki.LeafOptions{Extra: ext(usageID, noUsage)}), "does not allow TLS"},
		{"leaf, usage to sign lists", leaf(pki.LeafOptions{Extra: ext(usageID, lists)}), "does not allow TLS"},
		{"leaf, usage to encipher keys", leaf(pki.LeafOptions{Extra: ext(usageID, seals)}), ""},
		{"leaf, usage to sign certificates", leaf(pki.LeafOptions{Extra: ext(usageID, signsAll)}), "and it is no authority"},
		{"authority as leaf, usage to sign", leaf(pki.LeafOptions{Extra: append(ext(usageID, signs), ext(basicID, isCA)...)}), ""},

		{"authority, no basic constraints", ca(pki.CAOptions{Extra: ext(basicID, "3000")}), "cannot sign this kind"},
		{"root, not critical", root(pki.CAOptions{Extra: ext(basicID, isCA)}), ""},
		{"root of none", root(pki.CAOptions{Extra: ext(basicID, isCAofNone)}), "may have 0 authorities below it and has 1"},
		{"authority of none", ca(pki.CAOptions{Extra: ext(basicID, isCAofNone)}), ""},

		{"leaf with constraints", leaf(pki.LeafOptions{Extra: limits(t, false, dns, nil)}), "it has name constraints"},
		{"leaf with critical ones", leaf(pki.LeafOptions{Extra: limits(t, true, dns, nil)}), "it has name constraints"},
		{"authority as leaf with them", leaf(pki.LeafOptions{Extra: append(limits(t, true, dns, nil), ext(basicID, isCA)...)}), ""},

		{"leaf, no extended usage", leaf(pki.LeafOptions{Extra: ext(extID, "3000")}), "extension 2.5.29.37 is empty"},
		{"authority, no extended usage", ca(pki.CAOptions{Extra: ext(extID, "3000")}), "extension 2.5.29.37 is empty"},
		{"leaf, no alternative name", leaf(pki.LeafOptions{Extra: ext("2.5.29.17", "3000")}), "extension 2.5.29.17 is empty"},
		{"leaf, no policy", leaf(pki.LeafOptions{Extra: ext(policiesID, "3000")}), "extension 2.5.29.32 is empty"},
		{"authority, no policy constraint", ca(pki.CAOptions{Extra: ext(policyID, "3000")}), "extension 2.5.29.36 is empty"},
		{"usage and more", leaf(pki.LeafOptions{Extra: ext(usageID, "030207800500")}), "extension 2.5.29.15 is followed"},
		{"basic constraints and more", ca(pki.CAOptions{Extra: ext(basicID, isCA+"0500")}), "extension 2.5.29.19 is followed"},

		{"unknown extension", leaf(pki.LeafOptions{Extra: ext(nobodysID, "")}), ""},
		{"unknown, critical", leaf(pki.LeafOptions{Extra: ext("!"+nobodysID, "")}), "unhandled critical"},
		{"unknown, critical, authority", ca(pki.CAOptions{Extra: ext("!"+nobodysID, "")}), "unhandled critical"},
		{"unknown, critical, root", root(pki.CAOptions{Extra: ext("!"+nobodysID, "")}), "unhandled critical"},

		{"policy mapped", ca(pki.CAOptions{Extra: ext(mappingID, "300a300806022a0306022a04")}), ""},
		{"policy mapped to any", ca(pki.CAOptions{Extra: ext(mappingID, "300c300a06022a030604551d2000")}), "stands for any"},
		{"policy mapped from any", ca(pki.CAOptions{Extra: ext(mappingID, "300c300a0604551d200006022a03")}), "stands for any"},
		{"policy wanted below two", ca(pki.CAOptions{Extra: ext(policyID, "3003800102")}), ""},
		{"policy wanted", ca(pki.CAOptions{Extra: ext(policyID, "3003800100")}), "invalid policies"},
		{"policy wanted below -1", ca(pki.CAOptions{Extra: ext(policyID, "30038001ff")}), "below zero"},
		{"no mapping below -1", ca(pki.CAOptions{Extra: ext(policyID, "30038101ff")}), "below zero"},
		{"no any policy below -1", ca(pki.CAOptions{Extra: ext("2.5.29.54", "0201ff")}), "below zero"},
	} {
		t.Run(c.what, func(t *testing.T) {
			if c.line.leaf.DNSNames == nil {
				c.line.leaf.DNSNames = []string{"mail1.woodgrovebank.com"}
			}
			leaf, roots := c.line.issue(t, nil)
			judge(t, leaf, roots, c.why)
		})
	}
}

// TestVersion: extensions that crypto/x509 does not see, because the certificate
// says that it is too old for them, are not passed over.
func TestVersion(t *testing.T) {
	parts := func(tbs []byte) (all []asn1.RawValue) {
		for len(tbs) > 0 {
			var one asn1.RawValue
			var err error
			if tbs, err = asn1.Unmarshal(tbs, &one); err != nil {
				t.Fatal(err)
			}
			all = append(all, one)
		}
		return all
	}
	join := func(all []asn1.RawValue) (tbs []byte) {
		for _, one := range all {
			tbs = append(tbs, one.FullBytes...)
		}
		return tbs
	}
	// version, serial number, signature, issuer, validity, subject, key, extensions
	for what, c := range map[string]struct {
		change func(all []asn1.RawValue) []asn1.RawValue
		why    string
	}{
		"3":                 {func(all []asn1.RawValue) []asn1.RawValue { return all }, ""},
		"1":                 {func(all []asn1.RawValue) []asn1.RawValue { return all[1:7] }, ""},
		"1 with extensions": {func(all []asn1.RawValue) []asn1.RawValue { return all[1:] }, "more than version 1"},
		"2 with extensions": {func(all []asn1.RawValue) []asn1.RawValue {
			all[0].FullBytes = []byte{0xa0, 3, 2, 1, 1}
			return all
		}, "more than version 2"},
		"3 with something after": {func(all []asn1.RawValue) []asn1.RawValue { return append(all, all[1]) }, "more than version 3"},
	} {
		t.Run(what, func(t *testing.T) {
			leaf, roots := line{leaf: pki.LeafOptions{CommonNames: []string{"mail1.woodgrovebank.com"}}}.issue(t,
				func(tbs []byte) []byte { return join(c.change(parts(tbs))) })
			judge(t, leaf, roots, c.why)
		})
	}
}

// TestOldRoot: an authority of version 1 signs as a root, and only as one.
func TestOldRoot(t *testing.T) {
	above := ca(t, nil, "Above")
	plain := ca(t, above, "Old")
	old, err := above.Resign(&plain.Certificate, func(tbs []byte) []byte {
		var version, rest asn1.RawValue
		tbs, err := asn1.Unmarshal(tbs, &version)
		if err != nil {
			t.Fatal(err)
		}
		kept := tbs
		for range 6 {
			if kept, err = asn1.Unmarshal(kept, &rest); err != nil {
				t.Fatal(err)
			}
		}
		return tbs[:len(tbs)-len(kept)]
	})
	if err != nil {
		t.Fatal(err)
	}
	plain.Certificate = *old
	c := presented(leaf(t, plain, "mail1.woodgrovebank.com"))
	judge(t, c, pool(plain), "")
	judge(t, c, pool(above), "not authorized to sign")
}

// TestDatesOfAuthorities: it is said whose dates are wrong, and nothing that is wrong
// itself when it is remembered.
func TestDatesOfAuthorities(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	before, after := now.Add(-time.Hour), now.Add(time.Hour)
	at := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	for _, c := range []struct {
		from, until time.Time
		why         string
	}{
		{before, after, ""},
		{before.Add(-time.Hour), before, `in the chain, "CN=Authority": it expired at ` + at(before)},
		{after, after.Add(time.Hour), `in the chain, "CN=Authority": it is valid from ` + at(after)},
	} {
		leaf, roots := line{ca: pki.CAOptions{NotBefore: c.from, NotAfter: c.until}}.issue(t, nil)
		judge(t, leaf, roots, c.why)
		if _, err := NewChains(newStore(t)).Build(leaf, roots, usage("any"), now); err != nil && strings.Contains(err.Error(), at(now)) {
			t.Errorf("it says when that was found: %v", err)
		}
	}
}
