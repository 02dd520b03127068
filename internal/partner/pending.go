package partner

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	maxPending         = 1000 // in all
	maxPendingOfDomain = 100
	maxPendingOfClient = 10                  // of these
	pendingKept        = 30 * 24 * time.Hour // after it was last seen
	writeInterval      = time.Second
)

// Unknown is a certificate that came with a partner's mail and is not in the store.
type Unknown struct {
	Domain      string      `json:"domain"`      // the list entry
	Certificate Fingerprint `json:"certificate"` // its SHA-256
	Client      netip.Addr  `json:"client"`      // who presented it last
	FirstSeen   time.Time   `json:"first_seen"`  // in UTC, to the second
	LastSeen    time.Time   `json:"last_seen"`
	Count       int         `json:"count"` // how often, at least 1
}

// unknownKey: a certificate may come with mail of several partners.
type unknownKey struct {
	domain      string
	certificate Fingerprint
}

// Pending lists the certificates that nobody knows, so that an operator can ask
// for the right file: at most 1000, 100 of a domain, and 10 of these from one client, an
// address or a /64 of IPv6, for anybody can come as a partner. Of the client with the
// most, or first of the /48 of IPv6 with the most, those not seen for longest go first,
// and all after 30 days. It is kept in a file
// for other processes and the next start. Its methods may be called at the same time.
type Pending struct {
	path     string
	complain func(error)

	mu    sync.Mutex
	known map[unknownKey]*Unknown

	changed chan struct{} // holds one while the file is not up to date
	closing sync.Once
	quit    chan struct{}
	done    chan struct{}
}

// OpenPending reads the list at path and keeps it there from now on: written at
// most once a second, beside it and renamed. complain is told if there is a file
// that cannot be used, which leaves the list empty, and when writing fails, once
// until it has worked again; it may be called until [Pending.Close] returns.
func OpenPending(path string, complain func(error)) *Pending {
	p := &Pending{
		path: path, complain: complain, known: make(map[unknownKey]*Unknown),
		changed: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	list, err := ReadPending(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		complain(err)
	}
	for _, u := range list {
		p.known[unknownKey{u.Domain, u.Certificate}] = &u
	}
	go p.keep()
	return p
}

// Add counts a certificate that came with a domain's mail. domain is in lower
// case, without a final dot; what is no domain, and no certificate, is passed over.
func (p *Pending) Add(domain string, certificate Fingerprint, client netip.Addr) {
	if name, err := cleanName(domain); err != nil || name != domain || certificate.IsZero() {
		return
	}
	now := time.Now().UTC().Truncate(time.Second)
	key := unknownKey{domain, certificate}
	p.mu.Lock()
	defer p.mu.Unlock()
	client = client.Unmap().WithZone("")
	u := p.known[key]
	if u == nil {
		p.makeRoom(domain, origin(client), now)
		u = &Unknown{Domain: domain, Certificate: certificate, FirstSeen: now}
		p.known[key] = u
	}
	u.Client = client
	if now.After(u.LastSeen) { // clocks are set back now and then
		u.LastSeen = now
	}
	u.Count++
	p.notify()
}

// makeRoom drops what is old, and makes room for one more of a domain and a client.
func (p *Pending) makeRoom(domain string, client netip.Prefix, now time.Time) {
	ofDomain, ofClient := 0, 0
	for key, u := range p.known {
		switch {
		case now.Sub(u.LastSeen) > pendingKept:
			delete(p.known, key)
		case u.Domain == domain:
			ofDomain++
			if origin(u.Client) == client {
				ofClient++
			}
		}
	}
	switch {
	case ofClient >= maxPendingOfClient:
		p.dropOne(func(u *Unknown) bool { return u.Domain == domain && origin(u.Client) == client })
	case ofDomain >= maxPendingOfDomain:
		p.dropOne(func(u *Unknown) bool { return u.Domain == domain })
	case len(p.known) >= maxPending:
		p.dropOne(func(*Unknown) bool { return true })
	}
}

// dropOne drops one of those that among says yes to: of the site that has the most of
// them, of the client there that has, the one not seen for longest. So whoever comes gets
// a place, and keeps it beside one who comes with certificates without end.
func (p *Pending) dropOne(among func(*Unknown) bool) {
	type share struct {
		places int
		oldest *Unknown
	}
	var most share
	for _, from := range []func(netip.Addr) netip.Prefix{site, origin} {
		shares := make(map[netip.Prefix]share)
		for _, u := range p.known {
			if !among(u) {
				continue
			}
			s := shares[from(u.Client)]
			if s.places++; s.oldest == nil || u.LastSeen.Before(s.oldest.LastSeen) {
				s.oldest = u
			}
			shares[from(u.Client)] = s
		}
		most = share{}
		for _, s := range shares {
			if s.places > most.places || s.places == most.places && s.oldest.LastSeen.Before(most.oldest.LastSeen) {
				most = s
			}
		}
		all, whose := among, from(most.oldest.Client)
		among = func(u *Unknown) bool { return all(u) && from(u.Client) == whose }
	}
	delete(p.known, unknownKey{most.oldest.Domain, most.oldest.Certificate})
}

// site is what one who has many networks may have all of: an address, or of IPv6 a /48,
// the most that an end site is given (RFC 6177 section 2).
func site(client netip.Addr) netip.Prefix {
	if client.Is4() {
		return origin(client)
	}
	p, _ := client.Prefix(48)
	return p
}

// List returns what is pending, what was seen last first.
func (p *Pending) List() []Unknown {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]Unknown, 0, len(p.known))
	for _, u := range p.known {
		list = append(list, *u)
	}
	slices.SortFunc(list, func(a, b Unknown) int {
		return cmp.Or(b.LastSeen.Compare(a.LastSeen), cmp.Compare(a.Domain, b.Domain),
			slices.Compare(a.Certificate[:], b.Certificate[:]))
	})
	return list
}

