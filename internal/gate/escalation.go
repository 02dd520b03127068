package gate

import (
	"net/netip"
	"sync"
	"time"

	"domain-secured/policy"
)

// escalation turns what was refused for now into what is refused for good, when
// the same partner was refused from the same address for the same reason for as
// long as escalate_after says, without a pass in between: people get a bounce
// then instead of silence.
type escalation struct {
	mu    sync.Mutex
	since map[source]failing
}

type source struct {
	entry  string
	client netip.Addr
}

type failing struct {
	reason      policy.Reason
	first, last time.Time
}

const (
	// maxFailing bounds what is remembered. When it is full, nothing new escalates.
	maxFailing = 10_000
	// failingTime is how long a source is remembered that is not heard of again:
	// mail servers give up after five days (RFC 5321 section 4.5.4.1).
	failingTime = 7 * 24 * time.Hour
)

func newEscalation() *escalation { return &escalation{since: make(map[source]failing)} }

// escalate notes the verdict, and makes it permanent if it is time. It reports
// whether it did.
func (e *escalation) escalate(f *policy.Facts, v *policy.Verdict, now time.Time) bool {
	if v.Partner == nil || v.Partner.EscalateAfter == 0 {
		return false
	}
	from := source{v.Entry, f.Client.Addr()}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case v.Result == policy.ResultPass:
		delete(e.since, from)
		return false
	case v.Action != policy.ActionTempfail:
		return false
	}
	known, failed := e.since[from]
	if !failed || known.reason != v.Reason || now.Sub(known.last) > failingTime {
		known = failing{reason: v.Reason, first: now}
		if !failed && !e.room(now) {
			return false
		}
	}
	known.last = now
	e.since[from] = known
	return known.last.Sub(known.first) >= v.Partner.EscalateAfter && v.Escalate()
}

// room makes room for one more source by forgetting those not heard of for long.
func (e *escalation) room(now time.Time) bool {
	if len(e.since) < maxFailing {
		return true
	}
	for from, f := range e.since {
		if now.Sub(f.last) > failingTime {
			delete(e.since, from)
		}
	}
	return len(e.since) < maxFailing
}
