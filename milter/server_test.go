package milter

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
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

// site is a server with its judge and log.
type site struct {
	*Server
	judge *recorder
	log   *lines
	addr  net.Addr
}

// newSite returns one that listens nowhere: rigs connect to it.
func newSite(t *testing.T) *site {
	s := &site{judge: new(recorder), log: new(lines)}
	s.Server = NewServer(s.judge, slog.New(slog.NewTextHandler(s.log, nil)))
	t.Cleanup(func() { s.Shutdown(context.Background()) })
	return s
}

// start serves on a listener of the test's own.
func start(t *testing.T, network string) *site {
	t.Helper()
	s := newSite(t)
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr()
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

// mta is one connection of an MTA.
type mta struct{ net.Conn }

func (s *site) dial(t *testing.T) mta {
	t.Helper()
	c, err := net.Dial(s.addr.Network(), s.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return mta{c}
}

func (m mta) send(t *testing.T, packets ...string) {
	t.Helper()
	if _, err := io.WriteString(m, strings.Join(packets, "")); err != nil {
		t.Error(err)
	}
}

// expect reads these replies.
func (m mta) expect(t *testing.T, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := io.ReadFull(m, b); err != nil || string(b) != want {
		t.Errorf("replies %q, %v, want %q", packets(string(b[:n])), err, packets(want))
	}
}

// expectClosed reads to the end, which comes at once.
func (m mta) expectClosed(t *testing.T) {
	t.Helper()
	b, err := io.ReadAll(m)
	if timeout, ok := err.(net.Error); len(b) > 0 || ok && timeout.Timeout() {
		t.Errorf("read %q, %v, want the connection closed", packets(string(b)), err)
	}
}

// converse sends all of it, each string in one write, and returns all replies.
func (m mta) converse(t *testing.T, sent ...string) string {
	t.Helper()
	go func() {
		for _, text := range sent {
			if _, err := io.WriteString(m, text); err != nil {
				break // the test sees it in the replies
			}
		}
		m.Conn.(interface{ CloseWrite() error }).CloseWrite()
	}()
	b, err := io.ReadAll(m)
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Errorf("the connection stays open after %q", packets(string(b)))
	}
	return string(b)
}

// expectHeard compares what the judge was asked, when the connection is over.
func (s *site) expectHeard(t *testing.T, want ...string) {
	t.Helper()
	if got := s.judge.all(); !slices.Equal(got, want) {
		t.Errorf("the judge heard\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func expectReplies(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("replies\n\t%q\nwant\n\t%q", packets(got), packets(want))
	}
}