// Clear drops a certificate from the list, for every domain: it is known now.
func (p *Pending) Clear(certificate Fingerprint) {
	p.ClearKnown(func(f Fingerprint) bool { return f == certificate })
}

// ClearKnown drops the certificates that known says yes to: others put files into
// the store, too. known may wait for a disk: no verdict waits for it.
func (p *Pending) ClearKnown(known func(Fingerprint) bool) {
	asked := make(map[Fingerprint]bool)
	for _, u := range p.List() {
		if _, already := asked[u.Certificate]; !already {
			asked[u.Certificate] = known(u.Certificate)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for key := range p.known {
		if asked[key.certificate] {
			delete(p.known, key)
			p.notify()
		}
	}
}

// notify has the list written.
func (p *Pending) notify() {
	select {
	case p.changed <- struct{}{}:
	default: // it will be already
	}
}

// Close writes what is not written yet, and ends. Further calls do nothing. What
// is added later is not written.
func (p *Pending) Close() {
	p.closing.Do(func() { close(p.quit) })
	<-p.done
}

// keep writes the list when it has changed, at most once in an interval.
func (p *Pending) keep() {
	defer close(p.done)
	failed := false
	for {
		select {
		case <-p.changed:
			failed = p.write(failed)
		case <-p.quit:
		}
		select {
		case <-time.After(writeInterval):
			continue
		case <-p.quit:
		}
		select {
		case <-p.changed:
			p.write(failed)
		default:
		}
		return
	}
}

// write reports whether it failed, as it may have before.
func (p *Pending) write(before bool) (failed bool) {
	var err error
	if fault := guard(func() { err = writePending(p.path, p.List()) }); fault != nil {
		err = fault
	}
	if err == nil {
		return false
	}
	if !before {
		p.complain(fmt.Errorf("writing the list of unknown certificates: %w", err))
	}
	p.notify()
	return true
}
