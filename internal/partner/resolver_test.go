package partner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/dnsserver"

	"github.com/miekg/dns"
)

const mxZone = `
example.com MX 20 mx2.example.com
example.com MX 10 MX1.Example.COM
example.com MX 20 mx1.example.com
example.com MX 20 mx10.example.com
null.example MX 0 .
half.example MX 0 .
half.example MX 10 mx.half.example
odd.example MX 10 192.0.2.1
odd.example MX 10 a\032b.example
odd.example MX 30 good.example
onlyodd.example MX 10 192.0.2.1
a.example A 192.0.2.1
aaaa.example AAAA 2001:db8::1
txt.example TXT "x"
alias.example CNAME example.com
toalias.example CNAME alias.example
toa.example CNAME a.example
tonone.example CNAME gone.example
loop.example CNAME pool.example
pool.example CNAME loop.example
one.example CNAME two.example
two.example CNAME three.example
three.example CNAME four.example
four.example CNAME five.example
five.example CNAME six.example
six.example CNAME seven.example
seven.example CNAME eight.example
eight.example MX 10 mx.example
zero.example CNAME one.example
both.example A 192.0.2.1
both.example A 192.0.2.1
both.example A 192.0.2.2
both.example AAAA 2001:db8::1
both.example AAAA ::ffff:192.0.2.1
`

func TestMX(t *testing.T) {
	server, r := resolving(t, mxZone)
	server.Secure("example.com", "a.example", "null.example", "txt.example", "gone.example", "tonone.example", "alias.example")
	for _, c := range []struct {
		domain string
		want   string
		secure bool
		err    error
	}{
		{"example.com", "10 mx1.example.com, 20 mx10.example.com, 20 mx2.example.com", true, nil},
		{"EXAMPLE.com.", "10 mx1.example.com, 20 mx10.example.com, 20 mx2.example.com", true, nil},
		{"null.example", "", true, ErrNoMail},
		{"half.example", "10 mx.half.example", false, nil},
		{"odd.example", "30 good.example", false, nil},
		{"onlyodd.example", "", false, ErrNoData},
		{"a.example", "implicit a.example", true, nil},
		{"aaaa.example", "implicit aaaa.example", false, nil},
		{"txt.example", "", true, ErrNoData},
		{"none.example", "", false, ErrNoSuchName},
		{"gone.example", "", true, ErrNoSuchName},
		{"tonone.example", "", true, ErrNoSuchName},
		{"alias.example", "10 mx1.example.com, 20 mx10.example.com, 20 mx2.example.com", true, nil},
		{"toalias.example", "10 mx1.example.com, 20 mx10.example.com, 20 mx2.example.com", false, nil},
		{"toa.example", "implicit toa.example", false, nil},
		{"loop.example", "", false, ErrFailed},
		{"one.example", "10 mx.example", false, nil},
		{"zero.example", "", false, ErrFailed},
		{"not a domain", "", false, errors.ErrUnsupported},
	} {
		hosts, secure, err := r.MX(t.Context(), c.domain)
		var got []string
		for _, mx := range hosts {
			if mx.Implicit {
				got = append(got, "implicit "+mx.Host)
			} else {
				got = append(got, fmt.Sprintf("%d %s", mx.Preference, mx.Host))
			}
		}
		right := errors.Is(err, c.err)
		if c.err == errors.ErrUnsupported { // a mistake of the caller's is none of the errors
			right = err != nil && !isAnswer(err) && !errors.Is(err, ErrFailed)
		}
		if strings.Join(got, ", ") != c.want || secure != c.secure || !right {
			t.Errorf("%s: %q secure=%v: %v", c.domain, got, secure, err)
		}
	}
}

func TestAddresses(t *testing.T) {
	server, r := resolving(t, mxZone)
	for host, want := range map[string]string{
		"both.example": "[192.0.2.1 192.0.2.2 2001:db8::1 ::ffff:192.0.2.1]",
		"a.example":    "[192.0.2.1]", "aaaa.example": "[2001:db8::1]", "toa.example": "[192.0.2.1]",
	} {
		if got, err := r.Addresses(t.Context(), host); fmt.Sprint(got) != want || err != nil {
			t.Errorf("%s: %v, %v", host, got, err)
		}
	}
	if _, err := r.Addresses(t.Context(), "txt.example"); !errors.Is(err, ErrNoData) {
		t.Error(err)
	}
	if _, err := r.Addresses(t.Context(), "none.example"); !errors.Is(err, ErrNoSuchName) {
		t.Error(err)
	}
	if _, err := r.Addresses(t.Context(), "192.0.2.1"); err == nil || isAnswer(err) {
		t.Error(err)
	}
	server.Behave("both.example", "AAAA", dnsserver.ServFail, 0)
	if got, err := r.Addresses(t.Context(), "both.example"); len(got) != 2 || !errors.Is(err, ErrBogus) {
		t.Errorf("half an answer: %v, %v", got, err)
	}
	server.Behave("aaaa.example", "A", dnsserver.ServFail, 0)
	if got, err := r.Addresses(t.Context(), "aaaa.example"); len(got) != 1 || !errors.Is(err, ErrBogus) {
		t.Errorf("the other half: %v, %v", got, err)
	}
	server.Behave("txt.example", "A", dnsserver.ServFail, 0)
	if got, err := r.Addresses(t.Context(), "txt.example"); len(got) != 0 || !errors.Is(err, ErrBogus) {
		t.Errorf("no data and a failure: %v, %v", got, err)
	}
}

