package revocation

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/pki"
)

// bundle makes a checker that has nothing but a file, and returns what writes lists into it, one behind the other.
func (w *world) bundle() (write func(...crlmaker.Options)) {
	name := filepath.Join(w.t.TempDir(), "all.pem")
	s := w.settings()
	s.Files, s.Fetch = []string{name}, nil
	w.checker.Use(s)
	return func(lists ...crlmaker.Options) {
		w.t.Helper()
		var all []byte
		for _, o := range lists {
			all = append(all, "# a list\n"...)
			all = append(all, must(crlmaker.PEM(o))...)
		}
		w.replace(name, all)
	}
}

// replace writes a file that cannot be taken for the one before.
func (w *world) replace(name string, data []byte) {
	w.t.Helper()
	if err := os.WriteFile(name+".new", data, 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.pass(time.Second)
	if err := os.Chtimes(name+".new", w.now(), w.now()); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		w.t.Fatal(err)
	}
}

// authority asks about the one that issued the leaves.
func (w *world) authority() Question {
	return Question{Chain: []*x509.Certificate{w.ca.Certificate.Leaf, w.root.Certificate.Leaf}, At: w.now()}
}

func TestBundle(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf(pki.LeafOptions{})
	write := w.bundle()
	write(w.list(w.root, number(1)), w.list(w.ca, number(2)))
	w.want(w.question(leaf), Good, "CRL 2")
	w.want(w.authority(), Good, "CRL 1")

	// Others come before it, and go.
	write(w.list(w.root, number(3)), w.list(must(pki.NewCA(pki.CAOptions{Name: "Another"})), number(4)), revoked(leaf)(w.list(w.ca, number(5))))
	w.want(w.question(leaf), Revoked, "CRL 5")
	w.want(w.authority(), Good, "CRL 3")
	write(w.list(w.ca, number(6)), revoked(w.ca.Certificate.Leaf)(w.list(w.root, number(7))))
	w.want(w.question(leaf), Good, "CRL 6")
	w.want(w.authority(), Revoked, "CRL 7")

	// One that is gone says nothing, and an older one does not take its place when it is back.
	write(revoked(w.ca.Certificate.Leaf)(w.list(w.root, number(7))))
	w.want(w.question(leaf), Unavailable, "")
	write(w.list(w.ca, number(6)), w.list(w.root, number(1)))
	w.want(w.authority(), Revoked, "CRL 7")
}

// TestBundleSpoilt: what is wrong with one list keeps only that one out, as long as it can be told what belongs to it.
func TestBundleSpoilt(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf(pki.LeafOptions{})
	write := w.bundle()
	name := w.checker.settings.Load().Files[0]
	write(w.list(w.root, number(1)), revoked(leaf)(w.list(w.ca, number(1))))
	w.want(w.question(leaf), Revoked, "CRL 1")
	w.want(w.authority(), Good, "CRL 1")

	root, ca := must(crlmaker.PEM(w.list(w.root, number(2)))), must(crlmaker.PEM(w.list(w.ca, number(2))))
	lines := bytes.SplitAfter(ca, []byte("\n"))
	n := len(lines) - 4 // in the signature
	lines[n] = bytes.Replace(lines[n], lines[n][:2], []byte("!!"), 1)
	w.replace(name, slices.Concat(root, bytes.Join(lines, nil)))
	w.want(w.question(leaf), Revoked, "CRL 1")
	w.want(w.authority(), Good, "CRL 2")
	fresh := New(Options{Dir: t.TempDir(), Paths: w.checker.Paths, Clock: w.now, Log: w.checker.Log}, *w.checker.settings.Load())
	if a := fresh.Ask(t.Context(), w.question(leaf)); a.Status != Unknown || !strings.Contains(a.Detail, name+`, CRL 2": reading the CRL: not a well-formed CRL: its PEM is damaged`) {
		t.Errorf("%v: %s", a.Status, a.Detail)
	}
	fresh.Close()

	for what, data := range map[string][]byte{
		"CRL 2 has no line":     slices.Concat(root, ca[:len(ca)/2]),
		"BEGIN CERTIFICATE----": slices.Concat(root, w.ca.PEM(), ca),
	} {
		w.replace(name, data)
		w.want(w.question(leaf), Revoked, "CRL 1")
		w.want(w.authority(), Good, "CRL 2")
		found := w.checker.files.all([]string{name}, w.checker.Log)
		if err := found[0].err; err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want %q", err, what)
		}
	}
	w.pass(failureTime)
	w.replace(name, slices.Concat(ca, root))
	w.want(w.question(leaf), Good, "CRL 2")
}

