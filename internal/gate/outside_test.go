package gate

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"domain-secured/internal/partner"
	"domain-secured/internal/testkit/dnsserver"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/trust"
	"domain-secured/policy"
)

// lookOut has w look at partners, with a DNS that does not answer.
func lookOut(t *testing.T, w *world) *Lookout {
	t.Helper()
	pending := partner.OpenPending(filepath.Join(t.TempDir(), "pending.json"), func(err error) { t.Error(err) })
	t.Cleanup(pending.Close)
	l := w.LookOut(pending)
	t.Cleanup(l.Close)
	l.Use(Outside{Resolver: resolverAt(t, "127.0.0.1:1"), Port: 25})
	return l
}

func resolverAt(t *testing.T, address string) *partner.Resolver {
	t.Helper()
	r, err := partner.NewResolver(partner.ResolverConfig{Server: address, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// shows is what a look at a partner shows whose servers present these.
func shows(all ...*pki.Certificate) *partner.Report {
	r := &partner.Report{Domain: "woodgrovebank.com", Time: time.Now()}
	for _, c := range all {
		show(r, c, c.Chain...)
	}
	return r
}

// show adds a server that presents c, with others behind it.
func show(r *partner.Report, c *pki.Certificate, behind ...*x509.Certificate) {
	var chain []partner.Certificate
	for _, c := range append([]*x509.Certificate{c.Leaf}, behind...) {
		chain = append(chain, partner.Certificate{SHA256: sha256.Sum256(c.Raw), DER: c.Raw, X509: c})
	}
	r.Hosts = append(r.Hosts, &partner.Host{Addresses: []*partner.Address{{TLS: &partner.TLS{Chain: chain}}}})
}

func hashOf(c *pki.Certificate) partner.Fingerprint { return sha256.Sum256(c.Leaf.Raw) }

// wanting looks at what a report shows, with some of it wanted.
func (l *Lookout) wanting(t *testing.T, r *partner.Report, wanted ...*pki.Certificate) {
	t.Helper()
	var all []partner.Fingerprint
	for _, c := range wanted {
		all = append(all, hashOf(c))
	}
	l.found(t.Context(), r.Domain, all, r)
}

func (w *world) has(c *pki.Certificate) bool { return w.store.Has(trust.Fingerprint(hashOf(c))) }

// TestFound: what was wanted is stored whatever is wrong with it, anything else
// only if it is good for the partner. Of what was not found one line tells.
func TestFound(t *testing.T) {
	w := newWorld(t)
	out := w.loggingAll()
	l := lookOut(t, w)
	good := w.issue(t, pki.LeafOptions{DNSNames: []string{"mail2.woodgrovebank.com"}})
	wrongName := w.issue(t, pki.LeafOptions{DNSNames: []string{"mail.fabrikam.com"}})
	otherCA, err := pki.NewCA(pki.CAOptions{})
	if err != nil {
		t.Fatal(err)
	}
	theirs := func(name string) *pki.Certificate {
		c, err := otherCA.Leaf(pki.LeafOptions{DNSNames: []string{name}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	stranger, wanted, wanted2 := theirs("mail3.woodgrovebank.com"), theirs("mail4.woodgrovebank.com"), theirs("mail5.woodgrovebank.com")
	missing, missing2 := theirs("mail6.woodgrovebank.com"), theirs("mail7.woodgrovebank.com")
	for _, c := range []*pki.Certificate{wanted, stranger} {
		l.pending.Add("woodgrovebank.com", hashOf(c), netip.MustParseAddr("192.0.2.7"))
	}
	l.wanting(t, shows(good, wrongName, stranger, wanted, wanted2), wanted, missing, wanted2, missing2)
	for name, c := range map[string]struct {
		certificate *pki.Certificate
		stored      bool
	}{
		"good": {good, true}, "wrong name": {wrongName, false}, "another authority's": {stranger, false},
		"wanted": {wanted, true}, "also wanted": {wanted2, true}, "missing": {missing, false},
	} {
		if got := w.has(c.certificate); got != c.stored {
			t.Errorf("%s: stored %v", name, got)
		}
	}
	if left := l.pending.List(); len(left) != 1 || left[0].Certificate != hashOf(stranger) {
		t.Errorf("pending %v", left)
	}
	if text := out.String(); strings.Count(text, "level=WARN") != 1 || !strings.Contains(text, hashOf(missing).String()+" "+hashOf(missing2).String()) {
		t.Errorf("log:\n%s", text)
	}
	// It proves nothing that it is stored.
	if v := w.Envelope(facts(t, wanted)); v.Reason != policy.CertificateNotTrusted {
		t.Errorf("%s %q", v.Result, v.Reason)
	}
	if v := w.Envelope(facts(t, good)); v.Result != policy.ResultPass {
		t.Errorf("%s %q", v.Result, v.Reason)
	}
}

// loggingAll has all that the gate says of partners from now on.
func (w *world) loggingAll() *safeBuffer {
	out := new(safeBuffer)
	w.Gate.log = slog.New(slog.NewTextHandler(out, nil))
	return out
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestFoundTriesEveryChain: whoever shows the partner's certificate first, with what
// leads nowhere, spoils nothing.
func TestFoundTriesEveryChain(t *testing.T) {
	w := newWorld(t)
	l := lookOut(t, w)
	below, err := w.ca.Intermediate(pki.CAOptions{Name: "Issuing"})
	if err != nil {
		t.Fatal(err)
	}
	// The same name, another key: it looks like the one, and is not.
	double, err := w.ca.Intermediate(pki.CAOptions{Name: "Issuing"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := below.Leaf(pki.LeafOptions{DNSNames: []string{"mail2.woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	r := shows()
	show(r, c)
	show(r, c, double.Certificate.Leaf)
	show(r, c, double.Certificate.Leaf, below.Certificate.Leaf)
	l.wanting(t, r, c)
	if v := w.Envelope(facts(t, c)); v.Result != policy.ResultPass {
		t.Errorf("%s %q %s", v.Result, v.Reason, v.Detail)
	}
	// Also if nobody asked for it.
	unasked, err := below.Leaf(pki.LeafOptions{DNSNames: []string{"mail3.woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	show(r, unasked, double.Certificate.Leaf)
	show(r, unasked, below.Certificate.Leaf)
	l.wanting(t, r)
	if !w.has(unasked) {
		t.Error("what is good is not learned beside it")
	}
	stored := w.store.Get(trust.Fingerprint(hashOf(c)))
	if len(stored.Presented) != 1 || !stored.Presented[0].Equal(below.Certificate.Leaf) {
		t.Errorf("stored with %d intermediates", len(stored.Presented))
	}
}

// TestPoisonedIsLearnedAgain: a certificate that was learned and leads to no root
// has the partner looked at again, and a good chain takes the place of the other.
func TestPoisonedIsLearnedAgain(t *testing.T) {
	w := newWorld(t)
	l := lookOut(t, w)
	looked := make(chan string, 1)
	l.learner.Close()
	l.learner = partner.NewLearner(partner.LearnerConfig{
		Look: func(_ context.Context, domain string, _ []netip.Addr) *partner.Report { looked <- domain; return nil },
	})
	below, err := w.ca.Intermediate(pki.CAOptions{Name: "Issuing"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := below.Leaf(pki.LeafOptions{DNSNames: []string{"mail2.woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	r := shows()
	show(r, c)
	l.wanting(t, r, c)
	if v := w.Envelope(facts(t, c)); v.Reason != policy.CertificateNotTrusted {
		t.Fatalf("%s %q", v.Result, v.Reason)
	}
	if domain := <-looked; domain != "woodgrovebank.com" {
		t.Errorf("looked at %s", domain)
	}
	if pending := l.pending.List(); len(pending) != 0 {
		t.Errorf("pending, though it is stored: %v", pending)
	}
	l.wanting(t, shows(c), c)
	if v := w.Envelope(facts(t, c)); v.Result != policy.ResultPass {
		t.Errorf("%s %q %s", v.Result, v.Reason, v.Detail)
	}
	// And not the other way round.
	l.wanting(t, r, c)
	if v := w.Envelope(facts(t, c)); v.Result != policy.ResultPass {
		t.Errorf("spoiled: %s %q %s", v.Result, v.Reason, v.Detail)
	}
}

// TestImportStays, whatever is shown: its chain is the operator's word.
func TestImportStays(t *testing.T) {
	w := newWorld(t)
	l := lookOut(t, w)
	below, err := w.ca.Intermediate(pki.CAOptions{Name: "Issuing"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := below.Leaf(pki.LeafOptions{DNSNames: []string{"mail2.woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	bare := *c
	bare.Chain = nil
	w.keep(t, &bare)
	l.wanting(t, shows(c), c)
	if got := w.store.Get(trust.Fingerprint(hashOf(c))); got.Source != trust.SourceImport || len(got.Presented) != 0 {
		t.Errorf("%s with %d", got.Source, len(got.Presented))
	}
	// Not even if it was imported while its place was being made use of.
	other := w.issue(t, pki.LeafOptions{DNSNames: []string{"mail3.woodgrovebank.com"}})
	l.wanting(t, shows(other))
	learned := w.store.Get(trust.Fingerprint(hashOf(other)))
	w.keep(t, other)
	if err := l.learned.forget(learned); err != nil {
		t.Error(err)
	}
	if got := w.store.Get(learned.Fingerprint); got == nil || got.Source != trust.SourceImport || !w.has(other) {
		t.Errorf("%+v", got)
	}
}

// TestFoundEndsWithItsContext: nothing is stored at the end.
func TestFoundEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	l := lookOut(t, w)
	c := w.issue(t, pki.LeafOptions{DNSNames: []string{"mail2.woodgrovebank.com"}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l.found(ctx, "woodgrovebank.com", []partner.Fingerprint{hashOf(c)}, shows(c))
	if w.has(c) {
		t.Error("stored")
	}
}

// TestFoundOutlivesPanics: what cannot even be judged is not good, and the log has
// the reason.
func TestFoundOutlivesPanics(t *testing.T) {
	w := newWorld(t)
	out := w.loggingAll()
	l := lookOut(t, w)
	wanted := w.issue(t, pki.LeafOptions{DNSNames: []string{"mail2.woodgrovebank.com"}})
	other := w.issue(t, pki.LeafOptions{DNSNames: []string{"mail3.woodgrovebank.com"}})
	r := shows(wanted, other)
	for _, host := range r.Hosts {
		host.Addresses[0].TLS.Chain[0].X509 = &x509.Certificate{PublicKey: (*rsa.PublicKey)(nil)} // no number to ask
	}
	l.wanting(t, r, wanted)
	if !w.has(wanted) || w.has(other) {
		t.Errorf("wanted stored: %v, the other: %v", w.has(wanted), w.has(other))
	}
	if text := out.String(); !strings.Contains(text, "level=ERROR") || !strings.Contains(text, "nil pointer") {
		t.Errorf("log:\n%s", text)
	}
}

// TestUseLetsVerdictsEnd: a look-up in hand is not cut off when another resolver is
// taken.
func TestUseLetsVerdictsEnd(t *testing.T) {
	w := newWorld(t)
	l := lookOut(t, w)
	unknown := w.issue(t, pki.LeafOptions{DNSNames: []string{"mail2.woodgrovebank.com"}})
	key := sha256.Sum256(unknown.Leaf.RawSubjectPublicKeyInfo)
	server, err := dnsserver.Start("woodgrovebank.com MX 10 mx.woodgrovebank.com\nmx.woodgrovebank.com A 192.0.2.1\n" +
		"_25._tcp.mx.woodgrovebank.com TLSA 3 1 1 " + partner.Fingerprint(key).String() + "\n")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	server.Secure(".")
	server.Behave("woodgrovebank.com", "MX", dnsserver.Silent, 1)
	l.Use(Outside{Resolver: resolverAt(t, server.Addr()), Port: 25})
	w.partner.DANE = true
	w.Replace(policy.NewSnapshot(w.list, nil, w.partner, nil, nil))
	judged := make(chan policy.Verdict)
	f := facts(t, unknown)
	go func() { judged <- w.Envelope(f) }()
	for server.Asked("woodgrovebank.com", "MX") == 0 {
		time.Sleep(time.Millisecond)
	}
	l.Use(Outside{Resolver: resolverAt(t, "127.0.0.1:1"), Port: 25})
	if v := <-judged; v.Auth != policy.AuthDANE {
		t.Errorf("%s %q %s", v.Result, v.Reason, v.Detail)
	}
	// The next one goes by the new resolver.
	if v := w.Envelope(facts(t, unknown)); v.Reason != policy.DNSSECInvalid {
		t.Errorf("%s %q %s", v.Result, v.Reason, v.Detail)
	}
}

// TestUseAndClose at the same time, as when SIGHUP and SIGTERM come together: nothing
// is left behind.
func TestUseAndClose(t *testing.T) {
	w := newWorld(t)
	l := lookOut(t, w)
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for range 10 {
				l.Use(Outside{Resolver: resolverAt(t, "127.0.0.1:1"), Port: 25})
			}
		})
		work.Go(l.Close)
	}
	work.Wait()
	l.Use(Outside{Resolver: resolverAt(t, "127.0.0.1:1"), Port: 25})
	if w.dane.Load() != nil || w.lookout.Load() != nil {
		t.Error("the gate still looks out")
	}
}

// TestLearnIsAskedFor: a look is for what is not known, and for nothing else.
func TestLearnIsAskedFor(t *testing.T) {
	w := newWorld(t)
	l := lookOut(t, w)
	unknown := w.issue(t, pki.LeafOptions{DNSNames: []string{"mail1.woodgrovebank.com"}})
	unlisted := facts(t, unknown)
	unlisted.Sender = "erin@fabrikam.com"
	for _, f := range []*policy.Facts{plain(t, unknown), facts(t, w.leaf), unlisted} {
		w.Envelope(f)
	}
	if all := l.pending.List(); len(all) != 0 {
		t.Errorf("pending %v", all)
	}
	w.Explain(context.Background(), facts(t, unknown), nil, w.now)
	if all := l.pending.List(); len(all) != 0 {
		t.Error("explaining asks for a look")
	}
	w.Envelope(facts(t, unknown))
	if !slices.ContainsFunc(l.pending.List(), func(u partner.Unknown) bool {
		return u.Certificate == hashOf(unknown) && u.Domain == "woodgrovebank.com" && u.Client == netip.MustParseAddr("192.0.2.7")
	}) {
		t.Errorf("pending %v", l.pending.List())
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
	if !slices.ContainsFunc(l.pending.List(), func(u partner.Unknown) bool { return u.Certificate == hashOf(other) }) {
		t.Errorf("pending %v", l.pending.List())
	}
}

// TestExplainAsksNobody: what is not looked up is said to be so, and what hangs on
// it is open.
func TestExplainAsksNobody(t *testing.T) {
	w := newWorld(t)
	w.partner.DANE = true
	for what, c := range map[string]struct {
		facts *policy.Facts
		open  bool
	}{
		"nothing but TLSA decides": {facts(t, w.leaf), true},
		"TLS decides":              {plain(t, w.leaf), false},
	} {
		v, readings := w.Explain(t.Context(), c.facts, nil, w.now)
		row := readings[0].Rows[7]
		if v.Open != c.open || row.Number != 8 || row.Outcome != policy.OutcomeSkipped || v.Reason == policy.DNSSECInvalid {
			t.Errorf("%s: open %v, %+v, %q", what, v.Open, row, v.Reason)
		}
	}
	// A verdict of the daemon is not open: who cannot ask refuses for now.
	if v := w.Envelope(facts(t, w.leaf)); v.Open || v.Reason != policy.DNSSECInvalid {
		t.Errorf("open %v, %q", v.Open, v.Reason)
	}
	defer w.AskDNS(resolverAt(t, "127.0.0.1:1"))()
	if v, _ := w.Explain(t.Context(), facts(t, w.leaf), nil, w.now); v.Open || v.Reason != policy.DNSSECInvalid {
		t.Errorf("asked, and the DNS fails: open %v, %q", v.Open, v.Reason)
	}
}
