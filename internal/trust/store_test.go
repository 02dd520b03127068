package trust

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"domain-secured/internal/testkit/pki"
)

func TestRoundTrip(t *testing.T) {
	w := newWorld(t)
	want := imported(t, w.leaf.PEM())
	want.Domain = "woodgrovebank.com"
	s := newStore(t)
	put(t, s, want)
	got, err := s.Load(want.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nnot\n%+v", got, want)
	}
	if len(got.Presented) != 1 || !got.Presented[0].Equal(w.intermediate.Certificate.Leaf) {
		t.Errorf("presented with %v", got.Presented)
	}
	name := s.path(want.Fingerprint)
	digits := strings.ToLower(strings.ReplaceAll(w.leaf.Fingerprint(), ":", ""))
	if filepath.Base(name) != digits+".pem" {
		t.Errorf("the file is %s", name)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const head = "source: import\nadded: 2026-11-22T12:00:00Z\ndomain: woodgrovebank.com\n-----BEGIN CERTIFICATE-----\n"
	if !bytes.HasPrefix(data, []byte(head)) {
		t.Errorf("the file begins\n%.200s\nnot\n%s", data, head)
	}
	if info, err := os.Stat(name); err != nil || info.Mode() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	// What openssl makes of the file: the leaf, in spite of the lines before it.
	if out, err := exec.Command("openssl", "x509", "-in", name, "-noout", "-fingerprint", "-sha256").CombinedOutput(); errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") == "" {
		t.Log(err)
	} else if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "="+w.leaf.Fingerprint()) {
		t.Errorf("openssl says %v: %s", err, out)
	}
	if left := names(t, s.Dir()); len(left) != 1 {
		t.Errorf("left behind: %q", left)
	}
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestRefresh(t *testing.T) {
	w := newWorld(t)
	a, b := imported(t, w.leaf.PEM()), imported(t, leaf(t, w.intermediate, "b.example").PEM())
	s := newStore(t)
	if n := refresh(t, s); n != 0 || len(s.All()) != 0 {
		t.Errorf("without a folder: %d, %d", n, len(s.All()))
	}
	put(t, s, a)
	if s.Get(a.Fingerprint) != nil {
		t.Error("in memory before anyone looked")
	}
	for _, step := range []struct {
		what    string
		do      func()
		changed int
		there   []*Certificate
	}{
		{"the first", func() {}, 1, []*Certificate{a}},
		{"nothing new", func() {}, 0, []*Certificate{a}},
		{"a second", func() { put(t, s, b) }, 1, []*Certificate{a, b}},
		{"nothing new, and settled", func() { settle(t, s); refresh(t, s) }, 0, []*Certificate{a, b}},
		{"one replaced", func() { a.Domain = "woodgrovebank.com"; put(t, s, a) }, 1, []*Certificate{a, b}},
		{"one removed", func() { remove(t, s, b) }, 0, []*Certificate{a}}, // known at once
		{"one removed by another process", func() { put(t, s, b); refresh(t, s); remove(t, NewStore(s.Dir()), b) }, 1, []*Certificate{a}},
		{"one removed and come back", func() { remove(t, s, a); put(t, s, a) }, 1, []*Certificate{a}},
		{"files that are none of ours", func() {
			for _, name := range []string{"README", ".new-1.pem", strings.Repeat("0", 63) + ".pem", strings.Repeat("A", 64) + ".pem", strings.Repeat("g", 64) + ".pem", strings.Repeat("0", 64) + ".pem~"} {
				write(t, filepath.Join(s.Dir(), name), []byte("garbage"))
			}
		}, 0, []*Certificate{a}},
		{"all gone", func() {
			if err := os.RemoveAll(s.Dir()); err != nil {
				t.Fatal(err)
			}
		}, 1, nil},
		{"back", func() { put(t, s, b) }, 1, []*Certificate{b}},
	} {
		step.do()
		if n := refresh(t, s); n != step.changed {
			t.Errorf("%s: %d changed, not %d", step.what, n, step.changed)
		}
		if len(s.All()) != len(step.there) {
			t.Errorf("%s: %d certificates", step.what, len(s.All()))
		}
		for _, c := range step.there {
			if got := s.Get(c.Fingerprint); got == nil || got.Domain != c.Domain {
				t.Errorf("%s: %+v", step.what, got)
			}
		}
	}
}

func remove(t testing.TB, s *Store, c *Certificate) {
	t.Helper()
	if err := s.Remove(c.Fingerprint); err != nil {
		t.Fatal(err)
	}
}

