package revocation

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"domain-secured/internal/trust/crl"
)

const (
	listSuffix = ".crl"

	maxLists  = 2000
	maxAbsent = 10_000
	// maxOctets bounds the folder of lists. They go in the order in which they were
	// last used.
	maxOctets = 4 << 30
	// lately is for how long a list is kept fresh, and kept, after its last use.
	lately = 14 * 24 * time.Hour
	// closeDelay is how long a list that was replaced may still be in use: longer
	// than any question takes.
	closeDelay = 30 * time.Second
)

// lists are the indexes of CRLs, in memory and in a folder.
type lists struct {
	dir, shared string

	mu      sync.Mutex
	entries map[key]*list
	absent  map[key]struct{} // not in the folder either
	closed  bool
}

// A list is one of them, with what it takes to fetch it again.
type list struct {
	index     *crl.Index
	octets    int64
	signers   []*x509.Certificate
	used      time.Time // last
	touched   time.Time // when the time of the last use was written down
	confirmed time.Time // when it was last seen to be the current one
	due       time.Time // when it is to be fetched again
	failures  int       // since then
	lost      bool      // somebody has signed a newer one who was not known then
	shared    bool
}

func newLists(dir, shared string) *lists {
	return &lists{dir: dir, shared: shared, entries: make(map[key]*list), absent: make(map[key]struct{})}
}

func (l *lists) path(k key) string { return filepath.Join(l.dir, k.String()+listSuffix) }

// get returns the list for a key, from memory or from the folder; nil if there is
// none. It is lost if it cannot be fetched again by who knows only who may have
// signed it.
func (l *lists) get(k key, now time.Time) (index *crl.Index, lost bool) {
	index, lost, absent := l.use(k, now)
	if index != nil || absent {
		return index, lost
	}
	return l.open(k, now)
}

// open is get for what is not in memory.
func (l *lists) open(k key, now time.Time) (index *crl.Index, lost bool) {
	for _, dir := range []string{l.dir, l.shared} {
		if dir == "" {
			continue
		}
		path := filepath.Join(dir, k.String()+listSuffix)
		opened, err := crl.Open(path)
		if errors.Is(err, crl.ErrIndex) && dir == l.dir {
			_ = os.Remove(path) // it will be fetched anew
		}
		if err != nil {
			continue
		}
		return l.take(k, opened, dir == l.shared, now)
	}
	// Nobody else puts lists into the own folder.
	if l.shared == "" {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.absent) >= maxAbsent {
			clear(l.absent)
		}
		l.absent[k] = struct{}{}
	}
	return nil, false
}

// take takes a list that was opened, unless somebody else was faster.
func (l *lists) take(k key, opened *crl.Index, shared bool, now time.Time) (index *crl.Index, lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[k]
	if e != nil || l.closed {
		_ = opened.Close()
	}
	switch {
	case e != nil:
		return e.index, e.lost
	case l.closed:
		return nil, false
	}
	e = l.entry(k, opened, now)
	e.shared = shared
	l.entries[k] = e
	return opened, false
}

// current is get for who fetches the list again, which is no use of it.
func (l *lists) current(k key, now time.Time) *crl.Index {
	l.mu.Lock()
	e := l.entries[k]
	l.mu.Unlock()
	if e != nil {
		return e.index
	}
	index, _ := l.get(k, now)
	return index
}

// entry describes a list that was opened. Whoever signed it may sign the next one.
func (l *lists) entry(k key, index *crl.Index, now time.Time) *list {
	e := &list{index: index, used: now, confirmed: index.Info().Source.Fetched}
	if signer, err := x509.ParseCertificate(index.Info().Signer); err == nil {
		e.signers = []*x509.Certificate{signer}
	}
	if stat, err := os.Stat(l.path(k)); err == nil {
		e.octets, e.touched = stat.Size(), stat.ModTime()
	}
	e.due = dueAt(index.Info().ThisUpdate, index.Info().NextUpdate, e.confirmed)
	return e
}

