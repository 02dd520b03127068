package gate

import (
	"maps"
	"net/netip"
	"strings"
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
	since map[source]map[policy.Reason]failing
}

type source struct {
	entry  string
	client netip.Addr
}

type failing struct{ first, last time.Time }

const (
	// maxFailing bounds the sources that are remembered. When there are so many,
	// what comes from others does not escalate.
	maxFailing = 10_000
	// failingTime is how long a source is remembered that is not heard of again:
	// mail servers give up after five days (RFC 5321 section 4.5.4.1).
	failingTime = 7 * 24 * time.Hour
)

func newEscalation() *escalation {
	return &escalation{since: make(map[source]map[policy.Reason]failing)}
}

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
	reasons := e.since[from]
	if reasons == nil {
		if !e.room(now) {
			return false
		}
		reasons = make(map[policy.Reason]failing)
		from.entry = strings.Clone(from.entry) // not the whole list that it is a part of
		e.since[from] = reasons
	}
	known, failed := reasons[v.Reason]
	if !failed || now.Sub(known.last) > failingTime {
		known.first = now
	}
	known.last = now
	reasons[v.Reason] = known
	return known.last.Sub(known.first) >= v.Partner.EscalateAfter && v.Escalate()
}

// room makes room for one more source by forgetting those not heard of for long.
func (e *escalation) room(now time.Time) bool {
	if len(e.since) < maxFailing {
		return true
	}
	for from, reasons := range e.since {
		maps.DeleteFunc(reasons, func(_ policy.Reason, f failing) bool { return now.Sub(f.last) > failingTime })
		if len(reasons) == 0 {
			delete(e.since, from)
		}
	}
	return len(e.since) < maxFailing
}