func TestFailures(t *testing.T) {
	server, r := resolving(t, mxZone)
	patience := r.timeout
	for _, c := range []struct {
		behaviour dnsserver.Behaviour
		want      error // nil: an answer
		asked     int
	}{
		{dnsserver.ServFail, ErrBogus, 2},
		{dnsserver.Bogus, ErrBogus, 2},
		{dnsserver.Unreachable, ErrFailed, 2},
		{dnsserver.Refused, ErrFailed, 2},
		{dnsserver.Silent, ErrFailed, 2},
		{dnsserver.Truncated, nil, 2}, // over UDP, over TCP
		{dnsserver.TruncatedTwice, ErrFailed, 4},
		{dnsserver.OtherQuestion, ErrFailed, 2},
		{dnsserver.OtherID, ErrFailed, 2},
		{dnsserver.NotADNSMessage, ErrFailed, 2},
	} {
		server.Behave("example.com", "MX", c.behaviour, 0)
		r.timeout = patience
		if c.behaviour == dnsserver.Silent || c.behaviour == dnsserver.OtherID {
			r.timeout = time.Second
		}
		before := server.Asked("example.com", "MX")
		hosts, _, err := r.MX(t.Context(), "example.com")
		if !errors.Is(err, c.want) || c.want == nil != (len(hosts) == 3) || c.want != nil && isAnswer(err) {
			t.Errorf("behaviour %d: %v, %v", c.behaviour, hosts, err)
		}
		if asked := server.Asked("example.com", "MX") - before; asked != c.asked {
			t.Errorf("behaviour %d: asked %d times", c.behaviour, asked)
		}
		if err != nil && strings.ContainsRune(printable(err.Error()), '\x1b') {
			t.Errorf("%q", err)
		}
		// Once is mended by the second try.
		if c.want == nil {
			continue
		}
		times := 1
		if c.behaviour == dnsserver.TruncatedTwice {
			times = 2
		}
		server.Behave("example.com", "MX", c.behaviour, times)
		if hosts, _, err := r.MX(t.Context(), "example.com"); err != nil || len(hosts) != 3 {
			t.Errorf("behaviour %d, once: %v, %v", c.behaviour, hosts, err)
		}
	}
}

