// Package dnsserver is a DNS server to test with: on loopback, with UDP and TCP
// on the same port, and with everything a resolver and the servers behind it may do
// wrong. What DNSSEC would prove is told to it, as if a validating resolver had
// checked it.
package dnsserver

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// A Behaviour is how a question is answered.
type Behaviour int

// The behaviours. Answer is the one of every name that nothing else is said of.
const (
	Answer         Behaviour = iota
	ServFail                 // SERVFAIL without a reason
	Bogus                    // SERVFAIL, and the reason is that DNSSEC is bogus (RFC 8914)
	Unreachable              // SERVFAIL, and the reason is that no server answers
	Refused                  // REFUSED
	Silent                   // nothing
	Truncated                // over UDP nothing but the TC bit, over TCP the answer
	TruncatedTwice           // the TC bit over TCP, too
	OtherQuestion            // an answer to another question
	OtherID                  // an answer with another id
	NotADNSMessage           // octets
)

// A Server answers for every name: with the records it was given, or that there
// are none. Its methods may be called at the same time.
type Server struct {
	udp, tcp *dns.Server
	addr     string
	ended    sync.WaitGroup

	mu      sync.Mutex
	records []dns.RR
	secure  map[string]bool // by name, also for what is below
	odd     map[question]oddity
	asked   map[question]int
}

type question struct {
	name string // canonical
	kind uint16 // TypeANY: any
}

type oddity struct {
	behaviour Behaviour
	left      int // 0: for good
}

// Start starts a server with a zone: resource records as in a master file
// (RFC 1035 section 5), each name in full, with or without the final dot.
func Start(zone string) (*Server, error) { return StartAt("127.0.0.1:0", zone) }

// StartAt is Start at an address, host:port.
func StartAt(addr, zone string) (*Server, error) {
	s := &Server{secure: make(map[string]bool), odd: make(map[question]oddity), asked: make(map[question]int)}
	if err := s.Add(zone); err != nil {
		return nil, err
	}
	packets, listener, err := listen(addr)
	if err != nil {
		return nil, fmt.Errorf("start DNS server: %w", err)
	}
	s.addr = listener.Addr().String()
	s.udp = &dns.Server{PacketConn: packets, Handler: s}
	s.tcp = &dns.Server{Listener: listener, Handler: s}
	for _, server := range []*dns.Server{s.udp, s.tcp} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		s.ended.Go(func() { _ = server.ActivateAndServe() }) // ends with Shutdown
		<-started
	}
	return s, nil
}

// listen takes a port that is free for UDP and TCP.
func listen(addr string) (net.PacketConn, net.Listener, error) {
	for try := 1; ; try++ {
		packets, err := net.ListenPacket("udp", addr)
		if err != nil {
			return nil, nil, err
		}
		listener, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, listener, nil
		}
		packets.Close()
		if try == 20 {
			return nil, nil, err
		}
	}
}

// Addr is where it listens: host:port.
func (s *Server) Addr() string { return s.addr }

// Close stops the server and waits for its end.
func (s *Server) Close() error {
	err := errors.Join(s.udp.Shutdown(), s.tcp.Shutdown())
	s.ended.Wait()
	return err
}

// Add adds resource records.
func (s *Server) Add(zone string) error {
	parser := dns.NewZoneParser(strings.NewReader(zone), ".", "")
	parser.SetDefaultTTL(300)
	var records []dns.RR
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		records = append(records, rr)
	}
	if err := parser.Err(); err != nil {
		return fmt.Errorf("zone: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, records...)
	return nil
}

// Remove removes the records of a name, those of one type ("MX") or, with "", all.
func (s *Server) Remove(name, kind string) {
	q := ask(name, kind)
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []dns.RR
	for _, rr := range s.records {
		if !q.covers(dns.CanonicalName(rr.Header().Name), rr.Header().Rrtype) {
			left = append(left, rr)
		}
	}
	s.records = left
}

// Secure says that a name and all below it are in signed zones: answers have the
// AD bit if that is so of every name in them.
func (s *Server) Secure(names ...string) { s.sign(names, true) }

// Insecure says the contrary; of several names that one is in, the longest counts.
func (s *Server) Insecure(names ...string) { s.sign(names, false) }

func (s *Server) sign(names []string, secure bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		s.secure[dns.CanonicalName(name)] = secure
	}
}

// Behave says how questions for a name are answered, those for one type or, with
// "", any: so many times, or with 0 for good.
func (s *Server) Behave(name, kind string, b Behaviour, times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.odd[ask(name, kind)] = oddity{b, times}
}

// Asked returns how often a name was asked for a type, or with "" any: over UDP
// and TCP, every try.
func (s *Server) Asked(name, kind string) int {
	q := ask(name, kind)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for asked, times := range s.asked {
		if q.covers(asked.name, asked.kind) {
			n += times
		}
	}
	return n
}

func ask(name, kind string) question {
	if kind == "" {
		return question{dns.CanonicalName(name), dns.TypeANY}
	}
	return question{dns.CanonicalName(name), dns.StringToType[kind]}
}

func (q question) covers(name string, kind uint16) bool {
	return q.name == name && (q.kind == dns.TypeANY || q.kind == kind)
}
