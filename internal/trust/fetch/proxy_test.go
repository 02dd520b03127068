package fetch

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// proxy is a little HTTP proxy that leads every name to the server at to, and
// keeps what it was asked for.
type proxy struct {
	*httptest.Server
	to string

	mu    sync.Mutex
	asked []string
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	p := &proxy{to: to}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" "+r.RequestURI)
	p.mu.Unlock()
	if r.Host == "denied.example" || r.Host == "denied.example:443" {
		http.Error(w, secret, http.StatusForbidden)
		return
	}
	if r.Method != http.MethodConnect {
		if r.URL.Path == "/redirect" {
			http.Redirect(w, r, "http://127.0.0.1/"+secret, http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, "by proxy")
		return
	}
	to, err := net.Dial("tcp", p.to)
	if err != nil {
		http.Error(w, secret, http.StatusBadGateway)
		return
	}
	defer to.Close()
	from, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer from.Close()
	_, _ = io.WriteString(from, "HTTP/1.1 200 Connected\r\n\r\n")
	go func() { _, _ = io.Copy(to, from) }()
	_, _ = io.Copy(from, to)
}

func (p *proxy) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := p.asked
	p.asked = nil
	return asked
}

func TestProxy(t *testing.T) {
	inner := tlsServer(t, "by tunnel")
	p := newProxy(t, inner.Listener.Addr().String())
	// The proxy of the environment must never be asked.
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")

	// The proxy is on loopback, and private addresses are not allowed: it is the operator's word.
	c := newClient(t, Options{Proxy: p.URL, Roots: inner.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs})
	for _, c2 := range []struct {
		url, want, asked string
		kind             error
		words            string
	}{
		{url: "http://crl.example/a.crl", want: "by proxy", asked: "[GET http://crl.example/a.crl]"},
		{url: "http://8.8.8.8/", want: "by proxy", asked: "[GET http://8.8.8.8/]"},
		{url: "https://example.com/", want: "by tunnel", asked: "[CONNECT example.com:443]"},
		{url: "http://denied.example/", asked: "[GET http://denied.example/]", words: "HTTP status 403"},
		{url: "https://denied.example/", asked: "[CONNECT denied.example:443]", words: "the proxy says: HTTP status 403"},
		{url: "https://other.example/", asked: "[CONNECT other.example:443]", words: "for another name"},
		// What the proxy would find on its side must not be asked for.
		{url: "http://127.0.0.1/", asked: "[]", kind: ErrForbiddenAddress, words: "loopback"},
		{url: "https://10.0.0.1/", asked: "[]", kind: ErrForbiddenAddress, words: "private"},
		{url: "http://localhost/", asked: "[]", kind: ErrForbiddenAddress, words: "loopback"},
		{url: "http://127.1/", asked: "[]", kind: ErrForbiddenAddress, words: "neither a name nor a proper address"},
		{url: "http://１２７.0.0.1/", asked: "[]", kind: ErrForbiddenAddress, words: "neither a name nor a proper address"},
		{url: "http://crl.example/redirect", asked: "[GET http://crl.example/redirect]", kind: ErrForbiddenAddress, words: "loopback"},
	} {
		got, err := get(t, c, c2.url, 0)
		if c2.words != "" {
			wantError(t, err, c2.kind, c2.words)
		} else if err != nil || got != c2.want {
			t.Errorf("%s: got %q, %v", c2.url, got, err)
		}
		if asked := fmt.Sprint(p.requests()); asked != c2.asked {
			t.Errorf("%s: the proxy was asked %s", c2.url, asked)
		}
	}
	if got, err := c.Post(t.Context(), "http://ocsp.example/", "text/plain", []byte("x"), 0); err != nil || string(got) != "by proxy" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestProxyExceptions(t *testing.T) {
	s := raw(t, "HTTP/1.1 200 OK\r\n\r\ndirect")
	p := newProxy(t, s.addr)
	resolver := names{"direct.example": {"127.0.0.1"}, "a.direct.example": {"127.0.0.1"}, "below.example": {"127.0.0.1"}, "a.below.example": {"127.0.0.1"}, "mydirect.example": {"127.0.0.1"}}.resolver()
	for _, c := range []struct {
		exceptions []string
		host, want string
	}{
		{[]string{"direct.example"}, "direct.example", "direct"},
		{[]string{"direct.example"}, "DIRECT.example", "direct"},
		{[]string{"direct.example"}, "a.direct.example", "direct"},
		{[]string{"direct.example"}, "mydirect.example", "by proxy"},
		{[]string{"x.example", ".below.example"}, "a.below.example", "direct"},
		{[]string{".below.example"}, "below.example", "by proxy"},
		{[]string{"127.0.0.0/8"}, "direct.example", "by proxy"}, // resolves to it, but is not written as it
		{[]string{"*"}, "direct.example", "direct"},
		{nil, "direct.example", "by proxy"},
	} {
		got, err := get(t, client(t, Options{Proxy: p.URL, NoProxy: c.exceptions, Resolver: resolver}), "http://"+c.host+":"+s.port(), 0)
		if err != nil || got != c.want {
			t.Errorf("%s, except %q: got %q, %v", c.host, c.exceptions, got, err)
		}
	}
	// An exception from the proxy is none from the rule about addresses, not even the proxy's own.
	c := newClient(t, Options{Proxy: p.URL, NoProxy: []string{"*"}, Resolver: resolver})
	for _, url := range []string{p.URL, "http://direct.example:" + s.port()} {
		_, err := get(t, c, url, 0)
		wantError(t, err, ErrForbiddenAddress, "loopback")
	}
	if asked := p.requests(); len(asked) != 4 {
		t.Errorf("the proxy was asked %v", asked)
	}
}

func TestOptions(t *testing.T) {
	for _, proxy := range []string{"proxy:3128", "https://proxy:3128", "socks5://proxy", "http://", "http://user:pw@proxy:3128", "http://proxy/path", "http://proxy/?x", "http://%zz", "\x00"} {
		if _, err := New(Options{Proxy: proxy}); err == nil {
			t.Errorf("proxy %q is taken", proxy)
		}
	}
	for _, proxy := range []string{"", "http://proxy", "http://proxy:3128", "http://10.0.0.1:3128/", "http://[fd00::1]:3128"} {
		if _, err := New(Options{Proxy: proxy}); err != nil {
			t.Error(err)
		}
	}
	for _, exception := range []string{"192.0.2.0/240", "http://proxy.example/", "", "a b", "a,b"} {
		if _, err := New(Options{NoProxy: []string{exception}}); err == nil {
			t.Errorf("exception %q is taken", exception)
		}
	}
	for option, want := range map[string]string{
		"ldap.example": "ldap.example:389", "ldap.example:3890": "ldap.example:3890", "ldap://ldap.example": "ldap.example:389", "ldaps://ldap.example": "ldap.example:636",
		"ldaps://ldap.example:6360/": "ldap.example:6360", "[fd00::1]": "[fd00::1]:389", "10.0.0.1": "10.0.0.1:389",
		"http://ldap.example": "", "ldap://ldap.example/cn=x": "", "ldap://": "", "user@ldap.example": "", "ldap.example:": "", "ldap.example:x": "", "ldap://ldap.example?x": "",
	} {
		c, err := New(Options{LDAPServer: option})
		switch {
		case want == "" && err == nil:
			t.Errorf("server %q is taken as %+v", option, c.ldapServer)
		case want != "" && (err != nil || c.ldapServer.address != want):
			t.Errorf("server %q: %+v, %v", option, c, err)
		}
	}
}
