package revocation

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/pki"
)

// hang makes a path one that is never answered, as long as the test runs.
func (w *world) hang(paths ...string) {
	for _, path := range paths {
		w.handle(path, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	}
}

// within asks with so much time.
func (w *world) within(d time.Duration, q Question) (Answer, time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	start := time.Now()
	a := w.checker.Ask(ctx, q)
	return a, time.Since(start)
}

// TestDeadAddress: one that is dead keeps nobody from the other addresses of the
// same list.
func TestDeadAddress(t *testing.T) {
	w := newWorld(t)
	w.hang("/dead.crl")
	w.serveList("/ca.crl", w.list(w.ca))
	leaf := w.leaf(w.mirrored("/dead.crl", "/ca.crl"))
	if a, _ := w.within(3500*time.Millisecond, w.question(leaf)); a.Status != Good {
		t.Errorf("%v: %s", a.Status, a.Detail)
	}
	// Nor does another distribution point, and there is nothing to wait for.
	leaf = w.leaf(pki.LeafOptions{CRL: []string{w.url("/dead.crl"), w.url("/ca.crl")}})
	if a, took := w.within(20*time.Second, w.question(leaf)); a.Status != Good || took > 10*time.Second {
		t.Errorf("%v after %v: %s", a.Status, took, a.Detail)
	}
}

// TestFileWhileServersHang: the operator's files need nobody who is slow.
func TestFileWhileServersHang(t *testing.T) {
	w := newWorld(t)
	for n := range maxRunning {
		path := fmt.Sprintf("/dead%d.crl", n)
		w.hang(path)
		w.within(time.Millisecond, w.question(w.leaf(pki.LeafOptions{CRL: []string{w.url(path)}})))
	}
	eventually(t, "all turns are taken", func() bool { return len(w.checker.jobs.turns) == maxRunning })
	s := w.settings()
	s.Files = []string{filepath.Join(t.TempDir(), "ca.crl")}
	if err := os.WriteFile(s.Files[0], must(crlmaker.Bytes(w.list(w.ca))), 0o600); err != nil {
		t.Fatal(err)
	}
	w.checker.Use(s)
	if a, _ := w.within(10*time.Second, w.question(w.leaf(pki.LeafOptions{}))); a.Status != Good {
		t.Errorf("%v: %s", a.Status, a.Detail)
	}
}

// TestRefreshLeavesTurns: lists of servers that are dead, however many are due, do
// not keep a question waiting.
func TestRefreshLeavesTurns(t *testing.T) {
	w := newWorld(t)
	for n := range 2 * maxRunning {
		path := fmt.Sprintf("/dead%d.crl", n)
		w.serveList(path, w.list(w.ca))
		w.want(w.question(w.leaf(pki.LeafOptions{CRL: []string{w.url(path)}})), Good, "")
		w.hang(path)
	}
	w.pass(15 * time.Hour)
	ended := make(chan struct{})
	go func() {
		w.checker.refresh(w.now())
		close(ended)
	}()
	eventually(t, "refreshing has begun", func() bool {
		asked := 0
		for n := range 2 * maxRunning {
			asked += w.count(fmt.Sprintf("/dead%d.crl", n)) - 1
		}
		return asked >= maxRefreshing
	})
	w.serveList("/ca.crl", w.list(w.ca))
	if a, _ := w.within(5*time.Second, w.question(w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}}))); a.Status != Good {
		t.Errorf("%v: %s", a.Status, a.Detail)
	}
	w.checker.Close()
	<-ended
}

// TestDeadDelta: a delta CRL that cannot be had costs one question the time, not
// everybody.
func TestDeadDelta(t *testing.T) {
	w := newWorld(t)
	w.serveList("/ca.crl", w.list(w.ca, number(1), crlmaker.Freshest(crlmaker.Point{Names: w.names("/delta.crl")})))
	leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
	w.want(w.question(leaf), Good, "CRL 1")
	w.pass(failureTime + time.Second)
	w.hang("/delta.crl")
	a, took := w.within(20*time.Second, w.question(leaf))
	if a.Status != Good || took > 5*time.Second {
		t.Errorf("%v after %v: %s", a.Status, took, a.Detail)
	}
	eventually(t, "it is asked for again", func() bool { return w.count("/delta.crl") == 2 })
}

// twin is another key of the authority's name.
func (w *world) twin(crl string) *pki.CA {
	return must(w.root.Intermediate(pki.CAOptions{Name: "Woodgrove CA", CRL: []string{w.url(crl)}}))
}

