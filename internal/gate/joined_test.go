package gate

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"domain-secured/policy"
)

// atPostfix is what Postfix's milter tells of the message that f is about.
func atPostfix(f *policy.Facts) *policy.Facts {
	return &policy.Facts{
		ToEnd: true, Server: "mx1.contoso.com", QueueID: f.QueueID, Sender: "<" + f.Sender + ">", MailAddr: f.Sender, Client: f.Client,
		TLSVersion: f.TLSVersion, Bits: f.Bits, Certificate: policy.Reported{Complaint: "no fingerprint"},
	}
}

func from(bodies ...string) *policy.From { return &policy.From{Bodies: bodies} }

// logging has the verdicts of w written to what is returned.
func (w *world) logging() *bytes.Buffer {
	var out bytes.Buffer
	w.verdicts = newVerdictLog(slog.New(slog.NewTextHandler(lockedWriter{new(sync.Mutex), &out}, nil)))
	return &out
}

// TestJoined: what the policy door heard, the milter takes over; the message is
// one verdict, one line, one count.
func TestJoined(t *testing.T) {
	w := newWorld(t)
	out := w.logging()
	f := facts(t, w.leaf)
	w.Attend()
	if v := w.Envelope(f); v.Result != policy.ResultPass {
		t.Fatalf("policy door: %s %s", v.Reason, v.Detail)
	}
	if out.Len() > 0 {
		t.Errorf("reported before its end: %s", out)
	}
	m := atPostfix(f)
	v := w.Envelope(m)
	if v.Result != policy.ResultPass || m.Certificate.Fingerprint != f.Certificate.Fingerprint {
		t.Fatalf("milter: %s %s", v.Reason, v.Detail)
	}
	end := w.Content(m, &v, from("Alice <alice@woodgrovebank.com>"))
	want := fmt.Sprintf("mx1.contoso.com; domain=woodgrovebank.com; auth=chain; name=mail1.woodgrovebank.com;\n"+
		"  fingerprint=sha256:%s; revocation=unchecked; tls=TLSv1.3; client=192.0.2.7", f.Certificate.Fingerprint)
	if end.Stamp != want || end.Keep || end.Verdict.Refused() {
		t.Errorf("stamp %q\nwant  %q", end.Stamp, want)
	}
	if n := strings.Count(out.String(), "msg=verdict"); n != 1 || !strings.Contains(out.String(), "stamped=true") {
		t.Errorf("%d lines:\n%s", n, out)
	}
	if got := fmt.Sprint(w.Counts()); !strings.Contains(got, "unlisted=0 passed=1 tempfailed=0") {
		t.Errorf("counts %s", got)
	}
	// Taken once: the next message with the queue id is another one.
	if v := w.Envelope(atPostfix(f)); v.Reason != policy.CertificateNotReported {
		t.Errorf("taken twice: %s %q", v.Result, v.Reason)
	}
}

// TestNotJoined: a record is that of one message alone.
func TestNotJoined(t *testing.T) {
	for name, other := range map[string]func(f, m *policy.Facts, w *world){
		"another queue id":    func(f, m *policy.Facts, w *world) { m.QueueID = "other" },
		"no queue id":         func(f, m *policy.Facts, w *world) { m.QueueID = "" },
		"another port":        func(f, m *policy.Facts, w *world) { m.Client = netip.MustParseAddrPort("192.0.2.7:4712") },
		"another address":     func(f, m *policy.Facts, w *world) { m.Client = netip.MustParseAddrPort("192.0.2.8:4711") },
		"after its time":      func(f, m *policy.Facts, w *world) { w.now = w.now.Add(recordTime + time.Second) },
		"nobody hears to end": func(f, m *policy.Facts, w *world) {},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			f := facts(t, w.leaf)
			if name != "nobody hears to end" {
				w.Attend()
			}
			w.Envelope(f)
			m := atPostfix(f)
			other(f, m, w)
			if v := w.Envelope(m); v.Reason != policy.CertificateNotReported || v.Reply.Code != "451" {
				t.Errorf("%s %q", v.Result, v.Reason)
			}
		})
	}
}

