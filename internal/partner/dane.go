package partner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	minKept     = time.Minute // whatever the TTL says
	maxKept     = time.Hour
	failedKept  = time.Minute      // it is asked for with each message
	lookUpLimit = 10 * time.Second // for all questions about a partner
	maxPartners = 1000             // in memory
	lookUps     = 8                // partners at the same time
	hostLookUps = 4                // hosts of a partner at the same time
	maxWaiting  = 8                // calls that wait for an answer: each holds up a mail server's process
)

// DANE knows the TLSA records of partners' hosts, and remembers them as long as
// the DNS allows: a minute at least, an hour at most, failures a minute. At most
// 1000 partners are remembered. Its methods may be called at the same time.
type DANE struct {
	resolver *Resolver
	complain func(error)
	now      func() time.Time

	ctx     context.Context
	cancel  context.CancelFunc
	slots   chan struct{}
	waiting chan struct{}
	work    sync.WaitGroup

	mu    sync.Mutex
	known map[string]*partnerTLSA
}

// partnerTLSA is the answer for one partner, complete once done is closed.
type partnerTLSA struct {
	done  chan struct{}
	hosts []hostTLSA
	// insecure: DNSSEC does not prove the MX records, or something of a host.
	insecure bool
	err      error
	expires  time.Time
}

// NewDANE returns a memory that asks r. complain is told of faults of our own. It
// is to be closed.
func NewDANE(r *Resolver, complain func(error)) *DANE {
	ctx, cancel := context.WithCancel(context.Background())
	return &DANE{
		resolver: r, complain: complain, now: time.Now, ctx: ctx, cancel: cancel,
		slots: make(chan struct{}, lookUps), waiting: make(chan struct{}, maxWaiting), known: make(map[string]*partnerTLSA),
	}
}

// Close ends what is under way and waits for it. Match then fails.
func (d *DANE) Close() {
	d.mu.Lock()
	d.cancel()
	d.mu.Unlock()
	d.work.Wait()
}

// Match reports whether a TLSA record of a host that takes the domain's mail names
// the certificate: usage 3, at _25._tcp.HOST or _smtp-client.HOST. If DNSSEC does not
// prove the MX records, every host's address and every answer for TLSA records, each
// with its CNAMEs, the partner has no DANE, which is no match; so is there being no
// records. The error is for DNS that failed or is bogus where the other answers have
// no match, for ctx ending first, or for eight calls waiting already: then the
// look-up goes on and is remembered.
func (d *DANE) Match(ctx context.Context, domain string, s Subject) (bool, error) {
	name, err := cleanName(domain)
	if err != nil {
		return false, err
	}
	p, err := d.partner(name)
	if err != nil {
		return false, err
	}
	if p.complete() {
		return p.match(s)
	}
	select {
	case d.waiting <- struct{}{}:
		defer func() { <-d.waiting }()
	default:
		return false, fmt.Errorf("TLSA records of %s: %w: %w", name, ErrFailed, errManyWait)
	}
	select {
	case <-p.done:
		return p.match(s)
	case <-ctx.Done():
		return false, fmt.Errorf("TLSA records of %s: %w in time: %w", name, ErrFailed, context.Cause(ctx))
	}
}

func (p *partnerTLSA) match(s Subject) (bool, error) {
	if p.insecure {
		return false, nil
	}
	for _, h := range p.hosts {
		if h.matches(s) {
			return true, nil
		}
	}
	return false, p.err
}

var (
	errBusy     = errors.New("too many partners' TLSA records are being looked up")
	errManyWait = errors.New("they are being looked up, and many messages wait for that already")
)

// partner returns what is known, or what is being found out.
func (d *DANE) partner(name string) (*partnerTLSA, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx.Err() != nil {
		return nil, fmt.Errorf("TLSA records of %s: %w: shutting down", name, ErrFailed)
	}
	now := d.now()
	if p := d.known[name]; p != nil && (!p.complete() || now.Before(p.expires)) {
		return p, nil
	}
	delete(d.known, name)
	if !d.makeRoom(now) {
		return nil, fmt.Errorf("TLSA records of %s: %w: %w", name, ErrFailed, errBusy)
	}
	p := &partnerTLSA{done: make(chan struct{})}
	d.known[name] = p
	d.work.Go(func() { d.lookUp(name, p) })
	return p, nil
}

func (p *partnerTLSA) complete() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// makeRoom forgets what has expired, or else what will first, if memory is full.
func (d *DANE) makeRoom(now time.Time) bool {
	if len(d.known) < maxPartners {
		return true
	}
	first := ""
	for name, p := range d.known {
		switch {
		case !p.complete():
		case !now.Before(p.expires):
			delete(d.known, name)
		case first == "" || p.expires.Before(d.known[first].expires):
			first = name
		}
	}
	if len(d.known) >= maxPartners && first != "" {
		delete(d.known, first)
	}
	return len(d.known) < maxPartners
}

// lookUp completes p.
func (d *DANE) lookUp(name string, p *partnerTLSA) {
	defer close(p.done)
	ctx, cancel := context.WithTimeout(d.ctx, lookUpLimit)
	defer cancel()
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done(): // which says nothing about the partner, and is not kept
		p.err, p.expires = fmt.Errorf("TLSA records of %s: %w: %w", name, ErrFailed, errBusy), d.now()
		return
	}
	defer func() { <-d.slots }()
	ttl := time.Duration(0)
	if err := guard(func() { ttl = p.find(ctx, d.resolver, name) }); err != nil {
		d.complain(fmt.Errorf("TLSA records of %s: %w", name, err))
		p.err = fmt.Errorf("TLSA records of %s: %w: %w", name, ErrFailed, errFault)
	}
	kept := min(max(ttl, minKept), maxKept)
	if p.err != nil {
		kept = failedKept
	}
	p.expires = d.now().Add(kept)
}

// find asks all the questions about a partner, and returns how long the answers
// may be kept.
func (p *partnerTLSA) find(ctx context.Context, r *Resolver, name string) time.Duration {
	hosts, a, err := r.mx(ctx, name)
	switch {
	case err != nil && !isAnswer(err):
		p.err = err
		return 0
	case !a.secure:
		p.insecure = true
		return a.ttl
	}
	p.hosts = make([]hostTLSA, len(hosts))
	each(hostLookUps, len(hosts), func(i int) { p.hosts[i] = r.hostTLSA(ctx, hosts[i].Host) })
	ttl := a.ttl
	for _, h := range p.hosts {
		ttl = min(ttl, h.ttl)
		p.insecure = p.insecure || h.status == TLSAInsecure
		if h.status == TLSAFailed {
			p.err = h.err
		}
	}
	if p.insecure {
		p.err = nil
	}
	return ttl
}
