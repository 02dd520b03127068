package maillog

import (
	"cmp"
	"fmt"
	"maps"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

// Limits of what is remembered. What exceeds them is counted in sums only.
const (
	maxPartners   = 10_000 // domains with counts of their own
	maxText       = 200    // octets of what is quoted from the log
	maxProcesses  = 1_000  // delivery agents, which end after some 100 messages
	maxPeers      = 16     // servers that one of them has seen
	maxDeferred   = 20_000 // messages of a domain that wait
	maxRecipients = 100    // of one of those
	// deferredTime is how long a message counts as deferred that the log does not
	// mention: Postfix tries again within maximal_backoff_time, 4000 s by default.
	deferredTime = 24 * time.Hour
)

// Ledger counts what the log says about mail to listed domains. It must be made by
// [NewLedger]; its methods may be called at the same time.
type Ledger struct {
	entry    func(domain string) string
	clock    func() time.Time
	complain func(error)

	mu        sync.Mutex
	faulty    bool // has been complained of
	lines     uint64
	unparsed  uint64
	last      time.Time
	partners  map[string]*Counts
	others    Counts // of those that there was no more room for
	agents    map[agent]*session
	deferrals deferrals
	named     int // messages that postsuper(1) has removed and named
}

// NewLedger returns an empty one. entry returns the list entry that covers a domain
// as it stands in an address, "" for one that is not listed. complain is told of the
// first fault of our own.
func NewLedger(entry func(domain string) string, clock func() time.Time, complain func(error)) *Ledger {
	return &Ledger{
		entry: entry, clock: clock, complain: complain,
		partners: make(map[string]*Counts), agents: make(map[agent]*session), deferrals: newDeferrals(),
	}
}

// Counts are of mail to one domain of the send list.
type Counts struct {
	Secured   uint64 // messages sent over a session that was authenticated
	Unsecured uint64 // sent, and the log says that the session was not
	Unknown   uint64 // sent, and the log does not say over what
	Failures  map[Cause]uint64
	Deferred  int       // messages that wait now, for whatever reason
	Since     time.Time // the oldest of them has been deferred since, as far as the log was read
	LastSent  Event     // secured or not
	LastFail  Event     // of a session
}

// Event is one that was logged. The zero value is none.
type Event struct {
	Time    time.Time
	QueueID string
	Relay   string
	Cause   Cause
	Text    string // as Postfix logged it, printable
}

// Summary is what a ledger has so far.
type Summary struct {
	Lines    uint64 // that were read
	Unparsed uint64 // of them, those that could not be
	Last     time.Time
	Partners map[string]Counts // by list entry
	Others   Counts
}

// agent is one process of a delivery agent.
type agent struct {
	host, tag string
	pid       int
}

// session is what a delivery agent said lately.
type session struct {
	used  uint64 // number of the line
	peers map[string]*peer
	why   string // a certificate was not verified, by the last word on one

	// The message in hand, and what counts once of it.
	queueID string
	given   []event         // up: sessions with hosts that were left for others
	ended   string          // why the certificate was not verified at last
	counted map[string]bool // what was, of which entry
}

// peer is a session with a server.
type peer struct {
	verified bool
	queueID  string // of the message that went over it, "" for none yet
}

// Line takes the next line of the log, without its line end. A line that nobody can
// read is counted.
func (l *Ledger) Line(text string) {
	now := l.clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.survive()
	l.lines++
	parsed, ok := parseLine(text, now)
	if !ok {
		l.unparsed++
		return
	}
	l.last = parsed.time
	e := parseEvent(parsed.program, parsed.text)
	switch e.kind {
	case garbled:
		l.unparsed++
	case gone:
		l.deferrals.gone(e.queueID)
		if parsed.program == "postsuper" {
			l.named++
		}
	case swept:
		if e.swept > l.named { // nobody says which: those that still wait are tried again
			l.deferrals = newDeferrals()
		}
		l.named = 0
	case handshake, unproven, failed, delivered:
		s := l.session(agent{strings.Clone(parsed.host), strings.Clone(parsed.tag), parsed.pid})
		s.take(&e)
		if e.kind == delivered {
			l.delivered(s, &e, parsed.time, now)
		}
	}
}

// survive ends a panic over what strangers had logged, if it is deferred: the line is
// one that cannot be read. l.mu is held.
func (l *Ledger) survive() {
	r := recover()
	if r == nil {
		return
	}
	l.unparsed++
	if !l.faulty {
		l.faulty = true
		l.complain(fmt.Errorf("reading a line of the mail log: panic: %v\n%s", r, debug.Stack()))
	}
}

// session returns what an agent said lately.
func (l *Ledger) session(a agent) *session {
	s := l.agents[a]
	if s == nil {
		if len(l.agents) >= maxProcesses {
			const long = 10 * maxProcesses // in lines
			maps.DeleteFunc(l.agents, func(_ agent, s *session) bool { return l.lines-s.used > long })
		}
		if len(l.agents) >= maxProcesses {
			clear(l.agents)
		}
		s = &session{peers: make(map[string]*peer)}
		l.agents[a] = s
	}
	s.used = l.lines
	return s
}

// take notes what does not depend on the recipient.
func (s *session) take(e *event) {
	switch e.kind {
	case handshake:
		if len(s.peers) >= maxPeers {
			clear(s.peers)
		}
		s.peers[strings.Clone(e.peer)] = &peer{verified: e.verified}
	case unproven:
		s.why = quote(e.why)
	case failed, delivered:
		if s.queueID != e.queueID {
			s.queueID, s.given, s.ended, s.counted = strings.Clone(e.queueID), nil, "", make(map[string]bool)
		}
		if e.kind == delivered {
			s.ended = cmp.Or(s.why, s.ended)
		} else if len(s.given) < maxPeers {
			s.given = append(s.given, event{why: quote(e.why), cause: causeOf(e.why, s.why)})
		}
		s.why = ""
	}
}

// over returns the session that the message in hand went over, nil if the log does
// not tell of one.
func (s *session) over(relay string) *peer {
	p := s.peers[relay]
	if p == nil || p.queueID != "" && p.queueID != s.queueID {
		return nil // or one of an earlier message
	}
	p.queueID = s.queueID
	return p
}

// once reports whether something has not been counted yet of an entry: recipients of
// one message have a line each, and are one message.
func (s *session) once(what, entry string) bool {
	key := what + " " + entry
	if s.counted[key] || len(s.counted) >= maxRecipients {
		return false
	}
	s.counted[key] = true
	return true
}

// delivered counts what became of one recipient.
func (l *Ledger) delivered(s *session, e *event, at, now time.Time) {
	d := &e.delivery
	entry := l.entry(domainOf(d.recipient))
	if entry == "" {
		return
	}
	c := l.partners[entry]
	if c == nil {
		if c = &l.others; len(l.partners) < maxPartners {
			c = new(Counts)
			l.partners[strings.Clone(entry)] = c
		}
	}
	if d.status == "deferred" {
		l.deferrals.add(e.queueID, entry, d.recipient, at, now)
	} else {
		l.deferrals.remove(e.queueID, entry, d.recipient)
	}
	said := Event{Time: at, QueueID: s.queueID, Relay: quote(d.relay)}
	for i, g := range s.given {
		if s.once("given "+strconv.Itoa(i), entry) {
			c.fail(said, g.cause, g.why)
		}
	}
	switch {
	case d.status == "sent" && !strings.Contains(d.relay, "["):
		// Delivered here, and over no network.
	case d.status == "sent":
		if s.once("sent", entry) {
			c.sent(said, s.over(d.relay), d.tls)
		}
	case strings.HasPrefix(d.text, suspended):
		// There was no session.
	case d.status == "deferred", d.status == "bounced":
		cause := causeOf(d.text, s.ended)
		if cause == "" || !s.once("failed", entry) {
			break
		}
		text := d.text
		if s.ended != "" {
			text += ": " + s.ended
		}
		c.fail(said, cause, quote(text))
	}
}

func (c *Counts) sent(e Event, known *peer, tls string) {
	switch {
	case tls != "" && proven(tls), tls == "" && known != nil && known.verified:
		c.Secured++
	case tls != "", known != nil:
		c.Unsecured++
	default:
		c.Unknown++
	}
	c.LastSent = e
}

func (c *Counts) fail(e Event, cause Cause, text string) {
	if c.Failures == nil {
		c.Failures = make(map[Cause]uint64)
	}
	c.Failures[cause]++
	e.Cause, e.Text = cause, text
	c.LastFail = e
}

// Summary returns what was counted so far.
func (l *Ledger) Summary() Summary {
	now := l.clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Summary{Lines: l.lines, Unparsed: l.unparsed, Last: l.last, Partners: make(map[string]Counts, len(l.partners)), Others: l.others.clone()}
	for entry, c := range l.partners {
		s.Partners[entry] = c.clone()
	}
	for entry, waits := range l.deferrals.by(now) {
		if c, known := s.Partners[entry]; known {
			c.Deferred, c.Since = waits.count, waits.since
			s.Partners[entry] = c
		} else {
			s.Others.Deferred += waits.count
		}
	}
	return s
}

func (c *Counts) clone() Counts {
	copied := *c
	copied.Failures = maps.Clone(c.Failures)
	return copied
}

// quote bounds what is quoted, and makes it printable.
func quote(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s[:min(len(s), maxText)])
	return strings.Clone(s)
}
