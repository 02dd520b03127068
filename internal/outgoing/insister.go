package outgoing

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"domain-secured/internal/gate"
	"domain-secured/internal/partner"
	"domain-secured/policy"
)

const (
	// waitTime bounds what a look-up may wait for: the answer is there within 4.5 s.
	waitTime = 4 * time.Second
	// lookTime bounds one look at a partner with the judging of what it shows. The
	// look-ups that wait for it are told to come again long before.
	lookTime = 30 * time.Second
	// goodTime is how long what was found good is answered.
	goodTime = 10 * time.Minute
	// retryTime is when something that failed is tried again.
	retryTime = 30 * time.Second

	atOnce    = 128   // answers that are being made
	sessions  = 64    // of SMTP, of all looks together
	maxKept   = 5_000 // destinations that are remembered
	maxName   = 1_024 // octets of their names: whatever mail could be sent to has fewer
	evictFrom = 16    // of so many the one has to go that was not asked for longest
)

// Why mail waits, besides the reasons of the rules and the problems of a look.
const (
	NotLookedAt = "not-looked-at-yet" // the first look takes longer than a look-up may
	NoPins      = "no-pins"           // send_verify is "pins", and the domain has none
	NoRootsFile = "no-roots-file"     // the partner's roots cannot be given to the mail server
	NoServer    = "no-server"         // nothing was to be seen of any server
)

// Settings say what is insisted on, and how it is found out. They are immutable.
type Settings struct {
	Snapshot *policy.Snapshot
	// Outside is how partners are looked at; nil or without a resolver: not at all. As
	// long as it is the same one, what was seen stays.
	Outside *gate.Outside
	Bundles Bundles

	number uint64 // counts from 1; of [Insister.Use]
}

// Insister answers a door. It must be made by [New]; its methods may be called at the
// same time.
type Insister struct {
	settings  atomic.Pointer[Settings]
	used      atomic.Uint64 // how often there were others
	inspector *gate.Inspector
	prober    *partner.Prober
	log       *slog.Logger
	clock     func() time.Time
	goodTime  time.Duration
	slots     chan struct{}
	counts    counts

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu           sync.RWMutex
	closed       bool
	destinations map[key]*destination
}

var _ policy.Insister = (*Insister)(nil)

// New returns an insister that has certificates judged by g. It is to be closed.
func New(g *gate.Gate, s Settings, clock func() time.Time, log *slog.Logger) *Insister {
	i := &Insister{
		inspector: g.Inspector(nil), prober: partner.NewProberOf(sessions), log: log, clock: clock, goodTime: goodTime,
		slots: make(chan struct{}, atOnce), destinations: make(map[key]*destination),
	}
	i.ctx, i.cancel = context.WithCancel(context.Background())
	i.Use(s)
	return i
}

// Use answers by s from now on. What is remembered is judged anew by it. The gate must
// have its snapshot already.
func (i *Insister) Use(s Settings) {
	s.number = i.used.Add(1)
	before := i.settings.Swap(&s)
	if s.Bundles.Keep {
		return
	}
	if err := s.Bundles.tidy(s.Snapshot, before); err != nil {
		i.log.Warn("removing files of root certificates that nobody needs any more", "error", err)
	}
	if err := s.Bundles.prepare(s.Snapshot); err != nil {
		i.log.Warn("mail to partners with roots of their own waits", "reason", NoRootsFile, "error", err)
	}
}

// Close ends what is under way and waits for it.
func (i *Insister) Close() {
	i.mu.Lock()
	i.closed = true
	i.mu.Unlock()
	i.cancel()
	i.work.Wait()
	i.inspector.Close()
}

// key is a destination as it is remembered.
type key struct {
	name string // as domains are compared
	host bool
	port uint16
}

