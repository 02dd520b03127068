package partner

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// entries are good ones, with what makes them bad.
func entries(replace ...string) string {
	return strings.NewReplacer(replace...).Replace(`{"version": 1, "pending": [
{"domain": "a.example", "certificate": "` + strings.Repeat("0a", 32) + `", "client": "192.0.2.1", "first_seen": "2026-01-02T03:04:05Z", "last_seen": "2026-01-02T03:04:06Z", "count": 2},
{"domain": "b.example", "certificate": "` + strings.Repeat("0B", 32) + `", "client": "", "first_seen": "2026-01-02T03:04:05Z", "last_seen": "2026-01-02T03:04:05Z", "count": 1}]}
`)
}

func TestPendingFile(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"good", entries(), ""},
		{"empty list", `{"version":1,"pending":[]}`, ""},
		{"empty", "", "damaged"},
		{"cut off", entries()[:200], "damaged"},
		{"more behind it", entries() + "{}", "more after its end"},
		{"not JSON", "pending", "damaged"},
		{"another version", entries(`"version": 1`, `"version": 2`), "version 2"},
		{"unknown key", entries(`"count": 2`, `"count": 2, "x": 1`), "unknown field"},
		{"domain", entries("a.example", "a b"), "entry 1 is"},
		{"domain in capitals", entries("a.example", "A.example"), "entry 1 is"},
		{"no certificate", entries("0a", "00"), "entry 1 is"},
		{"short certificate", entries("0a0a", "0a"), "not a SHA-256"},
		{"odd certificate", entries("0a0a", "0x0a"), "not a SHA-256"},
		{"client", entries("192.0.2.1", "192.0.2"), "too short"},
		{"client with zone", entries("192.0.2.1", "fe80::1%eth0"), "entry 1 is"},
		{"times", entries("04:06Z", "04:04Z"), "entry 1 is"},
		{"no time", entries("2026-01-02T03:04:05Z", "0001-01-01T00:00:00Z"), "entry 1 is"},
		{"count", entries(`"count": 1`, `"count": 0`), "entry 2 is"},
		{"count", entries(`"count": 1`, `"count": 1e99`), "damaged"},
		{"twice", entries("b.example", "a.example", "0B", "0a"), "entry 2 is"},
		{"long", entries() + strings.Repeat(" ", maxPendingFile), "octets"},
		{"many", `{"version":1,"pending":[` + strings.Repeat(`{},`, maxPending) + `{}]}`, "more than 1000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "pending.json")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			var err error
			p := OpenPending(path, func(complaint error) { err = errors.Join(err, complaint) })
			defer p.Close()
			if c.want == "" {
				if err != nil || len(p.List()) != strings.Count(c.text, "client") {
					t.Errorf("%v, %v", p.List(), err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) || len(p.List()) != 0 {
				t.Errorf("%v, %v", p.List(), err)
			}
			// It goes on with an empty one.
			p.Add("a.example", Fingerprint{1}, clientA)
			p.Close()
			if list, err := ReadPending(path); err != nil || len(list) != 1 {
				t.Errorf("%v, %v", list, err)
			}
		})
	}
	if _, err := ReadPending(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// FuzzPendingFile looks for a file that is taken and does not come back as it was.
func FuzzPendingFile(f *testing.F) {
	f.Add(entries())
	f.Add(entries("a.example", "b.example"))
	f.Add(entries("0a", "0b"))
	f.Add(`{"version":1,"pending":[]}`)
	f.Add(`{"version":1,"pending":null}`)
	f.Add(`{"version":1,"pending":[{"count":1}]}`)
	path := filepath.Join(f.TempDir(), "pending.json")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parsePending([]byte(text))
		if err != nil {
			if list != nil || err.Error() == "" {
				t.Fatalf("%v with %v", err, list)
			}
			return
		}
		if len(list) > maxPending {
			t.Fatalf("%d entries", len(list))
		}
		if err := writePending(path, list); err != nil {
			t.Fatalf("%v: %v", list, err)
		}
		again, err := ReadPending(path)
		if err != nil || len(again) != len(list) {
			t.Fatalf("%v, %v", again, err)
		}
		for i := range list {
			a, b := list[i], again[i]
			if !a.FirstSeen.Equal(b.FirstSeen) || !a.LastSeen.Equal(b.LastSeen) {
				t.Errorf("%v became %v", a, b)
			}
			a.FirstSeen, a.LastSeen, b.FirstSeen, b.LastSeen = time.Time{}, time.Time{}, time.Time{}, time.Time{}
			if a != b {
				t.Errorf("%v became %v", a, b)
			}
		}
	})
}
