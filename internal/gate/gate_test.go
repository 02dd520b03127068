package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/trust"
	"domain-secured/policy"
)

func TestPassAndRefuse(t *testing.T) {
	w := newWorld(t)
	if v := w.Envelope(facts(t, w.leaf)); v.Result != policy.ResultPass || v.MatchedName != "mail1.woodgrovebank.com" {
		t.Errorf("good: %s %s (%s)", v.Result, v.Reason, v.Detail)
	}
	if v := w.Envelope(plain(t, w.leaf)); v.Reason != policy.TLSNotUsed {
		t.Errorf("plain: %s %s", v.Result, v.Reason)
	}
	unlisted := plain(t, w.leaf)
	unlisted.Sender = "alice@fabrikam.com"
	if v := w.Envelope(unlisted); v.Result != policy.ResultNone {
		t.Errorf("unlisted: %s", v.Result)
	}
}

// TestCertificates walks real certificates through store, chains and rules.
func TestCertificates(t *testing.T) {
	w := newWorld(t)
	other, err := pki.NewCA(pki.CAOptions{Name: "Other CA"})
	if err != nil {
		t.Fatal(err)
	}
	intermediate, err := w.ca.Intermediate(pki.CAOptions{Name: "Intermediate"})
	if err != nil {
		t.Fatal(err)
	}
	constrained, err := w.ca.Intermediate(pki.CAOptions{Name: "Constrained", PermittedDNS: []string{"contoso.com"}})
	if err != nil {
		t.Fatal(err)
	}
	name := []string{"mail1.woodgrovebank.com"}
	hour := func(n int) time.Time { return w.now.Add(time.Duration(n) * time.Hour) }
	for _, c := range []struct {
		what   string
		ca     *pki.CA
		leaf   pki.LeafOptions
		usage  policy.Usage
		reason policy.Reason
	}{
		{"by an intermediate", intermediate, pki.LeafOptions{DNSNames: name}, policy.UsageClient, policy.None},
		{"by another CA", other, pki.LeafOptions{DNSNames: name}, policy.UsageAny, policy.CertificateNotTrusted},
		{"client only, as client", w.ca, pki.LeafOptions{DNSNames: name, Usage: pki.UsageClient}, policy.UsageClient, policy.None},
		{"client only, as either", w.ca, pki.LeafOptions{DNSNames: name, Usage: pki.UsageClient}, policy.UsageClientOrServer, policy.None},
		{"server only, as either", w.ca, pki.LeafOptions{DNSNames: name, Usage: pki.UsageServer}, policy.UsageClientOrServer, policy.None},
		{"server only, as client", w.ca, pki.LeafOptions{DNSNames: name, Usage: pki.UsageServer}, policy.UsageClient, policy.CertificateNotTrusted},
		{"server only, as any", w.ca, pki.LeafOptions{DNSNames: name, Usage: pki.UsageServer}, policy.UsageAny, policy.None},
		{"no usage at all, as client", w.ca, pki.LeafOptions{DNSNames: name, Usage: pki.UsageNone}, policy.UsageClient, policy.None},
		{"any usage, as client", w.ca, pki.LeafOptions{DNSNames: name, Usage: pki.UsageAny}, policy.UsageClient, policy.None},
		{"RSA 1024", w.ca, pki.LeafOptions{DNSNames: name, Key: pki.RSA1024}, policy.UsageAny, policy.CertificateWeak},
		{"RSA 2048", w.ca, pki.LeafOptions{DNSNames: name, Key: pki.RSA2048}, policy.UsageAny, policy.None},
		{"Ed25519", w.ca, pki.LeafOptions{DNSNames: name, Key: pki.Ed25519}, policy.UsageAny, policy.None},
		{"P-224", w.ca, pki.LeafOptions{DNSNames: name, Key: pki.ECDSAP224}, policy.UsageAny, policy.CertificateWeak},
		{"expired", w.ca, pki.LeafOptions{DNSNames: name, NotBefore: hour(-9), NotAfter: hour(-1)}, policy.UsageAny, policy.CertificateExpired},
		{"not yet valid", w.ca, pki.LeafOptions{DNSNames: name, NotBefore: hour(1), NotAfter: hour(9)}, policy.UsageAny, policy.CertificateNotYetValid},
		{"another name", w.ca, pki.LeafOptions{DNSNames: []string{"mail1.contoso.com"}}, policy.UsageAny, policy.CertificateHostMismatch},
		{"the common name", w.ca, pki.LeafOptions{CommonNames: name}, policy.UsageAny, policy.None},
		{"two common names", w.ca, pki.LeafOptions{CommonNames: append([]string{"x.example"}, name...)}, policy.UsageAny, policy.CertificateHostMismatch},
		{"an e-mail address", w.ca, pki.LeafOptions{Names: []pki.Name{pki.Email("a@woodgrovebank.com")}}, policy.UsageAny, policy.CertificateHostMismatch},
		{"an IP address", w.ca, pki.LeafOptions{Names: []pki.Name{pki.IP(netip.MustParseAddr("192.0.2.7"))}}, policy.UsageAny, policy.CertificateHostMismatch},
		{"the common name beside an e-mail address", w.ca, pki.LeafOptions{CommonNames: name, Names: []pki.Name{pki.Email("a@woodgrovebank.com")}}, policy.UsageAny, policy.None},
		{"outside its CA's names", constrained, pki.LeafOptions{DNSNames: name}, policy.UsageAny, policy.CertificateNotTrusted},
		{"the common name escapes its CA's names", constrained, pki.LeafOptions{CommonNames: name}, policy.UsageAny, policy.CertificateHostMismatch},
	} {
		t.Run(c.what, func(t *testing.T) {
			leaf, err := c.ca.Leaf(c.leaf)
			if err != nil {
				t.Fatal(err)
			}
			w.keep(t, leaf)
			w.partner.Usage = c.usage
			for range 2 { // the second time out of memory
				if v := w.Envelope(facts(t, leaf)); v.Reason != c.reason {
					t.Errorf("%s %q (%s), want %q", v.Result, v.Reason, v.Detail, c.reason)
				}
			}
		})
	}
}