// Insist answers a look-up.
func (i *Insister) Insist(d policy.Destination) (demand *policy.Demand) {
	defer func() {
		if r := recover(); r != nil {
			i.log.Error("panic while deciding what to insist on", "panic", r, "stack", string(debug.Stack()))
			demand = faulty()
			i.counts.waiting(demand.Wait).Add(1)
		}
	}()
	var late *time.Timer // runs from when there is something to wait for
	for {
		s := i.settings.Load()
		domain, entry := s.Snapshot.SendingTo(d.Name)
		if entry == "" {
			i.counts.unlisted.Add(1)
			return nil
		}
		p := s.Snapshot.Partner(entry)
		switch {
		case p.Mode == policy.ModeOff:
			i.counts.off.Add(1)
			return nil
		case len(domain) <= maxName:
		case p.Mode == policy.ModeTesting:
			i.counts.testing.Add(1)
			return nil
		default:
			a := i.refusal(wait(string(partner.BadName), fmt.Sprintf("it has %d octets", len(domain))))
			a.counted.Add(1)
			return a.demand
		}
		now := i.clock()
		t := i.destination(key{domain, d.Host, d.Port}, now)
		a := t.answer.Load()
		if a == nil || a.settings != s.number || !now.Before(a.ages) {
			i.prepare(t) // before somebody has to wait for it
		}
		if p.Mode == policy.ModeTesting {
			i.counts.testing.Add(1)
			return nil
		}
		if a != nil && a.settings == s.number && now.Before(a.due) {
			a.counted.Add(1)
			return a.demand
		}
		if late == nil {
			late = time.NewTimer(waitTime)
			defer late.Stop()
		}
		if a := i.await(t, s, late.C); a != nil {
			a.counted.Add(1)
			return a.demand
		}
		// The settings are others now.
	}
}

// await waits for an answer by these settings, until it is late. It returns nil if the one
// that was made is by others.
func (i *Insister) await(t *destination, s *Settings, late <-chan time.Time) *answer {
	select {
	case <-i.prepare(t):
		a := t.answer.Load()
		if a != nil && a.settings == s.number {
			return a
		}
		if i.ctx.Err() == nil {
			return nil
		}
	case <-i.ctx.Done():
	case <-late:
		if a := t.answer.Load(); a != nil && a.settings == s.number && a.demand.Wait == "" && i.clock().Before(a.until) {
			return a
		}
	}
	return i.refusal(wait(NotLookedAt, "come again: the servers of "+t.name+" are being looked at"))
}

// prepare has an answer made, and returns what is closed when there is one. If one is being
// made already, what is known so far is judged again, by settings that may have changed.
func (i *Insister) prepare(t *destination) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.making != nil {
		if a := t.answer.Load(); a == nil || a.settings != i.settings.Load().number {
			select {
			case t.again <- struct{}{}:
			default: // that is known already
			}
		}
		return t.making
	}
	made := make(chan struct{})
	i.mu.RLock()
	defer i.mu.RUnlock()
	if i.closed {
		close(made)
		return made
	}
	t.making = made
	i.work.Go(func() {
		defer func() {
			t.mu.Lock()
			t.making = nil
			t.mu.Unlock()
			close(made)
		}()
		select {
		case i.slots <- struct{}{}:
			defer func() { <-i.slots }()
		case <-i.ctx.Done():
			return
		}
		// Of more than there is room for, those that were forgotten meanwhile do not
		// take the time of the others.
		if i.remembers(t) {
			i.make(t)
		}
	})
	return made
}

// destination returns what is remembered of a destination.
func (i *Insister) destination(k key, now time.Time) *destination {
	i.mu.RLock()
	t := i.destinations[k]
	i.mu.RUnlock()
	if t == nil {
		i.mu.Lock()
		defer i.mu.Unlock()
		if t = i.destinations[k]; t == nil {
			k.name = strings.Clone(k.name) // not the request that it is a part of
			t = &destination{key: k, again: make(chan struct{}, 1)}
			i.makeRoom()
			i.destinations[k] = t
		}
	}
	if second := now.Unix(); t.asked.Load() != second {
		t.asked.Store(second)
	}
	return t
}

func (i *Insister) remembers(t *destination) bool {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.destinations[t.key] == t
}

// makeRoom forgets, if there are too many, of some destinations the one that was not
// asked for longest. i.mu is held.
func (i *Insister) makeRoom() {
	if len(i.destinations) < maxKept {
		return
	}
	var oldest *destination
	looked := 0
	for _, t := range i.destinations { // in no order
		if oldest == nil || t.asked.Load() < oldest.asked.Load() {
			oldest = t
		}
		if looked++; looked == evictFrom {
			break
		}
	}
	delete(i.destinations, oldest.key)
}