// use returns what is in memory, and notes that it is used. Without it, absent says
// that there is nothing in the folder either.
func (l *lists) use(k key, now time.Time) (index *crl.Index, lost, absent bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[k]
	if e == nil {
		_, absent = l.absent[k]
		return nil, false, absent
	}
	e.used = now
	// The file's time is what a restart knows the last use by.
	if now.Sub(e.touched) > 24*time.Hour && !e.shared {
		e.touched = now
		_ = os.Chtimes(l.path(k), now, now)
	}
	return e.index, e.lost, false
}

// put takes a list that was built, in place of an earlier one.
func (l *lists) put(k key, index *crl.Index, signers []*x509.Certificate, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entry(k, index, now)
	e.signers = signers
	if before := l.entries[k]; before != nil {
		e.used = before.used // being fetched again is no use
		retire(before.index)
	}
	e.touched = e.used
	_ = os.Chtimes(l.path(k), e.used, e.used)
	delete(l.absent, k)
	if l.closed {
		retire(index)
		return
	}
	l.entries[k] = e
	l.bound()
}

// confirm notes that a list is still the current one.
func (l *lists) confirm(k key, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// One that has ended is tried again later and later.
	if e := l.entries[k]; e != nil && !now.After(e.index.Info().NextUpdate) {
		e.confirmed, e.failures, e.lost = now, 0, false
		e.due = dueAt(e.index.Info().ThisUpdate, e.index.Info().NextUpdate, now)
	}
}

// drop forgets a list and its file.
func (l *lists) drop(k key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remove(k)
}

func (l *lists) remove(k key) {
	if e := l.entries[k]; e != nil {
		delete(l.entries, k)
		retire(e.index)
		if e.shared {
			return
		}
	}
	_ = os.Remove(l.path(k))
}

// bound keeps memory and folder within limits.
func (l *lists) bound() {
	var octets int64
	var keys []key
	for k, e := range l.entries {
		octets += e.octets
		keys = append(keys, k)
	}
	if len(keys) <= maxLists && octets <= maxOctets {
		return
	}
	slices.SortFunc(keys, func(a, b key) int { return l.entries[a].used.Compare(l.entries[b].used) })
	for len(keys) > 1 && (len(keys) > maxLists || octets > maxOctets) {
		octets -= l.entries[keys[0]].octets
		l.remove(keys[0])
		keys = keys[1:]
	}
}

// load opens what is in the folder, so that it is kept fresh from the start.
func (l *lists) load(now time.Time) error {
	files, err := os.ReadDir(l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the folder of CRLs: %w", err)
	}
	for _, file := range files {
		info, err := file.Info()
		if err != nil {
			continue
		}
		name, isList := strings.CutSuffix(file.Name(), listSuffix)
		var k key
		switch {
		case isList && k.parse(name) && now.Sub(info.ModTime()) <= lately:
			if index, _ := l.get(k, now); index != nil {
				l.mu.Lock()
				if e := l.entries[k]; e != nil { // it may be gone again
					e.used = info.ModTime()
				}
				l.mu.Unlock()
			}
		// What a crash left, and what nobody has used lately.
		case strings.HasPrefix(file.Name(), ".new-"), now.Sub(info.ModTime()) > lately:
			_ = os.Remove(filepath.Join(l.dir, file.Name()))
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bound()
	return nil
}

// retire closes a list that questions may still be looking into.
func retire(index *crl.Index) {
	time.AfterFunc(closeDelay, func() { _ = index.Close() })
}

func (l *lists) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, e := range l.entries {
		_ = e.index.Close()
	}
	clear(l.entries)
}

// dueBy returns copies of what is to be fetched again. Lists that nobody used
// lately go.
func (l *lists) dueBy(now time.Time) map[key]list {
	l.mu.Lock()
	defer l.mu.Unlock()
	due := make(map[key]list)
	for k, e := range l.entries {
		switch {
		case now.Sub(e.used) > lately:
			l.remove(k)
		case now.After(e.due) && !strings.HasPrefix(e.index.Info().Source.URL, fileScheme):
			due[k] = *e
		}
	}
	return due
}

// failed notes that a list could not be fetched again, and returns how often.
func (l *lists) failed(k key, err error, now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[k]
	if e == nil {
		return 0
	}
	e.lost = errors.Is(err, crl.ErrSigner) || errors.Is(err, crl.ErrSignature)
	e.failures++
	e.due = back(e.failures, now)
	return e.failures
}
