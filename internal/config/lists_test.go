package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// watched is a Config with a list of one domain that has long been there, and a
// watch on it.
func watched(t *testing.T) (*Config, *ListWatch) {
	t.Helper()
	file := writeFiles(t, map[string]string{"c.toml": "", "receive.list": "a.example\n", "send.list": ""}, "c.toml")
	for _, name := range []string{"receive.list", "send.list"} {
		age(t, filepath.Join(filepath.Dir(file), name), time.Hour)
	}
	c, err := Load(file, fakeRoots)
	if err != nil {
		t.Fatal(err)
	}
	w := c.Watch()
	if changed, soon := w.Changed(); changed || soon {
		t.Fatalf("at first: changed %v, soon %v", changed, soon)
	}
	return c, w
}

// age makes a file look as if it had been written that long ago.
func age(t *testing.T, name string, d time.Duration) {
	t.Helper()
	at := time.Now().Add(-d)
	if err := os.Chtimes(name, at, at); err != nil {
		t.Fatal(err)
	}
}

// await waits for the watch to report a change, and for it to do so once.
func await(t *testing.T, w *ListWatch, what string) {
	t.Helper()
	for deadline := time.Now().Add(1500 * time.Millisecond); ; time.Sleep(5 * time.Millisecond) {
		if changed, _ := w.Changed(); changed {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("%s: not noticed", what)
			return
		}
	}
	if changed, soon := w.Changed(); changed || soon {
		t.Errorf("%s: changed %v, soon %v a second time", what, changed, soon)
	}
}

func TestWatch(t *testing.T) {
	c, w := watched(t)
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"an edit of the receive list", func() error {
			_, err := EditList(c.Lists.Receive, ListEdit{Add: []string{"b.example"}})
			return err
		}},
		{"an edit of the send list", func() error {
			_, err := EditList(c.Lists.Send, ListEdit{Add: []string{"b.example"}})
			return err
		}},
		{"written in place", func() error { return os.WriteFile(c.Lists.Receive, []byte("c.example\n"), 0o644) }},
		{"appended to", func() error {
			f, err := os.OpenFile(c.Lists.Receive, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString("d.example\n")
			return err
		}},
		{"removed", func() error { return os.Remove(c.Lists.Receive) }},
		{"back", func() error { return os.WriteFile(c.Lists.Receive, []byte("c.example\n"), 0o644) }},
		{"an older one put in its place", func() error {
			old := c.Lists.Receive + ".old"
			if err := os.WriteFile(old, []byte("c.example\n"), 0o644); err != nil {
				return err
			}
			age(t, old, 48*time.Hour)
			return os.Rename(old, c.Lists.Receive)
		}},
		{"a link to another", func() error {
			other := c.Lists.Receive + ".other"
			if err := os.WriteFile(other, []byte("e.example\n"), 0o644); err != nil {
				return err
			}
			age(t, other, 48*time.Hour)
			return os.Rename(other, c.Lists.Receive)
		}},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		await(t, w, step.what)
	}
}

// TestWatchWaitsForWriters: a file is not read while it is being written, in
// place or as a new one: half a list would let mail through.
func TestWatchWaitsForWriters(t *testing.T) {
	for what, begin := range map[string]func(*Config) error{
		"in place":         func(*Config) error { return nil },
		"removed before":   func(c *Config) error { return os.Remove(c.Lists.Receive) },
		"moved aside":      func(c *Config) error { return os.Rename(c.Lists.Receive, c.Lists.Receive+"~") },
		"removed and seen": func(c *Config) error { return os.Remove(c.Lists.Receive) },
	} {
		t.Run(what, func(t *testing.T) {
			c, w := watched(t)
			if err := begin(c); err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(what, "seen") {
				await(t, w, "removed")
			}
			f, err := os.Create(c.Lists.Receive)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for _, part := range []string{"a.exam", "ple\nb.example\n"} {
				if _, err := f.WriteString(part); err != nil {
					t.Fatal(err)
				}
				if changed, soon := w.Changed(); changed || !soon {
					t.Errorf("after %q: changed %v, soon %v", part, changed, soon)
				}
			}
			age(t, c.Lists.Receive, time.Second)
			await(t, w, "left alone")
		})
	}
}

// TestWatchOddStamps: stamps that do not fit the clock do not keep a change from
// being noticed.
func TestWatchOddStamps(t *testing.T) {
	for what, d := range map[string]time.Duration{"in the past": 1000 * time.Hour, "in the future": -time.Hour} {
		t.Run(what, func(t *testing.T) {
			c, w := watched(t)
			write(t, c.Lists.Receive, "b.example\nc.example\n")
			age(t, c.Lists.Receive, d)
			await(t, w, "stamped "+what)
		})
	}
}

// TestWatchSameStamp: a second write of the same size within the same tick of the
// clock does not show in the file's state, so it is looked at once more.
func TestWatchSameStamp(t *testing.T) {
	c, _ := watched(t)
	stamp := time.Now().Add(-stampTime / 2)
	put := func(text string) {
		write(t, c.Lists.Receive, text)
		if err := os.Chtimes(c.Lists.Receive, stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
	put("b.example\n")
	first, err := c.WithLists()
	if err != nil {
		t.Fatal(err)
	}
	w := first.Watch()
	states := w.taken
	put("c.example\n") // as if within the same tick: the states stay the same
	now := time.Now()
	if changed, _ := w.look(states, now); changed {
		t.Error("read again at once")
	}
	if changed, _ := w.look(states, now.Add(2*stampTime)); !changed {
		t.Error("not read again once the stamp has grown old")
	}
	if changed, _ := w.look(states, now.Add(3*stampTime)); changed {
		t.Error("read again for ever")
	}
	second, err := first.WithLists()
	if err != nil || !second.Snapshot.Receive.Contains("c.example") {
		t.Errorf("the second write is lost: %v", err)
	}
	if first.Snapshot.Receive.Contains("c.example") || !first.Snapshot.Receive.Contains("b.example") {
		t.Error("the first snapshot has changed")
	}
}

// TestWatchSeesWhatCameWhileReading: the state is that of before the lists were
// read.
func TestWatchSeesWhatCameWhileReading(t *testing.T) {
	c, _ := watched(t)
	write(t, c.Lists.Send, "b.example\n")
	age(t, c.Lists.Send, time.Minute)
	await(t, c.Watch(), "changed before the watch began")
}

func TestWithLists(t *testing.T) {
	c, _ := watched(t)
	write(t, c.Lists.Receive, "b.example\n")
	next, err := c.WithLists()
	if err != nil {
		t.Fatal(err)
	}
	if c.Snapshot.Receive.Contains("b.example") || !next.Snapshot.Receive.Contains("b.example") || next.Snapshot.Receive.Contains("a.example") {
		t.Errorf("before %q, after %q", slices.Collect(c.Snapshot.Receive.All()), slices.Collect(next.Snapshot.Receive.All()))
	}
	if next.Snapshot.Defaults != c.Snapshot.Defaults || next.StateDir != c.StateDir {
		t.Error("the rest has changed")
	}
	write(t, c.Lists.Receive, "nonsense\n")
	if _, err := next.WithLists(); err == nil || !strings.Contains(err.Error(), "receive.list:1: ") {
		t.Errorf("nonsense: %v", err)
	}
}
