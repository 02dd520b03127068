package revocation

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/pki"
)

// mirrored makes a leaf of one distribution point with several addresses.
func (w *world) mirrored(paths ...string) pki.LeafOptions {
	return pki.LeafOptions{Extra: pkixOf(crlmaker.Points(crlmaker.Point{Names: w.names(paths...)}))}
}

func (w *world) names(paths ...string) (names []crlmaker.Name) {
	for _, path := range paths {
		names = append(names, crlmaker.URI(w.url(path)))
	}
	return names
}

// TestMirrorGoesBack: what one address said against a certificate stands, when
// another address of the same list is behind.
func TestMirrorGoesBack(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf(w.mirrored("/a.crl", "/b.crl"))
	w.serveList("/a.crl", w.list(w.ca, number(7)))
	w.want(w.question(leaf), Good, "CRL 7")
	w.pass(time.Hour)
	old := w.list(w.ca, number(8))
	old.NextUpdate = w.now().Add(72 * time.Hour)
	w.pass(24 * time.Hour)
	w.handle("/a.crl", nil)
	w.serveList("/b.crl", revoked(leaf)(w.list(w.ca, number(9))))
	w.want(w.question(leaf), Revoked, "CRL 9")
	w.serveList("/a.crl", old)
	w.pass(2 * time.Hour)
	w.refresh()
	w.want(w.question(leaf), Revoked, "CRL 9")
	w.restart()
	w.want(w.question(leaf), Revoked, "CRL 9")
}

// TestWrongScope: a genuine list that is for other certificates, or only a delta
// CRL, does not stay in the place of the right one, whatever its number.
func TestWrongScope(t *testing.T) {
	for name, wrong := range map[string]func(*world) crlmaker.Options{
		"partition": func(w *world) crlmaker.Options {
			return w.list(w.ca, number(70), crlmaker.IssuingPoint{Names: w.names("/other.crl")}.Extension())
		},
		"authorities": func(w *world) crlmaker.Options {
			return w.list(w.ca, number(70), crlmaker.IssuingPoint{OnlyCA: true}.Extension())
		},
		"delta": func(w *world) crlmaker.Options { return w.list(w.ca, number(70), crlmaker.Delta(69)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
			right := func(n int) crlmaker.Options {
				return w.list(w.ca, number(n), crlmaker.IssuingPoint{Names: w.names("/ca.crl")}.Extension())
			}
			// At first there is nothing else.
			w.serveList("/ca.crl", wrong(w))
			w.want(w.question(leaf), Unknown, "")
			w.want(w.question(leaf), Unknown, "")
			if n := w.count("/ca.crl"); n != 1 {
				t.Errorf("asked %d times within a minute", n)
			}
			w.serveList("/ca.crl", right(7))
			w.pass(failureTime + time.Second)
			w.want(w.question(leaf), Good, "CRL 7")
			// Then the right one is there.
			w.serveList("/ca.crl", wrong(w))
			w.pass(15 * time.Hour)
			w.refresh()
			w.want(w.question(leaf), Good, "CRL 7")
			// And has ended.
			w.serveList("/ca.crl", wrong(w))
			w.pass(15 * time.Hour)
			w.want(w.question(leaf), Unknown, "")
			w.serveList("/ca.crl", right(8))
			w.pass(failureTime + time.Second)
			w.want(w.question(leaf), Good, "CRL 8")
		})
	}
}

// TestFutureList: a list that is not of this time yet takes no place.
func TestFutureList(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
	w.serveList("/ca.crl", w.list(w.ca, number(7)))
	w.want(w.question(leaf), Good, "CRL 7")
	w.pass(15 * time.Hour)
	future := w.list(w.ca, number(8))
	future.ThisUpdate, future.NextUpdate = w.now().Add(365*24*time.Hour), w.now().Add(366*24*time.Hour)
	w.serveList("/ca.crl", future)
	w.refresh()
	w.want(w.question(leaf), Good, "CRL 7")
	w.pass(10 * time.Hour)
	w.want(w.question(leaf), Unknown, "of the future")
}

// TestSameListForEver: a server that has nothing newer is asked less and less
// often, also once what it has is worth nothing any more.
func TestSameListForEver(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
	w.serveList("/ca.crl", w.list(w.ca, number(7)))
	w.want(w.question(leaf), Good, "")
	for range 24 * 60 {
		w.pass(time.Minute)
		w.refresh()
	}
	before := w.count("/ca.crl")
	if before > 20 {
		t.Errorf("asked %d times in a day", before)
	}
	for range 24 * 60 {
		w.pass(time.Minute)
		w.refresh()
	}
	if n := w.count("/ca.crl") - before; n < 20 || n > 40 {
		t.Errorf("asked %d times in the day after it had ended", n)
	}
}

// TestForgotten: being fetched again is no use of a list, neither here nor after a
// restart, which goes by the time of the file.
func TestForgotten(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		w := newWorld(t)
		w.pass(-20 * 24 * time.Hour)
		leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
		w.serveList("/ca.crl", w.list(w.ca, number(1)))
		w.want(w.question(leaf), Good, "")
		for n := range 16 {
			w.pass(24 * time.Hour)
			w.serveList("/ca.crl", w.list(w.ca, number(2+n)))
			if restarts {
				w.restart()
				w.checker.Start()
			}
			w.refresh()
		}
		if names := w.folder(); len(names) > 0 {
			t.Errorf("unused lists were left: %q", names)
		}
		if n := w.count("/ca.crl"); n < 10 {
			t.Errorf("it was fetched %d times in its days", n)
		}
	}
}

// TestReissued: lists without numbers follow each other by their dates.
func TestReissued(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
	w.serveList("/ca.crl", w.list(w.ca))
	w.want(w.question(leaf), Good, "")
	old := w.list(w.ca)
	old.NextUpdate = w.now().Add(72 * time.Hour)
	w.pass(25 * time.Hour)
	w.serveList("/ca.crl", revoked(leaf)(w.list(w.ca)))
	w.want(w.question(leaf), Revoked, "")
	w.pass(25 * time.Hour)
	old.ThisUpdate = old.ThisUpdate.Add(time.Hour)
	w.serveList("/ca.crl", old)
	w.want(w.question(leaf), Unknown, "is older than")
	w.serveList("/ca.crl", w.list(w.ca))
	w.pass(failureTime + time.Second)
	w.want(w.question(leaf), Good, "")
}

// TestShortAndLong: a list of ten minutes is kept fresh, one of a year is looked
// after every day.
func TestShortAndLong(t *testing.T) {
	for life, day := range map[time.Duration][2]int{10 * time.Minute: {200, 400}, 365 * 24 * time.Hour: {1, 3}} {
		w := newWorld(t)
		leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
		var n atomic.Int64
		w.handle("/ca.crl", func(rw http.ResponseWriter, _ *http.Request) {
			o := w.list(w.ca, number(int(n.Add(1))))
			o.NextUpdate = w.now().Add(life)
			_, _ = rw.Write(must(crlmaker.Bytes(o)))
		})
		for range 2 * 24 * 60 {
			w.want(w.question(leaf), Good, "")
			w.pass(30 * time.Second)
			w.refresh()
		}
		if got := w.count("/ca.crl"); got < day[0] || got > day[1] {
			t.Errorf("one of %v was fetched %d times in a day", life, got)
		}
	}
}
