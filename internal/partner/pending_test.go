package partner

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestPending(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pending.json")
	synctest.Test(t, func(t *testing.T) {
		p := OpenPending(path, func(err error) { t.Error(err) })
		begin := time.Now().UTC()
		p.Add("a.example", Fingerprint{1}, clientA)
		time.Sleep(1500 * time.Millisecond)
		p.Add("b.example", Fingerprint{1}, clientA)
		time.Sleep(time.Minute)
		p.Add("a.example", Fingerprint{1}, netip.AddrFrom16(clientB.As16()))
		p.Add("a.example", Fingerprint{2}, netip.Addr{})
		for _, domain := range []string{"", "A.example", "a.example.", "no domain", "a\n.example"} {
			p.Add(domain, Fingerprint{3}, clientA)
		}
		p.Add("a.example", Fingerprint{}, clientA)
		want := []Unknown{
			{"a.example", Fingerprint{1}, clientB, begin, begin.Add(61 * time.Second), 2},
			{"a.example", Fingerprint{2}, netip.Addr{}, begin.Add(61 * time.Second), begin.Add(61 * time.Second), 1},
			{"b.example", Fingerprint{1}, clientA, begin.Add(time.Second), begin.Add(time.Second), 1},
		}
		if got := p.List(); !reflect.DeepEqual(got, want) {
			t.Errorf("%v", got)
		}
		p.Close()
		p.Close()

		// The next start, and another process.
		if got, err := ReadPending(path); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v, %v", got, err)
		}
		p = OpenPending(path, func(err error) { t.Error(err) })
		if got := p.List(); !reflect.DeepEqual(got, want) {
			t.Errorf("%v", got)
		}
		p.Clear(Fingerprint{1})
		if got := p.List(); !reflect.DeepEqual(got, want[1:2]) {
			t.Errorf("cleared: %v", got)
		}
		p.ClearKnown(func(f Fingerprint) bool { return f == Fingerprint{2} })
		p.Clear(Fingerprint{9})
		p.Close()
		if got, err := ReadPending(path); err != nil || len(got) != 0 {
			t.Errorf("%v, %v", got, err)
		}
	})
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestPendingIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pending.json")
	synctest.Test(t, func(t *testing.T) {
		p := unwritten()
		add := func(domain string, n int) { // each from another client
			time.Sleep(time.Second)
			p.Add(domain, Fingerprint{1, byte(n), byte(n >> 8)}, netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}))
		}
		// One partner cannot crowd out the others.
		add("other.example", 0)
		for i := range maxPendingOfDomain + 50 {
			add("flood.example", i)
		}
		list := p.List()
		if len(list) != maxPendingOfDomain+1 || list[0].Certificate[1] != maxPendingOfDomain+49 || list[maxPendingOfDomain-1].Certificate[1] != 50 {
			t.Errorf("%d", len(list))
		}
		for i := range 2 * maxPending {
			add(fmt.Sprintf("d%d.example", i/50), i)
		}
		list = p.List()
		if len(list) != maxPending || list[0].Certificate != (Fingerprint{1, 1999 & 255, 1999 >> 8}) || list[maxPending-1].Certificate != (Fingerprint{1, 1000 & 255, 1000 >> 8}) {
			t.Errorf("%d", len(list))
		}
		if err := writePending(path, list); err != nil {
			t.Error(err)
		}
		if got, err := ReadPending(path); err != nil || len(got) != maxPending {
			t.Errorf("%d, %v", len(got), err)
		}
		// What has not been seen for a month goes when something comes.
		time.Sleep(pendingKept + time.Second)
		p.Add("new.example", Fingerprint{1}, clientA)
		if list := p.List(); len(list) != 1 {
			t.Errorf("%d", len(list))
		}
	})
}

