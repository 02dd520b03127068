package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Roots are the certificates that chains may end in.
type Roots struct {
	Pool *x509.CertPool
	ID   [sha256.Size]byte // equal for equal sets
	// Turns are when one of them begins to be valid or has ceased to be. Nil is not known.
	Turns []time.Time
}

// NewRoots puts roots together. A certificate that occurs twice counts once.
func NewRoots(certificates []*x509.Certificate) Roots {
	roots := Roots{Pool: x509.NewCertPool(), Turns: turns([]time.Time{}, certificates...)}
	var hashes []string
	for _, c := range certificates {
		roots.Pool.AddCert(constraintsHandled(c))
		h := sha256.Sum256(c.Raw)
		hashes = append(hashes, string(h[:]))
	}
	slices.Sort(hashes)
	roots.ID = sha256.Sum256([]byte(strings.Join(slices.Compact(hashes), "")))
	return roots
}

// maxRoots bounds a file of root certificates, in octets.
const maxRoots = 16 << 20

// ReadRoots reads a file of root certificates: PEM, or one certificate in DER.
// Every one must parse.
func ReadRoots(name string) ([]*x509.Certificate, error) {
	data, err := readLimited(name, maxRoots)
	if err != nil {
		return nil, fmt.Errorf("reading root certificates: %w", err)
	}
	roots, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("reading root certificates: %s: %w", name, err)
	}
	return roots, nil
}

// ErrNoSystemRoots is returned on a machine without a collection of roots.
var ErrNoSystemRoots = errors.New("no system root certificates found: install ca-certificates, or name PEM files in roots")

// systemRootFiles and systemRootDirs are where distributions keep them: Debian,
// Fedora, openSUSE, older Red Hat, Alpine.
var (
	systemRootFiles = []string{
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
		"/etc/ssl/ca-bundle.pem",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/cert.pem",
	}
	systemRootDirs = []string{"/etc/ssl/certs", "/etc/pki/tls/certs"}
)

// ReadSystemRoots reads the system's root certificates anew: crypto/x509 would
// read them once in the life of a process. SSL_CERT_FILE and SSL_CERT_DIR take
// the place of the usual files, as they do for openssl. Certificates that do not
// parse are passed over.
func ReadSystemRoots() ([]*x509.Certificate, error) {
	files, dirs := systemRootFiles, systemRootDirs
	if name := os.Getenv("SSL_CERT_FILE"); name != "" {
		files = []string{name}
	}
	if names := os.Getenv("SSL_CERT_DIR"); names != "" {
		dirs = filepath.SplitList(names)
	}
	for _, name := range files {
		if roots := readBundle(name); len(roots) > 0 {
			return roots, nil
		}
	}
	var roots []*x509.Certificate
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, entry := range entries {
			roots = append(roots, readBundle(filepath.Join(dir, entry.Name()))...)
		}
	}
	if len(roots) == 0 {
		return nil, ErrNoSystemRoots
	}
	return roots, nil
}

// readBundle returns the certificates of a PEM file that parse.
func readBundle(name string) []*x509.Certificate {
	rest, err := readLimited(name, maxRoots)
	if err != nil {
		return nil
	}
	var roots []*x509.Certificate
	for {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			return roots
		}
		if block.Type != blockCertificate {
			continue
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			roots = append(roots, c)
		}
	}
}
