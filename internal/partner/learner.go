package partner

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	lookInterval  = time.Minute      // between two looks at the same partner
	lookTimeLimit = 15 * time.Second // for one
	looks         = 8                // at the same time
	maxLearning   = 5000             // partners in memory
	maxWanted     = 10               // certificates of a partner in one look, each from another client
	// looksOfClient are those that one client may cause in a minute: as many as end in
	// that time if he has each take as long as it may.
	looksOfClient = looks * int(lookInterval/lookTimeLimit)
)

// LearnerConfig is what a [Learner] is made of. All fields are needed.
type LearnerConfig struct {
	// Look looks at a partner, given the list entry and the addresses of clients
	// that came as it lately, until ctx ends.
	Look func(ctx context.Context, domain string, clients []netip.Addr) *Report
	// Found is told of a look once, with the certificates that were wanted then, be
	// they found or not. It runs beside others, and ends soon when ctx does.
	Found func(ctx context.Context, domain string, wanted []Fingerprint, r *Report)
	// Complain is told of faults of our own.
	Complain func(error)
}

// Learner looks at partners whose certificate nobody knows: at each at most once
// a minute, at eight at the same time, for 15 seconds each. A look is for at most
// ten certificates and four clients, and an address has one place among these: who
// presents one certificate after another crowds out nobody. Nor does who comes as one
// partner after another: he causes 32 looks a minute at most. Its methods may be called at
// the same time.
type Learner struct {
	config LearnerConfig
	ctx    context.Context
	cancel context.CancelFunc
	slots  chan struct{}
	work   sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	learning map[string]*partnerLook
}

// partnerLook is a look that is due, under way, or not long ago.
type partnerLook struct {
	by      netip.Prefix // who caused it
	began   time.Time    // the last look, zero before the first
	due     *time.Timer  // the next look, nil if there is none
	running bool
	wanted  []want
	clients []netip.Addr
}

// want is a certificate and who presented it.
type want struct {
	by          netip.Prefix
	certificate Fingerprint
}

// origin is what one client may have all of: an address, or of IPv6 the /64 that
// its host chooses addresses from (RFC 4291 section 2.5.1).
func origin(client netip.Addr) netip.Prefix {
	bits := 64
	if client.Is4() {
		bits = 32
	}
	p, _ := client.Prefix(bits) // without an address, none
	return p
}

// NewLearner returns a learner. It is to be closed.
func NewLearner(c LearnerConfig) *Learner {
	ctx, cancel := context.WithCancel(context.Background())
	return &Learner{
		config: c, ctx: ctx, cancel: cancel,
		slots: make(chan struct{}, looks), learning: make(map[string]*partnerLook),
	}
}

// Queue notes that a certificate is wanted which client presented with mail of a
// domain on the list, and has the partner looked at: now, or when a minute has
// passed since the last look. domain is the list entry. It does not wait. When too
// many partners or certificates wait already, or too many of the client, one has to come
// again.
func (l *Learner) Queue(domain string, wanted Fingerprint, client netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	now := time.Now()
	client = client.Unmap().WithZone("")
	p := l.learning[domain]
	begins := p == nil || !p.running && p.due == nil
	if begins && l.causes(origin(client), now) >= looksOfClient {
		return
	}
	if p == nil {
		if !l.makeRoom(now) {
			return
		}
		p = new(partnerLook)
		l.learning[domain] = p
	}
	p.add(wanted, client)
	if begins {
		p.by = origin(client)
		l.schedule(domain, p, now)
	}
}

// causes counts the looks that a client has caused lately. l.mu is held.
func (l *Learner) causes(by netip.Prefix, now time.Time) (n int) {
	for _, p := range l.learning {
		if p.by == by && (p.running || p.due != nil || now.Sub(p.began) < lookInterval) {
			n++
		}
	}
	return n
}

// add keeps the last ones, of each client one.
func (p *partnerLook) add(wanted Fingerprint, client netip.Addr) {
	by := origin(client)
	p.wanted = slices.DeleteFunc(p.wanted, func(w want) bool { return w.by == by })
	p.wanted = append(p.wanted[max(0, len(p.wanted)-maxWanted+1):], want{by, wanted})
	if !client.IsValid() {
		return
	}
	p.clients = slices.DeleteFunc(p.clients, func(c netip.Addr) bool { return origin(c) == by })
	p.clients = append(p.clients[max(0, len(p.clients)-maxClients+1):], client)
}

// takeWanted returns what is wanted, each certificate once, and forgets it.
func (p *partnerLook) takeWanted() (all []Fingerprint) {
	for _, w := range p.wanted {
		if !slices.Contains(all, w.certificate) {
			all = append(all, w.certificate)
		}
	}
	p.wanted = nil
	return all
}

// makeRoom forgets looks that are long enough ago. l.mu is held.
func (l *Learner) makeRoom(now time.Time) bool {
	if len(l.learning) < maxLearning {
		return true
	}
	for domain, p := range l.learning {
		if !p.running && p.due == nil && now.Sub(p.began) >= lookInterval {
			delete(l.learning, domain)
		}
	}
	return len(l.learning) < maxLearning
}

// schedule has the partner looked at when it may be. l.mu is held.
func (l *Learner) schedule(domain string, p *partnerLook, now time.Time) {
	l.work.Add(1)
	p.due = time.AfterFunc(lookInterval-min(now.Sub(p.began), lookInterval), func() {
		defer l.work.Done()
		l.look(domain, p)
	})
}

// look waits for its turn, looks, and tells what was found.
func (l *Learner) look(domain string, p *partnerLook) {
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-l.ctx.Done():
		return
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	p.due, p.running, p.began = nil, true, time.Now()
	clients := p.clients
	p.clients = nil
	l.mu.Unlock()

	var report *Report
	l.guard(domain, func() {
		ctx, cancel := context.WithTimeout(l.ctx, lookTimeLimit)
		defer cancel()
		report = l.config.Look(ctx, domain, clients)
	})

	l.mu.Lock()
	closed := l.closed
	wanted := p.takeWanted() // with what came while it was looked at
	p.running = false
	l.mu.Unlock()
	if !closed && report != nil {
		l.guard(domain, func() { l.config.Found(l.ctx, domain, wanted, report) })
	}
}

// guard has a panic end one look, and nothing else.
func (l *Learner) guard(domain string, do func()) {
	if err := guard(do); err != nil {
		l.config.Complain(fmt.Errorf("looking at the servers of %s: %w", domain, err))
	}
}

// Afresh forgets when partners were looked at: what is due is looked at now, and the
// next one at once. It is for when looking has become another thing.
func (l *Learner) Afresh() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.learning {
		p.began = time.Time{}
		if p.due != nil && p.due.Stop() {
			p.due.Reset(0)
		}
	}
}

// Close ends what is under way and waits for it. Queue then does nothing.
func (l *Learner) Close() {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		l.cancel()
		for _, p := range l.learning {
			if p.due != nil && p.due.Stop() {
				l.work.Done()
			}
		}
	}
	l.mu.Unlock()
	l.work.Wait()
}