// TestOldKey: an authority that changed its key has two certificates of one name.
// Whether the other one is revoked matters only for what that one signed.
func TestOldKey(t *testing.T) {
	w := newWorld(t)
	w.hang("/dead.crl")
	old := w.twin("/dead.crl").Certificate.Leaf
	w.serveList("/ca.crl", w.list(w.ca))
	leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
	if a, _ := w.within(4*time.Second, w.question(leaf, old)); a.Status != Good {
		t.Errorf("%v: %s", a.Status, a.Detail)
	}
	if a, took := w.within(10*time.Second, w.question(leaf, old)); a.Status != Good || took > 3*time.Second {
		t.Errorf("%v after %v: %s", a.Status, took, a.Detail)
	}
}

// TestNewerBySigner: what another signer's list at hand has against a certificate
// is heard, although the issuer's own older one would do.
func TestNewerBySigner(t *testing.T) {
	w := newWorld(t)
	w.serveList("/root2.crl", w.list(w.root))
	signer := w.twin("/root2.crl")
	leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/one.crl"), w.url("/two.crl")}})
	list := revoked(leaf)(w.list(w.ca, number(9)))
	list.Key = signer.Key
	w.serveList("/two.crl", list)
	w.want(w.question(leaf, signer.Certificate.Leaf), Revoked, "CRL 9")
	w.checker.jobs.wait() // for the other one
	older := w.list(w.ca, number(8))
	older.ThisUpdate = older.ThisUpdate.Add(-time.Hour)
	w.serveList("/one.crl", older)
	w.pass(failureTime + time.Second)
	w.want(w.question(leaf), Good, "CRL 8") // who does not know the signer
	w.want(w.question(leaf, signer.Certificate.Leaf), Revoked, "CRL 9")
}

// TestSignerRollover: who refreshes a list knows only who signed the last one. When
// somebody else does, the next question that knows him has it fetched, however
// long the last one holds.
func TestSignerRollover(t *testing.T) {
	w := newWorld(t)
	w.serveList("/root2.crl", w.list(w.root))
	one, two := w.twin("/root2.crl"), w.twin("/root2.crl")
	leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
	list := w.list(w.ca, number(1))
	list.Key, list.NextUpdate = one.Key, w.now().Add(30*24*time.Hour)
	w.serveList("/ca.crl", list)
	w.want(w.question(leaf, one.Certificate.Leaf), Good, "CRL 1")
	w.pass(23 * time.Hour)
	list = revoked(leaf)(w.list(w.ca, number(2)))
	list.Key = two.Key
	w.serveList("/ca.crl", list)
	w.pass(2 * time.Hour)
	w.serveList("/root2.crl", w.list(w.root))
	w.refresh()
	w.want(w.question(leaf, one.Certificate.Leaf), Good, "CRL 1")
	w.pass(failureTime + time.Second)
	release := make(chan struct{})
	w.handle("/ca.crl", func(rw http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = rw.Write(must(crlmaker.Bytes(list)))
	})
	w.want(w.question(leaf, one.Certificate.Leaf, two.Certificate.Leaf), Good, "CRL 1") // nobody waits for it
	close(release)
	w.checker.jobs.wait()
	w.want(w.question(leaf, one.Certificate.Leaf, two.Certificate.Leaf), Revoked, "CRL 2")
}

// TestSourcelessAuthority: whoever asks knows what he wants of the authorities in
// the chain. That one names no source makes no responder and no signer below it
// unknown.
func TestSourcelessAuthority(t *testing.T) {
	w := newWorld(t)
	w.ca = must(w.root.Intermediate(pki.CAOptions{Name: "Sourceless CA"}))
	r := w.responder()
	signs := pkix.Extension{Id: []int{2, 5, 29, 37}, Value: []byte{0x30, 0x0a, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 9}}
	c := must(w.ca.Leaf(pki.LeafOptions{Usage: pki.UsageNone, Extra: []pkix.Extension{signs}, CRL: []string{w.url("/ca.crl")}}))
	r.signer, r.key = c.Leaf, c.Key
	w.serveList("/ca.crl", w.list(w.ca))
	w.want(w.question(w.leaf(pki.LeafOptions{OCSP: []string{w.url("/ocsp")}})), Good, "OCSP")
}

