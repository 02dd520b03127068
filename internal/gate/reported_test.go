package gate

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"domain-secured/policy"
)

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
	if got := w.Counts().LogValue().String(); !strings.Contains(got, "passed=2 ") {
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

// breaking is a log that panics over its first lines.
type breaking struct {
	slog.Handler
	left *int
}

func (b breaking) Handle(ctx context.Context, r slog.Record) error {
	if *b.left > 0 {
		*b.left--
		panic("as asked")
	}
	return b.Handler.Handle(ctx, r)
}

func (b breaking) WithAttrs(attrs []slog.Attr) slog.Handler {
	return breaking{b.Handler.WithAttrs(attrs), b.left}
}

// TestReportOutlivesPanics: what nobody has taken is reported by a timer, where a panic
// would end the daemon. It costs one message its line, and no other.
func TestReportOutlivesPanics(t *testing.T) {
	w := newWorld(t)
	out, lines := w.loggingAll(), w.logging()
	w.Attend()
	for range 3 {
		w.Envelope(facts(t, w.leaf))
	}
	one := 1
	w.verdicts.log = slog.New(breaking{w.verdicts.log.Handler(), &one})
	w.now = w.now.Add(patience + 1)
	w.sweep(patience)
	w.sweep(0)
	if n := strings.Count(lines.String(), "msg=verdict"); n != 2 {
		t.Errorf("%d lines:\n%s", n, lines)
	}
	if text := out.String(); strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, "as asked") {
		t.Errorf("log:\n%s", text)
	}
}
