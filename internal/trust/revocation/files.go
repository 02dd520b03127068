package revocation

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"domain-secured/internal/trust/crl"
	"domain-secured/internal/trust/dn"
)

// files are the operator's lists. A file that changes is noticed at the next
// question.
type files struct {
	mu    sync.Mutex
	known map[string]file
}

// A file is one of them: its state, and the lists in it.
type file struct {
	name  string
	state string
	lists []part
	err   error
}

// A part is one of the lists in a file.
type part struct {
	name, state string
	crl.Block
	issuer string // what Issuer is compared by
	number int    // in the file, from 1
	nth    int    // of those of its issuer in there, from 1
	alone  bool   // there is no other in the file
}

const fileScheme = "file:"

// address names a part for a person.
func (p *part) address() string {
	if p.alone {
		return fileScheme + p.name
	}
	return fmt.Sprintf("%s%s, CRL %d", fileScheme, p.name, p.number)
}

// key is by the issuer of the list, if that is not who issued the certificate, and not
// by its place in the file, so that lists of others may come and go.
func (p *part) key(issuer *x509.Certificate) key {
	what := fileScheme + p.name
	if p.nth > 1 {
		what += fmt.Sprintf("\x00%d", p.nth)
	}
	if p.Issuer != nil && !bytes.Equal(p.Issuer, issuer.RawSubject) {
		what += "\x00" + string(p.Issuer)
	}
	return keyOf(what, issuer)
}

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

// peek finds the lists in a file. If it cannot be read, they are as they were before.
func (f file) peek(name, state string) file {
	f.name, f.state, f.err = name, state, nil
	r, err := os.Open(name)
	if err == nil {
		defer r.Close()
		var lists []part
		if lists, err = partsOf(r, name); err == nil {
			f.lists = lists
		}
	}
	if err != nil {
		f.err = fmt.Errorf("reading a CRL of revocation.crl_files: %s: %w", name, err)
	}
	return f
}

// partsOf finds the lists in a file as it is now.
func partsOf(r *os.File, name string) ([]part, error) {
	stat, err := r.Stat()
	if err != nil {
		return nil, err
	}
	blocks, err := crl.Blocks(r, stat.Size())
	if err != nil {
		return nil, err
	}
	nth := make(map[string]int)
	parts := make([]part, len(blocks))
	for i, b := range blocks {
		nth[string(b.Issuer)]++
		issuer, _ := dn.Key(b.Issuer) // it is a name
		parts[i] = part{name: name, state: stateOf(stat), Block: b, issuer: issuer, number: i + 1, nth: nth[string(b.Issuer)], alone: len(blocks) == 1}
	}
	return parts, nil
}

// stateOf tells whether a file has changed.
func stateOf(info fs.FileInfo) string {
	return fmt.Sprintf("%d octets of %s", info.Size(), info.ModTime().UTC().Format(time.RFC3339Nano))
}

// current reports whether an index is of a file as it is now.
func (fs *files) current(name string, from crl.Source) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.known[name].state == from.ETag
}

// speaksOf reports whether who wrote the list may say something of a certificate that
// has these points, by an issuer with this key of a name.
func (p *part) speaksOf(issuer string, points []crl.Point) bool {
	if p.issuer == issuer {
		return true
	}
	for _, point := range points {
		if point.IssuedBy(p.Issuer) {
			return true
		}
	}
	return false
}

// open opens the file of a part, and finds the part in it.
func (p *part) open() (r *os.File, list io.Reader, from crl.Source, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("reading a CRL of revocation.crl_files: %w", err)
			if r != nil {
				r.Close()
			}
		}
	}()
	if r, err = os.Open(p.name); err != nil {
		return nil, nil, from, err
	}
	stat, err := r.Stat()
	if err != nil {
		return r, nil, from, err
	}
	now := *p
	if stateOf(stat) != p.state { // it has changed since it was looked at
		parts, err := partsOf(r, p.name)
		if err != nil {
			return r, nil, from, fmt.Errorf("%s: %w", p.name, err)
		}
		i := slices.IndexFunc(parts, func(other part) bool { return other.nth == p.nth && bytes.Equal(other.Issuer, p.Issuer) })
		if i < 0 {
			return r, nil, from, fmt.Errorf("%s: it has changed, and the CRL is no longer in it", p.address())
		}
		now = parts[i]
	}
	return r, io.NewSectionReader(r, now.Offset, now.Size), crl.Source{URL: now.address(), ETag: now.state}, nil
}
