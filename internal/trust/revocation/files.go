package revocation

import (
	"crypto/x509"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"domain-secured/internal/trust/crl"
)

// files are the operator's lists. A file that changes is noticed at the next
// question.
type files struct {
	mu    sync.Mutex
	known map[string]file
}

// A file is one of them: its state, and who wrote the list.
type file struct {
	name   string
	state  string
	issuer []byte // DER of Name
	err    error
}

const fileScheme = "file:"

func (f file) address() string { return fileScheme + f.name }

// all returns the files with these names.
func (fs *files) all(names []string, log *slog.Logger) []file {
	if len(names) == 0 {
		return nil
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.known == nil {
		fs.known = make(map[string]file)
	}
	all := make([]file, 0, len(names))
	for _, name := range names {
		f := fs.known[name]
		before := f.err
		stat, err := os.Stat(name)
		switch {
		case err != nil:
			f.name, f.state, f.err = name, "", fmt.Errorf("reading a CRL of revocation.crl_files: %w", err)
		case !stat.Mode().IsRegular(): // whoever opens a pipe may wait for ever
			f.name, f.state, f.err = name, "", fmt.Errorf("reading a CRL of revocation.crl_files: %s is not a regular file", name)
		case f.state != stateOf(stat):
			f = f.peek(name, stateOf(stat))
		}
		if f.err != nil && before == nil {
			log.Warn("a CRL cannot be read, what was read before stays", "error", f.err)
		}
		fs.known[name] = f
		all = append(all, f)
	}
	return all
}

// peek reads who wrote a list. If it cannot be read, that is as it was before.
func (f file) peek(name, state string) file {
	f.name, f.state, f.err = name, state, nil
	r, err := os.Open(name)
	if err == nil {
		defer r.Close()
		var issuer []byte
		if issuer, err = crl.Issuer(r); err == nil {
			f.issuer = issuer
		}
	}
	if err != nil {
		f.err = fmt.Errorf("reading a CRL of revocation.crl_files: %s: %w", name, err)
	}
	return f
}

// stateOf tells whether a file has changed.
func stateOf(info fs.FileInfo) string {
	return fmt.Sprintf("%d octets of %s", info.Size(), info.ModTime().UTC().Format(time.RFC3339Nano))
}

// current reports whether an index is of a file as it is now.
func (fs *files) current(from crl.Source) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.known[strings.TrimPrefix(from.URL, fileScheme)].state == from.ETag
}

// speaksOf reports whether who wrote the list may say something of a certificate.
func (f file) speaksOf(c *x509.Certificate, points []crl.Point) bool {
	if crl.SameName(f.issuer, c.RawIssuer) {
		return true
	}
	for _, point := range points {
		if point.IssuedBy(f.issuer) {
			return true
		}
	}
	return false
}

// openFile opens a file by its address.
func openFile(address string) (*os.File, crl.Source, error) {
	name := strings.TrimPrefix(address, fileScheme)
	r, err := os.Open(name)
	if err != nil {
		return nil, crl.Source{}, fmt.Errorf("reading a CRL of revocation.crl_files: %w", err)
	}
	stat, err := r.Stat()
	if err != nil {
		r.Close()
		return nil, crl.Source{}, fmt.Errorf("reading a CRL of revocation.crl_files: %w", err)
	}
	return r, crl.Source{URL: address, ETag: stateOf(stat)}, nil
}
