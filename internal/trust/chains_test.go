package trust

import (
	"crypto/rsa"
	"crypto/x509"
	"math/big"
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

// TestHugeKeys: a key that would take long to verify anything with is no
// candidate.
func TestHugeKeys(t *testing.T) {
	for bits, want := range map[uint]bool{maxModulus: true, maxModulus + 1: false} {
		p := newCertPool()
		p.addIntermediate(&x509.Certificate{PublicKey: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), bits-1), E: 65537}})
		if added := !p.prepared.Equal(x509.NewCertPool()); added != want {
			t.Errorf("%d bits: added %v", bits, added)
		}
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

// TestChainsThatBegin: what is remembered does not hide a chain that has begun to be valid
// since, which may be the one that is left when the other is revoked.
func TestChainsThatBegin(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	soon := now.Add(time.Hour)
	root, err := pki.NewCA(pki.CAOptions{NotBefore: soon})
	if err != nil {
		t.Fatal(err)
	}
	authority := ca(t, root, "Authority")
	c, roots := presented(leaf(t, authority, "mx.example")), pool(root, authority) // an anchor, too
	b := NewChains(newStore(t))
	for _, step := range []struct {
		at   time.Time
		want int
	}{{now, 1}, {soon.Add(-time.Nanosecond), 1}, {soon, 2}, {soon.Add(time.Minute), 2}, {now, 1}} {
		if chains, err := b.Build(c, roots, usage("any"), step.at); err != nil || len(chains) != step.want {
			t.Errorf("%s after now: %d chains, not %d: %v", step.at.Sub(now), len(chains), step.want, err)
		}
	}
}
