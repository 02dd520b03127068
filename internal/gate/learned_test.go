package gate

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/partner"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/trust"
	"domain-secured/policy"
)

// good is a certificate of woodgrovebank.com, bad one of nobody we know.
func (w *world) good(t *testing.T) *pki.Certificate {
	t.Helper()
	return w.issue(t, pki.LeafOptions{DNSNames: []string{"mail1.woodgrovebank.com"}})
}

func (w *world) bad(t *testing.T) *pki.Certificate {
	t.Helper()
	return w.issue(t, pki.LeafOptions{DNSNames: []string{"mail.fabrikam.com"}})
}

// files is the number of certificates on the disk.
func (w *world) files(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir(w.store.Dir())
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// lists makes more domains partners.
func (w *world) lists(t *testing.T, more ...string) {
	t.Helper()
	list, err := policy.ParseList("woodgrovebank.com\n" + strings.Join(more, "\n") + "\n")
	if err != nil {
		t.Fatal(err)
	}
	w.list = list
	w.Replace(policy.NewSnapshot(w.list, nil, w.partner, nil, nil))
}

// at is a look at a domain at a later time, which shows c.
func at(domain string, minutes int, c ...*pki.Certificate) *partner.Report {
	r := shows(c...)
	r.Domain, r.Time = domain, r.Time.Add(time.Duration(minutes)*time.Minute)
	return r
}

// TestLearnedIsBounded: of one partner no more are kept, and what an operator
// imported stays.
func TestLearnedIsBounded(t *testing.T) {
	w := newWorld(t)
	l := lookOut(t, w)
	var all []*pki.Certificate
	for i := range maxLearned + 3 {
		c := w.good(t)
		l.wanting(t, at("woodgrovebank.com", i, c), c)
		all = append(all, c)
	}
	for i, c := range all {
		if got := w.has(c); got != (i >= 3) {
			t.Errorf("certificate %d: stored %v", i, got)
		}
	}
	if !w.has(w.leaf) {
		t.Error("what was imported is gone")
	}
	// What is not good for the partner takes the place of nothing that is.
	for i := range maxLearned + 3 {
		c := w.bad(t)
		l.wanting(t, at("woodgrovebank.com", 60*i, c), c)
	}
	if !w.has(all[3]) {
		t.Error("a stranger's certificate took the place of the partner's")
	}
	if n := w.files(t); n != 2*maxLearned+1 {
		t.Errorf("%d certificates", n)
	}
}

// TestLearnedOfAllIsBounded: strangers cannot end the learning for others, whatever
// they fill the store with.
func TestLearnedOfAllIsBounded(t *testing.T) {
	w := newWorld(t)
	l := lookOut(t, w)
	const limit = 15
	l.learned.limit = limit
	var others []string
	for i := range 40 {
		others = append(others, fmt.Sprintf("d%d.example", i))
	}
	w.lists(t, others...)
	first := w.good(t)
	l.wanting(t, at("woodgrovebank.com", 0, first))
	// Each partner has few, and more of one come than the store has room for.
	var last *pki.Certificate
	for i := range 2 * limit {
		last = w.bad(t)
		l.wanting(t, at(others[i], i, last), last)
		if n := w.files(t); n > limit+1 {
			t.Fatalf("%d files", n)
		}
	}
	if !w.has(last) || !w.has(first) {
		t.Errorf("the last is stored: %v, the good one: %v", w.has(last), w.has(first))
	}
	for i := range limit + 1 {
		c := w.good(t)
		l.wanting(t, at("woodgrovebank.com", 100+i, c))
		if !w.has(c) {
			t.Errorf("good certificate %d is not stored", i)
		}
	}
	if w.has(last) || w.has(first) || w.files(t) != limit+1 {
		t.Errorf("%d files: there are too many good ones", w.files(t))
	}
	// Now there is no room for what is good for nobody.
	out := w.loggingAll()
	l.wanting(t, at(others[0], 200, last), last)
	if w.has(last) || !strings.Contains(out.String(), "cert forget") {
		t.Errorf("stored: %v, log: %s", w.has(last), out)
	}
}

// TestLearnedIsSmall: nobody fills the disk with what he presents beside.
func TestLearnedIsSmall(t *testing.T) {
	w := newWorld(t)
	l := lookOut(t, w)
	large, err := w.ca.Intermediate(pki.CAOptions{Extra: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999}, Value: make([]byte, 30<<10)}}})
	if err != nil {
		t.Fatal(err)
	}
	c := w.bad(t)
	r := at("woodgrovebank.com", 0)
	behind := large.Certificate.Leaf
	show(r, c, behind, behind, behind, behind, behind, w.ca.Certificate.Leaf)
	l.wanting(t, r, c)
	if got := w.store.Get(trust.Fingerprint(hashOf(c))); len(got.Presented) != 3 || !got.Presented[2].Equal(w.ca.Certificate.Leaf) {
		t.Errorf("%d beside it", len(got.Presented))
	}
}

