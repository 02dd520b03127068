package trust

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRootsID(t *testing.T) {
	a, b, c := ca(t, nil, "A").Certificate.Leaf, ca(t, nil, "B").Certificate.Leaf, ca(t, nil, "C").Certificate.Leaf
	same := []Roots{
		NewRoots([]*x509.Certificate{a, b}), NewRoots([]*x509.Certificate{b, a}),
		NewRoots([]*x509.Certificate{b, a, b, a, a}),
	}
	for i, r := range same {
		if r.ID != same[0].ID {
			t.Errorf("set %d is another", i)
		}
	}
	seen := map[[32]byte]int{same[0].ID: 0}
	for i, r := range []Roots{
		NewRoots(nil), NewRoots([]*x509.Certificate{a}), NewRoots([]*x509.Certificate{b}),
		NewRoots([]*x509.Certificate{a, c}), NewRoots([]*x509.Certificate{a, b, c}),
	} {
		if j, known := seen[r.ID]; known {
			t.Errorf("sets %d and %d have the same ID", j, i+1)
		}
		seen[r.ID] = i + 1
	}
}

func TestReadRoots(t *testing.T) {
	a, b := ca(t, nil, "A"), ca(t, nil, "B")
	roots, err := ReadRoots(file(t, "roots.pem", join([]byte("# A\n"), a.PEM(), []byte("# B\n"), b.PEM())))
	if err != nil || len(roots) != 2 || !roots[0].Equal(a.Certificate.Leaf) || !roots[1].Equal(b.Certificate.Leaf) {
		t.Errorf("%v, %v", roots, err)
	}
	if roots, err = ReadRoots(file(t, "root.der", a.DER)); err != nil || len(roots) != 1 {
		t.Errorf("DER: %v, %v", roots, err)
	}
	for what, name := range map[string]string{
		"missing": "/nonexistent/roots.pem", "a folder": t.TempDir(), "empty": file(t, "empty.pem", nil),
		"one is garbage": file(t, "garbage.pem", join(a.PEM(), block("CERTIFICATE", []byte("x")))),
		"a private key":  file(t, "key.pem", join(a.PEM(), a.KeyPEM())),
		"text":           file(t, "text.pem", []byte("no roots")),
	} {
		if roots, err := ReadRoots(name); err == nil || !strings.HasPrefix(err.Error(), "reading root certificates: ") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, %v", what, roots, err)
		}
	}
}

// systemIs makes the given file and folders the system's.
func systemIs(t *testing.T, name string, dirs ...string) {
	t.Helper()
	wasFiles, wasDirs := systemRootFiles, systemRootDirs
	t.Cleanup(func() { systemRootFiles, systemRootDirs = wasFiles, wasDirs })
	systemRootFiles, systemRootDirs = []string{"/nonexistent/first", name}, append([]string{"/nonexistent/certs"}, dirs...)
	t.Setenv("SSL_CERT_FILE", "")
	t.Setenv("SSL_CERT_DIR", "")
}

func TestSystemRoots(t *testing.T) {
	a, b, c := ca(t, nil, "A"), ca(t, nil, "B"), ca(t, nil, "C")
	bundle := file(t, "bundle.pem", join(a.PEM(), block("CERTIFICATE", []byte("garbage")), block("X509 CRL", nil), b.PEM()))
	dir := t.TempDir()
	write(t, filepath.Join(dir, "c.pem"), c.PEM())
	write(t, filepath.Join(dir, "README"), []byte("no roots"))
	if err := os.Symlink("c.pem", filepath.Join(dir, "0123abcd.0")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "java"), 0o755); err != nil {
		t.Fatal(err)
	}
	check := func(what string, want ...*x509.Certificate) {
		t.Helper()
		got, err := ReadSystemRoots()
		if err != nil || NewRoots(got).ID != NewRoots(want).ID {
			t.Errorf("%s: %d roots, %v", what, len(got), err)
		}
	}
	A, B, C := a.Certificate.Leaf, b.Certificate.Leaf, c.Certificate.Leaf

	systemIs(t, bundle, dir)
	check("the bundle", A, B)
	systemIs(t, "/nonexistent/bundle", dir)
	check("the folder, where there is no bundle", C)
	systemIs(t, "/nonexistent/bundle", dir, filepath.Dir(bundle))
	check("several folders", A, B, C)

	systemIs(t, bundle)
	t.Setenv("SSL_CERT_FILE", file(t, "c.pem", c.PEM()))
	check("SSL_CERT_FILE", C)
	// It is read anew each time: a reload takes what has changed.
	write(t, os.Getenv("SSL_CERT_FILE"), a.PEM())
	check("SSL_CERT_FILE, written anew", A)

	systemIs(t, "/nonexistent/bundle", dir)
	t.Setenv("SSL_CERT_DIR", "/nonexistent/x:"+filepath.Dir(bundle))
	check("SSL_CERT_DIR", A, B)

	systemIs(t, "/nonexistent/bundle")
	if got, err := ReadSystemRoots(); !errors.Is(err, ErrNoSystemRoots) {
		t.Errorf("none: %d roots, %v", len(got), err)
	}
}
