package gate

import (
	"net/netip"
	"strings"
	"time"

	"domain-secured/policy"
)

const (
	maxRecords = 10_000
	recordTime = 10 * time.Minute
	// patience is how long a record may wait before what it says is reported: the
	// milter asks as soon as Postfix has asked its other policy services.
	patience = 10 * time.Second
)

// message is what tells one message in hand from another. A queue id alone is
// that of another message, if it came from another client.
type message struct {
	queueID string
	client  netip.AddrPort
}

// record is what the policy door heard about a message, and what was decided:
// the milter, which never hears of fingerprints, takes it over.
type record struct {
	facts    policy.Facts
	verdict  policy.Verdict
	reported bool
}

// Attend tells that an MTA has connected that hears messages to their end. Leave
// tells that it has gone.
func (g *Gate) Attend() { g.attending.Add(1) }

// Leave ends what [Gate.Attend] began.
func (g *Gate) Leave() { g.attending.Add(-1) }

// passOn has the verdict on a message that may go on reach who hears its end and
// reports then. Where nobody does, it is reported now. An MTA connects to a milter
// before it asks a policy service, so that there is none is certain; whether one
// of those there are hears of this message, the time will tell.
func (g *Gate) passOn(f *policy.Facts, v *policy.Verdict) {
	switch {
	case f.ToEnd:
	case g.attending.Load() == 0, v.Listed && f.QueueID == "":
		g.report(f, v, said{}, g.clock())
	case v.Listed, f.QueueID != "" && f.TLSVersion != "" && g.snapshot.Load().JudgesFrom():
		// Of a message without a verdict, the From header may ask for one.
		g.remember(f, v, g.clock())
	}
}

func (g *Gate) remember(f *policy.Facts, v *policy.Verdict, now time.Time) {
	r := record{facts: *f, verdict: *v}
	if len(f.Sender) > len(clip(f.Sender)) { // no address is so long
		r.facts.Sender, r.verdict.Domain = strings.Clone(clip(f.Sender)), strings.Clone(clip(v.Domain))
	}
	g.records.keep(message{f.QueueID, f.Client}, r, now, func(r record) { g.reportLeft(&r, now) })
	if !g.sweeping.Swap(true) {
		time.AfterFunc(patience, func() { g.sweep(patience) })
	}
}

// recall takes over what the policy door heard of a message. The facts get what
// only that door knows. It reports whether a verdict was among it.
func (g *Gate) recall(f *policy.Facts) (policy.Verdict, bool) {
	if f.QueueID == "" {
		return policy.Verdict{}, false
	}
	r, known := g.records.take(message{f.QueueID, f.Client}, g.clock())
	if !known {
		return policy.Verdict{}, false
	}
	f.Instance = r.facts.Instance
	f.TLSVersion, f.Cipher, f.Bits, f.Certificate = r.facts.TLSVersion, r.facts.Cipher, r.facts.Bits, r.facts.Certificate
	return r.verdict, r.verdict.Listed
}

// forget drops the record of a message that has been decided about.
func (g *Gate) forget(f *policy.Facts) {
	if f.QueueID != "" {
		g.records.take(message{f.QueueID, f.Client}, g.clock())
	}
}

// sweep reports what nobody has taken over for so long: an MTA without a milter
// beside one with.
func (g *Gate) sweep(age time.Duration) {
	g.sweeping.Store(false)
	now := g.clock()
	remain := g.records.older(now.Add(-age), now, func(r *record) { g.reportLeft(r, now) })
	if remain && age > 0 && !g.sweeping.Swap(true) {
		time.AfterFunc(age, func() { g.sweep(age) })
	}
}

// reportLeft reports a record that nobody has taken. What is not listed is left:
// it would be counted again when it is taken after all. A timer calls this: no door
// is there to survive a panic.
func (g *Gate) reportLeft(r *record, now time.Time) {
	if r.reported {
		return
	}
	r.reported = true
	defer g.survive()
	if r.verdict.Listed {
		g.report(&r.facts, &r.verdict, said{}, now)
	}
}

// Close reports what has not been reported yet. Nothing must be asked any more.
func (g *Gate) Close() { g.sweep(0) }
