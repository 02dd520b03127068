package revocation

import (
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/pki"
)

// TestBundleSigners: a list of the authority, and one of who signs for it, are two.
func TestBundleSigners(t *testing.T) {
	w := newWorld(t)
	signer := must(w.root.Intermediate(pki.CAOptions{Name: "CRL signer", CRL: []string{w.url("/root.crl")}}))
	leaf := w.leaf(pki.LeafOptions{Extra: pkixOf(crlmaker.Points(crlmaker.Point{
		CRLIssuer: []crlmaker.Name{crlmaker.Directory(signer.Certificate.Leaf.RawSubject)},
	}))})
	indirect := w.list(signer, number(1), crlmaker.IssuingPoint{Indirect: true}.Extension())
	indirect.Entries = crlmaker.Of(crlmaker.Entry{Serial: leaf.SerialNumber, Issuer: w.ca.Certificate.Leaf.RawSubject})
	old := w.list(w.ca, number(1))
	old.ThisUpdate = old.ThisUpdate.Add(-time.Hour)
	write := w.bundle()
	write(old, w.list(w.root, number(1)), indirect)
	w.want(w.question(leaf, signer.Certificate.Leaf), Revoked, "CRL signer")
	write(indirect, w.list(w.root, number(1)), old)
	w.want(w.question(leaf, signer.Certificate.Leaf), Revoked, "CRL signer")
}

// TestBundleKeys: what one key of an authority signed does not keep out what another one did.
func TestBundleKeys(t *testing.T) {
	w := newWorld(t)
	old := must(w.root.Intermediate(pki.CAOptions{Name: "Woodgrove CA"}))
	leaf := w.leaf(pki.LeafOptions{})
	ask := func(status Status, words string) {
		t.Helper()
		w.want(w.question(leaf, old.Certificate.Leaf), status, words)
	}
	earlier := func(o crlmaker.Options) crlmaker.Options {
		o.ThisUpdate = o.ThisUpdate.Add(-time.Hour)
		return o
	}
	write := w.bundle()
	write(w.list(w.root, number(1)), earlier(w.list(old, number(100))), w.list(w.ca, number(5)))
	ask(Good, "CRL 5")
	write(w.list(w.root, number(2)), revoked(leaf)(w.list(w.ca, number(6))), earlier(w.list(old, number(101))))
	ask(Revoked, "CRL 6")
}

// TestBundleBefore: what an earlier process read of a file stays, too, all of it, if that is spoilt now.
func TestBundleBefore(t *testing.T) {
	w := newWorld(t)
	signer := must(w.root.Intermediate(pki.CAOptions{Name: "CRL signer", CRL: []string{w.url("/root.crl")}}))
	leaf := w.leaf(pki.LeafOptions{})
	other := w.leaf(pki.LeafOptions{Extra: pkixOf(crlmaker.Points(crlmaker.Point{
		CRLIssuer: []crlmaker.Name{crlmaker.Directory(signer.Certificate.Leaf.RawSubject)},
	}))})
	indirect := w.list(signer, number(3), crlmaker.IssuingPoint{Indirect: true}.Extension())
	indirect.Entries = crlmaker.Of(crlmaker.Entry{Serial: other.SerialNumber, Issuer: w.ca.Certificate.Leaf.RawSubject})
	ask := func() {
		t.Helper()
		w.want(w.question(leaf), Revoked, "delta CRL 2")
		w.want(w.question(other, signer.Certificate.Leaf), Revoked, "CRL 3")
	}
	base, delta := w.list(w.ca, number(1)), revoked(leaf)(w.list(w.ca, number(2), crlmaker.Delta(1)))
	base.ThisUpdate, delta.ThisUpdate = base.ThisUpdate.Add(-2*time.Hour), base.ThisUpdate.Add(-time.Hour)
	write := w.bundle()
	write(w.list(w.root, number(1)), base, delta, indirect)
	ask()
	s := *w.checker.settings.Load()
	w.replace(s.Files[0], []byte("spoilt"))
	ask()
	w.restart()
	w.checker.Use(s)
	ask()
	w.pass(25 * time.Hour)
	if a := w.ask(w.question(leaf)); strings.Count(a.Detail, "neither DER nor PEM") != 1 {
		t.Errorf("%v: %s", a.Status, a.Detail)
	}
}

// TestBundleDeltas: however many lists are in a file, the delta CRLs that they name are fetched.
func TestBundleDeltas(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf(pki.LeafOptions{})
	w.serveList("/delta.crl", revoked(leaf)(w.list(w.ca, number(100), crlmaker.Delta(1))))
	delta := crlmaker.Freshest(crlmaker.Point{Names: []crlmaker.Name{crlmaker.URI(w.url("/delta.crl"))}})
	write := w.bundle()
	s := *w.checker.settings.Load()
	s.Fetch = w.settings().Fetch
	w.checker.Use(s)
	var all []crlmaker.Options
	for n := range maxPlaces + 1 {
		all = append(all, w.list(w.ca, number(1+n), delta))
	}
	write(all...)
	w.want(w.question(leaf), Revoked, "delta CRL 100")
}
