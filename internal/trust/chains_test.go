package trust

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/pki"
)

func usage(s string) []x509.ExtKeyUsage {
	switch s {
	case "any":
		return []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	case "client":
		return []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
}

func TestBuild(t *testing.T) {
	w := newWorld(t)
	s := newStore(t)
	chains := NewChains(s)
	roots := pool(w.root)
	c := imported(t, w.leaf.PEM())
	want := []*x509.Certificate{w.leaf.Leaf, w.intermediate.Certificate.Leaf, w.root.Certificate.Leaf}
	for range 2 { // the second time out of memory
		got, err := chains.Build(c, roots, usage("any"), time.Now())
		if err != nil || len(got) != 1 || len(got[0]) != len(want) {
			t.Fatalf("%v, %v", got, err)
		}
		for i := range want {
			if !got[0][i].Equal(want[i]) {
				t.Errorf("%d is %v", i, got[0][i].Subject)
			}
		}
	}
	if _, err := chains.Build(c, pool(ca(t, nil, "Root")), usage("any"), time.Now()); err == nil {
		t.Error("a root of the same name is as good")
	}
	if _, err := chains.Build(c, pool(), usage("any"), time.Now()); err == nil {
		t.Error("trusted without any root")
	}
	if got, err := chains.Build(c, pool(w.intermediate), usage("any"), time.Now()); err != nil || len(got[0]) != 2 {
		t.Errorf("an intermediate for a root: %v, %v", got, err)
	}
	later := w.leaf.Leaf.NotAfter.Add(time.Second)
	if _, err := chains.Build(c, roots, usage("any"), later); err == nil {
		t.Error("a remembered chain outlives its leaf")
	}
	if _, err := chains.Build(c, roots, usage("any"), w.leaf.Leaf.NotBefore.Add(-time.Second)); err == nil {
		t.Error("a remembered chain is there before its leaf")
	}
}

// TestUsage: what is remembered for one usage says nothing about another.
func TestUsage(t *testing.T) {
	w := newWorld(t)
	chains := NewChains(newStore(t))
	for _, c := range []struct {
		of   pki.Usage
		good string
	}{
		{pki.UsageServer, "any either"}, {pki.UsageClient, "any either client"},
		{pki.UsageNone, "any either client"}, {pki.UsageAny, "any either client"},
	} {
		leaf, err := w.root.Leaf(pki.LeafOptions{Usage: c.of})
		if err != nil {
			t.Fatal(err)
		}
		for _, asked := range []string{"any", "either", "client", "any"} {
			_, err := chains.Build(imported(t, leaf.PEM()), pool(w.root), usage(asked), time.Now())
			if good := strings.Contains(c.good, asked); good != (err == nil) {
				t.Errorf("usage %d, asked for %s: %v", c.of, asked, err)
			}
		}
	}
}

// TestNeverAnothersIntermediates: what one partner presented does not complete
// the chain of another.
func TestNeverAnothersIntermediates(t *testing.T) {
	w := newWorld(t)
	s := newStore(t)
	put(t, s, imported(t, w.leaf.PEM())) // brings the intermediate
	alone := imported(t, block("CERTIFICATE", leaf(t, w.intermediate, "b.example").DER))
	put(t, s, alone)
	refresh(t, s)
	chains := NewChains(s)
	if got, err := chains.Build(alone, pool(w.root), usage("any"), time.Now()); err == nil {
		t.Errorf("completed: %v", got)
	}
}

// TestImportedCA completes every chain, from the moment that it is imported until
// it is forgotten.
func TestImportedCA(t *testing.T) {
	w := newWorld(t)
	s := newStore(t)
	alone := imported(t, block("CERTIFICATE", w.leaf.DER))
	put(t, s, alone)
	refresh(t, s)
	chains, roots := NewChains(s), pool(w.root)
	build := func() error {
		_, err := chains.Build(alone, roots, usage("any"), time.Now())
		return err
	}
	if err := build(); err == nil {
		t.Error("there is a chain without the CA")
	}
	authority := imported(t, block("CERTIFICATE", w.intermediate.DER))
	for what, source := range map[string]string{"imported": SourceImport, "probed": "probe"} {
		authority.Source = source
		put(t, s, authority)
		refresh(t, s)
		if err := build(); (err == nil) != (source == SourceImport) {
			t.Errorf("%s: %v", what, err)
		}
		remove(t, s, authority)
		refresh(t, s)
		if err := build(); err == nil {
			t.Errorf("%s and forgotten: a remembered chain outlives it", what)
		}
	}
	// A leaf that was imported signs nothing.
	if c := imported(t, w.leaf.PEM()); c.isImportedCA() {
		t.Error("a leaf counts as a CA")
	}
}

// TestReplacedLeaf: a chain is forgotten when the leaf comes without its
// intermediate.
func TestReplacedLeaf(t *testing.T) {
	w := newWorld(t)
	s := newStore(t)
	chains, roots := NewChains(s), pool(w.root)
	for what, data := range map[string][]byte{"whole": w.leaf.PEM(), "alone": block("CERTIFICATE", w.leaf.DER)} {
		put(t, s, imported(t, data))
		refresh(t, s)
		_, err := chains.Build(s.Get(sum(w.leaf.DER)), roots, usage("any"), time.Now())
		if (err == nil) != (what == "whole") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestRememberedAreBounded: the memory starts again when it is full.
func TestRememberedAreBounded(t *testing.T) {
	w := newWorld(t)
	chains := NewChains(newStore(t))
	for i := range maxChains {
		chains.known[chainKey{leaf: Fingerprint{byte(i), byte(i >> 8), 1}}] = chainEntry{}
	}
	if _, err := chains.Build(imported(t, w.leaf.PEM()), pool(w.root), usage("any"), time.Now()); err != nil {
		t.Fatal(err)
	}
	if len(chains.known) != 1 {
		t.Errorf("%d are remembered", len(chains.known))
	}
}

// constraints is a name constraints extension (RFC 5280 section 4.2.1.10) that
// permits one name of a kind.
func constraints(t *testing.T, critical, excluded bool, tag int, name []byte) pkix.Extension {
	t.Helper()
	tree := subtree{Base: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: name, IsCompound: tag == 4 || tag == 0}, Max: -1}
	var c struct {
		Permitted []subtree `asn1:"optional,omitempty,tag:0"`
		Excluded  []subtree `asn1:"optional,omitempty,tag:1"`
	}
	if c.Permitted = []subtree{tree}; excluded {
		c.Permitted, c.Excluded = nil, c.Permitted
	}
	value, err := asn1.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: oidNameConstraints, Critical: critical, Value: value}
}

// TestNameConstraints: those that crypto/x509 cannot compare are refused, whether
// they say that they are critical or not.
func TestNameConstraints(t *testing.T) {
	directory, err := asn1.Marshal(pkix.Name{Organization: []string{"Woodgrove Bank"}}.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	other, err := asn1.Marshal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 9})
	if err != nil {
		t.Fatal(err)
	}
	const good, bad, odd = "good", "bad", "odd"
	for _, c := range []struct {
		what               string
		critical, excluded bool
		tag                int
		name               []byte
		want               string
	}{
		{"directory name", false, false, 4, directory, odd},
		{"directory name, excluded", false, true, 4, directory, odd},
		{"directory name, critical", true, false, 4, directory, bad},
		{"other name", false, false, 0, other, odd},
		{"registered ID", false, true, 8, []byte{42}, odd},
		{"DNS name", false, false, 2, []byte("woodgrovebank.com"), good},
		{"DNS name, critical", true, false, 2, []byte("woodgrovebank.com"), good},
		{"DNS name, another's", false, false, 2, []byte("contoso.com"), bad},
		{"DNS name, excluded", false, true, 2, []byte("woodgrovebank.com"), bad},
		{"IP address", false, true, 7, []byte{192, 0, 2, 0, 255, 255, 255, 0}, good},
		{"e-mail", false, false, 1, []byte("woodgrovebank.com"), good},
	} {
		t.Run(c.what, func(t *testing.T) {
			for where, root := range map[string]bool{"root": true, "intermediate": false} {
				o := pki.CAOptions{Name: "Constrained", Extra: []pkix.Extension{constraints(t, c.critical, c.excluded, c.tag, c.name)}}
				plain := ca(t, nil, "Root")
				var signer, anchor *pki.CA
				var err error
				if root {
					signer, err = pki.NewCA(o)
					anchor = signer
				} else {
					signer, err = plain.Intermediate(o)
					anchor = plain
				}
				if err != nil {
					t.Fatal(err)
				}
				_, err = NewChains(newStore(t)).Build(imported(t, leaf(t, signer, "mail1.woodgrovebank.com").PEM()), pool(anchor), usage("any"), time.Now())
				switch {
				case c.want == good && err != nil,
					c.want != good && err == nil,
					c.want == odd && !errors.Is(err, errOddConstraints):
					t.Errorf("%s: %v, want %s", where, err, c.want)
				}
			}
		})
	}
}

