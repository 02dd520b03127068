package fetch

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func zip(t testing.TB, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const gzipped = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"

func TestAnswers(t *testing.T) {
	const limit = 1000
	whole := strings.Repeat("x", limit)
	corrupt := []byte(zip(t, []byte("some text")))
	corrupt[len(corrupt)-6] ^= 1 // in the checksum
	for _, c := range []struct {
		name, answer string
		want         string // body
		kind         error
		words        string // of the error
	}{
		{name: "length", answer: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", want: "hello"},
		{name: "chunks", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", want: "hello"},
		{name: "until the end", answer: "HTTP/1.0 200 OK\r\n\r\nhello", want: "hello"},
		{name: "HTML is the caller's to judge", answer: "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>", want: "<html>"},
		{name: "as much as is allowed", answer: "HTTP/1.1 200 OK\r\n\r\n" + whole, want: whole},
		{name: "gzip", answer: gzipped + zip(t, []byte(whole)), want: whole},
		{name: "identity", answer: "HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\n\r\nhello", want: "hello"},

		{name: "one octet more", answer: "HTTP/1.1 200 OK\r\n\r\n" + whole + "x", kind: ErrTooLarge, words: "more than 1000 octets"},
		{name: "says it is too large", answer: "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", kind: ErrTooLarge, words: "more than 1000 octets"},
		{name: "chunks that go on", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("64\r\n"+whole[:100]+"\r\n", 11), kind: ErrTooLarge, words: "more than"},
		{name: "gzip of one octet more", answer: gzipped + zip(t, []byte(whole+"x")), kind: ErrTooLarge, words: "more than"},
		{name: "gzip that says nothing at length", answer: gzipped + strings.Repeat(zip(t, nil), 100), kind: ErrTooLarge, words: "more than"},
		{name: "less than the length", answer: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + secret, kind: io.ErrUnexpectedEOF, words: "early"},
		{name: "broken chunks", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + secret + "\r\n", words: "no usable answer"},
		{name: "chunks without an end", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", kind: io.ErrUnexpectedEOF, words: "early"},
		{name: "length that is none", answer: "HTTP/1.1 200 OK\r\nContent-Length: " + secret + "\r\n\r\nhello", words: "no usable answer"},
		{name: "negative length", answer: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello", words: "no usable answer"},
		{name: "two lengths", answer: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 1\r\n\r\nhello", words: "no usable answer"},
		{name: "truncated gzip", answer: gzipped + zip(t, []byte(whole))[:20], kind: io.ErrUnexpectedEOF, words: "early"},
		{name: "no gzip", answer: gzipped + strings.Repeat(secret, 9), words: "gzip encoding is broken"},
		{name: "corrupt gzip", answer: gzipped + string(corrupt), words: "gzip encoding is broken"},
		{name: "other encoding", answer: "HTTP/1.1 200 OK\r\nContent-Encoding: " + secret + "\r\n\r\nhello", words: "encoding that was not asked for"},
		{name: "not found", answer: "HTTP/1.1 404 " + secret + "\r\n\r\n" + secret, words: "HTTP status 404 Not Found"},
		{name: "a status nobody knows", answer: "HTTP/1.1 799 " + secret + "\r\n\r\n", words: "HTTP status 799"},
		{name: "a part", answer: "HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n\r\nhello", words: "HTTP status 206"},
		{name: "nothing", answer: "HTTP/1.1 204 No Content\r\n\r\n", words: "HTTP status 204"},
		{name: "not modified, unasked", answer: "HTTP/1.1 304 Not Modified\r\n\r\n", words: "HTTP status 304"},
		{name: "redirect to nowhere", answer: "HTTP/1.1 302 Found\r\n\r\n", words: "HTTP status 302"},
		{name: "redirect to nonsense", answer: "HTTP/1.1 302 Found\r\nLocation: http://" + secret + " %zz/\r\n\r\n", words: "no usable answer"},
		{name: "no HTTP", answer: secret + " nothing of the kind\r\n\r\n", words: "no usable answer"},
		{name: "no header", answer: "HTTP/1.1 200 OK\r\n" + secret + "\r\n\r\n", words: "no usable answer"},
		{name: "silence", answer: "", kind: io.ErrUnexpectedEOF, words: "early"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := raw(t, c.answer)
			got, err := get(t, client(t, Options{}), s.url("/a.crl"), limit)
			if c.words != "" {
				wantError(t, err, c.kind, c.words)
				return
			}
			if err != nil || got != c.want {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// TestEndless is about servers that never stop. What they could send is counted.
func TestEndless(t *testing.T) {
	line := "X: " + strings.Repeat("y", 1021) + "\r\n"
	for _, c := range []struct {
		name, head, again string
		most              int64 // octets that the server gets rid of, buffers of the system included
		kind              error
		words             string
	}{
		{"header of 2 GB", "HTTP/1.1 200 OK\r\n", line, 16 << 20, nil, "no usable answer"},
		{"interim answers", "", "HTTP/1.1 103 Early Hints\r\n" + line + "\r\n", 16 << 20, nil, "no usable answer"},
		{"body", "HTTP/1.1 200 OK\r\n\r\n", line, 32 << 20, ErrTooLarge, "more than 8388608 octets"},
		{"trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", line, 16 << 20, nil, "no usable answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var sent atomic.Int64
			s := rawWith(t, func(_ *server, _ *http.Request, conn net.Conn) {
				_, _ = io.WriteString(conn, c.head)
				for sent.Load() < 2<<30 {
					n, err := io.WriteString(conn, c.again)
					sent.Add(int64(n))
					if err != nil {
						return
					}
				}
			})
			_, err := get(t, client(t, Options{}), s.url("/"), 8<<20)
			wantError(t, err, c.kind, c.words)
			if n := sent.Load(); n > c.most {
				t.Errorf("the server could send %d octets", n)
			}
		})
	}
}

func TestGzipBomb(t *testing.T) {
	var bomb bytes.Buffer
	w, err := gzip.NewWriterLevel(&bomb, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 32 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s := raw(t, gzipped+bomb.String())
	var written counter
	_, err = client(t, Options{}).Get(t.Context(), s.url("/"), Validators{}, &written, 1<<20)
	wantError(t, err, ErrTooLarge, "more than")
	if written > 1<<20 {
		t.Errorf("%d octets were written", written)
	}
}

// counter counts what is written.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// TestSlow is about servers that take their time: the context ends it.
func TestSlow(t *testing.T) {
	for _, c := range []struct{ name, head string }{
		{"no header", ""},
		{"half a header", "HTTP/1.1 200 OK\r\nContent-"},
		{"no body", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"},
		{"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"},
		{"half a gzip", gzipped + zip(t, []byte(secret))[:8]},
		{"body of a redirect", "HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 100\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			s, _ := stalling(t, c.head)
			_, err := client(t, Options{}).Get(ctx, s.url("/"), Validators{}, io.Discard, 0)
			wantError(t, err, context.DeadlineExceeded, "not finished in time")

			// Whoever asked may also lose interest.
			ctx, cancel = context.WithCancel(t.Context())
			s, sent := stalling(t, c.head)
			go func() {
				<-sent
				cancel()
			}()
			_, err = client(t, Options{}).Get(ctx, s.url("/"), Validators{}, io.Discard, 0)
			wantError(t, err, context.Canceled, "cancelled")
		})
	}
}

// stalling answers a request with these octets, says so, and then nothing more.
func stalling(t *testing.T, head string) (*server, <-chan struct{}) {
	sent := make(chan struct{}, 9)
	return rawWith(t, func(s *server, _ *http.Request, conn net.Conn) {
		_, _ = io.WriteString(conn, head)
		sent <- struct{}{}
		<-s.closed
	}), sent
}

func TestConditional(t *testing.T) {
	const date = "Sun, 22 Nov 2026 10:00:00 GMT"
	var seen atomic.Pointer[http.Request]
	s := rawWith(t, func(_ *server, r *http.Request, conn net.Conn) {
		seen.Store(r)
		if r.Header.Get("If-None-Match") == `"1"` || r.Header.Get("If-Modified-Since") == date {
			_, _ = io.WriteString(conn, "HTTP/1.1 304 Not Modified\r\n\r\n")
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nLast-Modified: "+date+"\r\n\r\nhello")
	})
	c := client(t, Options{})
	first, err := c.Get(t.Context(), s.url("/"), Validators{}, io.Discard, 0)
	if err != nil || first.NotModified || first.Validators != (Validators{`"1"`, date}) || first.Octets != 5 {
		t.Fatalf("%+v, %v", first, err)
	}
	for _, v := range []Validators{first.Validators, {ETag: `"1"`}, {LastModified: date}} {
		var written counter
		again, err := c.Get(t.Context(), s.url("/"), v, &written, 0)
		if err != nil || !again.NotModified || again.Validators != v || written != 0 {
			t.Errorf("%+v: %+v, %v", v, again, err)
		}
	}
	again, err := c.Get(t.Context(), s.url("/"), Validators{ETag: `"0"`}, io.Discard, 0)
	if err != nil || again.NotModified {
		t.Errorf("%+v, %v", again, err)
	}
	if got := seen.Load().Header; got.Get("User-Agent") != userAgent || got.Get("Accept-Encoding") != "gzip" || len(got) != 4 {
		t.Errorf("the request says %v", got)
	}
}

func TestValidatorsThatAreNone(t *testing.T) {
	for _, header := range []http.Header{
		{"Etag": {"\"\xff\""}}, {"Etag": {strings.Repeat("x", 257)}}, {"Etag": {"a\x01"}},
		{"Last-Modified": {"yesterday"}}, {"Last-Modified": {""}},
	} {
		if v := validators(header); v != (Validators{}) {
			t.Errorf("%v gives %v", header, v)
		}
	}
}

func TestRedirects(t *testing.T) {
	var seen atomic.Pointer[http.Request]
	var other *server
	s := rawWith(t, func(s *server, r *http.Request, conn net.Conn) {
		seen.Store(r)
		to := map[string]string{
			"/3": "/2", "/2": s.url("/1"), "/1": "/0", "/4": "/3", "/loop": "/loop",
			"/file": "file:///etc/passwd", "/ldap": "ldap://" + s.addr + "/cn=" + secret, "/ftp": "ftp://" + secret,
			"/user": "http://" + secret + ":pw@" + s.addr + "/0", "/nohost": "http:///0", "/other": "http://other.example:" + other.port() + "/0",
			"/post307": "/0",
		}[r.URL.Path]
		code := 302
		if r.URL.Path == "/post307" {
			code = 307
		}
		if to == "" {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\nhello")
			return
		}
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d Found\r\nSet-Cookie: a=b\r\nLocation: %s\r\n\r\n", code, to)
	})
	other = raw(t, "HTTP/1.1 200 OK\r\n\r\nother")
	c := client(t, Options{Resolver: names{"other.example": {"127.0.0.1"}}.resolver()})
	for _, c2 := range []struct {
		path, want string
		kind       error
		words      string
	}{
		{"/3", "hello", nil, ""},
		{"/other", "other", nil, ""},
		{"/4", "", ErrRedirect, "more than 3"},
		{"/loop", "", ErrRedirect, "more than 3"},
		{"/file", "", ErrRedirect, "neither http nor https"},
		{"/ldap", "", ErrRedirect, "neither http nor https"},
		{"/ftp", "", ErrRedirect, "neither http nor https"},
		{"/user", "", ErrUnsupported, "user name"},
		{"/nohost", "", ErrUnsupported, "names no host"},
	} {
		t.Run(c2.path, func(t *testing.T) {
			got, err := get(t, c, s.url(c2.path), 0)
			if c2.words != "" {
				wantError(t, err, c2.kind, c2.words)
				return
			}
			if err != nil || got != c2.want {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	// A redirected request says no more than the first.
	if _, err := get(t, c, s.url("/1"), 0); err != nil {
		t.Fatal(err)
	}
	if h := seen.Load().Header; h.Get("Cookie") != "" || h.Get("Referer") != "" {
		t.Errorf("the redirected request says %v", h)
	}
	if _, err := c.Post(t.Context(), s.url("/1"), "text/plain", []byte("x"), 0); err == nil {
		t.Error("a POST was redirected")
	} else {
		wantError(t, err, ErrRedirect, "POST into a GET")
	}
	if got, err := c.Post(t.Context(), s.url("/post307"), "text/plain", []byte("x"), 0); err != nil || string(got) != "hello" || seen.Load().Method != "POST" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestPost(t *testing.T) {
	s := rawWith(t, func(_ *server, r *http.Request, conn net.Conn) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\n\r\n%s %s %s", r.Method, r.Header.Get("Content-Type"), body)
	})
	c := client(t, Options{})
	got, err := c.Post(t.Context(), s.url("/"), "application/ocsp-request", []byte("body"), 100)
	if err != nil || string(got) != "POST application/ocsp-request body" {
		t.Errorf("got %q, %v", got, err)
	}
	got, err = c.Post(t.Context(), s.url("/"), "application/ocsp-request", []byte("body"), 10)
	wantError(t, err, ErrTooLarge, "more than 10 octets")
	if got != nil {
		t.Errorf("%q comes with an error", got)
	}
	_, err = c.Post(t.Context(), "ldap://"+s.addr+"/cn=x", "text/plain", nil, 10)
	wantError(t, err, ErrUnsupported, "neither http nor https")
}

func TestURLs(t *testing.T) {
	long := "http://crl.example/" + strings.Repeat("x", maxURL)
	for _, c := range []struct{ url, words string }{
		{"", "its scheme"}, {"crl.example/a", "its scheme"}, {"ftp://crl.example/", "its scheme"}, {"file:///etc/passwd", "its scheme"},
		{"http:crl", "names no host"}, {"http://", "names no host"}, {"http://:80/", "names no host"},
		{"http://user@crl.example/", "user name"}, {"http://crl.example:99999/", ""}, {"http://crl.example/\x00\n", "not a URL"},
		{"http://[::1/", "not a URL"}, {"http://%31%32%37.0.0.1/", "not a URL"}, {long, "longer than 4096"},
	} {
		_, err := get(t, client(t, Options{Resolver: names{}.resolver()}), c.url, 0)
		if c.words == "" {
			wantError(t, err, nil, "")
			continue
		}
		wantError(t, err, ErrUnsupported, c.words)
		if len(err.Error()) > 500 {
			t.Errorf("an error of %d octets", len(err.Error()))
		}
	}
}

// tlsServer says that on https, as example.com and 127.0.0.1.
func tlsServer(t *testing.T, answer string) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that do not trust it are what is tested
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func TestTLS(t *testing.T) {
	s := tlsServer(t, "hello")
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	resolver := names{"example.com": {"127.0.0.1"}, "other.example": {"127.0.0.1"}}.resolver()
	trusting := client(t, Options{Resolver: resolver, Roots: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs})
	if got, err := get(t, trusting, "https://example.com:"+port, 0); err != nil || got != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
	_, err := get(t, trusting, "https://other.example:"+port, 0)
	wantError(t, err, nil, "for another name")
	_, err = get(t, client(t, Options{Resolver: resolver}), "https://example.com:"+port, 0)
	wantError(t, err, nil, "does not chain to a trusted root")
	plain := raw(t, "HTTP/1.1 200 OK\r\n\r\n"+secret)
	_, err = get(t, trusting, "https://example.com:"+plain.port(), 0)
	wantError(t, err, nil, "")
}

func TestNobodyThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	listener.Close()
	_, err = get(t, client(t, Options{}), "http://"+addr, 0)
	wantError(t, err, syscall.ECONNREFUSED, addr+": connection refused")
	_, err = get(t, client(t, Options{}), "ldap://"+addr+"/cn=x", 0)
	wantError(t, err, syscall.ECONNREFUSED, addr+": connection refused")
	_, err = get(t, client(t, Options{Resolver: names{}.resolver()}), "http://crl.example", 0)
	wantError(t, err, nil, "looking up the host: no such host")
}

func TestWriterFails(t *testing.T) {
	full := errors.New("disk full")
	s := raw(t, "HTTP/1.1 200 OK\r\n\r\nhello")
	_, err := client(t, Options{}).Get(t.Context(), s.url("/"), Validators{}, failing{full}, 0)
	wantError(t, err, full, "storing what was fetched: disk full")
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestConcurrent(t *testing.T) {
	s := raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
	c := client(t, Options{})
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			if got, err := get(t, c, s.url("/"), 0); err != nil || got != "hello" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	wait.Wait()
}
