package tlsrpt

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"time"
	"unicode"
)

const (
	maxDatagram = 64 << 10
	maxPartners = 10_000 // domains with counts of their own
	maxText     = 200    // octets of what is quoted
)

// Server hears reports and counts them. It must be made by [NewServer].
type Server struct {
	entry    func(domain string) string
	clock    func() time.Time
	complain func(error)

	mu       sync.Mutex
	faulty   bool // has been complained of
	read     uint64
	unknown  uint64
	last     time.Time
	partners map[string]*Counts
}

// Counts are of one domain of the send list.
type Counts struct {
	Successes uint64 // deliveries whose sessions were fine in the end
	Failures  map[ResultType]uint64
	LastFail  Failure
}

// Failure is one that was reported. The zero value is none.
type Failure struct {
	Time time.Time
	Type ResultType
	Host string
	Text string // Postfix's reason, printable
}

// Summary is what was heard so far.
type Summary struct {
	Read, Unknown uint64 // reports, and those of them that could not be read
	Last          time.Time
	Partners      map[string]Counts // by list entry
}

// NewServer returns one. entry returns the list entry that covers a domain, "" for one
// that is not listed. complain is told of the first fault of our own.
func NewServer(entry func(domain string) string, clock func() time.Time, complain func(error)) *Server {
	return &Server{entry: entry, clock: clock, complain: complain, partners: make(map[string]*Counts)}
}

// Serve hears what is sent to c until it is closed.
func (s *Server) Serve(c *net.UnixConn) error {
	buffer := make([]byte, maxDatagram)
	for {
		n, _, err := c.ReadFromUnix(buffer)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("hearing TLSRPT datagrams: %w", err)
		}
		s.take(buffer[:n])
	}
}

func (s *Server) take(datagram []byte) {
	now := s.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.survive()
	s.read++
	s.last = now
	r, err := parse(datagram)
	if err != nil {
		s.unknown++
		return
	}
	entry := s.entry(r.domain)
	if entry == "" {
		return
	}
	c := s.partners[entry]
	if c == nil {
		if len(s.partners) >= maxPartners {
			return
		}
		c = &Counts{Failures: make(map[ResultType]uint64)}
		s.partners[strings.Clone(entry)] = c
	}
	for _, p := range r.policies {
		if !p.failed {
			c.Successes++
		}
		for _, f := range p.failures { // those that another server made up for, too
			c.Failures[f.kind]++
			c.LastFail = Failure{now, f.kind, quote(f.host), quote(f.reason)}
		}
	}
}

// survive ends a panic over what a mail server reports of strangers, if it is deferred:
// the datagram is one that cannot be read. s.mu is held.
func (s *Server) survive() {
	r := recover()
	if r == nil {
		return
	}
	s.unknown++
	if !s.faulty {
		s.faulty = true
		s.complain(fmt.Errorf("reading a TLSRPT datagram: panic: %v\n%s", r, debug.Stack()))
	}
}

// Summary returns what was heard so far.
func (s *Server) Summary() Summary {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := Summary{Read: s.read, Unknown: s.unknown, Last: s.last, Partners: make(map[string]Counts, len(s.partners))}
	for entry, c := range s.partners {
		copied := *c
		copied.Failures = maps.Clone(c.Failures)
		all.Partners[entry] = copied
	}
	return all
}

// quote bounds what is quoted, and makes it printable.
func quote(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s[:min(len(s), maxText)])
	return strings.Clone(s) // not the datagram's text that it is a part of
}
