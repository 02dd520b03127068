package crl

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/pki"
)

// TestLookup asks for each entry, and for as many that are not there, of lists of
// all sizes; from memory and from the file.
func TestLookup(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	issuer := ca.Certificate.Leaf.RawSubject
	for _, n := range []int{0, 1, 2, 100, 5000, 70_000} {
		o := by(ca)
		o.Entries = many(n)
		data := der1(t, o)
		built := build(t, data, ca.Certificate.Leaf)
		opened := reopen(t, built)
		read := reopen(t, built)
		read.unmap()
		for name, x := range map[string]*Index{"built": built, "opened": opened, "read": read} {
			for i := range 2 * n {
				reason, listed, err := x.Lookup(issuer, serial(i))
				if err != nil || listed != (i < n) || listed && reason != Reason(i%2*4) {
					t.Fatalf("%s, %d of %d: %v, %t, %v", name, i, n, reason, listed, err)
				}
			}
			if x.Info().Entries != n {
				t.Errorf("%s: %d entries, not %d", name, x.Info().Entries, n)
			}
		}
	}
}

func reopen(t testing.TB, x *Index) *Index {
	t.Helper()
	again, err := Open(x.file.Name())
	if errors.Is(err, fs.ErrNotExist) { // it has been renamed
		again, err = Open(filepath.Join(filepath.Dir(x.file.Name()), "index"))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close() })
	return again
}

// TestLookupMixed: serial numbers of all lengths, so many that they do not fit into
// memory.
func TestLookupMixed(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	const n = 400_000
	mixed := func(i int) *big.Int {
		s := serial(i)
		return s.Rsh(s, uint(i%17*7)) // of 2 to 17 octets
	}
	has := make(map[string]bool)
	o := by(ca)
	o.Entries = func(yield func(crlmaker.Entry) bool) {
		for i := range n {
			if !yield(crlmaker.Entry{Serial: mixed(i)}) {
				return
			}
		}
	}
	for i := range n {
		has[mixed(i).String()] = true
	}
	x := build(t, der1(t, o), ca.Certificate.Leaf)
	for i := 0; i < 2*n; i += 7 {
		_, listed, err := x.Lookup(ca.Certificate.Leaf.RawSubject, mixed(i))
		if err != nil || listed != has[mixed(i).String()] {
			t.Fatalf("%v: %t, %v", mixed(i), listed, err)
		}
	}
}

// TestPart: what has to be in memory at once is bounded.
func TestPart(t *testing.T) {
	s := newSpill(t.TempDir())
	defer s.close()
	for {
		if err := s.add([]byte{1}, 0, 0); err != nil {
			if !errors.Is(err, ErrTooLarge) {
				t.Error(err)
			}
			break
		}
		if s.records > maxPart {
			t.Fatalf("%d records in one part", s.records)
		}
	}
}

func TestRecordLen(t *testing.T) {
	for in, want := range map[string]int{
		"": 0, "\x03": 0, "\x03\x00\x05": 3, "\x03\x00\x05\x06": 3, "\x04\x00\x05": 0, "\x02\x00": 0, "\x00\x00\x00": 0,
		"\x05\x80\x00\x01\x05": 5, "\x04\x80\x00\x01\x05": 0, "\x06\x80\x00\x01\x05": 0,
		"\x22\x00" + strings.Repeat("a", 32): 34, "\x23\x00" + strings.Repeat("a", 33): 0,
	} {
		if got := recordLen([]byte(in)); got != want {
			t.Errorf("%x: %d, want %d", in, got, want)
		}
	}
}

