package partner

import (
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"domain-secured/internal/testkit/dnsserver"
)

// daneZone: KEY is replaced by the SHA-256 of the public key. Everything is signed,
// until a test says otherwise.
const daneZone = `
example.com MX 10 mx1.example.com
example.com MX 20 mx2.example.net
mx1.example.com A 192.0.2.1
mx2.example.net AAAA 2001:db8::2
_25._tcp.mx2.example.net TLSA 3 1 1 KEY
_25._tcp.mx1.example.com TLSA 3 1 1 0000000000000000000000000000000000000000000000000000000000000000
`

func TestMatch(t *testing.T) {
	c := leaf(t)
	s := subjectOf(c)
	whole := s
	whole.X509 = c
	certificate512 := sha512.Sum512(c.Raw)
	replace := strings.NewReplacer("KEY512", fmt.Sprintf("%x", sha512.Sum512(c.RawSubjectPublicKeyInfo)),
		"KEY", s.Key.String(), "CERT512", fmt.Sprintf("%x", certificate512), "CERT", s.Certificate.String(), "WHOLE", fmt.Sprintf("%x", c.Raw))
	one := func(records ...string) string { // a zone with one host
		return "example.com MX 10 mx.example.com\nmx.example.com A 192.0.2.1\n" + strings.Join(records, "\n") + "\n"
	}
	const (
		no = iota
		yes
		failed
	)
	for _, r := range []struct {
		name     string
		zone     string
		insecure []string
		odd      map[string]dnsserver.Behaviour // by "name type"
		want     int
		err      error
	}{
		{"a later host", daneZone, nil, nil, yes, nil},
		{"insecure MX", daneZone, []string{"example.com"}, nil, no, nil},
		{"insecure host that matches", daneZone, []string{"mx2.example.net"}, nil, no, nil},
		{"insecure host beside it", daneZone, []string{"mx1.example.com"}, nil, no, nil},
		{"insecure TLSA", daneZone, []string{"_25._tcp.mx2.example.net"}, nil, no, nil},
		{"insecure TLSA beside it", daneZone, []string{"_25._tcp.mx1.example.com"}, nil, no, nil},
		{"insecure client TLSA beside it", daneZone, []string{"_smtp-client.mx1.example.com"}, nil, no, nil},
		{"bogus MX", daneZone, nil, map[string]dnsserver.Behaviour{"example.com MX": dnsserver.Bogus}, failed, ErrBogus},
		{"silent MX", daneZone, nil, map[string]dnsserver.Behaviour{"example.com MX": dnsserver.Silent}, failed, ErrFailed},
		{"bogus host", daneZone, nil, map[string]dnsserver.Behaviour{"mx2.example.net A": dnsserver.Bogus}, failed, ErrBogus},
		{"bogus TLSA", daneZone, nil, map[string]dnsserver.Behaviour{"_25._tcp.mx2.example.net TLSA": dnsserver.Bogus}, failed, ErrBogus},
		{"SERVFAIL for TLSA", daneZone, nil, map[string]dnsserver.Behaviour{"_25._tcp.mx2.example.net TLSA": dnsserver.ServFail}, failed, ErrBogus},
		{"TLSA refused", daneZone, nil, map[string]dnsserver.Behaviour{"_25._tcp.mx2.example.net TLSA": dnsserver.Refused}, failed, ErrFailed},
		{"a failure beside a match", daneZone, nil, map[string]dnsserver.Behaviour{"mx1.example.com A": dnsserver.Bogus}, yes, nil},
		{"a failure for the same host", daneZone, nil, map[string]dnsserver.Behaviour{"_smtp-client.mx2.example.net TLSA": dnsserver.ServFail}, yes, nil},
		{"a failure where nothing is secure", daneZone, []string{"mx1.example.com"}, map[string]dnsserver.Behaviour{"_25._tcp.mx2.example.net TLSA": dnsserver.Bogus}, no, nil},

		{"no such domain", "example.net TXT x\n", nil, nil, no, nil},
		{"no mail", "example.com MX 0 .\n", nil, nil, no, nil},
		{"no address", "example.com TXT x\n", nil, nil, no, nil},
		{"no such host", "example.com MX 10 mx.example.com\n", nil, nil, no, nil},
		{"no TLSA", one(), nil, nil, no, nil},
		{"another's TLSA", one("_25._tcp.mx.example.com TLSA 3 1 1 " + strings.Repeat("11", 32)), nil, nil, no, nil},
		{"nothing usable", one("_25._tcp.mx.example.com TLSA 2 1 1 KEY", "_25._tcp.mx.example.com TLSA 1 0 1 CERT", "_25._tcp.mx.example.com TLSA 3 1 9 KEY"), nil, nil, no, nil},
		{"one usable", one("_25._tcp.mx.example.com TLSA 2 1 1 KEY", "_25._tcp.mx.example.com TLSA 3 0 1 CERT"), nil, nil, yes, nil},
		{"whole certificate", one("_25._tcp.mx.example.com TLSA 3 0 0 WHOLE"), nil, nil, yes, nil},
		{"client's", one("_smtp-client.mx.example.com TLSA 3 1 1 KEY"), nil, nil, yes, nil},
		{"client's beside the server's", one("_25._tcp.mx.example.com TLSA 3 1 1 "+strings.Repeat("11", 32), "_smtp-client.mx.example.com TLSA 3 1 1 KEY"), nil, nil, yes, nil},
		{"bogus client's", one(), nil, map[string]dnsserver.Behaviour{"_smtp-client.mx.example.com TLSA": dnsserver.Bogus}, failed, ErrBogus},
		{"another port's", one("_465._tcp.mx.example.com TLSA 3 1 1 KEY"), nil, nil, no, nil},
		{"the domain's", one("_25._tcp.example.com TLSA 3 1 1 KEY"), nil, nil, no, nil},
		{"SHA-512 without the certificate", one("_25._tcp.mx.example.com TLSA 3 1 2 KEY512"), nil, nil, no, nil},

		{"implicit MX", "example.com A 192.0.2.1\n_25._tcp.example.com TLSA 3 1 1 KEY\n", nil, nil, yes, nil},
		{"implicit MX, insecure", "example.com A 192.0.2.1\n_25._tcp.example.com TLSA 3 1 1 KEY\n", []string{"example.com"}, nil, no, nil},

		{"the domain's CNAME", "example.com CNAME example.org\nexample.org MX 10 mx.example.com\nmx.example.com A 192.0.2.1\n_25._tcp.mx.example.com TLSA 3 1 1 KEY\n", nil, nil, yes, nil},
		{"the domain's CNAME into the insecure", "example.com CNAME example.org\nexample.org MX 10 mx.example.com\nmx.example.com A 192.0.2.1\n_25._tcp.mx.example.com TLSA 3 1 1 KEY\n", []string{"example.org"}, nil, no, nil},
		{"an insecure CNAME of the domain", "example.com CNAME example.org\nexample.org MX 10 mx.example.org\nmx.example.org A 192.0.2.1\n_25._tcp.mx.example.org TLSA 3 1 1 KEY\n", []string{"example.com"}, nil, no, nil},

		{"the TLSA's CNAME", one("_25._tcp.mx.example.com CNAME dane.example.org", "dane.example.org TLSA 3 1 1 KEY"), nil, nil, yes, nil},
		{"the TLSA's CNAME into the insecure", one("_25._tcp.mx.example.com CNAME dane.example.org", "dane.example.org TLSA 3 1 1 KEY"), []string{"example.org"}, nil, no, nil},
		{"an insecure CNAME of the TLSA", one("_25._tcp.mx.example.com CNAME dane.example.org", "dane.example.org TLSA 3 1 1 KEY"), []string{"_tcp.mx.example.com"}, nil, no, nil},

		{"the host's CNAME", "example.com MX 10 mx.example.com\nmx.example.com CNAME mx.example.org\nmx.example.org A 192.0.2.1\n_25._tcp.mx.example.org TLSA 3 1 1 KEY\n", nil, nil, yes, nil},
		{"the host's CNAME, the name itself", "example.com MX 10 mx.example.com\nmx.example.com CNAME mx.example.org\nmx.example.org A 192.0.2.1\n_25._tcp.mx.example.com TLSA 3 1 1 KEY\n", nil, nil, yes, nil},
		{"the host's CNAME comes first", "example.com MX 10 mx.example.com\nmx.example.com CNAME mx.example.org\nmx.example.org A 192.0.2.1\n_25._tcp.mx.example.com TLSA 3 1 1 KEY\n_25._tcp.mx.example.org TLSA 3 1 1 " + strings.Repeat("11", 32) + "\n", nil, nil, no, nil},
		{"the host's CNAME fails", "example.com MX 10 mx.example.com\nmx.example.com CNAME mx.example.org\nmx.example.org A 192.0.2.1\n_25._tcp.mx.example.com TLSA 3 1 1 KEY\n", nil, map[string]dnsserver.Behaviour{"_25._tcp.mx.example.org TLSA": dnsserver.Bogus}, failed, ErrBogus},
		{"the host's CNAME into the insecure", "example.com MX 10 mx.example.com\nmx.example.com CNAME mx.example.org\nmx.example.org A 192.0.2.1\n_25._tcp.mx.example.org TLSA 3 1 1 KEY\n", []string{"example.org"}, nil, no, nil},
		{"an insecure CNAME of the host", "example.com MX 10 mx.example.com\nmx.example.com CNAME mx.example.org\nmx.example.org A 192.0.2.1\n_25._tcp.mx.example.org TLSA 3 1 1 KEY\n", []string{"mx.example.com"}, nil, no, nil},
		{"an insecure host that does not know TLSA", one(), []string{"mx.example.com"}, map[string]dnsserver.Behaviour{"_25._tcp.mx.example.com TLSA": dnsserver.ServFail}, no, nil},
		{"the host's CNAME into the odd", "example.com MX 10 mx.example.com\nmx.example.com CNAME a\\032b.example.org\na\\032b.example.org A 192.0.2.1\n_25._tcp.mx.example.com TLSA 3 1 1 KEY\n", nil, nil, yes, nil},
		{"a name too long for TLSA", "example.com MX 10 " + longHost + "\n" + longHost + " A 192.0.2.1\nexample.com MX 20 mx.example.com\nmx.example.com A 192.0.2.1\n_25._tcp.mx.example.com TLSA 3 1 1 KEY\n", nil, nil, yes, nil},
	} {
		t.Run(r.name, func(t *testing.T) {
			server, resolver := resolving(t, replace.Replace(r.zone))
			if r.name == "silent MX" {
				resolver.timeout = 100 * time.Millisecond
			}
			server.Secure(".")
			server.Insecure(r.insecure...)
			for name, behaviour := range r.odd {
				name, kind, _ := strings.Cut(name, " ")
				server.Behave(name, kind, behaviour, 0)
			}
			d := NewDANE(resolver, faultless(t))
			defer d.Close()
			match, err := d.Match(t.Context(), "Example.com.", s)
			if match != (r.want == yes) || (err != nil) != (r.want == failed) || !errors.Is(err, r.err) {
				t.Errorf("%v, %v", match, err)
			}
			if match, err := d.Match(t.Context(), "example.com", Subject{Certificate: Fingerprint{1}, Key: Fingerprint{2}}); match {
				t.Errorf("another certificate: %v, %v", match, err)
			}
			// A resolver whose AD bit is not believed: no DANE at all, but failures.
			resolver.secure = false
			distant := NewDANE(resolver, faultless(t))
			defer distant.Close()
			if match, _ := distant.Match(t.Context(), "example.com", s); match {
				t.Error("the AD bit was believed")
			}
			if r.name == "SHA-512 without the certificate" {
				if match, err := d.Match(t.Context(), "example.com", whole); !match || err != nil {
					t.Errorf("with the certificate: %v, %v", match, err)
				}
			}
		})
	}
}

