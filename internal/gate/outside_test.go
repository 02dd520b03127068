package gate

import (
	"context"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"domain-secured/internal/partner"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/trust"
	"domain-secured/policy"
)

// lookingOutside has w look at partners, with a DNS that does not answer.
func lookingOutside(t *testing.T, w *world) *outside {
	t.Helper()
	resolver, err := partner.NewResolver(partner.ResolverConfig{Server: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	pending := partner.OpenPending(filepath.Join(t.TempDir(), "pending.json"), func(err error) { t.Error(err) })
	t.Cleanup(pending.Close)
	t.Cleanup(w.LookOutside(Outside{Resolver: resolver, Pending: pending, Port: 25}))
	return w.outside.Load()
}

// shows is what a look at a partner shows whose server presents c.
func shows(all ...*pki.Certificate) *partner.Report {
	r := &partner.Report{Domain: "woodgrovebank.com", Time: time.Now()}
	for _, c := range all {
		r.Hosts = append(r.Hosts, &partner.Host{Addresses: []*partner.Address{{TLS: &partner.TLS{
			Chain: []partner.Certificate{{SHA256: hashOf(c), DER: c.Leaf.Raw, X509: c.Leaf}},
		}}}})
	}
	return r
}

func hashOf(c *pki.Certificate) partner.Fingerprint {
	h, err := policy.ParseHash(c.Fingerprint())
	if err != nil {
		panic(err)
	}
	return partner.Fingerprint(h)
}

// TestFound: what was wanted is stored whatever is wrong with it, anything else
// only if it is good for the partner.
func TestFound(t *testing.T) {
	w := newWorld(t)
	x := lookingOutside(t, w)
	good := w.issue(t, pki.LeafOptions{DNSNames: []string{"mail2.woodgrovebank.com"}})
	wrongName := w.issue(t, pki.LeafOptions{DNSNames: []string{"mail.fabrikam.com"}})
	otherCA, err := pki.NewCA(pki.CAOptions{})
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := otherCA.Leaf(pki.LeafOptions{DNSNames: []string{"mail3.woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := otherCA.Leaf(pki.LeafOptions{DNSNames: []string{"mail4.woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	x.Pending.Add("woodgrovebank.com", hashOf(wanted), netip.MustParseAddr("192.0.2.7"))
	x.Pending.Add("woodgrovebank.com", hashOf(stranger), netip.MustParseAddr("192.0.2.7"))
	x.found("woodgrovebank.com", hashOf(wanted), shows(good, wrongName, stranger, wanted))
	for name, c := range map[string]struct {
		certificate *pki.Certificate
		stored      bool
	}{"good": {good, true}, "wrong name": {wrongName, false}, "another authority's": {stranger, false}, "wanted": {wanted, true}} {
		if got := w.store.Has(trust.Fingerprint(hashOf(c.certificate))); got != c.stored {
			t.Errorf("%s: stored %v", name, got)
		}
	}
	if left := x.Pending.List(); len(left) != 1 || left[0].Certificate != hashOf(stranger) {
		t.Errorf("pending %v", left)
	}
	// It proves nothing that it is stored.
	if v := w.Envelope(facts(t, wanted)); v.Reason != policy.CertificateNotTrusted {
		t.Errorf("%s %q", v.Result, v.Reason)
	}
	if v := w.Envelope(facts(t, good)); v.Result != policy.ResultPass {
		t.Errorf("%s %q", v.Result, v.Reason)
	}
}

// TestLearnedIsBounded: of one partner no more are kept, and what an operator
// imported stays.
func TestLearnedIsBounded(t *testing.T) {
	w := newWorld(t)
	x := lookingOutside(t, w)
	var all []*pki.Certificate
	for range maxLearned + 3 {
		c := w.issue(t, pki.LeafOptions{DNSNames: []string{"mail1.woodgrovebank.com"}})
		r := shows(c)
		r.Time = r.Time.Add(time.Duration(len(all)) * time.Minute)
		x.found("woodgrovebank.com", hashOf(c), r)
		w.store.Refresh()
		all = append(all, c)
	}
	for i, c := range all {
		if got := w.store.Has(trust.Fingerprint(hashOf(c))); got != (i >= 3) {
			t.Errorf("certificate %d: stored %v", i, got)
		}
	}
	if !w.store.Has(trust.Fingerprint(hashOf(w.leaf))) {
		t.Error("what was imported is gone")
	}
	// What is not good for the partner takes the place of nothing that is.
	for i := range maxLearned + 3 {
		c := w.issue(t, pki.LeafOptions{DNSNames: []string{"mail.fabrikam.com"}})
		r := shows(c)
		r.Time = r.Time.Add(time.Duration(i) * time.Hour)
		x.found("woodgrovebank.com", hashOf(c), r)
		w.store.Refresh()
	}
	if !w.store.Has(trust.Fingerprint(hashOf(all[3]))) {
		t.Error("a stranger's certificate took the place of the partner's")
	}
	if n := len(w.store.All()); n != 2*maxLearned+1 {
		t.Errorf("%d certificates", n)
	}
}

// TestLearnIsAskedFor: a look is for what is not known, and for nothing else.
func TestLearnIsAskedFor(t *testing.T) {
	w := newWorld(t)
	x := lookingOutside(t, w)
	unknown := w.issue(t, pki.LeafOptions{DNSNames: []string{"mail1.woodgrovebank.com"}})
	unlisted := facts(t, unknown)
	unlisted.Sender = "erin@fabrikam.com"
	for _, f := range []*policy.Facts{plain(t, unknown), facts(t, w.leaf), unlisted} {
		w.Envelope(f)
	}
	if all := x.Pending.List(); len(all) != 0 {
		t.Errorf("pending %v", all)
	}
	w.Explain(context.Background(), facts(t, unknown), nil, w.now)
	if all := x.Pending.List(); len(all) != 0 {
		t.Error("explaining asks for a look")
	}
	w.Envelope(facts(t, unknown))
	if !slices.ContainsFunc(x.Pending.List(), func(u partner.Unknown) bool {
		return u.Certificate == hashOf(unknown) && u.Domain == "woodgrovebank.com" && u.Client == netip.MustParseAddr("192.0.2.7")
	}) {
		t.Errorf("pending %v", x.Pending.List())
	}
	// A domain that insists on From is looked at, too.
	w.partner.FromAlignment = policy.FromAlignmentEnforce
	w.Replace(policy.NewSnapshot(w.list, nil, w.partner, nil, nil))
	other := w.issue(t, pki.LeafOptions{DNSNames: []string{"mail1.woodgrovebank.com"}})
	f := facts(t, other)
	f.ToEnd, f.Sender = true, ""
	v := w.Envelope(f)
	if end := w.Content(f, &v, from("alice@woodgrovebank.com")); end.Verdict.Reason != policy.FromNotSecured {
		t.Errorf("%q", end.Verdict.Reason)
	}
	if !slices.ContainsFunc(x.Pending.List(), func(u partner.Unknown) bool { return u.Certificate == hashOf(other) }) {
		t.Errorf("pending %v", x.Pending.List())
	}
}