// TestSpillDamaged: a disk that gives back something else is an error.
func TestSpillDamaged(t *testing.T) {
	for _, octet := range []byte{0, 1, 2, 7, 36, 0x80, 0xff} {
		s := newSpill(t.TempDir())
		defer s.close()
		for i := range 100_000 {
			var space [maxSerial]byte
			key, err := serialKey(serial(i), space[:])
			if err != nil {
				t.Fatal(err)
			}
			if err := s.add(key, 0, 0); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.file.WriteAt([]byte{octet}, 0); err != nil { // a record's length
			t.Fatal(err)
		}
		if err := writeIndex(discard{}, s, new(Info)); err == nil || !strings.Contains(err.Error(), "came back") {
			t.Errorf("%#x: %v", octet, err)
		}
	}
}

// discard is [io.Discard] for who writes here and there.
type discard struct{}

func (discard) WriteAt(b []byte, _ int64) (int, error) { return len(b), nil }

// TestSortPanics: a panic of who sorts is one of who asked for the index, and says
// where it was.
func TestSortPanics(t *testing.T) {
	s := newSpill(t.TempDir())
	defer s.close()
	if err := s.add([]byte{1}, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if text, _ := recover().(string); !strings.Contains(text, "as asked") || !strings.Contains(text, "WriteAt") {
			t.Errorf("panic %q", text)
		}
	}()
	writeIndex(panics{}, s, new(Info))
	t.Error("no panic")
}

type panics struct{}

func (panics) WriteAt([]byte, int64) (int, error) { panic("as asked") }

// TestSerials: no two numbers are taken for each other.
func TestSerials(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	issuer := ca.Certificate.Leaf.RawSubject
	var numbers []*big.Int
	for _, text := range []string{
		"0", "1", "-1", "127", "128", "-128", "-129", "255", "256", "-256", "32767", "32768", "65535", "65536", "4294967295", "4294967296",
		"18446744073709551615", "18446744073709551616", "-18446744073709551616",
	} {
		n, _ := new(big.Int).SetString(text, 10)
		numbers = append(numbers, n)
	}
	for _, bits := range []uint{63, 64, 127, 159, 160, 254} {
		n := new(big.Int).Lsh(big.NewInt(1), bits)
		numbers = append(numbers, n, new(big.Int).Sub(n, big.NewInt(1)))
	}
	for _, n := range numbers {
		o := by(ca)
		o.Entries = crlmaker.Entries(n)
		x := build(t, der1(t, o), ca.Certificate.Leaf)
		for _, asked := range numbers {
			if _, listed, err := x.Lookup(issuer, asked); err != nil || listed != (n.Cmp(asked) == 0) {
				t.Errorf("%v is listed, %v: %t, %v", n, asked, listed, err)
			}
		}
		tooLong := new(big.Int).Lsh(big.NewInt(1), 8*maxSerial)
		if _, _, err := x.Lookup(issuer, tooLong); err == nil {
			t.Error("a number that cannot be in any index was looked for")
		}
	}
	// Encoded with more octets than needed.
	for n, raws := range map[int64][][]byte{5: {{0, 0, 5}, {0, 5}, {5}}, -5: {{0xff, 0xff, 0xfb}, {0xff, 0xfb}, {0xfb}}, 255: {{0, 0, 0xff}, {0, 0xff}}} {
		for _, raw := range raws {
			o := by(ca)
			o.Entries = crlmaker.Of(crlmaker.Entry{RawSerial: raw})
			if _, listed, _ := build(t, der1(t, o), ca.Certificate.Leaf).Lookup(issuer, big.NewInt(n)); !listed {
				t.Errorf("%x is not %d", raw, n)
			}
		}
	}
}

// TestTwice: of several entries for a certificate the worst counts, in any order.
func TestTwice(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	for _, c := range []struct {
		reasons []int
		want    Reason
	}{
		{[]int{6, 1}, 1}, {[]int{1, 6}, 1}, {[]int{8, 6}, 6}, {[]int{6, 8}, 6}, {[]int{8, 0}, 0}, {[]int{6, 0, 8}, 0}, {[]int{8, 8}, 8}, {[]int{77, 6}, 7},
	} {
		var all []crlmaker.Entry
		for _, reason := range c.reasons {
			all = append(all, crlmaker.Entry{Serial: big.NewInt(5), Reason: reason})
		}
		o := by(ca)
		o.Entries = crlmaker.Of(all...)
		reason, listed, err := build(t, der1(t, o), ca.Certificate.Leaf).Lookup(ca.Certificate.Leaf.RawSubject, big.NewInt(5))
		if reason != c.want || !listed || err != nil {
			t.Errorf("%v: %v, %t, %v", c.reasons, reason, listed, err)
		}
	}
}

// TestOverAndOver: a list cannot make a bucket that every question would have to
// read through.
func TestOverAndOver(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	for _, n := range []int{10_000, 100_000, 500_000} {
		o := by(ca)
		o.Entries = func(yield func(crlmaker.Entry) bool) {
			for range n {
				if !yield(crlmaker.Entry{Serial: serial(1)}) {
					return
				}
			}
		}
		dir := t.TempDir()
		x, err := Build(bytes.NewReader(der1(t, o)), filepath.Join(dir, "index"), signers(ca.Certificate.Leaf))
		if (n > 10_000) != errors.Is(err, ErrTooLarge) {
			t.Errorf("%d times: %v", n, err)
		}
		if err == nil {
			x.Close()
			continue
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%d times: %v is left", n, left)
		}
	}
}

// TestIssuers: RFC 5280 section 5.3.3. The issuer of an entry is that of the one
// before it, and the first one's is the list's.
func TestIssuers(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	own := ca.Certificate.Leaf.RawSubject
	indirect := crlmaker.IssuingPoint{Indirect: true}.Extension()
	entries := crlmaker.Of(
		crlmaker.Entry{Serial: big.NewInt(1)},
		crlmaker.Entry{Serial: big.NewInt(2), Issuer: issuerName},
		crlmaker.Entry{Serial: big.NewInt(3), Reason: 1},
		crlmaker.Entry{Serial: big.NewInt(4), Issuer: otherName},
		crlmaker.Entry{Serial: big.NewInt(1)},
		crlmaker.Entry{Serial: big.NewInt(5), Issuer: own},
		crlmaker.Entry{Serial: big.NewInt(6)},
		crlmaker.Entry{Serial: big.NewInt(7), Issuer: issuerName, Reason: 6},
	)
	o := by(ca, indirect)
	o.Entries = entries
	x := build(t, der1(t, o), ca.Certificate.Leaf)
	for name, want := range map[string][]int64{string(own): {1, 5, 6}, string(issuerName): {2, 3, 7}, string(otherName): {4, 1}} {
		for i := range int64(9) {
			_, listed, err := reopen(t, x).Lookup([]byte(name), big.NewInt(i))
			if err != nil || listed != slices.Contains(want, i) {
				t.Errorf("%s, %d: %t, %v", nameText([]byte(name)), i, listed, err)
			}
		}
	}

	// Not an indirect list: others' certificates are a contradiction.
	o.Extensions = nil
	if err := sign(t, der1(t, o), ca); !errors.Is(err, ErrMalformed) {
		t.Errorf("no indirect list: %v", err)
	}
	o.Entries = crlmaker.Of(crlmaker.Entry{Serial: big.NewInt(5), Issuer: own})
	if err := sign(t, der1(t, o), ca); err != nil {
		t.Errorf("no indirect list, with its own issuer: %v", err)
	}

	o = by(ca, indirect)
	o.Entries = func(yield func(crlmaker.Entry) bool) {
		for i := range maxIssuers + 1 {
			name := distinguished([]text{{3, 12, fmt.Sprint("CA ", i)}})
			if !yield(crlmaker.Entry{Serial: big.NewInt(5), Issuer: name}) {
				return
			}
		}
	}
	if err := sign(t, der1(t, o), ca); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too many issuers: %v", err)
	}
}

