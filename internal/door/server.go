// Package door accepts what connects to a door: it bounds how many there are,
// ends them in order, and keeps a complaint about one from filling the log. It
// reads what a client asks, within bounds.
package door

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// acceptBackoff is how long to wait after an accept that failed.
const acceptBackoff = time.Second

// Server accepts connections. It must be made by [NewServer].
type Server struct {
	name   string
	limit  int
	handle func(net.Conn)
	log    *slog.Logger

	closing  atomic.Bool
	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]struct{}
	done     sync.WaitGroup

	complaints complaints
}

// NewServer returns a server that calls handle for each connection, in a
// goroutine of its own, for no more than limit at a time. The connection is
// closed when handle returns; a panic in it costs that connection alone. name
// stands before what is logged.
func NewServer(name string, limit int, handle func(net.Conn), log *slog.Logger) *Server {
	return &Server{name: name, limit: limit, handle: handle, log: log, conns: make(map[net.Conn]struct{})}
}

// Serve handles what connects to l, until [Server.Shutdown], which makes it
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
			s.log.Warn(s.name+": cannot accept a connection, trying again", "error", err)
			time.Sleep(acceptBackoff)
		}
	}
}

// start handles a connection, or closes it if there are too many.
func (s *Server) start(c net.Conn) {
	s.mu.Lock()
	full := len(s.conns) >= s.limit
	if !full && !s.closing.Load() {
		s.conns[c] = struct{}{}
		s.done.Add(1)
		s.mu.Unlock()
		go s.run(c)
		return
	}
	s.mu.Unlock()
	c.Close()
	if full {
		s.Complain("too many connections", nil)
	}
}

func (s *Server) run(c net.Conn) {
	defer s.forget(c)
	defer func() {
		if r := recover(); r != nil {
			s.log.Error(s.name+": panic, closing the connection", "panic", r, "stack", string(debug.Stack()))
		}
	}()
	s.handle(c)
}

func (s *Server) forget(c net.Conn) {
	c.Close()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.done.Done()
}

// Closing reports whether [Server.Shutdown] was called. A handler that sets a
// read deadline asks afterwards: the one by which Shutdown woke it is lost.
func (s *Server) Closing() bool { return s.closing.Load() }

// Connections is the number of clients that are connected.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Shutdown stops accepting, wakes up every handler that waits for its client
// (reading ends with [os.ErrDeadlineExceeded]), and returns when all have
// returned. When ctx ends first, it closes their connections.
func (s *Server) Shutdown(ctx context.Context) error {
	s.closing.Store(true)
	s.mu.Lock()
	if s.listener != nil {
		s.listener.Close()
	}
	for c := range s.conns {
		c.SetReadDeadline(time.Now())
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
		c.Close()
	}
	s.mu.Unlock()
	<-done
	return ctx.Err()
}

// Complain logs what a client did wrong, but no more than once a second: then
// with the number of times it was not logged.
func (s *Server) Complain(what string, err error) {
	if unsaid, say := s.complaints.say(time.Now()); say {
		s.log.Warn(s.name+": "+what, "error", err, "unsaid", unsaid)
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