// TestFirstRecordWins: what is asked again about a message changes nothing.
func TestFirstRecordWins(t *testing.T) {
	w := newWorld(t)
	f := facts(t, w.leaf)
	w.Attend()
	w.Envelope(f)
	again := *f
	again.Certificate.CN = "later"
	w.Envelope(&again)
	m := atPostfix(f)
	if w.Envelope(m); m.Certificate.CN != "" {
		t.Error("the second record counts")
	}
}

// TestRefusedOnce: the door that refuses a message reports it, and keeps nothing.
func TestRefusedOnce(t *testing.T) {
	w := newWorld(t)
	out := w.logging()
	f := plain(t, w.leaf)
	w.Attend()
	w.Envelope(f)
	if n := strings.Count(out.String(), "msg=verdict"); n != 1 || len(w.records.values) != 0 {
		t.Errorf("%d lines, %d records", n, len(w.records.values))
	}
}

// TestAbandoned: a message that was let go on is reported also if it has no end.
func TestAbandoned(t *testing.T) {
	w := newWorld(t)
	out := w.logging()
	f := facts(t, w.leaf)
	w.Attend()
	w.Envelope(f)
	m := atPostfix(f)
	v := w.Envelope(m)
	w.Abandoned(m, &v)
	if n := strings.Count(out.String(), "msg=verdict"); n != 1 || strings.Contains(out.String(), "stamped") {
		t.Errorf("%d lines:\n%s", n, out)
	}
}

// TestUnlistedCountsOnce, whether one door hears of a message or two.
func TestUnlistedCountsOnce(t *testing.T) {
	w := newWorld(t)
	f := facts(t, w.leaf)
	f.Sender = "erin@fabrikam.com"
	w.Envelope(f) // nobody hears its end
	w.Attend()
	w.Envelope(f)
	if len(w.records.values) != 0 {
		t.Error("unlisted mail is remembered")
	}
	m := atPostfix(f)
	v := w.Envelope(m)
	if end := w.Content(m, &v, from("erin@fabrikam.com")); end.Stamp != "" || end.Keep || end.Verdict.Refused() {
		t.Errorf("%+v", end)
	}
	w.Leave()
	w.Envelope(f)
	if got := w.counts.unlisted.Load(); got != 3 {
		t.Errorf("%d, want 3", got)
	}
}

// TestFromEnforced: a domain may insist on the From header, whoever the envelope
// says sends; what proves it is the connection.
func TestFromEnforced(t *testing.T) {
	bank, other := "alice@woodgrovebank.com", "erin@fabrikam.com"
	for _, c := range []struct {
		name     string
		sender   string
		from     string
		tls      bool
		reason   policy.Reason
		stamped  bool
		listings int // lines in the log
	}{
		{"null sender, proven", "", bank, true, policy.None, false, 1},
		{"null sender, not proven", "", bank, false, policy.FromNotSecured, false, 1},
		{"other envelope, proven", other, bank, true, policy.None, false, 1},
		{"other envelope, not proven", other, bank, false, policy.FromNotSecured, false, 1},
		{"other envelope, other From", other, other, false, policy.None, false, 0},
		{"its own envelope", bank, bank, true, policy.None, true, 1},
		{"its own envelope, other From", bank, other, true, policy.None, false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.partner.FromAlignment = policy.FromAlignmentEnforce
			w.Replace(policy.NewSnapshot(w.list, nil, w.partner, nil, nil))
			out := w.logging()
			f := facts(t, w.leaf)
			if !c.tls {
				f = plain(t, w.leaf)
			}
			f.Sender = c.sender
			w.Attend()
			w.Envelope(f)
			m := atPostfix(f)
			v := w.Envelope(m)
			end := w.Content(m, &v, from(c.from))
			if end.Verdict.Reason != c.reason || (end.Stamp != "") != c.stamped || end.Verdict.Refused() != (c.reason != policy.None) {
				t.Errorf("%q (%s), stamp %q", end.Verdict.Reason, end.Verdict.Detail, end.Stamp)
			}
			if c.reason != policy.None && end.Verdict.Reply.String() != "450 4.7.1 woodgrovebank.com requires mutual TLS here: from-not-secured, the From header names the domain without proof" {
				t.Errorf("reply %q", end.Verdict.Reply)
			}
			if n := strings.Count(out.String(), "msg=verdict"); n != c.listings {
				t.Errorf("%d lines, want %d:\n%s", n, c.listings, out)
			}
		})
	}
}

