package gate

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"domain-secured/internal/trust"
	"domain-secured/policy"
)

// waitTime bounds what a verdict may wait for, so that the answer is there within
// 4.5 s. Postfix waits 100 s by default, but an operator may set less, and every
// second holds up an smtpd(8) process.
const waitTime = 4 * time.Second

// Gate judges transactions by the current snapshot. It must be made by [New]; its
// methods may be called at the same time.
type Gate struct {
	snapshot atomic.Pointer[policy.Snapshot]
	evidence evidence
	clock    func() time.Time
	log      *slog.Logger

	verdicts *verdictLog
	records  *memory[string, record]
	reported *memory[string, report]
	failures *escalation
	counts   counts
}

var _ policy.Judge = (*Gate)(nil)

// New returns a gate. The store is read from, never written to.
func New(s *policy.Snapshot, store *trust.Store, clock func() time.Time, log *slog.Logger) *Gate {
	g := &Gate{
		evidence: newEvidence(store),
		clock:    clock,
		log:      log,
		verdicts: newVerdictLog(log),
		records:  newMemory[string, record](maxRecords, recordTime),
		reported: newMemory[string, report](maxRecords, recordTime),
		failures: newEscalation(),
	}
	g.snapshot.Store(s)
	return g
}

// Replace makes s the snapshot for what is judged from now on.
func (g *Gate) Replace(s *policy.Snapshot) { g.snapshot.Store(s) }

// Envelope judges a transaction, and acts on what was decided.
func (g *Gate) Envelope(f *policy.Facts) policy.Verdict {
	s := g.snapshot.Load()
	sender, ok := g.look(s, f)
	if ok && !sender.Listed() {
		g.counts.unlisted.Add(1)
		g.logUnlisted(f)
		return policy.Verdict{Result: policy.ResultNone, Action: policy.ActionNone}
	}
	now := g.clock()
	v := g.decide(s, f, &sender, ok, now)
	g.act(f, &v, now)
	return v
}

// look asks first whether there is anything to judge: most mail is not of a
// listed domain, and is let off without further cost.
func (g *Gate) look(s *policy.Snapshot, f *policy.Facts) (sender policy.Sender, ok bool) {
	defer func() {
		if r := recover(); r != nil {
			g.logPanic(r)
		}
	}()
	return s.Sender(f), true
}

// decide judges without any effect. A panic, here or before (not ok), is a fault
// of our own: a refusal for now if the sender's domain is listed, no opinion
// otherwise.
func (g *Gate) decide(s *policy.Snapshot, f *policy.Facts, sender *policy.Sender, ok bool, now time.Time) (v policy.Verdict) {
	defer func() {
		if r := recover(); r != nil {
			g.logPanic(r)
			v = s.InternalFailure(f, "a panic while judging, see the log")
		}
	}()
	if !ok {
		return s.InternalFailure(f, "a panic while looking up the sender, see the log")
	}
	return s.Judge(context.Background(), f, sender, g.evidence.until(time.Now().Add(waitTime)), now)
}

// act takes the consequences of a verdict on a listed sender.
func (g *Gate) act(f *policy.Facts, v *policy.Verdict, now time.Time) {
	escalated := g.failures.escalate(f, v, now)
	g.remember(f, v, now)
	if g.alreadyReported(f, v, now) {
		return
	}
	g.counts.add(v)
	g.verdicts.write(f, v, escalated, now)
}

// Explain decides about a transaction at the given time without any effect, and
// returns the outcome of every row of the table. presented, if not nil, is
// judged as if it were in the store.
func (g *Gate) Explain(ctx context.Context, f *policy.Facts, presented *policy.Certificate, at time.Time) (policy.Verdict, []policy.Explanation) {
	e := g.evidence.until(time.Now().Add(waitTime))
	e.presented = presented
	return g.snapshot.Load().Explain(ctx, f, e, at)
}