// TestRefreshFolderMovedAway: what was moved away and back, or not mounted for a
// moment, is there again.
func TestRefreshFolderMovedAway(t *testing.T) {
	w := newWorld(t)
	c := imported(t, w.leaf.PEM())
	s := newStore(t)
	put(t, s, c)
	settle(t, s)
	refresh(t, s)
	if err := os.Rename(s.Dir(), s.Dir()+".away"); err != nil {
		t.Fatal(err)
	}
	if n := refresh(t, s); n != 1 || s.Get(c.Fingerprint) != nil {
		t.Errorf("moved away: %d changed", n)
	}
	if err := os.Rename(s.Dir()+".away", s.Dir()); err != nil {
		t.Fatal(err)
	}
	if n := refresh(t, s); n != 1 || s.Get(c.Fingerprint) == nil {
		t.Errorf("moved back: %d changed", n)
	}
}

func TestGarbageKeepsTheLastGood(t *testing.T) {
	w := newWorld(t)
	good, other := imported(t, w.leaf.PEM()), imported(t, leaf(t, w.intermediate, "b.example").PEM())
	s := newStore(t)
	put(t, s, good)
	refresh(t, s)
	name := s.path(good.Fingerprint)
	for what, data := range map[string][]byte{
		"garbage": []byte("garbage"), "empty": nil, "cut off": w.leaf.PEM()[:300], "another's": other.Marshal(),
		"with its key": append(good.Marshal(), w.leaf.KeyPEM()...), "too large": append(good.Marshal(), make([]byte, maxFile)...),
	} {
		if err := writeAtomic(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Refresh(); n != 0 || err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %d changed, %v", what, n, err)
		}
		if s.Get(good.Fingerprint) == nil {
			t.Errorf("%s: the last good one is gone", what)
		}
		put(t, s, other) // it does not keep others from being read
		if n, err := s.Refresh(); n != 1 || err == nil || s.Get(other.Fingerprint) == nil {
			t.Errorf("%s: %d others, %v", what, n, err)
		}
		remove(t, s, other)
		_, _ = s.Refresh()
	}
	// A daemon that starts now has nothing to fall back on.
	fresh := NewStore(s.Dir())
	if n, err := fresh.Refresh(); n != 0 || err == nil || len(fresh.All()) != 0 {
		t.Errorf("a new store has %d: %v", n, err)
	}
	if c, err := fresh.Load(good.Fingerprint); c != nil || err == nil {
		t.Errorf("loaded %v: %v", c, err)
	}
	remove(t, s, good)
	if n := refresh(t, s); n != 0 || s.Get(good.Fingerprint) != nil {
		t.Errorf("removed: %d changed", n)
	}
}

func TestWrongName(t *testing.T) {
	w := newWorld(t)
	c := imported(t, w.leaf.PEM())
	s := newStore(t)
	put(t, s, c)
	wrong := Fingerprint{1}
	if err := os.Rename(s.path(c.Fingerprint), s.path(wrong)); err != nil {
		t.Fatal(err)
	}
	want := "its first certificate has the SHA-256 " + hex.EncodeToString(c.Fingerprint[:]) + ", not the one in its name"
	if _, err := s.Refresh(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Refresh: %v", err)
	}
	if got, err := s.Load(wrong); got != nil || err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Load: %v, %v", got, err)
	}
	if len(s.All()) != 0 {
		t.Error("it is in memory")
	}
}

func TestLoad(t *testing.T) {
	w := newWorld(t)
	c := imported(t, w.leaf.PEM())
	s := newStore(t)
	if got, err := s.Load(c.Fingerprint); got != nil || err != nil {
		t.Errorf("no store: %v, %v", got, err)
	}
	put(t, s, c)
	first, err := s.Load(c.Fingerprint)
	if err != nil || first == nil {
		t.Fatalf("imported: %v, %v", first, err)
	}
	if again, _ := s.Load(c.Fingerprint); again != first || s.Get(c.Fingerprint) != first {
		t.Error("it is read each time")
	}
	if got, err := s.Load(Fingerprint{1}); got != nil || err != nil {
		t.Errorf("another: %v, %v", got, err)
	}
	if n := refresh(t, s); n != 0 {
		t.Errorf("%d changed", n)
	}
}