// TestLearnedForgottenByOthers: what is gone from the disk is in nobody's way.
func TestLearnedForgottenByOthers(t *testing.T) {
	w := newWorld(t)
	l := lookOut(t, w)
	var all []*pki.Certificate
	for i := range maxLearned {
		c := w.good(t)
		l.wanting(t, at("woodgrovebank.com", i, c))
		all = append(all, c)
	}
	for _, c := range all[:2] {
		if err := trust.NewStore(w.store.Dir()).Remove(trust.Fingerprint(hashOf(c))); err != nil {
			t.Fatal(err)
		}
	}
	next := []*pki.Certificate{w.good(t), w.good(t), w.good(t)}
	l.wanting(t, at("woodgrovebank.com", 60, next...))
	for i, c := range next {
		if !w.has(c) {
			t.Errorf("%d: not stored", i)
		}
	}
	if n := w.files(t); n != maxLearned+1 {
		t.Errorf("%d files", n)
	}
}

// TestLearnedExpires: what no mail comes with goes, sooner if it is good for nobody.
func TestLearnedExpires(t *testing.T) {
	w := newWorld(t)
	l := lookOut(t, w)
	good, goodUsed, bad, badUsed := w.good(t), w.good(t), w.bad(t), w.bad(t)
	l.wanting(t, at("woodgrovebank.com", 0, good, goodUsed, bad, badUsed), bad, badUsed)
	l.Close() // it tidies by itself
	now := time.Now()
	tidy := func(after time.Duration, want ...*pki.Certificate) {
		t.Helper()
		if _, err := l.learned.tidy(t.Context(), now.Add(after)); err != nil {
			t.Fatal(err)
		}
		for _, c := range want {
			if !w.has(c) {
				t.Errorf("after %s: one is gone", after)
			}
		}
		if n := w.files(t); n != 1+len(want) {
			t.Errorf("after %s: %d certificates", after, n)
		}
	}
	use := func(c *pki.Certificate, after time.Duration) {
		t.Helper()
		v := policy.Verdict{Fingerprint: policy.Hash(hashOf(c)), Entry: "woodgrovebank.com"}
		if !l.learned.used(&v, now.Add(after)) {
			t.Error("it is not taken for a learned one")
		}
	}
	if l.learned.used(&policy.Verdict{Fingerprint: policy.Hash(hashOf(w.leaf))}, now) {
		t.Error("an import is taken for a learned one")
	}
	const day = 24 * time.Hour
	tidy(notGoodKept-time.Hour, good, goodUsed, bad, badUsed)
	use(badUsed, day)
	use(goodUsed, 10*day)
	tidy(notGoodKept+time.Hour, good, goodUsed, badUsed)
	tidy(day+notGoodKept+time.Hour, good, goodUsed)
	// The disk knows what was used, so that the next start does.
	l.learned.uses = nil
	w.store = trust.NewStore(w.store.Dir())
	if _, err := w.store.Refresh(); err != nil {
		t.Fatal(err)
	}
	l.learned.store = w.store
	tidy(unusedKept+time.Hour, goodUsed)
	tidy(10*day + unusedKept + time.Hour)
}