// TestImportActsAtOnce: a certificate is found by its file, before the store is
// looked through.
func TestImportActsAtOnce(t *testing.T) {
	w := newWorld(t)
	leaf := w.issue(t, pki.LeafOptions{DNSNames: []string{"woodgrovebank.com"}})
	if v := w.Envelope(facts(t, leaf)); v.Reason != policy.CertificateUnknown {
		t.Errorf("not stored: %s %s", v.Result, v.Reason)
	}
	w.keep(t, leaf)
	if v := w.Envelope(facts(t, leaf)); v.Result != policy.ResultPass {
		t.Errorf("stored: %s %s (%s)", v.Result, v.Reason, v.Detail)
	}
}

// TestExpiry: a remembered chain does not outlive its certificates.
func TestExpiry(t *testing.T) {
	w := newWorld(t)
	short, err := w.ca.Intermediate(pki.CAOptions{Name: "Short", NotBefore: w.now.Add(-time.Hour), NotAfter: w.now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := short.Leaf(pki.LeafOptions{DNSNames: []string{"woodgrovebank.com"}, NotBefore: w.now.Add(-time.Hour), NotAfter: w.now.Add(3 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	w.keep(t, leaf)
	for _, c := range []struct {
		after  time.Duration
		reason policy.Reason
	}{{0, policy.None}, {2 * time.Hour, policy.CertificateNotTrusted}, {4 * time.Hour, policy.CertificateExpired}} {
		f := facts(t, leaf)
		w.now = w.now.Add(c.after)
		if v := w.Envelope(f); v.Reason != c.reason {
			t.Errorf("after %v: %q (%s), want %q", c.after, v.Reason, v.Detail, c.reason)
		}
		w.now = w.now.Add(-c.after)
	}
}

// TestForgotten: a chain that was completed by an imported CA goes with it.
func TestForgotten(t *testing.T) {
	w := newWorld(t)
	intermediate, err := w.ca.Intermediate(pki.CAOptions{Name: "Intermediate"})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := intermediate.Leaf(pki.LeafOptions{DNSNames: []string{"woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	alone := *leaf
	alone.Chain = nil
	w.keep(t, &alone)
	want := func(when string, reason policy.Reason) {
		t.Helper()
		if _, err := w.store.Refresh(); err != nil {
			t.Fatal(err)
		}
		if v := w.Envelope(facts(t, leaf)); v.Reason != reason {
			t.Errorf("%s: %q (%s), want %q", when, v.Reason, v.Detail, reason)
		}
	}
	want("without its intermediate", policy.CertificateNotTrusted)
	w.keep(t, &intermediate.Certificate)
	want("with it imported", policy.None)
	if err := w.store.Remove(trust.Fingerprint(facts(t, &intermediate.Certificate).Certificate.Fingerprint)); err != nil {
		t.Fatal(err)
	}
	want("with it forgotten", policy.CertificateNotTrusted)
}

// TestRevocationIsUnknown: this version cannot check it, and says so.
func TestRevocationIsUnknown(t *testing.T) {
	w := newWorld(t)
	w.partner.Revocation = policy.RevocationRequire
	v := w.Envelope(facts(t, w.leaf))
	if v.Reason != policy.RevocationNotKnown || v.Reply.Code != "450" {
		t.Errorf("%s, reply %q, want %s", v.Reason, v.Reply, policy.RevocationNotKnown)
	}
}

func TestDANEFails(t *testing.T) {
	w := newWorld(t)
	w.partner.DANE = true
	if v := w.Envelope(facts(t, w.leaf)); v.Reason != policy.DNSSECInvalid {
		t.Errorf("%s, want %s", v.Reason, policy.DNSSECInvalid)
	}
}

// TestSlowStore: a disk that hangs costs a refusal for now, in time.
func TestSlowStore(t *testing.T) {
	w := newWorld(t)
	leaf := w.issue(t, pki.LeafOptions{DNSNames: []string{"woodgrovebank.com"}})
	f := facts(t, leaf)
	// Opening a FIFO waits for somebody to write to it.
	name := w.store.Dir() + "/" + f.Certificate.Fingerprint.String() + ".pem"
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	e := w.evidence.until(began.Add(50 * time.Millisecond))
	sender := w.snapshot.Load().Sender(f)
	v := w.snapshot.Load().Judge(t.Context(), f, &sender, e, w.now)
	if v.Reason != policy.InternalError || v.Action != policy.ActionTempfail {
		t.Errorf("%s (%s), want %s", v.Reason, v.Detail, policy.InternalError)
	}
	// Let the reader go.
	fifo, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fifo.Close()
	for range maxLoading {
		w.evidence.loading <- struct{}{}
	}
}

// TestPanic: a fault of our own refuses listed mail for now, and nothing else.
func TestPanic(t *testing.T) {
	w := newWorld(t)
	w.evidence.store = nil
	v := w.Envelope(facts(t, w.leaf))
	if v.Reason != policy.InternalError || v.Reply.Code != "451" {
		t.Errorf("listed: %s, reply %q", v.Reason, v.Reply)
	}
	unlisted := facts(t, w.leaf)
	unlisted.Sender = "alice@fabrikam.com"
	if v := w.Envelope(unlisted); v.Action != policy.ActionNone {
		t.Errorf("unlisted: %s", v.Action)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := newMemory[int, int](100, time.Minute)
	now := time.Unix(0, 0)
	for i := range 1000 {
		m.keep(i, i, now, nil)
		if earlier, known := m.keep(i, -1, now, nil); !known || earlier != i {
			t.Fatalf("value %d known: %v, as %d", i, known, earlier)
		}
		if len(m.values) != min(i+1, 100) || len(m.order) > 200 {
			t.Fatalf("%d values, %d due after %d", len(m.values), len(m.order), i+1)
		}
	}
	if _, known := m.take(899, now); known {
		t.Error("the oldest did not go")
	}
	if _, known := m.take(900, now); !known {
		t.Error("one more than the oldest went")
	}
	now = now.Add(time.Minute + 1)
	if _, known := m.keep(1000, 1, now, nil); known || len(m.values) != 1 || len(m.order) != 1 {
		t.Errorf("after their time %d values, %d due", len(m.values), len(m.order))
	}
}

func TestEscalation(t *testing.T) {
	w := newWorld(t)
	w.partner.EscalateAfter = 24 * time.Hour
	began := w.now
	at := func(hours int, f *policy.Facts, want policy.Action) {
		t.Helper()
		w.now = began.Add(time.Duration(hours) * time.Hour)
		if v := w.Envelope(f); v.Action != want {
			t.Errorf("after %d h: %s %q, want %s", hours, v.Action, v.Reply, want)
		}
	}
	elsewhere := func() *policy.Facts {
		f := plain(t, w.leaf)
		f.Client = netip.MustParseAddrPort("192.0.2.8:1")
		return f
	}
	at(0, plain(t, w.leaf), policy.ActionTempfail)
	at(10, elsewhere(), policy.ActionTempfail)
	at(23, plain(t, w.leaf), policy.ActionTempfail)
	at(24, plain(t, w.leaf), policy.ActionReject)
	at(25, elsewhere(), policy.ActionTempfail)
	at(26, facts(t, w.leaf), policy.ActionAccept) // a pass begins anew
	at(27, plain(t, w.leaf), policy.ActionTempfail)
	weak := facts(t, w.leaf)
	weak.Bits = 1
	at(50, weak, policy.ActionTempfail) // another reason has its own time
	at(51, plain(t, w.leaf), policy.ActionReject)
	at(73, weak, policy.ActionTempfail)
	at(76, plain(t, w.leaf), policy.ActionReject)
	at(76+8*24, plain(t, w.leaf), policy.ActionTempfail) // so long ago that it does not count
}

func TestEscalationIsBounded(t *testing.T) {
	w := newWorld(t)
	w.partner.EscalateAfter = time.Hour
	for i := range maxFailing + 100 {
		f := plain(t, w.leaf)
		f.Client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
		w.Envelope(f)
	}
	if n := len(w.failures.since); n != maxFailing {
		t.Errorf("%d sources remembered, want %d", n, maxFailing)
	}
	w.now = w.now.Add(failingTime + time.Second)
	w.Envelope(plain(t, w.leaf))
	if n := len(w.failures.since); n != 1 {
		t.Errorf("%d sources remembered after their time, want 1", n)
	}
}

// TestExplainHasNoEffect: nothing is remembered, counted or logged.
func TestExplainHasNoEffect(t *testing.T) {
	w := newWorld(t)
	f := plain(t, w.leaf)
	v, readings := w.Explain(t.Context(), f, nil, w.now)
	if v.Reason != policy.TLSNotUsed || len(readings) != 1 {
		t.Errorf("%s, %d readings", v.Reason, len(readings))
	}
	if len(w.records.values) > 0 || w.counts.tempfailed.Load() > 0 {
		t.Error("explaining has left something behind")
	}
}

// TestLog: one line for a message, with every key that is promised.
func TestLog(t *testing.T) {
	w := newWorld(t)
	var out bytes.Buffer
	var mu sync.Mutex
	w.verdicts = newVerdictLog(slog.New(slog.NewJSONHandler(lockedWriter{&mu, &out}, nil)))
	f := plain(t, w.leaf)
	for range 3 { // one for each recipient
		w.Envelope(f)
	}
	w.Envelope(facts(t, w.leaf))
	unlisted := facts(t, w.leaf)
	unlisted.Sender = "alice@fabrikam.com"
	w.Envelope(unlisted)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines, want 2:\n%s", len(lines), out.String())
	}
	var refused map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &refused); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"level": "INFO", "msg": "verdict", "domain": "woodgrovebank.com", "listed": true, "result": "fail", "reason": "tls-not-used", "action": "tempfail",
		"reply": "450 4.7.0 woodgrovebank.com requires mutual TLS here: tls-not-used, the session did not use TLS",
		"auth":  "", "matched_name": "", "mode": "enforce", "queue_id": f.QueueID, "client": "192.0.2.7:4711", "sender": "alice@woodgrovebank.com",
	} {
		if got := refused[key]; got != want {
			t.Errorf("%s is %v, want %v", key, got, want)
		}
	}
	if got := w.Counts().LogValue().String(); !strings.Contains(got, "unlisted=1 passed=1 tempfailed=1") {
		t.Errorf("counts %s", got)
	}
}

type lockedWriter struct {
	mu  *sync.Mutex
	out *bytes.Buffer
}

func (w lockedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(b)
}

// TestReplace swaps snapshots under traffic: every verdict is by one of them.
func TestReplace(t *testing.T) {
	w := newWorld(t)
	empty := policy.NewSnapshot(nil, nil, w.partner, nil, nil)
	full := w.snapshot.Load()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		f := facts(t, w.leaf)
		f.Instance = ""
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if v := w.Envelope(f); v.Result == policy.ResultFail {
						t.Errorf("%s %s", v.Reason, v.Detail)
					}
				}
			}
		})
	}
	for i := range 2000 {
		w.Replace([]*policy.Snapshot{empty, full}[i%2])
	}
	close(stop)
	wg.Wait()
}

func TestUnlistedAllocatesNothing(t *testing.T) {
	w := newWorld(t)
	f := facts(t, w.leaf)
	f.Sender = "alice@fabrikam.com"
	if n := testing.AllocsPerRun(1000, func() { w.Envelope(f) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestErrSlowStoreIsForTheOperator(t *testing.T) {
	e := newEvidence(trust.NewStore(t.TempDir()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range maxLoading {
		e.loading <- struct{}{}
	}
	if _, err := e.until(time.Now().Add(time.Hour)).Certificate(ctx, policy.Hash{1}); !errors.Is(err, errSlowStore) {
		t.Errorf("error %v", err)
	}
}