// TestInfo: what was known when it was built is known when it is opened.
func TestInfo(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	o := by(ca, crlmaker.Number(7), crlmaker.Delta(6), crlmaker.KeyID([]byte("key")),
		crlmaker.IssuingPoint{Indirect: true, Names: []crlmaker.Name{crlmaker.URI("u")}}.Extension(),
		crlmaker.Freshest(crlmaker.Point{Names: []crlmaker.Name{crlmaker.URI("d")}}), crlmaker.Extension{ID: "1.2.3", Critical: true})
	o.Entries = crlmaker.Of(crlmaker.Entry{Serial: big.NewInt(1), Issuer: otherName})
	source := Source{URL: "http://crl.example/<1>.crl", ETag: `"tag"`, LastModified: "Sun, 22 Nov 2026 12:00:00 GMT", Fetched: time.Now().UTC().Truncate(time.Second)}
	options := signers(ca.Certificate.Leaf)
	options.Source = func() Source { return source }
	x, err := Build(bytes.NewReader(der1(t, o)), filepath.Join(t.TempDir(), "index"), options)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	again := reopen(t, x).Info()
	if !reflect.DeepEqual(x.Info(), again) {
		t.Errorf("%+v became %+v", x.Info(), again)
	}
	if again.Source != source || again.Sum == ([32]byte{}) || again.Size == 0 {
		t.Errorf("%+v", again)
	}
	other := build(t, der1(t, by(ca)), ca.Certificate.Leaf).Info()
	if other.Sum == again.Sum {
		t.Error("another list has the same sum")
	}
}

