package trust

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Store is a folder of certificate files, one each, named by SHA-256, and what
// of it is in memory. Other processes change the folder too (an operator's
// import): [Store.Refresh] takes their changes. Its methods may be called at the
// same time.
type Store struct {
	dir string

	mu      sync.RWMutex
	certs   map[Fingerprint]*kept
	changes uint64 // counts changes of the CA certificates that may complete any chain

	cas atomic.Pointer[knownCAs]

	// refreshing guards what only Refresh uses, and keeps what is learned or forgotten
	// meanwhile from being taken for what it was.
	refreshing sync.Mutex
	folder     fileState
	settled    bool // the folder was looked at after its time stamp had grown old
	problem    error
}

// kept is a certificate in memory and the state of its file when it was read.
type kept struct {
	certificate *Certificate
	state       fileState
}

// fileState tells whether a file has changed since it was read.
type fileState struct {
	modified time.Time
	size     int64
	inode    uint64
}

// suffix ends a store file's name, after 64 hexadecimal digits.
const suffix = ".pem"

// settleTime is how old a folder's time stamp must be for it to tell: kernels
// stamp in ticks of some milliseconds, network file systems in whole seconds.
const settleTime = 2 * time.Second

// NewStore returns the store in dir, "certificates" below the state directory,
// which need not exist yet. Nothing is read until [Store.Refresh] or a look-up.
func NewStore(dir string) *Store {
	return &Store{dir: dir, certs: make(map[Fingerprint]*kept)}
}

// Dir is the folder of the store.
func (s *Store) Dir() string { return s.dir }

// Get returns a certificate that is in memory, or nil.
func (s *Store) Get(f Fingerprint) *Certificate {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if k := s.certs[f]; k != nil {
		return k.certificate
	}
	return nil
}

// Load returns a certificate, looking for its file if it is not in memory: one
// that was imported a moment ago is found. Without one it returns nil. It may
// wait for the disk.
func (s *Store) Load(f Fingerprint) (*Certificate, error) {
	if c := s.Get(f); c != nil {
		return c, nil
	}
	k, err := s.read(f)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s.keep(f, k)
	return k.certificate, nil
}

// All returns the certificates in memory, in no order.
func (s *Store) All() []*Certificate {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]*Certificate, 0, len(s.certs))
	for _, k := range s.certs {
		all = append(all, k.certificate)
	}
	return all
}

// importedCAs returns the CA certificates that may complete any chain, and the
// number of changes that they have seen.
func (s *Store) importedCAs() ([]*x509.Certificate, uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var cas []*x509.Certificate
	for _, k := range s.certs {
		if k.isCA() {
			cas = append(cas, k.certificate.X509)
		}
	}
	return cas, s.changes
}

// CAs returns the CA certificates that an operator imported: not to be changed.
func (s *Store) CAs() []*x509.Certificate {
	if known := s.cas.Load(); known != nil && known.changes == s.changeCount() {
		return known.all
	}
	cas, changes := s.importedCAs()
	s.cas.Store(&knownCAs{all: cas, changes: changes})
	return cas
}

// knownCAs are the CA certificates as of some number of changes.
type knownCAs struct {
	all     []*x509.Certificate
	changes uint64
}

func (s *Store) changeCount() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.changes
}

// Refresh takes over what has changed in the folder since it was last looked at:
// new files, replaced and removed ones. It reports how many certificates came,
// changed or went. A file that cannot be used keeps its last good contents in
// memory, and is one of the errors until it is mended.
func (s *Store) Refresh() (changed int, err error) {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	info, err := os.Stat(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		s.folder, s.problem = fileState{}, nil
		return s.replace(nil, nil), nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the certificate store: %w", err)
	}
	state := stateOf(info)
	if state == s.folder && s.settled {
		return 0, s.problem
	}
	settled := time.Since(state.modified) > settleTime
	present, fresh, err := s.scan()
	if present == nil {
		return 0, err
	}
	s.folder, s.settled, s.problem = state, settled, err
	return s.replace(present, fresh), err
}

