package gate

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"domain-secured/internal/partner"
	"domain-secured/internal/trust"
	"domain-secured/internal/trust/revocation"
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
	lookout  atomic.Pointer[Lookout]            // nil: partners are not looked at
	dane     atomic.Pointer[partner.DANE]       // nil: the DNS is not asked
	checker  atomic.Pointer[revocation.Checker] // nil: nobody is asked about revocation
	records  *memory[message, record]
	reported *memory[string, report]
	failures *escalation
	counts   counts

	attending atomic.Int64 // connections that hear messages to their end
	sweeping  atomic.Bool  // a look for records that nobody took is due
}

var _ policy.Judge = (*Gate)(nil)

// New returns a gate. The store is only read from, until [Gate.LookOut].
func New(s *policy.Snapshot, store *trust.Store, clock func() time.Time, log *slog.Logger) *Gate {
	g := &Gate{
		evidence: newEvidence(store),
		clock:    clock,
		log:      log,
		verdicts: newVerdictLog(log),
		records:  newMemory[message, record](maxRecords, recordTime),
		reported: newMemory[string, report](maxRecords, recordTime),
		failures: newEscalation(),
	}
	g.evidence.dane, g.evidence.checker = &g.dane, &g.checker
	g.snapshot.Store(s)
	return g
}

// Replace makes s the snapshot for what is judged from now on.
func (g *Gate) Replace(s *policy.Snapshot) { g.snapshot.Store(s) }

// Snapshot returns the one that holds now.
func (g *Gate) Snapshot() *policy.Snapshot { return g.snapshot.Load() }

// Envelope judges a transaction, and acts on what was decided. Who hears the
// message to its end takes over what was decided about it before.
func (g *Gate) Envelope(f *policy.Facts) policy.Verdict {
	if f.ToEnd {
		if v, known := g.recall(f); known {
			return v
		}
	}
	s := g.snapshot.Load()
	sender, ok := g.look(s, f)
	if ok && !sender.Listed() {
		v := s.NoOpinion()
		g.passOn(f, &v)
		return v
	}
	now := g.clock()
	v := g.decide(s, f, &sender, ok, now)
	escalated := g.failures.escalate(f, &v, now)
	if v.Refused() {
		g.forget(f) // it may have been let go on at an earlier command
		g.report(f, &v, said{escalated: escalated}, now)
	} else {
		g.passOn(f, &v)
	}
	g.learn(f, &v, now)
	return v
}

// Content decides about the end of a message, and acts on it.
func (g *Gate) Content(f *policy.Facts, v *policy.Verdict, from *policy.From) policy.Ending {
	now := g.clock()
	end := g.conclude(f, v, from, now)
	escalated := g.failures.escalate(f, &end.Verdict, now)
	g.finish(f, &end.Verdict, said{escalated: escalated, stamped: end.Stamp != ""}, now)
	g.learn(f, &end.Verdict, now)
	return end
}

// Abandoned is told of a message that was judged, not refused, and then given up
// before its end.
func (g *Gate) Abandoned(f *policy.Facts, v *policy.Verdict) {
	now := g.clock()
	if _, said := g.reported.get(f.Instance, now); said {
		return // as by a policy service that was asked once more, and refused it
	}
	g.finish(f, v, said{}, g.clock())
}

// finish reports a message that no door will ask about again.
func (g *Gate) finish(f *policy.Facts, v *policy.Verdict, also said, now time.Time) {
	g.forget(f) // of a policy service that was asked once more
	g.report(f, v, also, now)
}

// look asks first whether there is anything to judge: most mail is not of a
// listed domain, and is let off without further cost.
func (g *Gate) look(s *policy.Snapshot, f *policy.Facts) (sender policy.Sender, ok bool) {
	defer g.survive()
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

// conclude decides about the end of a message without any effect. After a panic
// a message of a listed sender waits, and any other goes on without a stamp.
func (g *Gate) conclude(f *policy.Facts, v *policy.Verdict, from *policy.From, now time.Time) (end policy.Ending) {
	defer func() {
		if r := recover(); r != nil {
			g.logPanic(r)
			end = policy.Ending{Verdict: g.snapshot.Load().InternalFailure(f, "a panic while judging the content, see the log")}
		}
	}()
	return v.Content(context.Background(), f, from, g.evidence.until(time.Now().Add(waitTime)), now)
}

// Explain decides about a transaction at the given time without any effect, and
// returns the outcome of every row of the table. presented, if not nil, is
// judged as if it were imported into the store, beside what is there. The DNS is asked only after [Gate.AskDNS].
func (g *Gate) Explain(ctx context.Context, f *policy.Facts, presented *policy.Certificate, at time.Time) (policy.Verdict, []policy.Explanation) {
	e := g.evidence.until(time.Now().Add(waitTime))
	e.presented, e.explains = g.asImported(presented), true
	return g.snapshot.Load().Explain(ctx, f, e, at)
}
