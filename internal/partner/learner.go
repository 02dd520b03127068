package partner

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	lookInterval  = time.Minute        // between two looks at the same partner
	lookTimeLimit = 15 * time.Second   // for one
	looks         = 8                  // at the same time
	maxLearning   = 1000               // partners in memory
	maxWanted     = maxPendingOfDomain // certificates of a partner in one look
)

// LearnerConfig is what a [Learner] is made of. All fields are needed.
type LearnerConfig struct {
	// Look looks at a partner, given the list entry and the addresses of clients
	// that came as it lately, until ctx ends.
	Look func(ctx context.Context, domain string, clients []netip.Addr) *Report
	// Found is told of a look for each certificate that was wanted then, be it found
	// or not ([Report.Chain] says). It runs beside others and may take its time.
	Found func(domain string, wanted Fingerprint, r *Report)
	// Pending gets what was wanted. Found clears it of what it has stored. It is
	// closed by whoever opened it, after the learner.
	Pending *Pending
}

// Learner looks at partners whose certificate nobody knows: at each at most once
// a minute, at eight at the same time, for 15 seconds each. Its methods may be
// called at the same time.
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
	began   time.Time   // the last look, zero before the first
	due     *time.Timer // the next look, nil if there is none
	running bool
	wanted  []Fingerprint
	clients []netip.Addr
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
// many partners or certificates wait already, this one has to come again.
func (l *Learner) Queue(domain string, wanted Fingerprint, client netip.Addr) {
	l.config.Pending.Add(domain, wanted, client)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	now := time.Now()
	p := l.learning[domain]
	if p == nil {
		if !l.makeRoom(now) {
			return
		}
		p = new(partnerLook)
		l.learning[domain] = p
	}
	if !slices.Contains(p.wanted, wanted) && len(p.wanted) < maxWanted {
		p.wanted = append(p.wanted, wanted)
	}
	p.addClient(client.Unmap())
	if !p.running && p.due == nil {
		l.schedule(domain, p, now)
	}
}

// addClient keeps the last ones.
func (p *partnerLook) addClient(client netip.Addr) {
	if !client.IsValid() || slices.Contains(p.clients, client) {
		return
	}
	p.clients = append(p.clients, client)
	if len(p.clients) > maxClients {
		p.clients = p.clients[1:]
	}
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

	ctx, cancel := context.WithTimeout(l.ctx, lookTimeLimit)
	report := l.config.Look(ctx, domain, clients)
	cancel()

	l.mu.Lock()
	closed := l.closed
	wanted := p.wanted // with what came while it was looked at
	p.wanted, p.running = nil, false
	l.mu.Unlock()
	if closed {
		return
	}
	for _, certificate := range wanted {
		l.config.Found(domain, certificate, report)
	}
}

// Close ends what is under way and waits for it. Queue then only adds to what is
// pending.
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
