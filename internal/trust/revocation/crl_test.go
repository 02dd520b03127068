package revocation

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/trust"
)

func TestCRL(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
	list := w.list(w.ca, number(1))
	w.serveList("/ca.crl", list)
	w.want(w.question(leaf), Good, "CRL 1 of")
	w.want(w.question(leaf), Good, "CRL 1 of")
	if n := w.count("/ca.crl"); n != 1 {
		t.Errorf("fetched %d times", n)
	}
	// The same for the intermediate.
	q := w.question(leaf)
	q.Chain = q.Chain[1:]
	w.want(q, Good, "not on CRL 1 of")

	other := w.leaf(pki.LeafOptions{CRL: []string{w.url("/revoked.crl")}})
	w.serveList("/revoked.crl", revoked(other)(w.list(w.ca)))
	w.want(w.question(other), Revoked, "revoked")

	held := w.leaf(pki.LeafOptions{CRL: []string{w.url("/held.crl")}})
	hold := w.list(w.ca)
	hold.Entries = crlmaker.Of(crlmaker.Entry{Serial: held.SerialNumber, Reason: 6})
	w.serveList("/held.crl", hold)
	w.want(w.question(held), OnHold, "on hold")

	w.want(w.question(w.leaf(pki.LeafOptions{})), Unavailable, "names no source")
}

// TestOutage: what was fetched holds until it ends, a failure is remembered for a
// minute, and the server that comes back is noticed without a restart.
func TestOutage(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
	w.want(w.question(leaf), Unknown, "503")
	w.want(w.question(leaf), Unknown, "503")
	if n := w.count("/ca.crl"); n != 1 {
		t.Errorf("a dead server was asked %d times", n)
	}
	w.serveList("/ca.crl", w.list(w.ca))
	w.pass(failureTime + time.Second)
	w.want(w.question(leaf), Good, "")

	w.handle("/ca.crl", nil)
	w.restart()
	w.pass(23 * time.Hour)
	w.want(w.question(leaf), Good, "")
	w.pass(2 * time.Hour)
	w.want(w.question(leaf), Unknown, "next update was due")
	w.checker.Use(func() Settings { s := w.settings(); s.Grace = 3 * time.Hour; return s }())
	w.want(w.question(leaf), Good, "")
}

// TestNumberNeverGoesBack: whoever brings back an older list, also after a
// restart, has it refused.
func TestNumberNeverGoesBack(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
	w.serveList("/ca.crl", revoked(leaf)(w.list(w.ca, number(7))))
	w.want(w.question(leaf), Revoked, "CRL 7")
	w.restart()
	w.pass(25 * time.Hour)
	w.serveList("/ca.crl", w.list(w.ca, number(6)))
	w.want(w.question(leaf), Unknown, "is older than")
	w.serveList("/ca.crl", w.list(w.ca, number(8)))
	w.pass(failureTime + time.Second)
	w.want(w.question(leaf), Good, "CRL 8")
}

func TestRefresh(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
	w.serveList("/ca.crl", w.list(w.ca, number(1)))
	w.want(w.question(leaf), Good, "CRL 1")
	w.pass(time.Hour)
	w.checker.refresh(w.now())
	w.checker.jobs.wait()
	if n := w.count("/ca.crl"); n != 1 {
		t.Errorf("fetched %d times long before half of its life is over", n)
	}
	w.pass(14 * time.Hour)
	w.serveList("/ca.crl", revoked(leaf)(w.list(w.ca, number(2))))
	w.checker.refresh(w.now())
	w.checker.jobs.wait()
	w.want(w.question(leaf), Revoked, "CRL 2")
	if n := w.count("/ca.crl"); n != 2 {
		t.Errorf("fetched %d times, not twice", n)
	}

	// It fails, and is tried again later and later, but is believed on.
	w.handle("/ca.crl", nil)
	w.pass(14 * time.Hour)
	for range 3 {
		w.checker.refresh(w.now())
		w.checker.jobs.wait()
		w.pass(20 * time.Second)
	}
	if n := w.count("/ca.crl"); n != 3 {
		t.Errorf("a server that failed was asked %d times within a minute", n-2)
	}
	w.want(w.question(leaf), Revoked, "CRL 2")

	// A restart knows what was used, and goes on with it.
	w.restart()
	w.serveList("/ca.crl", w.list(w.ca, number(3)))
	w.checker.Start()
	w.checker.refresh(w.now())
	w.checker.jobs.wait()
	if n := w.count("/ca.crl"); n != 4 {
		t.Errorf("after a restart %d fetches, wanted 4", n)
	}
	// What nobody has used for weeks goes.
	w.pass(lately + time.Hour)
	w.checker.refresh(w.now())
	w.checker.jobs.wait()
	if names := w.folder(); len(names) > 0 {
		t.Errorf("unused lists were left: %q", names)
	}
}

