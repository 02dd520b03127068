package crl

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"iter"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/pki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newCA(t testing.TB, o pki.CAOptions) *pki.CA {
	t.Helper()
	ca, err := pki.NewCA(o)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func newLeaf(t testing.TB, ca *pki.CA, extensions ...crlmaker.Extension) *x509.Certificate {
	t.Helper()
	var o pki.LeafOptions
	o.DNSNames = []string{"mail1.woodgrovebank.com"}
	for _, x := range extensions {
		o.Extra = append(o.Extra, x.PKIX())
	}
	leaf, err := ca.Leaf(o)
	if err != nil {
		t.Fatal(err)
	}
	return leaf.Leaf
}

// by are the options of a list that the authority issues.
func by(ca *pki.CA, extensions ...crlmaker.Extension) crlmaker.Options {
	return crlmaker.Options{Issuer: ca.Certificate.Leaf.RawSubject, Key: ca.Key, Extensions: extensions}
}

func der1(t testing.TB, o crlmaker.Options) []byte {
	t.Helper()
	b, err := crlmaker.Bytes(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// signers may have signed whatever they are asked for.
func signers(all ...*x509.Certificate) Options {
	return Options{Signers: func(_, _ []byte) []*x509.Certificate { return all }}
}

// build builds the index of a list that must be good.
func build(t testing.TB, data []byte, from ...*x509.Certificate) *Index {
	t.Helper()
	x, err := Build(bytes.NewReader(data), filepath.Join(t.TempDir(), "index"), signers(from...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

// serial makes serial numbers of 16 octets that look like those of a public CA.
func serial(n int) *big.Int {
	mixed := uint64(n)*0x9e3779b97f4a7c15 + 1
	s := new(big.Int).SetUint64(mixed | 1<<63)
	s.Lsh(s, 64)
	return s.Or(s, new(big.Int).SetUint64(mixed*mixed+uint64(n)))
}

// many are so many entries, every second one with a reason.
func many(n int) iter.Seq[crlmaker.Entry] {
	return func(yield func(crlmaker.Entry) bool) {
		for i := range n {
			if !yield(crlmaker.Entry{Serial: serial(i), Reason: i % 2 * 4}) {
				return
			}
		}
	}
}

func openssl(t testing.TB, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("openssl %q: %w: %s", args, err, out)
	}
	return string(out), err
}

func write(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