// longHost is a name with no room for _25._tcp before it.
var longHost = strings.Repeat(strings.Repeat("a", 61)+".", 3) + strings.Repeat("b", 50) + ".example.com"

func TestMatchBadDomain(t *testing.T) {
	_, r := resolving(t, daneZone[:0])
	d := NewDANE(r, faultless(t))
	if _, err := d.Match(t.Context(), "no domain", Subject{}); err == nil {
		t.Error("taken")
	}
	d.Close()
	d.Close()
	if _, err := d.Match(t.Context(), "example.com", Subject{}); !errors.Is(err, ErrFailed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestMatchIsRemembered with a clock of the test's own.
func TestMatchIsRemembered(t *testing.T) {
	s := subjectOf(leaf(t))
	short := "example.com 5 MX 10 mx.example.com\nmx.example.com 5 A 192.0.2.1\n_25._tcp.mx.example.com 5 TLSA 3 1 1 " + s.Key.String() + "\n_smtp-client.mx.example.com 5 TLSA 3 1 1 00\n"
	for _, c := range []struct {
		name string
		zone string
		odd  dnsserver.Behaviour
		kept time.Duration
	}{
		{"as long as the least TTL", strings.Replace(strings.ReplaceAll(short, " 5 ", " 400 "), " 400 A", " 300 A", 1), dnsserver.Answer, 300 * time.Second},
		{"as long as there being nothing", strings.ReplaceAll(short, " 5 ", " 400 ") + "x.mx.example.com A 192.0.2.1\n", dnsserver.Answer, 400 * time.Second},
		{"a minute", short, dnsserver.Answer, time.Minute},
		{"an hour", strings.ReplaceAll(short, " 5 ", " 100000 "), dnsserver.Answer, time.Hour},
		{"no records", "example.com TXT x\n", dnsserver.Answer, 120 * time.Second},
		{"a failure", short, dnsserver.Refused, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, r := resolving(t, c.zone)
			server.Secure(".")
			server.Behave("example.com", "MX", c.odd, 0)
			d := NewDANE(r, faultless(t))
			defer d.Close()
			var mu sync.Mutex
			now := time.Now()
			d.now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
			ask := func() int {
				if _, err := d.Match(t.Context(), "example.com", s); err != nil && c.odd == dnsserver.Answer {
					t.Fatal(err)
				}
				return server.Asked("example.com", "MX")
			}
			advance := func(by time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(by) }
			first := ask()
			advance(c.kept - time.Second)
			if n := ask(); n != first {
				t.Errorf("asked again before it expired: %d, then %d", first, n)
			}
			advance(time.Second)
			if n := ask(); n == first {
				t.Error("not asked again when it had expired")
			}
		})
	}
}

// TestMatchWaitsForOne has many ask at the same time, one of them without patience,
// and then one too many, who does not wait.
func TestMatchWaitsForOne(t *testing.T) {
	s := subjectOf(leaf(t))
	server, r := resolving(t, strings.ReplaceAll(daneZone, "KEY", s.Key.String()))
	server.Secure(".")
	server.Behave("example.com", "MX", dnsserver.Silent, 1)
	r.timeout = 4 * time.Second
	d := NewDANE(r, faultless(t))
	defer d.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Match(ctx, "example.com", s); !errors.Is(err, ErrFailed) || !errors.Is(err, context.Canceled) {
		t.Errorf("without patience: %v", err)
	}
	var work sync.WaitGroup
	for range maxWaiting {
		work.Go(func() {
			if match, err := d.Match(t.Context(), "example.com", s); !match || err != nil {
				t.Errorf("%v, %v", match, err)
			}
		})
	}
	for len(d.waiting) < maxWaiting || server.Asked("example.com", "MX") == 0 {
		time.Sleep(time.Millisecond)
	}
	if match, err := d.Match(t.Context(), "example.com", s); match || !errors.Is(err, ErrFailed) || !errors.Is(err, errManyWait) {
		t.Errorf("one too many: %v, %v", match, err)
	}
	if n := server.Asked("example.com", "MX"); n != 1 {
		t.Errorf("asked %d times before the answer", n)
	}
	work.Wait()
	if match, err := d.Match(t.Context(), "example.com", s); !match || err != nil {
		t.Errorf("once it is known: %v, %v", match, err)
	}
	if n := server.Asked("example.com", "MX"); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

// TestMatchMemoryIsBounded fills it.
func TestMatchMemoryIsBounded(t *testing.T) {
	server, r := resolving(t, "x.example TXT x\n")
	server.Secure(".")
	d := NewDANE(r, faultless(t))
	defer d.Close()
	now := time.Now()
	d.mu.Lock()
	for i := range maxPartners {
		p := &partnerTLSA{done: make(chan struct{}), expires: now.Add(time.Duration(i+1) * time.Hour)}
		if i != 3 {
			close(p.done)
		}
		d.known[fmt.Sprintf("d%d.example", i)] = p
	}
	d.mu.Unlock()
	for _, domain := range []string{"a.example", "b.example", "c.example"} {
		if _, err := d.Match(t.Context(), domain, Subject{}); err != nil {
			t.Error(err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.known) > maxPartners || d.known["c.example"] == nil || d.known["d3.example"] == nil || d.known["d0.example"] != nil {
		t.Errorf("%d partners", len(d.known))
	}
	for _, p := range d.known {
		p.done = make(chan struct{})
	}
	if d.makeRoom(now.Add(10000 * time.Hour)) {
		t.Error("something under way was forgotten")
	}
	for _, p := range d.known {
		close(p.done)
	}
	if !d.makeRoom(now.Add(10000*time.Hour)) || len(d.known) != 0 {
		t.Errorf("%d partners are remembered though all have expired", len(d.known))
	}
}

// TestCloseEndsLookUps that would take long.
func TestCloseEndsLookUps(t *testing.T) {
	server, r := resolving(t, daneZone[:0])
	r.timeout = time.Minute
	server.Behave("example.com", "", dnsserver.Silent, 0)
	d := NewDANE(r, faultless(t))
	matched := make(chan error)
	go func() {
		_, err := d.Match(context.Background(), "example.com", Subject{})
		matched <- err
	}()
	for server.Asked("example.com", "MX") == 0 {
		time.Sleep(time.Millisecond)
	}
	d.Close()
	if err := <-matched; !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
}

// TestMatchOutlivesPanics: a fault of ours is a look-up that failed, and is said.
func TestMatchOutlivesPanics(t *testing.T) {
	var complaints []string
	d := NewDANE(nil, func(err error) { complaints = append(complaints, err.Error()) })
	defer d.Close()
	for range 2 { // the second is told what is remembered
		if match, err := d.Match(t.Context(), "example.com", Subject{}); match || !errors.Is(err, ErrFailed) || !errors.Is(err, errFault) {
			t.Errorf("%v, %v", match, err)
		}
	}
	if len(complaints) != 1 || !strings.HasPrefix(complaints[0], "TLSA records of example.com: panic: ") {
		t.Errorf("complaints %q", complaints)
	}
}

// TestMatchBusy: that others are looked up says nothing about a partner, and is
// forgotten with them.
func TestMatchBusy(t *testing.T) {
	s := subjectOf(leaf(t))
	server, r := resolving(t, strings.ReplaceAll(daneZone, "KEY", s.Key.String()))
	server.Secure(".")
	d := NewDANE(r, faultless(t))
	defer d.Close()
	for range lookUps {
		d.slots <- struct{}{}
	}
	p := &partnerTLSA{done: make(chan struct{})}
	d.known["example.com"] = p
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	whole := d.ctx
	d.ctx = ctx // its time is over
	d.lookUp("example.com", p)
	d.ctx = whole
	if _, err := p.match(s); !errors.Is(err, errBusy) {
		t.Errorf("%v", err)
	}
	for range lookUps {
		<-d.slots
	}
	if match, err := d.Match(t.Context(), "example.com", s); !match || err != nil {
		t.Errorf("afterwards: %v, %v", match, err)
	}
}