// TestReplaced: a list takes the place of an earlier one whole, and only if it is
// accepted.
func TestReplaced(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	path := filepath.Join(t.TempDir(), "index")
	options := signers(ca.Certificate.Leaf)
	options.Accept = func(new *Info) error {
		old, err := Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		defer old.Close()
		if new.Number.Cmp(old.Info().Number) < 0 {
			return errBack
		}
		return nil
	}
	var indexes []*Index
	for _, c := range []struct {
		number int64
		bad    bool
		want   error
	}{{5, false, nil}, {6, false, nil}, {4, false, errBack}, {7, true, ErrSignature}} {
		o := by(ca, crlmaker.Number(c.number))
		o.BadSig = c.bad
		o.Entries = crlmaker.Entries(big.NewInt(c.number))
		x, err := Build(bytes.NewReader(der1(t, o)), path, options)
		if !errors.Is(err, c.want) {
			t.Errorf("number %d: %v", c.number, err)
		}
		if err == nil {
			defer x.Close()
			indexes = append(indexes, x)
		}
	}
	x, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	for i, x := range append(indexes, x) {
		want := min(int64(5+i), 6)
		if _, listed, err := x.Lookup(ca.Certificate.Leaf.RawSubject, big.NewInt(want)); !listed || err != nil || x.Info().Number.Int64() != want {
			t.Errorf("%d: %t, %v, number %v", i, listed, err, x.Info().Number)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
	if stat, err := os.Stat(path); err != nil || stat.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", stat.Mode(), err)
	}
}

var errBack = errors.New("its number goes back")

// TestNoPlace: a folder that is not there or a path that is a folder.
func TestNoPlace(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	o := by(ca)
	o.Entries = many(100_000) // more than fits in memory
	for _, path := range []string{"missing/index", "full"} {
		if _, err := Build(bytes.NewReader(der1(t, o)), filepath.Join(dir, path), signers(ca.Certificate.Leaf)); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%v is left", left)
	}
	if _, err := Open(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opened what is not there: %v", err)
	}
	if _, err := Open(dir); err == nil {
		t.Error("opened a folder")
	}
}

// TestDamaged changes every octet of an index and cuts it off everywhere: never
// does it say that a certificate is not listed that is, or anything else that it
// did not say before.
func TestDamaged(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	o := by(ca, crlmaker.Number(1))
	const n = 80
	o.Entries = many(n)
	x := build(t, der1(t, o), ca.Certificate.Leaf)
	path := filepath.Join(filepath.Dir(x.file.Name()), "index")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		x, err := Open(path)
		if err != nil {
			if !errors.Is(err, ErrIndex) {
				t.Errorf("%s: %v", what, err)
			}
			return
		}
		defer x.Close()
		errs := 0
		for i := range n {
			reason, listed, err := x.Lookup(ca.Certificate.Leaf.RawSubject, serial(i))
			switch {
			case errors.Is(err, ErrIndex):
				errs++
			case err != nil || !listed || reason != Reason(i%2*4):
				t.Fatalf("%s: %d: %v, %t, %v", what, i, reason, listed, err)
			}
		}
		if errs == 0 {
			t.Errorf("%s: nothing is wrong with it", what)
		}
	}
	for at := range good {
		bad := bytes.Clone(good)
		bad[at] ^= 1 << (at % 8)
		check(fmt.Sprintf("octet %d", at), bad)
	}
	for at := 0; at < len(good); at += 3 {
		check(fmt.Sprintf("%d octets", at), good[:at])
	}
	check("more at its end", append(bytes.Clone(good), 0))
	check("more at its start", append([]byte{0}, good...))
	check("zeros in front", append(make([]byte, 1000), good[1000:]...))
}

// TestCutOffUnderneath: a file that is cut off while it is open is an error, and
// no end of the process.
func TestCutOffUnderneath(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	o := by(ca)
	o.Entries = many(20_000)
	mapped := build(t, der1(t, o), ca.Certificate.Leaf)
	read := reopen(t, mapped)
	read.unmap()
	if mapped.mapped == nil {
		t.Fatal("the file is not mapped")
	}
	if err := os.Truncate(filepath.Join(filepath.Dir(mapped.file.Name()), "index"), 10); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]*Index{"mapped": mapped, "read": read} {
		errs := 0
		for i := range 1000 {
			_, listed, err := x.Lookup(ca.Certificate.Leaf.RawSubject, serial(i))
			if err == nil && !listed || err != nil && !errors.Is(err, ErrIndex) {
				t.Fatalf("%s: %t, %v", name, listed, err)
			}
			if err != nil {
				errs++
			}
		}
		// What is left of the first page may still be there.
		if errs < 900 {
			t.Errorf("%s: %d errors", name, errs)
		}
	}
}

// TestAtOnce asks, and closes, at the same time.
func TestAtOnce(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	o := by(ca)
	o.Entries = many(2000)
	x := build(t, der1(t, o), ca.Certificate.Leaf)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 2000 {
				_, listed, err := x.Lookup(ca.Certificate.Leaf.RawSubject, serial(i))
				if err == nil && !listed {
					t.Errorf("%d is not listed", i)
				}
				if err != nil && !errors.Is(err, os.ErrClosed) {
					t.Errorf("%d: %v", i, err)
				}
				if i == 1000 {
					_ = x.Close() // the second time it is closed already
				}
			}
		})
	}
	all.Wait()
	if _, _, err := x.Lookup(ca.Certificate.Leaf.RawSubject, serial(1)); err == nil {
		t.Error("a closed index answers")
	}
}

// TestHash holds the hash to what it is for: numbers in a row spread evenly.
func TestHash(t *testing.T) {
	keys := newHashKeys()
	var count [parts]int
	const n = 100_000
	for i := range n {
		var space [maxSerial]byte
		key, err := serialKey(big.NewInt(int64(i)), space[:])
		if err != nil {
			t.Fatal(err)
		}
		count[keys.sum(key)>>26]++
	}
	for i, got := range count {
		if got < n/parts/2 || got > n/parts*2 {
			t.Errorf("part %d has %d of %d", i, got, n)
		}
	}
}