// TestBundleIsFiles: lists in one file say what they say in files of their own, in whatever order.
func TestBundleIsFiles(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf(pki.LeafOptions{})
	at := func(o crlmaker.Options, ago time.Duration) crlmaker.Options {
		o.ThisUpdate = w.now().Add(-ago).Truncate(time.Second)
		return o
	}
	idp := func(p crlmaker.IssuingPoint) crlmaker.Extension { return p.Extension() }
	forUsers, forCAs := idp(crlmaker.IssuingPoint{OnlyUser: true}), idp(crlmaker.IssuingPoint{OnlyCA: true})
	is := revoked(leaf)
	removed := w.list(w.ca, number(3), crlmaker.Delta(1))
	removed.Entries = crlmaker.Of(crlmaker.Entry{Serial: leaf.SerialNumber, Reason: 8})
	held := w.list(w.ca, number(1))
	held.Entries = crlmaker.Of(crlmaker.Entry{Serial: leaf.SerialNumber, Reason: 6})
	forged := is(w.list(w.ca, number(9)))
	forged.Key = w.root.Key
	// RFC 5280 section 7.1: the same name.
	loud := is(w.list(w.ca, number(2), crlmaker.Delta(1)))
	loud.Issuer = must(pki.NewCA(pki.CAOptions{Name: "WOODGROVE CA"})).Certificate.Leaf.RawSubject
	for _, c := range []struct {
		name  string
		lists []crlmaker.Options
		want  Status
		words string
	}{
		// RFC 5280 section 6.3.3: of two for the same scope, the newer one is asked.
		{"revoked by the newer", []crlmaker.Options{at(w.list(w.ca, number(1)), time.Hour), is(w.list(w.ca, number(2)))}, Revoked, "CRL 2"},
		{"revoked by the older", []crlmaker.Options{at(is(w.list(w.ca, number(1))), time.Hour), w.list(w.ca, number(2))}, Good, "CRL 2"},
		{"three", []crlmaker.Options{at(w.list(w.ca, number(1)), time.Hour), at(is(w.list(w.ca, number(2))), time.Minute), at(w.list(w.ca, number(3)), 2*time.Hour)}, Revoked, "CRL 2"},
		{"the same twice", []crlmaker.Options{is(w.list(w.ca, number(1))), is(w.list(w.ca, number(1)))}, Revoked, "CRL 1"},
		{"for users, and for CAs", []crlmaker.Options{is(w.list(w.ca, number(1), forUsers)), w.list(w.ca, number(2), forCAs)}, Revoked, "CRL 1"},
		{"for CAs alone", []crlmaker.Options{w.list(w.ca, number(1), forCAs), is(w.list(w.ca, number(2), forCAs))}, Unknown, "certificates of CAs only"},
		{"delta", []crlmaker.Options{w.list(w.ca, number(1)), is(w.list(w.ca, number(2), crlmaker.Delta(1)))}, Revoked, "delta CRL 2"},
		{"delta by the same name in capitals", []crlmaker.Options{w.list(w.ca, number(1)), loud}, Revoked, "delta CRL 2"},
		{"released by a delta", []crlmaker.Options{held, removed}, Good, ""},
		{"delta of something else", []crlmaker.Options{w.list(w.ca, number(1)), is(w.list(w.ca, number(9), crlmaker.Delta(8)))}, Good, "CRL 1"},
		{"forged", []crlmaker.Options{w.list(w.ca, number(1)), forged}, Good, "CRL 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 2 {
				slices.Reverse(c.lists)
				for _, together := range []bool{true, false} {
					w.restart()
					w.checker.Dir = t.TempDir()
					w.checker.lists.dir = w.checker.Dir
					s := w.settings()
					s.Fetch = nil
					dir := t.TempDir()
					var all []byte
					for n, o := range c.lists {
						text := must(crlmaker.PEM(o))
						all = append(all, text...)
						if !together {
							s.Files = append(s.Files, filepath.Join(dir, string(rune('a'+n))))
							w.replace(s.Files[n], text)
						}
					}
					if together {
						s.Files = []string{filepath.Join(dir, "all.pem")}
						w.replace(s.Files[0], all)
					}
					w.checker.Use(s)
					w.want(w.question(leaf), c.want, c.words)
				}
			}
		})
	}
}

// TestBundleRearranged: lists of one issuer for different things change places, and newer ones come with that.
func TestBundleRearranged(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf(pki.LeafOptions{})
	forUsers, forCAs := crlmaker.IssuingPoint{OnlyUser: true}.Extension(), crlmaker.IssuingPoint{OnlyCA: true}.Extension()
	write := w.bundle()
	write(w.list(w.ca, number(1), forUsers), w.list(w.ca, number(2), forCAs))
	w.want(w.question(leaf), Good, "CRL 1")
	write(w.list(w.ca, number(3), forCAs), revoked(leaf)(w.list(w.ca, number(4), forUsers)))
	w.want(w.question(leaf), Revoked, "CRL 4")
	write(w.list(w.ca, number(5)), revoked(leaf)(w.list(w.ca, number(6), crlmaker.Delta(5))))
	w.want(w.question(leaf), Revoked, "delta CRL 6")
	write(revoked(leaf)(w.list(w.ca, number(8), crlmaker.Delta(7))), w.list(w.ca, number(7)))
	w.want(w.question(leaf), Revoked, "delta CRL 8")
	write(w.list(w.ca, number(9)))
	w.want(w.question(leaf), Good, "CRL 9")
	write(w.list(w.ca, number(10), forCAs), w.list(w.ca, number(11), forUsers))
	w.want(w.question(leaf), Good, "CRL 11")
	write(revoked(leaf)(w.list(w.ca, number(12), forUsers)))
	w.want(w.question(leaf), Revoked, "CRL 12")
}

// TestBundleKept: what was read is not read again, not even by the next process.
func TestBundleKept(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf(pki.LeafOptions{})
	write := w.bundle()
	// The third is the second of its issuer.
	write(w.list(w.ca, number(1), crlmaker.IssuingPoint{OnlyCA: true}.Extension()), w.list(w.root, number(2)), revoked(leaf)(w.list(w.ca, number(3))))
	ask := func() {
		t.Helper()
		w.want(w.question(leaf), Revoked, "CRL 3")
		w.want(w.authority(), Good, "CRL 2")
	}
	indexes := func() (found []os.FileInfo) {
		t.Helper()
		names, err := filepath.Glob(filepath.Join(w.dir, "*"+listSuffix))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, info)
		}
		return found
	}
	ask()
	before := indexes()
	s := *w.checker.settings.Load()
	w.restart()
	w.checker.Use(s)
	ask()
	if len(before) != 3 || !slices.EqualFunc(before, indexes(), os.SameFile) {
		t.Errorf("%d lists, and they were read again", len(before))
	}
}
