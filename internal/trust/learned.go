package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Learn stores a certificate that was learned ([SourceProbe]), also in the place of
// one that was, and takes it into memory. What an operator imported stays, even if
// that was a moment ago: the error is [fs.ErrExist] then.
func (s *Store) Learn(c *Certificate) error {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	if err := makeReadable(s.dir); err != nil {
		return fmt.Errorf("creating the certificate store: %w", err)
	}
	err := WriteNew(s.path(c.Fingerprint), c.Marshal(), 0o644)
	if errors.Is(err, fs.ErrExist) && s.onlyLearned(c.Fingerprint) {
		err = writeAtomic(s.path(c.Fingerprint), c.Marshal(), 0o644)
	}
	if err != nil {
		return fmt.Errorf("storing a learned certificate: %w", err)
	}
	k, err := s.read(c.Fingerprint)
	if err != nil {
		return err
	}
	s.keep(c.Fingerprint, k)
	return nil
}

// Unlearn forgets a certificate that was learned. It is no error if somebody else
// has forgotten it, or imported it: that stays.
func (s *Store) Unlearn(f Fingerprint) error {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	if s.Has(f) && !s.onlyLearned(f) {
		return nil
	}
	if err := s.remove(f); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// onlyLearned asks the file, for an import may have replaced it, and takes that into
// memory. What cannot be read is not ours to replace. s.refreshing is held.
func (s *Store) onlyLearned(f Fingerprint) bool {
	k, err := s.read(f)
	if err != nil {
		return false
	}
	if k.certificate.Source == SourceProbe {
		return true
	}
	s.keep(f, k)
	return false
}

// Touched is when a certificate in memory was stored or touched last, zero if it is
// not there.
func (s *Store) Touched(f Fingerprint) time.Time {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if k := s.certs[f]; k != nil {
		return k.state.modified
	}
	return time.Time{}
}

// Touch notes in the modification time of a certificate's file that it was in use
// then.
func (s *Store) Touch(f Fingerprint, at time.Time) error {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	name := s.path(f)
	before, err := os.Stat(name)
	if err != nil {
		return fmt.Errorf("noting the use of a certificate: %w", err)
	}
	s.mu.RLock()
	known := s.certs[f]
	s.mu.RUnlock()
	if known == nil || known.state != stateOf(before) {
		return nil // another file than the one in use: it is read anew soon
	}
	if err := os.Chtimes(name, at, at); err != nil {
		return fmt.Errorf("noting the use of a certificate: %w", err)
	}
	after, err := os.Stat(name)
	if err != nil {
		return fmt.Errorf("noting the use of a certificate: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// The certificate is the same: neither Refresh nor remembered chains are to take
	// this for a change.
	s.certs[f] = &kept{certificate: known.certificate, state: stateOf(after)}
	return nil
}

// leftTime is how old a file must be that was being written to be of a process that
// did not live to the end of it.
const leftTime = time.Hour

// RemoveLeftovers removes files that were being written when their process or the
// machine went down.
func (s *Store) RemoveLeftovers() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("looking for leftovers in the certificate store: %w", err)
	}
	var problems []error
	for _, entry := range entries {
		if info, err := entry.Info(); !strings.HasPrefix(entry.Name(), temporary) || err != nil ||
			!info.Mode().IsRegular() || time.Since(info.ModTime()) < leftTime {
			continue
		}
		if err := os.Remove(filepath.Join(s.dir, entry.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, fmt.Errorf("removing a leftover from the certificate store: %w", err))
		}
	}
	return errors.Join(problems...)
}