// TestOddConstraintsBesideGood: another chain without them is enough.
func TestOddConstraintsBesideGood(t *testing.T) {
	w := newWorld(t)
	directory, err := asn1.Marshal(pkix.Name{Organization: []string{"x"}}.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	odd, err := w.root.Intermediate(pki.CAOptions{Name: "Odd", Extra: []pkix.Extension{constraints(t, false, false, 4, directory)}})
	if err != nil {
		t.Fatal(err)
	}
	c := imported(t, leaf(t, odd, "mail1.woodgrovebank.com").PEM())
	chains := NewChains(newStore(t))
	if _, err := chains.Build(c, pool(w.root), usage("any"), time.Now()); !errors.Is(err, errOddConstraints) {
		t.Errorf("odd alone: %v", err)
	}
	if hasOddConstraints(w.root.Certificate.Leaf) {
		t.Error("a CA without any constraints is odd")
	}
	if !hasOddConstraints(&x509.Certificate{Extensions: []pkix.Extension{{Id: oidNameConstraints, Value: []byte("garbage")}}}) {
		t.Error("constraints that do not parse are passed over")
	}
}

// TestChainsOfAnotherPresentation: a chain found with what one peer showed is not
// remembered for another who showed the same leaf without it.
func TestChainsOfAnotherPresentation(t *testing.T) {
	w := newWorld(t)
	whole := imported(t, w.leaf.PEM())
	bare := *whole
	bare.Presented = nil
	b := NewChains(newStore(t))
	for range 2 {
		if chains, err := b.Build(whole, pool(w.root), usage("any"), time.Now()); err != nil || len(chains) != 1 {
			t.Errorf("whole: %d chains, %v", len(chains), err)
		}
		if chains, err := b.Build(&bare, pool(w.root), usage("any"), time.Now()); err == nil {
			t.Errorf("without its intermediate: %d chains", len(chains))
		}
	}
}