// TestUseIsNotWrittenEachTime: no message waits for a disk, and a busy partner is
// noted once a day.
func TestUseIsNotWrittenEachTime(t *testing.T) {
	w := newWorld(t)
	l := lookOut(t, w)
	c := w.good(t)
	l.wanting(t, at("woodgrovebank.com", 0, c))
	f := trust.Fingerprint(hashOf(c))
	before := w.store.Touched(f)
	for range 3 {
		if v := w.Envelope(facts(t, c)); v.Result != policy.ResultPass {
			t.Fatal(v.Reason)
		}
	}
	l.Close() // it tidies by itself
	v := policy.Verdict{Fingerprint: policy.Hash(f)}
	for hours, want := range map[int]bool{1: false, 23: false, 25: true} {
		l.learned.used(&v, before.Add(time.Duration(hours)*time.Hour))
		if _, err := l.learned.tidy(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		if touched := !w.store.Touched(f).Equal(before); touched != want {
			t.Errorf("after %d hours: written %v", hours, touched)
		}
		if err := w.store.Touch(f, before); err != nil {
			t.Fatal(err)
		}
		l.learned.uses = map[trust.Fingerprint]use{}
	}
}

// TestSharedCertificate: one that came with another partner's mail first, for which
// it is not good, is not lost for the partner for which it is.
func TestSharedCertificate(t *testing.T) {
	w := newWorld(t)
	w.lists(t, "fabrikam.com")
	l := lookOut(t, w)
	shared := w.bad(t) // a good one of fabrikam.com
	l.wanting(t, at("woodgrovebank.com", 0, shared), shared)
	stored := func() *trust.Certificate { return w.store.Get(trust.Fingerprint(hashOf(shared))) }
	if stored().Domain != "woodgrovebank.com" {
		t.Fatal(stored().Domain)
	}
	f := facts(t, shared)
	f.Sender = "erin@fabrikam.com"
	if v := w.Envelope(f); v.Result != policy.ResultPass {
		t.Fatalf("%q %s", v.Reason, v.Detail)
	}
	// It is not among what strangers crowd out.
	for i := range 2 * maxLearned {
		c := w.issue(t, pki.LeafOptions{DNSNames: []string{"mail.contoso.com"}})
		l.wanting(t, at("woodgrovebank.com", i+1, c), c)
	}
	if !w.has(shared) {
		t.Fatal("crowded out")
	}
	if _, err := l.learned.tidy(t.Context(), w.now.Add(notGoodKept+time.Hour)); err != nil {
		t.Fatal(err)
	}
	if c := stored(); c == nil || c.Domain != "fabrikam.com" || c.Source != trust.SourceProbe {
		t.Errorf("%+v", c)
	}
	next := trust.NewStore(w.store.Dir())
	if c, err := next.Load(trust.Fingerprint(hashOf(shared))); err != nil || c == nil || c.Domain != "fabrikam.com" {
		t.Errorf("on the disk: %+v, %v", c, err)
	}
}

// TestSharedCertificateIsFound with the servers of the partner that it is good for.
func TestSharedCertificateIsFound(t *testing.T) {
	w := newWorld(t)
	w.lists(t, "fabrikam.com")
	l := lookOut(t, w)
	shared := w.bad(t)
	l.wanting(t, at("woodgrovebank.com", 0, shared), shared)
	l.wanting(t, at("fabrikam.com", 1, shared))
	if c := w.store.Get(trust.Fingerprint(hashOf(shared))); c.Domain != "fabrikam.com" {
		t.Errorf("still of %s", c.Domain)
	}
	l.wanting(t, at("woodgrovebank.com", 2, shared), shared)
	if c := w.store.Get(trust.Fingerprint(hashOf(shared))); c.Domain != "fabrikam.com" {
		t.Errorf("again of %s", c.Domain)
	}
}

// TestSharedByTwoRoots: two partners trust different authorities, and the servers of
// each show the way to its own. Neither spoils the other's.
func TestSharedByTwoRoots(t *testing.T) {
	w := newWorld(t)
	l := lookOut(t, w)
	below, err := w.ca.Intermediate(pki.CAOptions{Name: "Issuing"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := below.Leaf(pki.LeafOptions{DNSNames: []string{"mail1.woodgrovebank.com", "mail.fabrikam.com"}})
	if err != nil {
		t.Fatal(err)
	}
	// The issuing authority has a certificate of fabrikam.com's root, too.
	theirs, err := pki.NewCA(pki.CAOptions{Name: "Fabrikam Root"})
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, below.Certificate.Leaf, theirs.Certificate.Leaf, below.Key.Public(), theirs.Key)
	if err != nil {
		t.Fatal(err)
	}
	crossed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := trust.NewRoots([]*x509.Certificate{theirs.Certificate.Leaf})
	fabrikam := *w.partner
	fabrikam.Domain, fabrikam.Roots = "fabrikam.com", &policy.Roots{Pool: roots.Pool, ID: roots.ID, Turns: roots.Turns}
	list, err := policy.ParseList("woodgrovebank.com\nfabrikam.com\n")
	if err != nil {
		t.Fatal(err)
	}
	w.Replace(policy.NewSnapshot(list, nil, w.partner, map[string]*policy.Partner{"fabrikam.com": &fabrikam}, nil))
	r := at("fabrikam.com", 0)
	show(r, c, crossed)
	for range 2 {
		l.wanting(t, r, c)
		l.wanting(t, at("woodgrovebank.com", 1, c), c)
	}
	for _, domain := range []string{"woodgrovebank.com", "fabrikam.com"} {
		f := facts(t, c)
		f.Sender = "alice@" + domain
		if v := w.Envelope(f); v.Result != policy.ResultPass {
			t.Errorf("%s: %q %s", domain, v.Reason, v.Detail)
		}
	}
}