// TestPendingIsFair: who presents another certificate with each connection crowds out
// nobody, neither of the partner that he comes as nor of others.
func TestPendingIsFair(t *testing.T) {
	server, other := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("198.51.100.2")
	n := 0
	flood := func(p *Pending, domain string, client netip.Addr) {
		time.Sleep(time.Second)
		n++
		p.Add(domain, Fingerprint{2, byte(n), byte(n >> 8)}, client)
	}
	has := func(p *Pending, domain string, f Fingerprint) bool {
		return slices.ContainsFunc(p.List(), func(u Unknown) bool { return u.Domain == domain && u.Certificate == f })
	}
	for name, clients := range map[string]func(i int) netip.Addr{
		"one address": func(int) netip.Addr { return clientA },
		"one /64": func(i int) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 14: byte(i >> 8), 15: byte(i)})
		},
		"one /48": func(i int) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 6: byte(i >> 8), 7: byte(i)})
		},
		"none":             func(int) netip.Addr { return netip.Addr{} },
		"one, as mapped":   func(i int) netip.Addr { return []netip.Addr{clientA, netip.AddrFrom16(clientA.As16())}[i%2] },
		"thirty addresses": func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i % 30)}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := unwritten()
				before, during := Fingerprint{1, 1}, Fingerprint{1, 2}
				p.Add("a.example", before, server)
				for i := range 500 {
					flood(p, "a.example", clients(i))
					if i == 250 { // it comes to a list that is full
						p.Add("a.example", during, other)
					}
				}
				if !has(p, "a.example", before) || !has(p, "a.example", during) {
					t.Error("the partner's own is not listed any more")
				}
				last := Fingerprint{2, byte(n), byte(n >> 8)}
				if !has(p, "a.example", last) {
					t.Error("who comes last is not listed")
				}
				most := maxPendingOfClient
				if name == "thirty addresses" || name == "one /48" {
					most = maxPendingOfDomain - 2
				}
				if got := len(p.List()); got != most+2 {
					t.Errorf("%d are listed", got)
				}
			})
		})
	}
	t.Run("as many partners", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := unwritten()
			p.Add("a.example", Fingerprint{1, 1}, server)
			for i := range 3 * maxPending {
				flood(p, fmt.Sprintf("d%d.example", i%150), clientA)
			}
			p.Add("b.example", Fingerprint{1, 2}, other)
			flood(p, "c.example", clientA)
			if !has(p, "a.example", Fingerprint{1, 1}) || !has(p, "b.example", Fingerprint{1, 2}) || len(p.List()) != maxPending {
				t.Errorf("%d are listed", len(p.List()))
			}
		})
	})
	// The certificate that a client presents again and again is the one to stay.
	t.Run("not seen for longest", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := unwritten()
			for range 100 {
				p.Add("a.example", Fingerprint{1}, clientA)
				flood(p, "a.example", clientA)
			}
			if !has(p, "a.example", Fingerprint{1}) || len(p.List()) != maxPendingOfClient {
				t.Errorf("%d are listed", len(p.List()))
			}
		})
	})
}

// unwritten is a list without a file.
func unwritten() *Pending {
	return &Pending{known: make(map[unknownKey]*Unknown), changed: make(chan struct{}, 1)}
}

// TestPendingIsWrittenOnceASecond whatever comes.
func TestPendingIsWrittenOnceASecond(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pending.json")
	synctest.Test(t, func(t *testing.T) {
		p := OpenPending(path, func(err error) { t.Error(err) })
		count := func() int {
			synctest.Wait()
			list, err := ReadPending(path)
			if err != nil {
				t.Fatal(err)
			}
			return len(list)
		}
		p.Add("a.example", Fingerprint{1}, clientA)
		if n := count(); n != 1 {
			t.Errorf("the first is not there at once: %d", n)
		}
		for i := range 9 {
			time.Sleep(100 * time.Millisecond)
			p.Add("a.example", Fingerprint{1, byte(i + 1)}, clientA)
			if n := count(); n != 1 {
				t.Errorf("written again after less than a second: %d", n)
			}
		}
		time.Sleep(100 * time.Millisecond)
		if n := count(); n != 10 {
			t.Errorf("after a second: %d", n)
		}
		// Those that take the place of others, too.
		text := func() string {
			synctest.Wait()
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			return string(data)
		}
		full := text()
		for i := range 9 {
			p.Add("a.example", Fingerprint{2, byte(i)}, clientA)
			time.Sleep(100 * time.Millisecond)
			if text() != full {
				t.Error("written again after less than a second")
			}
		}
		time.Sleep(100 * time.Millisecond)
		if text() == full || count() != maxPendingOfClient {
			t.Errorf("after another second: %d", count())
		}
		p.Add("b.example", Fingerprint{1}, clientA)
		p.Close()
		if n := count(); n != maxPendingOfClient+1 {
			t.Errorf("after Close: %d", n)
		}
	})
}