func TestServerGone(t *testing.T) {
	server, err := dnsserver.Start(mxZone)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewResolver(ResolverConfig{Server: server.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
	if _, _, err := r.MX(t.Context(), "example.com"); !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
}

// TestContextEnds has the caller lose patience: no waiting for the second try.
func TestContextEnds(t *testing.T) {
	server, r := resolving(t, mxZone)
	r.timeout = time.Minute
	server.Behave("example.com", "", dnsserver.Silent, 0)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for server.Asked("example.com", "MX") == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if _, _, err := r.MX(ctx, "example.com"); !errors.Is(err, ErrFailed) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if n := server.Asked("example.com", "MX"); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestManyRecords(t *testing.T) {
	var b strings.Builder
	for i := range 150 {
		fmt.Fprintf(&b, "many.example MX %d mx%d.many.example\nmany.example A 192.0.2.%d\n", 150-i, i, i)
	}
	_, r := resolving(t, b.String())
	hosts, _, err := r.MX(t.Context(), "many.example")
	if err != nil || len(hosts) != maxHosts {
		t.Errorf("%d hosts: %v", len(hosts), err)
	}
	if !slices.IsSortedFunc(hosts, func(a, b MX) int { return int(a.Preference) - int(b.Preference) }) {
		t.Errorf("not in order: %v", hosts)
	}
	if addresses, err := r.Addresses(t.Context(), "many.example"); err != nil || len(addresses) != maxAddresses {
		t.Errorf("%d addresses: %v", len(addresses), err)
	}
}

func TestServers(t *testing.T) {
	for server, want := range map[string]string{
		"127.0.0.1:5353": "127.0.0.1:5353 true", "localhost:53": "127.0.0.1:53 true", "127.0.0.53": "127.0.0.53:53 true",
		"[::1]:53": "[::1]:53 true", "::1": "[::1]:53 true", "[::ffff:127.0.0.1]:53": "127.0.0.1:53 true",
		"192.0.2.1:53": "192.0.2.1:53 false", "[2001:db8::1]:53": "[2001:db8::1]:53 false",
		"dns.example:53": "", "192.0.2.1:": "", "192.0.2.1:0": "", "192.0.2.1:70000": "", ":53": "", "x": "",
	} {
		r, err := NewResolver(ResolverConfig{Server: server})
		switch {
		case (err == nil) != (want != ""):
			t.Errorf("%s: %v", server, err)
		case err == nil && fmt.Sprintf("%s %v", r.Server(), r.BelievesAD()) != want:
			t.Errorf("%s: %s %v", server, r.Server(), r.BelievesAD())
		}
	}
	if r, err := NewResolver(ResolverConfig{Server: "192.0.2.1:53", TrustAD: true}); err != nil || !r.BelievesAD() {
		t.Errorf("trusted: %v", err)
	}
}

func TestSystemServer(t *testing.T) {
	for text, want := range map[string]string{
		"search example.com\nnameserver 192.0.2.53\nnameserver 127.0.0.1\n": "192.0.2.53:53 false",
		"nameserver 127.0.0.53\noptions edns0 trust-ad\n":                   "127.0.0.53:53 true",
		"nameserver fe80::1%lo\n":                                           "[fe80::1%lo]:53 false",
		"# none\n":                                                          "127.0.0.1:53 true",
		"nameserver dns.example\n":                                          "",
	} {
		name := filepath.Join(t.TempDir(), "resolv.conf")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := newResolver(ResolverConfig{}, name)
		switch {
		case (err == nil) != (want != ""):
			t.Errorf("%q: %v", text, err)
		case err == nil && fmt.Sprintf("%s %v", r.Server(), r.BelievesAD()) != want:
			t.Errorf("%q: %s %v", text, r.Server(), r.BelievesAD())
		}
	}
	if r, err := newResolver(ResolverConfig{}, filepath.Join(t.TempDir(), "none")); err != nil || r.Server() != "127.0.0.1:53" {
		t.Errorf("without the file: %v", err)
	}
	if _, err := newResolver(ResolverConfig{}, t.TempDir()); err == nil {
		t.Error("a folder was taken")
	}
}

// TestADIsNotBelieved: only from this machine, or if said so.
func TestADIsNotBelieved(t *testing.T) {
	server, r := resolving(t, mxZone)
	server.Secure("example.com")
	r.secure = false
	if _, secure, err := r.MX(t.Context(), "example.com"); secure || err != nil {
		t.Errorf("secure=%v, %v", secure, err)
	}
}

// TestStrayRecords: only those of the name asked for, or of where its CNAMEs lead,
// are an answer.
func TestStrayRecords(t *testing.T) {
	r := &Resolver{secure: true}
	for _, c := range []struct {
		question string
		records  []string
		want     string
		err      error
	}{
		{"a.example.", []string{"A.example. A 192.0.2.1", "b.example. A 192.0.2.2", "a.example. TXT x", "a.example. CH A 192.0.2.3"}, "[192.0.2.1] a.example", nil},
		{"a.example.", []string{"b.example. A 192.0.2.2"}, "[] a.example", ErrNoData},
		{"a.example.", []string{"a.example. CNAME B.example.", "c.example. A 192.0.2.3", "b.example. A 192.0.2.2", "a.example. A 192.0.2.1"}, "[192.0.2.2] b.example", nil},
		{"a.example.", []string{"b.example. CNAME c.example.", "c.example. A 192.0.2.3"}, "[] a.example", ErrNoData},
	} {
		q := new(dns.Msg).SetQuestion(c.question, dns.TypeA)
		reply := new(dns.Msg).SetReply(q)
		for _, text := range c.records {
			rr, err := dns.NewRR(text)
			if err != nil {
				t.Fatal(err)
			}
			reply.Answer = append(reply.Answer, rr)
		}
		a, err := r.read(q, reply)
		var got []string
		for _, rr := range a.records {
			address, _ := addressOf(rr)
			got = append(got, address.String())
		}
		if fmt.Sprintf("%v %s", got, a.name) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%q: %v %s, %v", c.records, got, a.name, err)
		}
	}
}
