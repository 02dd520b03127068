package gate

import (
	"os"
	"path/filepath"
	"testing"

	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/trust"
	"domain-secured/policy"
)

// TestNoChainIsRemembered: a stranger's certificate that has none, and takes long to find
// that out of, is learned, for his own machine shows it. Its next messages cost nothing.
func TestNoChainIsRemembered(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(file, w.ca.Certificate.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.partner.Roots, _, err = ReadRoots([]string{file}); err != nil {
		t.Fatal(err)
	}
	authority, err := pki.NewCA(pki.CAOptions{Name: "Maze"})
	for range 30 {
		if err == nil {
			authority, err = authority.Intermediate(pki.CAOptions{Name: "Maze"})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.Leaf(pki.LeafOptions{DNSNames: []string{"mail1.woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	read, err := trust.Read(leaf.PEM())
	if err != nil {
		t.Fatal(err)
	}
	read[0].Source = trust.SourceProbe
	if err := w.store.Learn(read[0]); err != nil {
		t.Fatal(err)
	}
	judge := func() {
		if v := w.Envelope(facts(t, leaf)); v.Reason != policy.CertificateNotTrusted {
			t.Fatalf("%s: %s", v.Reason, v.Detail)
		}
	}
	judge()
	// The search alone takes 900 allocations.
	if n := testing.AllocsPerRun(10, judge); n > 300 {
		t.Errorf("%v allocations", n)
	}
}