// TestTwoPaths: one path of a signer that is not revoked is enough.
func TestTwoPaths(t *testing.T) {
	w := newWorld(t)
	name := must(pki.NewCA(pki.CAOptions{Name: "CRL signer"})).Certificate.Leaf.RawSubject
	leaf := w.leaf(pki.LeafOptions{Extra: pkixOf(crlmaker.Points(crlmaker.Point{
		Names: w.names("/indirect.crl"), CRLIssuer: []crlmaker.Name{crlmaker.Directory(name)},
	}))})
	// One authority with two certificates, one of which is revoked.
	between := must(w.root.Intermediate(pki.CAOptions{Name: "Between", CRL: []string{w.url("/root.crl")}}))
	template := *between.Certificate.Leaf
	template.SerialNumber = big.NewInt(77)
	again := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, &template, w.root.Certificate.Leaf, between.Key.Public(), w.root.Key))))
	signer := must(between.Intermediate(pki.CAOptions{Name: "CRL signer", CRL: []string{w.url("/between.crl")}}))
	w.serveList("/between.crl", w.list(between))
	w.serveList("/indirect.crl", w.list(signer, crlmaker.IssuingPoint{Indirect: true, Names: w.names("/indirect.crl")}.Extension()))
	for _, bad := range []*x509.Certificate{between.Certificate.Leaf, again} {
		w.restart()
		w.pass(25 * time.Hour)
		w.serveList("/root.crl", revoked(bad)(w.list(w.root)))
		w.serveList("/between.crl", w.list(between))
		w.serveList("/indirect.crl", w.list(signer, crlmaker.IssuingPoint{Indirect: true, Names: w.names("/indirect.crl")}.Extension()))
		w.want(w.question(leaf, signer.Certificate.Leaf, between.Certificate.Leaf, again), Good, "")
	}
}

// TestManySigners: however many may have signed, and may have signed what says so
// of them, the questions come to an end.
func TestManySigners(t *testing.T) {
	w := newWorld(t)
	var others []*x509.Certificate
	names := make([]string, 6)
	above := []*pki.CA{w.root}
	for level := range names {
		var next []*pki.CA
		for n := range 8 {
			ca := must(above[n%len(above)].Intermediate(pki.CAOptions{
				Name: fmt.Sprintf("Level %d", level), CRL: []string{w.url(fmt.Sprintf("/%d.crl", level))},
			}))
			next = append(next, ca)
			others = append(others, ca.Certificate.Leaf)
		}
		above = next
	}
	leaf := must(above[0].Leaf(pki.LeafOptions{DNSNames: []string{"mail1.woodgrovebank.com"}, CRL: []string{w.url("/leaf.crl")}})).Leaf
	chain := append([]*x509.Certificate{leaf, above[0].Certificate.Leaf}, above[0].Chain...)
	chain = append(chain, w.root.Certificate.Leaf)
	if a, took := w.within(30*time.Second, Question{Chain: chain, Others: others, At: w.now()}); a.Status != Unknown || took > 20*time.Second {
		t.Errorf("%v after %v: %s", a.Status, took, a.Detail)
	}
}

// TestClose: whoever waits when it ends is answered, and so is who asks after it.
func TestClose(t *testing.T) {
	w := newWorld(t)
	w.hang("/dead.crl", "/ocsp")
	answers := make(chan Answer)
	leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/dead.crl")}, OCSP: []string{w.url("/ocsp")}})
	w.serveList("/ca.crl", w.list(w.ca))
	good := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
	w.want(w.question(good), Good, "")
	for range 2 * maxWaiting {
		go func() { answers <- w.checker.Ask(context.Background(), w.question(leaf)) }()
	}
	eventually(t, "eight wait", func() bool { return len(w.checker.waiting) == maxWaiting })
	start := time.Now()
	w.checker.Close()
	if took := time.Since(start); took >= closeTime {
		t.Errorf("Close took %v", took)
	}
	for range 2 * maxWaiting {
		if a := <-answers; a.Status != Unknown {
			t.Errorf("%v: %s", a.Status, a.Detail)
		}
	}
	w.want(w.question(leaf), Unknown, "")
	w.want(w.question(good), Unknown, "")
}

// TestManyJobs: more fetches than there may be are refused, not kept.
func TestManyJobs(t *testing.T) {
	w := newWorld(t)
	w.hang("/dead.crl")
	for n := range maxJobs + 20 {
		leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url(fmt.Sprintf("/dead.crl?%d", n))}})
		words := "longer than a message may wait"
		if n >= maxJobs {
			words = "fetches are waiting already"
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
		if a := w.checker.Ask(ctx, w.question(leaf)); a.Status != Unknown || !strings.Contains(a.Detail, words) {
			t.Errorf("%d: %v: %s", n, a.Status, a.Detail)
		}
		cancel()
	}
}