// TestRemove: what has no file is not in memory either, whoever removed it.
func TestRemove(t *testing.T) {
	s := newStore(t)
	if err := s.Remove(Fingerprint{1}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
	c := imported(t, newWorld(t).leaf.PEM())
	put(t, s, c)
	refresh(t, s)
	remove(t, s, c)
	if s.Get(c.Fingerprint) != nil {
		t.Error("removed, and still in memory")
	}
	put(t, s, c)
	refresh(t, s)
	remove(t, NewStore(s.Dir()), c)
	if err := s.Remove(c.Fingerprint); !errors.Is(err, fs.ErrNotExist) || s.Get(c.Fingerprint) != nil {
		t.Errorf("removed by another process: %v, in memory %v", err, s.Get(c.Fingerprint) != nil)
	}
}

// TestUnparseable: a partner may present what we cannot parse; it is kept, with
// the reason.
func TestUnparseable(t *testing.T) {
	c := &Certificate{DER: []byte("no certificate"), Source: SourceImport, Added: time.Unix(0, 0).UTC()}
	c.Fingerprint = sum(c.DER)
	s := newStore(t)
	put(t, s, c)
	refresh(t, s)
	got := s.Get(c.Fingerprint)
	if got == nil || got.X509 != nil || got.Err == nil {
		t.Fatalf("%+v", got)
	}
	if chains, err := NewChains(s).Build(got, pool(), usage("any"), time.Now()); len(chains) != 0 || err == nil {
		t.Errorf("chains %v, %v", chains, err)
	}
}

// TestPresentedGarbage: what cannot help does not hurt.
func TestPresentedGarbage(t *testing.T) {
	w := newWorld(t)
	c := imported(t, w.leaf.PEM())
	data := append(block("CERTIFICATE", w.leaf.DER), block("CERTIFICATE", []byte("garbage"))...)
	data = append(data, block("CERTIFICATE", w.intermediate.DER)...)
	got, err := unmarshal(data, c.Fingerprint)
	if err != nil || len(got.Presented) != 1 || got.Source != "" || !got.Added.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestStoreAtOnce: imports, look-ups and refreshes at the same time.
func TestStoreAtOnce(t *testing.T) {
	w := newWorld(t)
	s := newStore(t)
	var all []*Certificate
	for _, name := range []string{"a.example", "b.example", "c.example", "d.example"} {
		all = append(all, imported(t, leaf(t, w.intermediate, name).PEM()))
	}
	roots := pool(w.root)
	chains := NewChains(s)
	var wait sync.WaitGroup
	for _, c := range all {
		wait.Go(func() {
			for range 10 {
				if err := s.Write(c); err != nil {
					t.Error(err)
				}
				if _, err := s.Refresh(); err != nil {
					t.Error(err)
				}
			}
		})
		wait.Go(func() {
			for range 50 {
				got, err := s.Load(c.Fingerprint)
				if err != nil {
					t.Error(err)
				}
				if got == nil {
					continue
				}
				if built, err := chains.Build(got, roots, usage("any"), time.Now()); err != nil || len(built) != 1 {
					t.Errorf("%d chains: %v", len(built), err)
				}
			}
		})
	}
	wait.Wait()
	refresh(t, s)
	if len(s.All()) != len(all) {
		t.Errorf("%d certificates, not %d", len(s.All()), len(all))
	}
	if left := names(t, s.Dir()); slices.ContainsFunc(left, func(n string) bool { return strings.HasPrefix(n, ".") }) {
		t.Errorf("left behind: %q", left)
	}
}

// TestWriteKeepsTheOld: an import that fails leaves what was there.
func TestWriteFails(t *testing.T) {
	w := newWorld(t)
	s := NewStore(filepath.Join(file(t, "a-file", nil), "certificates"))
	if err := s.Write(imported(t, w.leaf.PEM())); err == nil || !strings.Contains(err.Error(), "creating the certificate store") {
		t.Errorf("below a file: %v", err)
	}
	if _, err := NewStore(file(t, "a-file", nil)).Refresh(); err == nil {
		t.Error("a file for a folder is taken")
	}
}

// FuzzUnmarshal looks for a store file that panics, or that passes for another
// certificate than the one it is named by.
func FuzzUnmarshal(f *testing.F) {
	ca, err := pki.NewCA(pki.CAOptions{})
	if err != nil {
		f.Fatal(err)
	}
	c := imported(f, leaf(f, ca, "woodgrovebank.com").PEM())
	c.Presented = append(c.Presented, ca.Certificate.Leaf)
	good := c.Marshal()
	f.Add(good)
	f.Add(bytes.ReplaceAll(good, []byte("\n"), []byte("\r\n")))
	f.Add(append([]byte("domain: x\ndomain: y\nadded: never\nsource:\n"), good...))
	f.Add(append(block("CERTIFICATE", []byte("garbage")), good...))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = unmarshal(data, Fingerprint{})
		ders, err := decodePEM(data, maxCertificates)
		if err != nil {
			return
		}
		c, err := unmarshal(data, sum(ders[0]))
		if err != nil {
			t.Fatalf("named rightly: %v", err)
		}
		if (c.X509 == nil) == (c.Err == nil) {
			t.Errorf("X509 %v, Err %v", c.X509, c.Err)
		}
		again, err := unmarshal(c.Marshal(), c.Fingerprint)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.DER, c.DER) || len(again.Presented) != len(c.Presented) || again.Domain != c.Domain || again.Source != c.Source {
			t.Errorf("%+v became %+v", c, again)
		}
	})
}