// TestPendingDiskFails for a while.
func TestPendingDiskFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	path := filepath.Join(dir, "pending.json")
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var complaints []error
		p := OpenPending(path, func(err error) {
			mu.Lock()
			defer mu.Unlock()
			complaints = append(complaints, err)
		})
		p.Add("a.example", Fingerprint{1}, clientA)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(complaints) != 1 || !errors.Is(complaints[0], fs.ErrNotExist) {
			t.Errorf("%v", complaints)
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if list, err := ReadPending(path); err != nil || len(list) != 1 {
			t.Errorf("%v, %v", list, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		p.Add("a.example", Fingerprint{2}, clientA)
		p.Close()
		if len(complaints) != 2 {
			t.Errorf("%v", complaints)
		}
	})
}

// TestPendingClockGoesBack: the file can be read all the same.
func TestPendingClockGoesBack(t *testing.T) {
	p := unwritten()
	future := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	p.known[unknownKey{"a.example", Fingerprint{1}}] = &Unknown{"a.example", Fingerprint{1}, clientA, future, future, 1}
	p.Add("a.example", Fingerprint{1}, clientB)
	if list := p.List(); list[0].LastSeen != future || list[0].Count != 2 || list[0].Client != clientB {
		t.Errorf("%v", list)
	}
}

// TestClearKnownHoldsUpNobody: while a disk is asked what it knows, a verdict can
// add to the list.
func TestClearKnownHoldsUpNobody(t *testing.T) {
	p := unwritten()
	p.Add("a.example", Fingerprint{1}, clientA)
	p.Add("b.example", Fingerprint{1}, clientA)
	p.Add("a.example", Fingerprint{2}, clientA)
	asked := 0
	p.ClearKnown(func(f Fingerprint) bool {
		asked++
		added := make(chan struct{})
		go func() {
			p.Add("a.example", Fingerprint{3}, clientA)
			close(added)
		}()
		select {
		case <-added:
		case <-time.After(10 * time.Second):
			t.Fatal("the disk is waited for with the list held")
		}
		return f == Fingerprint{1}
	})
	list := p.List()
	if asked != 2 || len(list) != 2 || list[0].Certificate == (Fingerprint{1}) || list[1].Certificate == (Fingerprint{1}) {
		t.Errorf("asked %d times, %v", asked, list)
	}
}

// TestPendingOutlivesPanics: the list is written beside what judges mail.
func TestPendingOutlivesPanics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pending.json")
	synctest.Test(t, func(t *testing.T) {
		complaints := make(chan error, 10)
		p := OpenPending(path, func(err error) { complaints <- err })
		defer p.Close()
		broken := unknownKey{"b.example", Fingerprint{2}}
		p.mu.Lock()
		p.known[broken] = nil // as no entry is
		p.mu.Unlock()
		p.notify()
		synctest.Wait()
		if err := <-complaints; !strings.Contains(err.Error(), "pending_test.go") && !strings.Contains(err.Error(), "pending.go") {
			t.Error(err)
		}
		p.mu.Lock()
		delete(p.known, broken)
		p.mu.Unlock()
		p.Add("a.example", Fingerprint{1}, clientA)
		time.Sleep(2 * writeInterval)
		if list, err := ReadPending(path); err != nil || len(list) != 1 {
			t.Errorf("%v, %v", list, err)
		}
	})
}
