package trust

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"domain-secured/internal/testkit/pki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a root, an intermediate, and a leaf below that.
type world struct {
	root, intermediate *pki.CA
	leaf               *pki.Certificate
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{root: ca(t, nil, "Root")}
	w.intermediate = ca(t, w.root, "Intermediate")
	w.leaf = leaf(t, w.intermediate, "mail1.woodgrovebank.com")
	return w
}

// ca makes an authority below parent, or a root.
func ca(t testing.TB, parent *pki.CA, name string) *pki.CA {
	t.Helper()
	make := pki.NewCA
	if parent != nil {
		make = parent.Intermediate
	}
	c, err := make(pki.CAOptions{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func leaf(t testing.TB, ca *pki.CA, name string) *pki.Certificate {
	t.Helper()
	c, err := ca.Leaf(pki.LeafOptions{DNSNames: []string{name}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// imported is what an import makes of c.
func imported(t testing.TB, data []byte) *Certificate {
	t.Helper()
	all, err := Read(data)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d certificates: %v", len(all), err)
	}
	all[0].Source, all[0].Added = SourceImport, time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	return all[0]
}

// put stores c.
func put(t testing.TB, s *Store, c *Certificate) {
	t.Helper()
	if err := s.Write(c); err != nil {
		t.Fatal(err)
	}
}

func newStore(t testing.TB) *Store {
	t.Helper()
	return NewStore(filepath.Join(t.TempDir(), "certificates"))
}

// refresh has the store look at its folder.
func refresh(t testing.TB, s *Store) int {
	t.Helper()
	n, err := s.Refresh()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// settle makes the store's folder look as if nothing had changed for an hour.
func settle(t testing.TB, s *Store) {
	t.Helper()
	at := time.Now().Add(-time.Hour)
	if err := os.Chtimes(s.Dir(), at, at); err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func file(t testing.TB, name string, data []byte) string {
	t.Helper()
	return write(t, filepath.Join(t.TempDir(), name), data)
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pool(certificates ...*pki.CA) Roots {
	var all []*x509.Certificate
	for _, c := range certificates {
		all = append(all, c.Certificate.Leaf)
	}
	return NewRoots(all)
}
