package gate

import (
	"log/slog"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"domain-secured/policy"
)

// Totals are the numbers of messages by what became of them, since the start.
type Totals struct {
	Unlisted uint64 // without a milter these are requests: their messages are not told apart
	Passed   uint64
	Secured  uint64 // of those that passed, in mode enforce
	Tempfailed, Rejected,
	Tested, // failed in mode testing, and let in
	None uint64 // no opinion
}

// LogValue has them in the log.
func (t Totals) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Uint64("unlisted", t.Unlisted),
		slog.Uint64("passed", t.Passed),
		slog.Uint64("tempfailed", t.Tempfailed),
		slog.Uint64("rejected", t.Rejected),
		slog.Uint64("failed_in_testing", t.Tested),
		slog.Uint64("no_opinion", t.None),
	)
}

// Tally is what became of the mail of one entry of the receive list.
type Tally struct {
	Passed, None uint64
	Failed       map[policy.Reason]Failures
	LastPass     Last
	LastRefusal  Last // in testing, too, where it was let in
}

// Failures are the messages that failed for one reason, by what became of them.
type Failures struct{ Tempfailed, Rejected, Tested uint64 }

// Last is the last message of a kind. The zero value is none.
type Last struct {
	Time    time.Time
	Client  netip.Addr
	QueueID string
	Reason  policy.Reason
	Action  policy.Action
}

// counts are what was judged since the start.
type counts struct {
	unlisted, passed, secured, tempfailed, rejected, tested, none atomic.Uint64

	entries sync.Map // of *tally by entry
	number  atomic.Int64
	rest    tally // of what there was no more room for
}

// maxTallies bounds the entries that are counted one by one.
const maxTallies = 10_000

type tally struct {
	mu sync.Mutex
	Tally
}

func (c *counts) add(f *policy.Facts, v *policy.Verdict, now time.Time) {
	switch {
	case v.Action == policy.ActionTempfail:
		c.tempfailed.Add(1)
	case v.Action == policy.ActionReject:
		c.rejected.Add(1)
	case v.Result == policy.ResultFail:
		c.tested.Add(1)
	case v.Result == policy.ResultPass:
		c.passed.Add(1)
		if v.Mode == policy.ModeEnforce {
			c.secured.Add(1)
		}
	default:
		c.none.Add(1)
	}
	c.of(v.Entry).add(f, v, now)
}

// of returns the tally of an entry, or the one of the rest.
func (c *counts) of(entry string) *tally {
	if t, known := c.entries.Load(entry); known {
		return t.(*tally)
	}
	if entry == "" || c.number.Load() >= maxTallies {
		return &c.rest
	}
	t, known := c.entries.LoadOrStore(strings.Clone(entry), new(tally)) // not the whole list that it is a part of
	if !known {
		c.number.Add(1)
	}
	return t.(*tally)
}

func (t *tally) add(f *policy.Facts, v *policy.Verdict, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch v.Result {
	case policy.ResultPass:
		t.Passed++
		t.LastPass.note(f, v, now)
	case policy.ResultFail:
		if t.Failed == nil {
			t.Failed = make(map[policy.Reason]Failures)
		}
		n := t.Failed[v.Reason]
		switch v.Action {
		case policy.ActionTempfail:
			n.Tempfailed++
		case policy.ActionReject:
			n.Rejected++
		default:
			n.Tested++
		}
		t.Failed[v.Reason] = n
		t.LastRefusal.note(f, v, now)
	default:
		t.None++
	}
}

// note keeps the memory that the queue id is in: one is made for every message.
func (l *Last) note(f *policy.Facts, v *policy.Verdict, now time.Time) {
	l.Time, l.Client, l.QueueID, l.Reason, l.Action = now, f.Client.Addr(), strings.Clone(clip(f.QueueID)), v.Reason, v.Action
}

func (t *tally) clone() Tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	copied := t.Tally
	copied.Failed = maps.Clone(t.Failed)
	return copied
}

// Counts returns what became of all messages.
func (g *Gate) Counts() Totals {
	c := &g.counts
	return Totals{
		Unlisted: c.unlisted.Load(), Passed: c.passed.Load(), Secured: c.secured.Load(),
		Tempfailed: c.tempfailed.Load(), Rejected: c.rejected.Load(), Tested: c.tested.Load(), None: c.none.Load(),
	}
}

// Tallies yields what became of the mail of each entry, until yield returns false. Of
// more than 10,000 the others come first, as one without a name.
func (g *Gate) Tallies(yield func(entry string, t Tally) bool) {
	if !yield("", g.counts.rest.clone()) {
		return
	}
	g.counts.entries.Range(func(entry, t any) bool { return yield(entry.(string), t.(*tally).clone()) })
}
