package revocation

import (
	"crypto/x509/pkix"
	"net/http"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"domain-secured/internal/testkit/pki"
)

// TestReplay: an answer from before a revocation that has not ended yet does not
// come back, not even after the one that took its place has ended, and not after a
// restart.
func TestReplay(t *testing.T) {
	w := newWorld(t)
	r := w.responder()
	leaf := w.leaf(pki.LeafOptions{OCSP: []string{w.url("/ocsp")}})
	start := w.now()
	good := func(a *ocsp.Response) {
		a.Status, a.ThisUpdate, a.NextUpdate = ocsp.Good, start.Add(-time.Minute), start.Add(7*24*time.Hour)
	}
	r.as = good
	w.want(w.question(leaf), Good, "good by OCSP")
	w.pass(2 * time.Hour)
	r.as, r.status = nil, ocsp.Revoked
	key := keyOf(OCSP+" "+leaf.SerialNumber.String(), w.ca.Certificate.Leaf)
	if err := w.checker.fetchAnswer(t.Context(), w.settings().Fetch, key, leaf, w.ca.Certificate.Leaf); err != nil {
		t.Fatal(err)
	}
	w.want(w.question(leaf), Revoked, "revoked by OCSP")
	w.pass(3 * time.Hour) // it has ended
	r.as = good
	w.want(w.question(leaf), Unknown, "is older than")
	w.restart()
	w.want(w.question(leaf), Unknown, "is older than")
	w.pass(failureTime + time.Second)
	w.restart()
	w.want(w.question(leaf), Unknown, "is older than")
}

// TestSameMoment: of two answers about the same moment that signed later counts.
func TestSameMoment(t *testing.T) {
	w := newWorld(t)
	r := w.responder()
	leaf := w.leaf(pki.LeafOptions{OCSP: []string{w.url("/ocsp")}})
	moment := w.now().Truncate(time.Hour)
	r.as = func(a *ocsp.Response) { a.ThisUpdate, a.NextUpdate = moment, moment.Add(24*time.Hour) }
	issuer := w.ca.Certificate.Leaf
	// CreateResponse signs as of this minute, so the later one is made by hand.
	key := keyOf(OCSP+" "+leaf.SerialNumber.String(), issuer)
	w.want(w.question(leaf), Good, "")
	later := *w.checker.answers.entries[key]
	later.answer.Status, later.answer.ProducedAt = 2, later.answer.ProducedAt.Add(time.Minute)
	if err := w.checker.answers.put(key, &later, nil, w.now()); err != nil {
		t.Fatal(err)
	}
	if err := w.checker.fetchAnswer(t.Context(), w.settings().Fetch, key, leaf, issuer); err == nil {
		t.Error("what was signed before took its place")
	}
	w.want(w.question(leaf), Revoked, "")
}

// TestUnknownIsNoAnswer: a responder that has not heard of a certificate yet is
// asked again soon, however long it says that its answer holds.
func TestUnknownIsNoAnswer(t *testing.T) {
	w := newWorld(t)
	r := w.responder()
	leaf := w.leaf(pki.LeafOptions{OCSP: []string{w.url("/ocsp")}})
	r.status, r.as = ocsp.Unknown, func(a *ocsp.Response) { a.NextUpdate = w.now().Add(7 * 24 * time.Hour) }
	w.want(w.question(leaf), Unknown, "unknown by OCSP")
	r.status = ocsp.Good
	w.pass(failureTime + time.Second)
	w.want(w.question(leaf), Good, "")
	// Nor does it take the place of one that says something.
	r.status = ocsp.Unknown
	w.pass(4 * 24 * time.Hour)
	w.checker.refresh(w.now())
	w.checker.jobs.wait()
	w.want(w.question(leaf), Good, "")
}

// TestResponderExpires: what somebody said whose certificate has ended is not
// believed any longer: no list has him any more, were he revoked.
func TestResponderExpires(t *testing.T) {
	w := newWorld(t)
	r := w.responder()
	noCheck := pkix.Extension{Id: []int{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{5, 0}}
	c := must(w.ca.Leaf(pki.LeafOptions{Usage: pki.UsageNone, NotAfter: w.now().Add(time.Hour), Extra: []pkix.Extension{
		{Id: []int{2, 5, 29, 37}, Value: []byte{0x30, 0x0a, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 9}}, noCheck,
	}}))
	r.signer, r.key = c.Leaf, c.Key
	leaf := w.leaf(pki.LeafOptions{OCSP: []string{w.url("/ocsp")}})
	w.want(w.question(leaf), Good, "")
	w.handle("/ocsp", nil)
	w.pass(70 * time.Minute)
	w.want(w.question(leaf), Unknown, "503")
}

// TestOnlyPOST: not every responder answers GET, and what answers GET may be a
// cache that is out of date.
func TestOnlyPOST(t *testing.T) {
	w := newWorld(t)
	r := w.responder()
	r.as = func(a *ocsp.Response) { a.NextUpdate = w.now().Add(time.Hour) }
	only := func(rw http.ResponseWriter, q *http.Request) {
		if q.Method != http.MethodPost {
			http.Error(rw, "no", http.StatusMethodNotAllowed)
			return
		}
		r.ServeHTTP(rw, q)
	}
	w.handle("/ocsp", only)
	w.want(w.question(w.leaf(pki.LeafOptions{OCSP: []string{w.url("/ocsp")}})), Good, "")
	w.handle("/ocsp", func(rw http.ResponseWriter, q *http.Request) {
		if q.Method != http.MethodPost {
			r.as = func(a *ocsp.Response) {
				a.ThisUpdate, a.NextUpdate = w.now().Add(-48*time.Hour), w.now().Add(-24*time.Hour)
			}
			defer func() { r.as = nil }()
		}
		r.ServeHTTP(rw, q)
	})
	w.want(w.question(w.leaf(pki.LeafOptions{OCSP: []string{w.url("/ocsp")}})), Good, "")
}