// scan lists the store files and reads those that are new or have changed.
func (s *Store) scan() (present map[Fingerprint]bool, fresh map[Fingerprint]*kept, err error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the certificate store: %w", err)
	}
	present, fresh = make(map[Fingerprint]bool, len(entries)), make(map[Fingerprint]*kept)
	var problems []error
	for _, entry := range entries {
		f, ok := fingerprintOf(entry.Name())
		if !ok {
			continue
		}
		present[f] = true
		info, err := entry.Info()
		if err != nil {
			continue // it went while we looked, and will be noticed next time
		}
		s.mu.RLock()
		known := s.certs[f]
		s.mu.RUnlock()
		if known != nil && known.state == stateOf(info) {
			continue
		}
		k, err := s.read(f)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		fresh[f] = k
	}
	return present, fresh, errors.Join(problems...)
}

// replace drops from memory what is not present and adds what is fresh.
func (s *Store) replace(present map[Fingerprint]bool, fresh map[Fingerprint]*kept) (changed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for f := range s.certs {
		if !present[f] {
			s.set(f, nil)
			changed++
		}
	}
	for f, k := range fresh {
		s.set(f, k)
		changed++
	}
	return changed
}

// set makes k what is in memory, nothing if it is nil. s.mu is held.
func (s *Store) set(f Fingerprint, k *kept) {
	// What is learned is none: strangers have that in hand, and all chains that are
	// remembered would be looked for again.
	if s.certs[f].isCA() || k.isCA() {
		s.changes++
	}
	if k == nil {
		delete(s.certs, f)
		return
	}
	s.certs[f] = k
}

func (k *kept) isCA() bool { return k != nil && k.certificate.isImportedCA() }

// read never panics: strangers' certificates are stored, too, and one that brings
// down the parser would do so again at each start.
func (s *Store) read(f Fingerprint) (_ *kept, err error) {
	name := s.path(f)
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("stored certificate %s: panic: %v: forget it, and report this", name, r)
		}
	}()
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("reading a stored certificate: %w", err)
	}
	data, err := ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading a stored certificate: %w", err)
	}
	c, err := unmarshal(data, f)
	if err != nil {
		return nil, fmt.Errorf("stored certificate %s: %w", name, err)
	}
	return &kept{certificate: c, state: stateOf(info)}, nil
}

// Write stores a certificate, replacing an earlier file of the same one. The
// file appears whole or not at all.
func (s *Store) Write(c *Certificate) error {
	// Certificates are public: the daemon, which is not root, must read them,
	// whatever the umask of who imports.
	if err := makeReadable(s.dir); err != nil {
		return fmt.Errorf("creating the certificate store: %w", err)
	}
	if err := writeAtomic(s.path(c.Fingerprint), c.Marshal(), 0o644); err != nil {
		return fmt.Errorf("storing a certificate: %w", err)
	}
	return nil
}

// makeReadable creates a folder, and the state directory that it is in.
func makeReadable(dir string) error {
	for _, dir := range []string{filepath.Dir(dir), dir} {
		if _, err := os.Stat(dir); err == nil {
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

func writeAtomic(name string, data []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), temporary+"*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails once it is renamed
	defer tmp.Close()
	if _, err := tmp.Write(data); err != nil {
		return err
	}
	if err := tmp.Chmod(mode); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}

// Has reports whether there is a file for a certificate, be it usable or not.
func (s *Store) Has(f Fingerprint) bool {
	_, err := os.Lstat(s.path(f))
	return err == nil
}

// Remove forgets a certificate. The error is [fs.ErrNotExist] if there is none.
func (s *Store) Remove(f Fingerprint) error {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	return s.remove(f)
}

// remove drops a certificate from memory, too, if it has no file any more. s.refreshing
// is held.
func (s *Store) remove(f Fingerprint) error {
	err := os.Remove(s.path(f))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		s.keep(f, nil)
	}
	if err != nil {
		return fmt.Errorf("forgetting a certificate: %w", err)
	}
	return nil
}

// keep makes k what is in memory, nothing if it is nil.
func (s *Store) keep(f Fingerprint, k *kept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(f, k)
}

func (s *Store) path(f Fingerprint) string {
	return filepath.Join(s.dir, hex.EncodeToString(f[:])+suffix)
}

// fingerprintOf reads a store file's name.
func fingerprintOf(name string) (f Fingerprint, ok bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != hex.EncodedLen(len(f)) || digits != strings.ToLower(digits) {
		return f, false
	}
	_, err := hex.Decode(f[:], []byte(digits))
	return f, err == nil
}
