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
	if got := w.Counts().LogValue().String(); !strings.Contains(got, "unlisted=0 passed=1 tempfailed=0") {
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
