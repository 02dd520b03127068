package door

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// TestShutdown wakes up those who wait for their client, and waits for them.
func TestShutdown(t *testing.T) {
	woken, finish := make(chan error), make(chan struct{})
	var s *Server
	var closing atomic.Bool
	s = NewServer("test door", 10, func(c net.Conn) {
		c.Write([]byte("x"))
		_, err := c.Read(make([]byte, 1))
		closing.Store(s.Closing())
		woken <- err
		<-finish
		c.Write([]byte("y"))
	}, slog.New(slog.DiscardHandler))
	addr := start(t, s)
	c := dial(t, addr)
	io.ReadFull(c, make([]byte, 1))
	if s.Closing() {
		t.Error("closing before shutdown")
	}
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(t.Context()) }()
	if err := <-woken; !errors.Is(err, os.ErrDeadlineExceeded) || !closing.Load() {
		t.Errorf("woken by %v, closing %v", err, closing.Load())
	}
	if _, err := net.Dial("tcp", addr.String()); err == nil {
		t.Error("somebody still listens")
	}
	select {
	case err := <-down:
		t.Errorf("shutdown ends with %v while a handler runs", err)
	default:
	}
	close(finish)
	if err := <-down; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if b, err := io.ReadAll(c); string(b) != "y" || err != nil {
		t.Errorf("read %q, %v, want what the handler wrote last", b, err)
	}
}

// TestShutdownInTime: when the time is over, connections are closed, and nobody
// is left behind.
func TestShutdownInTime(t *testing.T) {
	returned := atomic.Bool{}
	s := NewServer("test door", 10, func(c net.Conn) {
		c.Write([]byte("x"))
		for {
			c.SetReadDeadline(time.Time{})
			if _, err := c.Read(make([]byte, 1)); errors.Is(err, net.ErrClosed) {
				break
			}
		}
		returned.Store(true)
	}, slog.New(slog.DiscardHandler))
	c := dial(t, start(t, s))
	io.ReadFull(c, make([]byte, 1))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
	if !returned.Load() {
		t.Error("shutdown returned before the handler")
	}
	expectClosed(t, c)
}

// TestServeAfterShutdown: a server that was ended before it began does not begin.
func TestServeAfterShutdown(t *testing.T) {
	s := NewServer("test door", 10, echo, slog.New(slog.DiscardHandler))
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := s.Serve(l); err != nil {
		t.Errorf("serve: %v", err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("somebody listens")
	}
}

// TestArrivesLate: who was accepted while the server closes is not served.
func TestArrivesLate(t *testing.T) {
	s := NewServer("test door", 10, func(net.Conn) { t.Error("served") }, slog.New(slog.DiscardHandler))
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	ours, theirs := net.Pipe()
	s.start(theirs)
	expectClosed(t, ours)
}
