package delegation

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"domain-secured/policy"
)

const (
	// maxConnections bounds the clients at one time: each smtpd(8) process has
	// one connection for each check_policy_service it is told of.
	maxConnections = 5_000
	// firstTime bounds how long a connection may be silent before its first
	// request. Postfix connects when it has something to ask.
	firstTime = time.Minute
	// idleTime bounds the silence between requests. Postfix closes by itself after
	// 300 s, 1000 s in all (postconf(5) smtpd_policy_service_max_idle,
	// smtpd_policy_service_max_ttl); closing first would cost it a retry.
	idleTime = time.Hour
	// acceptBackoff is how long to wait after an accept that failed.
	acceptBackoff = time.Second
)

// Server answers policy requests. It must be made by [NewServer].
type Server struct {
	judge policy.Judge
	log   *slog.Logger

	closing  atomic.Bool
	mu       sync.Mutex
	listener net.Listener
	conns    map[*conn]struct{}
	done     sync.WaitGroup

	complaints complaints
}

// NewServer returns a server that asks judge.
func NewServer(judge policy.Judge, log *slog.Logger) *Server {
	return &Server{judge: judge, log: log, conns: make(map[*conn]struct{})}
}

// Serve answers what connects to l, until [Server.Shutdown], which makes it
// return nil, or an error of the listener.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	s.listener = l
	if s.closing.Load() {
		l.Close()
	}
	s.mu.Unlock()
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			s.start(c)
		case s.closing.Load():
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			// Out of descriptors, mostly: those in use go on.
			s.log.Warn("policy door: cannot accept a connection, trying again", "error", err)
			time.Sleep(acceptBackoff)
		}
	}
}

// start serves a connection, or closes it if there are too many.
func (s *Server) start(nc net.Conn) {
	c := &conn{server: s, net: nc}
	s.mu.Lock()
	full := len(s.conns) >= maxConnections
	if !full && !s.closing.Load() {
		s.conns[c] = struct{}{}
		s.done.Add(1)
		s.mu.Unlock()
		go c.serve()
		return
	}
	s.mu.Unlock()
	nc.Close()
	if full {
		s.complain("too many connections", nil)
	}
}

func (s *Server) forget(c *conn) {
	c.net.Close()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.done.Done()
}

// Shutdown stops accepting, lets the requests in hand be answered, and returns
// when all connections are closed. When ctx ends first, it closes them.
func (s *Server) Shutdown(ctx context.Context) error {
	s.closing.Store(true)
	s.mu.Lock()
	if s.listener != nil {
		s.listener.Close()
	}
	for c := range s.conns {
		// A reader wakes up and sees that the server is closing.
		c.net.SetReadDeadline(time.Now())
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.done.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for c := range s.conns {
		c.net.Close()
	}
	s.mu.Unlock()
	<-done
	return ctx.Err()
}

// complain logs what a client did wrong, but no more than once a second: then
// with the number of times it was not logged.
func (s *Server) complain(what string, err error) {
	if unsaid, say := s.complaints.say(time.Now()); say {
		s.log.Warn("policy door: "+what, "error", err, "unsaid", unsaid)
	}
}

type complaints struct {
	mu     sync.Mutex
	last   time.Time
	unsaid int
}

func (c *complaints) say(now time.Time) (unsaid int, say bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.last) < time.Second {
		c.unsaid++
		return 0, false
	}
	unsaid, c.unsaid, c.last = c.unsaid, 0, now
	return unsaid, true
}
