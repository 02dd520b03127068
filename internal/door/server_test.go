package door

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines is a log to be read while it is written to.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// start serves on a listener of the test's own, and returns its address.
func start(t *testing.T, s *Server) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return l.Addr()
}

func dial(t *testing.T, addr net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return c
}

// echoes reports whether somebody at the other end gives back what it is sent.
func echoes(c net.Conn) bool {
	b := []byte("x")
	if _, err := c.Write(b); err != nil {
		return false
	}
	_, err := io.ReadFull(c, b)
	return err == nil
}

func expectClosed(t *testing.T, c net.Conn) {
	t.Helper()
	b, err := io.ReadAll(c)
	if len(b) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %q, %v, want the connection closed", b, err)
	}
}

func echo(c net.Conn) { io.Copy(c, c) }

// TestTooMany: who comes when all places are taken is sent away, and a place that
// was left is given to another.
func TestTooMany(t *testing.T) {
	var log lines
	addr := start(t, NewServer("test door", 2, echo, log.logger()))
	first, second := dial(t, addr), dial(t, addr)
	if !echoes(first) || !echoes(second) {
		t.Fatal("two are not served, though there is room")
	}
	for range 3 {
		expectClosed(t, dial(t, addr))
	}
	if !echoes(first) || !echoes(second) {
		t.Error("those who were there are no longer served")
	}
	if got := log.String(); strings.Count(got, "test door: too many connections") != 1 {
		t.Errorf("log %q, want one complaint", got)
	}
	first.Close()
	for {
		if c := dial(t, addr); echoes(c) {
			break
		}
		time.Sleep(time.Millisecond) // until the server has seen it go
	}
}

// TestPanic: a panic costs the connection that it happened in, and no other.
func TestPanic(t *testing.T) {
	var log lines
	addr := start(t, NewServer("test door", 10, func(c net.Conn) {
		b := make([]byte, 1)
		for {
			if _, err := c.Read(b); err != nil {
				return
			}
			if b[0] == '!' {
				panic("as asked")
			}
			c.Write(b)
		}
	}, log.logger()))
	other, c := dial(t, addr), dial(t, addr)
	if !echoes(other) {
		t.Fatal("not served")
	}
	io.WriteString(c, "!")
	expectClosed(t, c)
	if !echoes(other) || !echoes(dial(t, addr)) {
		t.Error("others are no longer served")
	}
	for _, want := range []string{"test door: panic, closing the connection", "as asked", "server_test.go"} {
		if got := log.String(); !strings.Contains(got, want) {
			t.Errorf("log %q, want %q", got, want)
		}
	}
}

// TestListenerClosed: a listener that is closed by somebody else is an error.
func TestListenerClosed(t *testing.T) {
	s := NewServer("test door", 10, echo, slog.New(slog.DiscardHandler))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := s.Serve(l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("serve: %v, want %v", err, net.ErrClosed)
	}
}

// scripted is a listener at which connections come in as the test says.
type scripted struct {
	arrivals chan any // net.Conn or error
	once     sync.Once
	closed   chan struct{}
}

func newScripted() *scripted {
	return &scripted{arrivals: make(chan any, 10), closed: make(chan struct{})}
}

func (l *scripted) Accept() (net.Conn, error) {
	select {
	case a := <-l.arrivals:
		if err, failed := a.(error); failed {
			return nil, err
		}
		return a.(net.Conn), nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *scripted) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *scripted) Addr() net.Addr { return &net.UnixAddr{} }

// TestAcceptErrors: while descriptors are short the server waits, and goes on.
func TestAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lines
		s := NewServer("test door", 10, echo, log.logger())
		l := newScripted()
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()
		ours, theirs := net.Pipe()
		began := time.Now()
		for range 2 {
			l.arrivals <- &net.OpError{Op: "accept", Err: syscall.EMFILE}
		}
		l.arrivals <- theirs
		if !echoes(ours) {
			t.Error("not served after the errors")
		}
		if waited := time.Since(began); waited != 2*acceptBackoff {
			t.Errorf("went on after %v, want %v", waited, 2*acceptBackoff)
		}
		if got := log.String(); strings.Count(got, "test door: cannot accept a connection, trying again") != 2 || !strings.Contains(got, "too many open files") {
			t.Errorf("log %q", got)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}