func (w *world) folder() (names []string) {
	entries, _ := os.ReadDir(w.dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestConditional(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
	data := must(crlmaker.Bytes(w.list(w.ca)))
	var same int
	w.handle("/ca.crl", func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"one"` {
			same++
			rw.WriteHeader(http.StatusNotModified)
			return
		}
		rw.Header().Set("ETag", `"one"`)
		_, _ = rw.Write(data)
	})
	w.want(w.question(leaf), Good, "")
	w.restart()
	w.checker.Start()
	w.pass(15 * time.Hour)
	w.checker.refresh(w.now())
	w.checker.jobs.wait()
	if same != 1 {
		t.Errorf("asked %d times with the validator of before", same)
	}
	w.want(w.question(leaf), Good, "")
	// Once it has ended, a server that says that it has not changed is of no use.
	w.pass(10 * time.Hour)
	w.want(w.question(leaf), Unknown, "next update was due")
	if same != 1 {
		t.Errorf("a list that has ended was asked for with its validator")
	}
}

// TestSlow: nobody waits longer than he may, at most eight wait at all, and what
// is fetched comes in useful later.
func TestSlow(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	data := must(crlmaker.Bytes(w.list(w.ca)))
	w.handle("/ca.crl", func(rw http.ResponseWriter, r *http.Request) {
		<-release
		_, _ = rw.Write(data)
	})
	leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
	ctx, cancel := context.WithCancel(context.Background())
	var waiting sync.WaitGroup
	for range maxWaiting {
		waiting.Add(1)
		go func() {
			defer waiting.Done()
			if a := w.checker.Ask(ctx, w.question(leaf)); a.Status != Unknown {
				t.Errorf("%v: %s", a.Status, a.Detail)
			}
		}()
	}
	eventually(t, "eight wait", func() bool { return len(w.checker.waiting) == maxWaiting })
	w.want(w.question(leaf), Unknown, "as many messages wait")
	short, cancelShort := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancelShort()
	cancel()
	waiting.Wait()
	if a := w.checker.Ask(short, w.question(leaf)); a.Status != Unknown || !strings.Contains(a.Detail, "longer than a message may wait") {
		t.Errorf("%v: %s", a.Status, a.Detail)
	}
	close(release)
	w.checker.jobs.wait()
	w.want(w.question(leaf), Good, "")
	if n := w.count("/ca.crl"); n != 1 {
		t.Errorf("fetched %d times", n)
	}
}

func TestNothingIsFetched(t *testing.T) {
	w := newWorld(t)
	w.checker.Use(Settings{Order: []string{CRL, OCSP}})
	leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
	w.serveList("/ca.crl", w.list(w.ca))
	w.want(w.question(leaf), Unknown, "nothing is fetched here")
	if n := w.count("/ca.crl"); n != 0 {
		t.Errorf("fetched %d times", n)
	}
	// What another process fetched is used.
	w.checker.Use(w.settings())
	w.want(w.question(leaf), Good, "")
	c := New(Options{Dir: t.TempDir(), Shared: w.dir, Paths: trust.SignerPaths, Clock: w.now, Log: w.checker.Log}, Settings{Order: []string{CRL}})
	defer c.Close()
	if a := c.Ask(context.Background(), w.question(leaf)); a.Status != Good {
		t.Errorf("%v: %s", a.Status, a.Detail)
	}
}

func TestFiles(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf(pki.LeafOptions{})
	name := filepath.Join(t.TempDir(), "ca.crl")
	write := func(o crlmaker.Options) {
		t.Helper()
		if err := os.WriteFile(name, must(crlmaker.PEM(o)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := w.settings()
	s.Files, s.Fetch = []string{name}, nil
	w.checker.Use(s)
	w.want(w.question(leaf), Unknown, "no such file")
	write(w.list(w.ca, number(1)))
	w.want(w.question(leaf), Good, "CRL 1")
	write(revoked(leaf)(w.list(w.ca, number(2))))
	w.want(w.question(leaf), Revoked, "CRL 2")

	// One that is spoilt, or that somebody else signed, does not take its place.
	data := must(crlmaker.Bytes(w.list(w.ca, number(4))))
	for _, spoilt := range [][]byte{nil, data[:len(data)/2], []byte("no list")} {
		if err := os.WriteFile(name, spoilt, 0o600); err != nil {
			t.Fatal(err)
		}
		w.want(w.question(leaf), Revoked, "CRL 2")
	}
	forged := w.list(w.ca, number(3))
	forged.Key = w.root.Key
	write(forged)
	w.want(w.question(leaf), Revoked, "CRL 2")
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	w.want(w.question(leaf), Revoked, "CRL 2")
	w.pass(25 * time.Hour)
	w.want(w.question(leaf), Unknown, "no such file")
	write(w.list(w.ca, number(5)))
	w.want(w.question(leaf), Good, "CRL 5")

	// A certificate of another issuer is none of its business.
	q := w.question(leaf)
	q.Chain = q.Chain[1:]
	w.want(q, Unknown, "nothing is fetched here")
}

// TestSigners: a list may be signed by somebody else of the same name, if his path
// ends in the same root and he is not revoked himself.
func TestSigners(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
	signer := must(w.root.Intermediate(pki.CAOptions{Name: "Woodgrove CA", CRL: []string{w.url("/root.crl")}}))
	list := w.list(w.ca)
	list.Key = signer.Key
	w.serveList("/ca.crl", list)
	w.want(w.question(leaf), Unknown, "signature does not verify")
	w.pass(failureTime + time.Second)
	w.want(w.question(leaf, signer.Certificate.Leaf), Good, "")
	// Whoever does not know the signer does not believe what is at hand.
	w.want(w.question(leaf), Unknown, "")

	// He is revoked.
	w.serveList("/root.crl", revoked(signer.Certificate.Leaf)(w.list(w.root)))
	w.pass(25 * time.Hour)
	w.want(w.question(leaf, signer.Certificate.Leaf), Unknown, "")

	// Somebody of that name with another root.
	elsewhere := must(pki.NewCA(pki.CAOptions{Name: "Elsewhere"}))
	impostor := must(elsewhere.Intermediate(pki.CAOptions{Name: "Woodgrove CA"}))
	list = w.list(w.ca)
	list.Key = impostor.Key
	w.serveList("/other.crl", list)
	leaf = w.leaf(pki.LeafOptions{CRL: []string{w.url("/other.crl")}})
	w.want(w.question(leaf, impostor.Certificate.Leaf, elsewhere.Certificate.Leaf), Unknown, "signature does not verify")
}

// TestOwnSubordinate: who signs under the authority that it is asked about proves
// nothing about it.
func TestOwnSubordinate(t *testing.T) {
	w := newWorld(t)
	var bad *pki.CA
	name := must(pki.NewCA(pki.CAOptions{Name: "CRL signer"})).Certificate.Leaf.RawSubject
	bad = must(w.root.Intermediate(pki.CAOptions{Name: "Bad CA", Extra: []pkix.Extension{crlmaker.Points(crlmaker.Point{
		Names: []crlmaker.Name{crlmaker.URI(w.url("/bad.crl"))}, CRLIssuer: []crlmaker.Name{crlmaker.Directory(name)},
	}).PKIX()}}))
	signer := must(bad.Intermediate(pki.CAOptions{Name: "CRL signer"}))
	w.serveList("/bad.crl", w.list(signer, crlmaker.IssuingPoint{Indirect: true, Names: []crlmaker.Name{crlmaker.URI(w.url("/bad.crl"))}}.Extension()))
	q := Question{Chain: []*x509.Certificate{bad.Certificate.Leaf, w.root.Certificate.Leaf}, Others: []*x509.Certificate{signer.Certificate.Leaf}, At: w.now()}
	w.want(q, Unknown, "")
}

func TestDelta(t *testing.T) {
	w := newWorld(t)
	delta := crlmaker.Freshest(crlmaker.Point{Names: []crlmaker.Name{crlmaker.URI(w.url("/delta.crl"))}})
	leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
	w.serveList("/ca.crl", w.list(w.ca, number(1), delta))
	w.serveList("/delta.crl", revoked(leaf)(w.list(w.ca, number(2), crlmaker.Delta(1))))
	w.want(w.question(leaf), Revoked, "delta CRL 2")

	// Without it the complete list is what there is.
	w.handle("/delta2.crl", nil)
	delta = crlmaker.Freshest(crlmaker.Point{Names: []crlmaker.Name{crlmaker.URI(w.url("/delta2.crl"))}})
	other := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca2.crl")}})
	w.serveList("/ca2.crl", w.list(w.ca, number(1), delta))
	w.want(w.question(other), Good, "CRL 1")
	w.want(w.question(other), Good, "CRL 1")
	if n := w.count("/delta2.crl"); n != 1 {
		t.Errorf("a delta CRL that cannot be had was asked for %d times", n)
	}
}

// TestDamaged: an index that the disk spoilt is made anew.
func TestDamaged(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
	w.serveList("/ca.crl", w.list(w.ca))
	w.want(w.question(leaf), Good, "")
	w.checker.Close()
	for _, name := range w.folder() {
		path := filepath.Join(w.dir, name)
		data := must(os.ReadFile(path))
		if err := os.WriteFile(path, data[:len(data)/2], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.checker = w.newChecker(w.settings())
	w.want(w.question(leaf), Good, "")
	if n := w.count("/ca.crl"); n != 2 {
		t.Errorf("fetched %d times", n)
	}
}
