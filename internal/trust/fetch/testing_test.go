package fetch

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret stands in everything that the tests' servers say, and never in an error.
const secret = "SECRET"

// server is a listener of a test's own on loopback.
type server struct {
	addr        string // 127.0.0.1:port
	connections atomic.Int32
	closed      chan struct{} // when the test ends
}

// serve hands every connection to handle, on goroutines that are gone when the
// test ends. handle need not close it.
func serve(t testing.TB, handle func(s *server, conn net.Conn)) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: listener.Addr().String(), closed: make(chan struct{})}
	var (
		wait  sync.WaitGroup
		mu    sync.Mutex
		conns []net.Conn
	)
	wait.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.connections.Add(1)
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			wait.Go(func() {
				defer conn.Close()
				handle(s, conn)
			})
		}
	})
	t.Cleanup(func() {
		close(s.closed)
		listener.Close()
		mu.Lock()
		for _, conn := range conns {
			conn.Close()
		}
		mu.Unlock()
		wait.Wait()
	})
	return s
}

func (s *server) url(path string) string { return "http://" + s.addr + path }

func (s *server) port() string {
	_, port, _ := net.SplitHostPort(s.addr)
	return port
}

// raw answers every HTTP request with these octets and closes.
func raw(t testing.TB, answer string) *server {
	return rawWith(t, func(s *server, _ *http.Request, conn net.Conn) { _, _ = io.WriteString(conn, answer) })
}

// rawWith reads a request's header and has the test write the answer.
func rawWith(t testing.TB, answer func(s *server, r *http.Request, conn net.Conn)) *server {
	t.Helper()
	return serve(t, func(s *server, conn net.Conn) {
		request, err := http.ReadRequest(bufio.NewReader(conn))
		if err == nil {
			answer(s, request, conn)
		}
	})
}

// client makes one that may go to loopback.
func client(t testing.TB, o Options) *Client {
	t.Helper()
	o.AllowPrivate = true
	return newClient(t, o)
}

func newClient(t testing.TB, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// get fetches within a time no test waits for.
func get(t testing.TB, c *Client, rawURL string, limit int64) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var b bytes.Buffer
	result, err := c.Get(ctx, rawURL, Validators{}, &b, limit)
	if err == nil && result.Octets != int64(b.Len()) {
		t.Errorf("wrote %d octets and says %d", b.Len(), result.Octets)
	}
	return b.String(), err
}

// wantError checks an error's kind (nil: trouble that may pass) and words, and
// that it repeats nothing.
func wantError(t testing.TB, err, kind error, words string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %v %q", kind, words)
	}
	if kind != nil && !errors.Is(err, kind) {
		t.Errorf("%v: is not %v", err, kind)
	}
	refused := false
	for _, k := range []error{ErrUnsupported, ErrForbiddenAddress, ErrRedirect, ErrTooLarge} {
		refused = refused || k == kind
	}
	if errors.Is(err, ErrRefused) != refused {
		t.Errorf("%v: refused by rule: %v", err, !refused)
	}
	if !strings.Contains(err.Error(), words) {
		t.Errorf("error %q, want %q", err, words)
	}
	if strings.Contains(err.Error(), secret) || slices.ContainsFunc([]byte(err.Error()), func(b byte) bool { return b < ' ' }) {
		t.Errorf("error %q repeats what the server said", err)
	}
}

// names resolves as a test says: name to addresses.
type names map[string][]string

// resolver asks n and nobody else. It speaks DNS over TCP's framing in memory.
func (n names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go n.answer(there)
		return here, nil
	}}
}

func (n names) answer(conn net.Conn) {
	defer conn.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(query); err != nil || len(m.Questions) != 1 {
			return
		}
		question := m.Questions[0]
		m = dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
		addresses, known := n[strings.ToLower(strings.TrimSuffix(question.Name.String(), "."))]
		if !known {
			m.RCode = dnsmessage.RCodeNameError
		}
		for _, text := range addresses {
			a := netip.MustParseAddr(text)
			head := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 1}
			switch {
			case a.Is4() && question.Type == dnsmessage.TypeA:
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: a.As4()}})
			case a.Is6() && question.Type == dnsmessage.TypeAAAA:
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
			}
		}
		answer, err := m.Pack()
		if err != nil {
			return
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// except has c connect to addr in spite of the rule about addresses, as if it were
// a server on the public internet.
func except(c *Client, addr string) *Client {
	c.guarded.Control = func(network, address string, conn syscall.RawConn) error {
		if address == addr {
			return nil
		}
		return onlyGlobal(network, address, conn)
	}
	return c
}
