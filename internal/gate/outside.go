package gate

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"domain-secured/internal/partner"
	"domain-secured/internal/trust"
	"domain-secured/policy"
)

// Outside is how a gate sees partners from outside.
type Outside struct {
	Resolver     *partner.Resolver
	Port         uint16 // of SMTP
	AllowPrivate bool   // look at addresses that are not global unicast
	Hello        string // for EHLO; "" is the address
}

// Lookout looks at partners for a gate: TLSA records for a verdict, and certificates
// that came with mail and are not in the store. Its methods may be called at the
// same time.
type Lookout struct {
	gate    *Gate
	pending *partner.Pending
	prober  *partner.Prober
	learner *partner.Learner
	learned learned
	view    atomic.Pointer[Outside] // nil: nothing can be looked at yet

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	endDNS func() // nil if the DNS is not asked yet
}

// LookOut has the gate look at partners from the first [Lookout.Use] on, until the
// lookout is closed. pending lists what could not be learned. It is closed by
// whoever opened it, afterwards.
func (g *Gate) LookOut(pending *partner.Pending) *Lookout {
	l := &Lookout{gate: g, pending: pending, prober: partner.NewProber()}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.learned = learned{gate: g, store: g.evidence.store, uses: make(map[trust.Fingerprint]use)}
	l.learner = partner.NewLearner(partner.LearnerConfig{Look: l.look, Found: l.found, Complain: g.complain})
	g.lookout.Store(l)
	l.work.Go(l.tidy)
	return l
}

// Use looks as o says from now on. Verdicts that wait for an answer of the DNS get
// it from the server that was asked.
func (l *Lookout) Use(o Outside) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	before := l.endDNS
	l.view.Store(&o)
	l.learner.Afresh()
	l.endDNS = l.gate.AskDNS(o.Resolver)
	if before == nil {
		return
	}
	l.work.Go(func() {
		select {
		case <-time.After(waitTime):
		case <-l.ctx.Done():
		}
		before()
	})
}

// Close ends what is under way and waits for it, also for the disk.
func (l *Lookout) Close() {
	l.mu.Lock()
	endDNS := l.endDNS
	l.closed, l.endDNS = true, nil
	l.mu.Unlock()
	l.gate.lookout.CompareAndSwap(l, nil)
	l.cancel()
	if endDNS != nil {
		endDNS()
	}
	l.learner.Close()
	l.work.Wait()
}

// AskDNS has TLSA records looked up with r from now on, until the function that is
// returned is called: verdicts that still wait for an answer then fail.
func (g *Gate) AskDNS(r *partner.Resolver) (end func()) {
	d := partner.NewDANE(r, g.complain)
	g.dane.Store(d)
	return func() {
		g.dane.CompareAndSwap(d, nil)
		d.Close()
	}
}

// complain says what must not happen, whatever strangers send.
func (g *Gate) complain(err error) {
	g.log.Error("a fault of domain-secured itself, please report it", "error", err)
}

// learn has the partner looked at whose certificate nobody knows; also if it was
// learned and leads to no root, for it may have been shown by somebody else, with
// other certificates than the partner shows with it.
func (g *Gate) learn(f *policy.Facts, v *policy.Verdict, now time.Time) {
	l := g.lookout.Load()
	if l == nil || v.Fingerprint.IsZero() {
		return
	}
	wanted, client := partner.Fingerprint(v.Fingerprint), f.Client.Addr()
	isLearned := l.learned.used(v, now)
	switch cause := v.Cause(); {
	case cause == policy.CertificateUnknown:
		l.pending.Add(v.Entry, wanted, client)
	case cause == policy.CertificateNotTrusted && isLearned:
	default:
		return
	}
	l.learner.Queue(v.Entry, wanted, client)
}

func (l *Lookout) look(ctx context.Context, domain string, clients []netip.Addr) *partner.Report {
	o := l.view.Load()
	if o == nil {
		return nil
	}
	p := l.gate.snapshot.Load().Partner(domain)
	return l.prober.Probe(ctx, partner.Target{Domain: domain, Hosts: p.ProbeHosts, Clients: clients}, partner.Options{
		Resolver: o.Resolver, Port: o.Port, AllowPrivate: o.AllowPrivate, Hello: o.Hello, EveryKey: true, Complain: l.gate.complain,
	})
}

// found stores of what a look showed the certificates that were wanted, whatever
// their faults: so the next attempt hears the real reason. Any other is kept only
// if it is good for the partner.
func (l *Lookout) found(ctx context.Context, domain string, wanted []partner.Fingerprint, r *partner.Report) {
	for _, shown := range byLeaf(r.Presented()) {
		leaf := shown[0][0].SHA256
		isWanted := slices.Contains(wanted, leaf)
		c, good := l.learned.best(ctx, domain, shown, r.Time)
		if ctx.Err() != nil {
			return
		}
		if !good && !isWanted {
			continue
		}
		stored, err := l.learned.keep(domain, c, good)
		switch {
		case errors.Is(err, errFull):
			l.gate.log.Warn("a partner's certificate was found, and is not stored", "domain", domain, "fingerprint", leaf.String(), "error", err)
		case err != nil:
			l.gate.log.Error("a partner's certificate was found, and cannot be stored", "domain", domain, "error", err)
		case stored:
			l.gate.log.Info("learned a partner's certificate", "domain", domain, "fingerprint", leaf.String(), "wanted", isWanted, "trusted", good)
		}
	}
	known := func(f partner.Fingerprint) bool { return l.learned.store.Has(trust.Fingerprint(f)) }
	l.pending.ClearKnown(known)
	var missing []string
	for _, f := range wanted {
		if !known(f) {
			missing = append(missing, f.String())
		}
	}
	if len(missing) > 0 {
		l.gate.log.Warn("certificates that came with a partner's mail were not found with its servers: ask for them, and cert import them",
			"domain", domain, "fingerprints", missing, "hosts", len(r.Hosts), "problem", string(r.Problem), "detail", clip(r.Detail))
	}
}

// byLeaf sorts chains by their first certificate, and keeps the order otherwise.
func byLeaf(chains [][]partner.Certificate) (sorted [][][]partner.Certificate) {
	place := make(map[partner.Fingerprint]int)
	for _, chain := range chains {
		at, known := place[chain[0].SHA256]
		if !known {
			at = len(sorted)
			place[chain[0].SHA256] = at
			sorted = append(sorted, nil)
		}
		sorted[at] = append(sorted[at], chain)
	}
	return sorted
}

// tidyInterval is how often what was learned is looked through.
const tidyInterval = time.Hour

// tidy keeps the store tidy until the lookout is closed.
func (l *Lookout) tidy() {
	for {
		l.tidyOnce()
		select {
		case <-time.After(tidyInterval):
		case <-l.ctx.Done():
			return
		}
	}
}

func (l *Lookout) tidyOnce() {
	defer l.gate.survive()
	expired, err := l.learned.tidy(l.ctx, l.gate.clock())
	if expired > 0 {
		l.gate.log.Info("learned certificates expired", "expired", expired)
	}
	if err = errors.Join(err, l.learned.store.RemoveLeftovers()); err != nil {
		l.gate.log.Error("tidying the certificate store", "error", err)
	}
}
