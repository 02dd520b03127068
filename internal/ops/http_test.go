package ops

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serveHTTP starts a server and returns its address.
func serveHTTP(t *testing.T, ready func() bool, remote bool) (*HTTP, string) {
	t.Helper()
	n := uint64(7)
	h := NewHTTP(ready, func() *Status {
		return &Status{Version: "1.2.3", MessagesReceived: &n, Partners: []*Partner{{Domain: "woodgrovebank.com"}}}
	}, remote, slog.New(slog.DiscardHandler))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- h.Serve(l) }()
	t.Cleanup(func() {
		h.Shutdown(context.Background())
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return h, l.Addr().String()
}

// ask sends a request and returns the code and the body of the answer.
func ask(t *testing.T, method, address, path, host string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host, r.Close = host, true
	answer, err := new(http.Transport).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(body)
}

func TestHTTP(t *testing.T) {
	var ready atomic.Bool
	_, address := serveHTTP(t, ready.Load, false)
	_, remote := serveHTTP(t, ready.Load, true)
	for _, c := range []struct {
		method, address, path, host string
		ready                       bool
		code                        int
		body                        string
	}{
		{"GET", address, "/healthz", "", false, 200, "ok\n"},
		{"HEAD", address, "/healthz", "", false, 200, ""},
		{"GET", address, "/readyz", "", false, 503, "not ready\n"},
		{"GET", address, "/readyz", "", true, 200, "ready\n"},
		{"GET", address, "/readyz", "localhost:1", true, 200, "ready\n"},
		{"GET", address, "/readyz", "[::1]:1", true, 200, "ready\n"},
		{"GET", address, "/readyz", "[::1]", true, 200, "ready\n"},
		{"GET", address, "/readyz", "evil.example", true, 403, "ask for an address or for localhost\n"},
		{"GET", remote, "/readyz", "mx1.contoso.com", true, 200, "ready\n"},
		{"POST", address, "/status", "", true, 405, "Method Not Allowed\n"},
		{"GET", address, "/", "", true, 404, "404 page not found\n"},
		{"GET", address, "/status/../etc/passwd", "", true, 404, "404 page not found\n"},
	} {
		ready.Store(c.ready)
		if code, _, body := ask(t, c.method, c.address, c.path, c.host); code != c.code && code/100 != 3 || body != c.body && code/100 != 3 {
			t.Errorf("%s %s for %q: %d %q, want %d %q", c.method, c.path, c.host, code, body, c.code, c.body)
		}
	}
	code, header, body := ask(t, "GET", address, "/status", "")
	var s Status
	if err := json.Unmarshal([]byte(body), &s); err != nil || code != 200 || s.Version != "1.2.3" || *s.MessagesReceived != 7 || s.MessagesSent != nil || len(s.Partners) != 1 {
		t.Errorf("%d %v %s", code, err, body)
	}
	if header.Get("Content-Type") != "application/json" || header.Get("Cache-Control") != "no-store" || header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v", header)
	}
}

// TestHTTPBounds: who says too much, or nothing, is not heard to the end, and does not
// keep it from ending.
func TestHTTPBounds(t *testing.T) {
	h, address := serveHTTP(t, func() bool { return true }, false)
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go io.WriteString(c, "GET /status HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("x", 4*maxHeader)+"\r\n\r\n")
	answer := make([]byte, 12)
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "HTTP/1.1 431" {
		t.Errorf("%q, %v", answer, err)
	}
	silent, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	io.WriteString(silent, "GET /status HTTP/1.1\r\n")
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	h.Shutdown(ctx)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %v to end", took)
	}
}