// TestContentPanic: a fault of our own refuses listed mail for now, also at its
// end, and lets other mail go on.
func TestContentPanic(t *testing.T) {
	w := newWorld(t)
	for sender, refused := range map[string]bool{"alice@woodgrovebank.com": true, "erin@fabrikam.com": false} {
		f := atPostfix(facts(t, w.leaf))
		f.Sender, f.MailAddr = sender, ""
		end := w.Content(f, &policy.Verdict{}, from(sender)) // a verdict of no snapshot
		if end.Verdict.Refused() != refused || end.Stamp != "" || end.Keep {
			t.Errorf("%s: %s %q", sender, end.Verdict.Action, end.Verdict.Reason)
		}
	}
}

// TestTaken: what is taken leaves nothing behind, also behind what nobody takes.
func TestTaken(t *testing.T) {
	m := newMemory[int, int](100, time.Minute)
	now := time.Unix(0, 0)
	m.keep(-1, -1, now, nil)
	for i := range 10_000 {
		m.keep(i, i, now, nil)
		if v, known := m.take(i, now); !known || v != i {
			t.Fatalf("took %d, %v", v, known)
		}
		if len(m.order) > 201 {
			t.Fatalf("%d due", len(m.order))
		}
	}
	if _, known := m.take(1, now); known || len(m.values) != 1 {
		t.Error("taken twice")
	}
	// What is kept anew under an old key has its own time.
	m.keep(7, 1, now, nil)
	m.take(7, now)
	m.keep(7, 2, now.Add(time.Minute), nil)
	m.expire(now.Add(time.Minute + 1))
	if v, known := m.take(7, now.Add(time.Minute+1)); !known || v != 2 {
		t.Errorf("took %d, %v", v, known)
	}
}

// TestNotTaken: what nobody takes over is reported all the same, a little later,
// and not again if it is taken then.
func TestNotTaken(t *testing.T) {
	w := newWorld(t)
	out := w.logging()
	w.Attend()
	f, late := facts(t, w.leaf), facts(t, w.leaf)
	w.Envelope(f)
	w.now = w.now.Add(patience / 2)
	w.Envelope(late)
	w.now = w.now.Add(patience/2 + 1)
	lines := func(want int) {
		t.Helper()
		if n := strings.Count(out.String(), "msg=verdict"); n != want {
			t.Errorf("%d lines, want %d:\n%s", n, want, out)
		}
	}
	lines(0)
	w.sweep(patience)
	lines(1)
	m := atPostfix(f)
	v := w.Envelope(m)
	if end := w.Content(m, &v, from(f.Sender)); end.Stamp == "" {
		t.Error("no stamp")
	}
	lines(1)
	w.Close()
	lines(2)
	w.Close()
	lines(2)
	if got := fmt.Sprint(w.Counts()); !strings.Contains(got, "passed=2 ") {
		t.Errorf("counts %s", got)
	}
}

// TestAskedPerRecipient: a policy service that is asked at RCPT, without a queue
// id, and again at DATA reports once, and so does the milter with it.
func TestAskedPerRecipient(t *testing.T) {
	w := newWorld(t)
	out := w.logging()
	w.Attend()
	f := facts(t, w.leaf)
	early := *f
	early.QueueID = ""
	w.Envelope(&early)
	w.Envelope(&early)
	w.Envelope(f)
	m := atPostfix(f)
	v := w.Envelope(m)
	w.Content(m, &v, from(f.Sender))
	if n := strings.Count(out.String(), "msg=verdict"); n != 1 {
		t.Errorf("%d lines:\n%s", n, out)
	}
}

// TestAskedAgainAtEnd: a policy service that stands in smtpd_end_of_data_restrictions
// too is asked after the milter has taken the record: still one line.
func TestAskedAgainAtEnd(t *testing.T) {
	w := newWorld(t)
	out := w.logging()
	w.Attend()
	f := facts(t, w.leaf)
	w.Envelope(f)
	m := atPostfix(f)
	v := w.Envelope(m)
	w.Envelope(f)
	w.Content(m, &v, from(f.Sender))
	w.Close()
	if n := strings.Count(out.String(), "msg=verdict"); n != 1 {
		t.Errorf("%d lines:\n%s", n, out)
	}
}

