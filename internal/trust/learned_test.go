package trust

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// learned is what a look at a partner makes of data.
func learned(t testing.TB, data []byte) *Certificate {
	t.Helper()
	c := imported(t, data)
	c.Source, c.Domain = SourceProbe, "woodgrovebank.com"
	return c
}

func learn(t testing.TB, s *Store, c *Certificate) {
	t.Helper()
	if err := s.Learn(c); err != nil {
		t.Fatal(err)
	}
}

// onDisk is what a process finds that starts now, nil for nothing.
func onDisk(t testing.TB, s *Store, f Fingerprint) *Certificate {
	t.Helper()
	c, err := NewStore(s.Dir()).Load(f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestLearn: in memory and on disk at once, replaced by what is learned next, and
// never in the place of an import, noticed yet or not.
func TestLearn(t *testing.T) {
	w := newWorld(t)
	s := newStore(t)
	first, second := learned(t, w.leaf.PEM()), learned(t, w.leaf.PEM())
	first.Presented = nil
	learn(t, s, first)
	if got := s.Get(first.Fingerprint); got == nil || len(got.Presented) != 0 {
		t.Fatalf("in memory: %+v", got)
	}
	learn(t, s, second)
	for _, got := range []*Certificate{s.Get(first.Fingerprint), onDisk(t, s, first.Fingerprint)} {
		if got == nil || len(got.Presented) != 1 || got.Source != SourceProbe || got.Domain != "woodgrovebank.com" {
			t.Errorf("learned again: %+v", got)
		}
	}
	if info, err := os.Stat(s.path(first.Fingerprint)); err != nil || info.Mode() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if n := refresh(t, s); n != 0 {
		t.Errorf("%d changed", n)
	}

	// Another process imports it, and nobody has looked since.
	mine := imported(t, w.leaf.PEM())
	put(t, NewStore(s.Dir()), mine)
	if s.Get(first.Fingerprint).Source != SourceProbe {
		t.Fatal("noticed already")
	}
	if err := s.Learn(first); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over an import: %v", err)
	}
	for _, got := range []*Certificate{s.Get(first.Fingerprint), onDisk(t, s, first.Fingerprint)} {
		if got == nil || got.Source != SourceImport || len(got.Presented) != 1 {
			t.Errorf("the import became %+v", got)
		}
	}
	// What cannot be read may be anybody's.
	write(t, s.path(first.Fingerprint), []byte("garbage"))
	if err := s.Learn(first); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a damaged file: %v", err)
	}
	if left := names(t, s.Dir()); len(left) != 1 {
		t.Errorf("left behind: %q", left)
	}
}

// TestUnlearn: what was learned goes, an import in its place stays.
func TestUnlearn(t *testing.T) {
	w := newWorld(t)
	s := newStore(t)
	c := learned(t, w.leaf.PEM())
	unlearn := func() {
		t.Helper()
		if err := s.Unlearn(c.Fingerprint); err != nil {
			t.Fatal(err)
		}
	}
	unlearn() // there is none
	learn(t, s, c)
	unlearn()
	if s.Get(c.Fingerprint) != nil || s.Has(c.Fingerprint) {
		t.Error("it is still there")
	}
	learn(t, s, c)
	remove(t, NewStore(s.Dir()), c)
	unlearn()
	if s.Get(c.Fingerprint) != nil {
		t.Error("forgotten by another process, and still in memory")
	}
	learn(t, s, c)
	put(t, NewStore(s.Dir()), imported(t, w.leaf.PEM()))
	unlearn()
	if got := s.Get(c.Fingerprint); got == nil || got.Source != SourceImport || onDisk(t, s, c.Fingerprint) == nil {
		t.Errorf("the import is gone: %+v", got)
	}
}

// TestTouch: the use of a certificate outlives the process, and is no change.
func TestTouch(t *testing.T) {
	w := newWorld(t)
	s := newStore(t)
	c := learned(t, w.leaf.PEM())
	learn(t, s, c)
	chains := NewChains(s)
	build := func() { _, _ = chains.Build(s.Get(c.Fingerprint), pool(w.root), usage("any"), time.Now()) }
	build()
	changes := s.changeCount()
	at := time.Now().Add(-48 * time.Hour).Truncate(time.Second)
	if err := s.Touch(c.Fingerprint, at); err != nil {
		t.Fatal(err)
	}
	if got := s.Touched(c.Fingerprint); !got.Equal(at) {
		t.Errorf("touched at %s", got)
	}
	put(t, s, imported(t, block("CERTIFICATE", w.intermediate.DER))) // so that the folder is looked at
	if n := refresh(t, s); n != 1 || s.changeCount() != changes+1 {
		t.Errorf("%d changed", n)
	}
	next := NewStore(s.Dir())
	refresh(t, next)
	if got := next.Touched(c.Fingerprint); !got.Equal(at) {
		t.Errorf("after a start: %s", got)
	}
	if err := s.Touch(Fingerprint{1}, at); !errors.Is(err, fs.ErrNotExist) || !s.Touched(Fingerprint{1}).IsZero() {
		t.Errorf("what is not there: %v", err)
	}
}

// TestRemoveLeftovers: of a write that went on for an hour nobody lives.
func TestRemoveLeftovers(t *testing.T) {
	s := newStore(t)
	if err := s.RemoveLeftovers(); err != nil {
		t.Errorf("without a folder: %v", err)
	}
	c := learned(t, newWorld(t).leaf.PEM())
	learn(t, s, c)
	old := time.Now().Add(-2 * time.Hour)
	for name, at := range map[string]time.Time{".new-1": old, ".new-2": time.Now(), "README": old} {
		write(t, filepath.Join(s.Dir(), name), []byte("x"))
		if err := os.Chtimes(filepath.Join(s.Dir(), name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.RemoveLeftovers(); err != nil {
		t.Fatal(err)
	}
	want := []string{".new-2", "README", filepath.Base(s.path(c.Fingerprint))}
	slices.Sort(want)
	if left := names(t, s.Dir()); !slices.Equal(left, want) {
		t.Errorf("left: %q", left)
	}
}