// TestRefusedLater: what was let go on at one command and is refused at the next
// is refused, and nothing else is said.
func TestRefusedLater(t *testing.T) {
	w := newWorld(t)
	out := w.logging()
	w.Attend()
	f := facts(t, w.leaf)
	w.Envelope(f)
	refused := plain(t, w.leaf)
	refused.QueueID, refused.Instance = f.QueueID, f.Instance
	w.Envelope(refused)
	w.Close()
	if n := strings.Count(out.String(), "msg=verdict"); n != 1 || !strings.Contains(out.String(), "result=fail") {
		t.Errorf("%d lines:\n%s", n, out)
	}
}

// TestFlood: whoever has records made that nobody takes keeps no others out.
func TestFlood(t *testing.T) {
	w := newWorld(t)
	w.Attend()
	for range maxRecords + 100 {
		w.Envelope(facts(t, w.leaf))
	}
	f := facts(t, w.leaf)
	w.Envelope(f)
	if v := w.Envelope(atPostfix(f)); v.Result != policy.ResultPass {
		t.Errorf("%s %s", v.Reason, v.Detail)
	}
	if n := len(w.records.values); n != maxRecords-1 {
		t.Errorf("%d records", n)
	}
}

// TestTooManyStamps: the refusal is reported as what it is, also of mail that is
// not listed.
func TestTooManyStamps(t *testing.T) {
	w := newWorld(t)
	out := w.logging()
	for _, sender := range []string{"alice@woodgrovebank.com", "erin@fabrikam.com"} {
		f := facts(t, w.leaf)
		f.ToEnd, f.Sender = true, sender
		v := w.Envelope(f)
		f.Stamps = 101
		end := w.Content(f, &v, from(sender))
		if !end.Verdict.Refused() || end.Stamp != "" || end.Verdict.Reply.String() != "550 5.7.1 more than 100 header fields Domain-Secured" {
			t.Errorf("%s: %+v", sender, end)
		}
	}
	if n := strings.Count(out.String(), `action=reject reply="550 5.7.1 more than`); n != 2 {
		t.Errorf("%d lines:\n%s", n, out)
	}
}

// TestFromPassBeginsAnew: a pass for a domain that only From names ends what led
// to a refusal for good, as any pass does.
func TestFromPassBeginsAnew(t *testing.T) {
	w := newWorld(t)
	w.partner.FromAlignment, w.partner.EscalateAfter = policy.FromAlignmentEnforce, 24*time.Hour
	w.Replace(policy.NewSnapshot(w.list, nil, w.partner, nil, nil))
	began := w.now
	for _, c := range []struct {
		hours  int
		proven bool
		want   policy.Action
	}{{0, false, policy.ActionTempfail}, {12, true, policy.ActionAccept}, {25, false, policy.ActionTempfail}, {50, false, policy.ActionReject}} {
		w.now = began.Add(time.Duration(c.hours) * time.Hour)
		f := plain(t, w.leaf)
		if c.proven {
			f = facts(t, w.leaf)
		}
		f.ToEnd, f.Sender = true, ""
		v := w.Envelope(f)
		if end := w.Content(f, &v, from("alice@woodgrovebank.com")); end.Verdict.Action != c.want {
			t.Errorf("after %d h: %s, want %s", c.hours, end.Verdict.Action, c.want)
		}
	}
}

// TestRefusedAtEndByPolicy: the refusal is what is said of the message, although
// the milter had it go on.
func TestRefusedAtEndByPolicy(t *testing.T) {
	w := newWorld(t)
	out := w.logging()
	w.Attend()
	f := facts(t, w.leaf)
	w.Envelope(f)
	m := atPostfix(f)
	v := w.Envelope(m)
	refused := plain(t, w.leaf)
	refused.QueueID, refused.Instance = f.QueueID, f.Instance
	w.Envelope(refused)
	w.Abandoned(m, &v)
	if n := strings.Count(out.String(), "msg=verdict"); n != 1 || !strings.Contains(out.String(), "result=fail") {
		t.Errorf("%d lines:\n%s", n, out)
	}
}
