package partner

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"domain-secured/internal/testkit/dnsserver"
	"domain-secured/internal/testkit/pki"
)

func TestProbe(t *testing.T) {
	root, intermediate := authority(t)
	c, err := intermediate.Leaf(pki.LeafOptions{DNSNames: []string{"mx.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	own, err := root.Leaf(pki.LeafOptions{DNSNames: []string{"mail.contoso.com"}})
	if err != nil {
		t.Fatal(err)
	}
	ours := own.TLSCertificate()
	config := serverConfig(c.TLSCertificate())
	config.ClientAuth = tls.RequestClientCert
	config.ClientCAs = intermediate.Pool() // not what ours is from
	var name, presented, hello atomic.Value
	config.VerifyConnection = func(state tls.ConnectionState) error {
		name.Store(state.ServerName)
		if len(state.PeerCertificates) > 0 {
			presented.Store(state.PeerCertificates[0].Raw)
		}
		return nil
	}
	at := mailServer(t, "127.0.0.1:0", func(p *peer) {
		if !p.untilSTARTTLS() || !p.secure(config) {
			return
		}
		hello.Store(p.hear())
		p.say("250 mx.example.com")
		p.hear()
		p.say("221 bye")
	})
	server, r := resolving(t, oneHost(at.Addr())+"_25._tcp.mx.example.com TLSA 3 1 1 "+subjectOf(c.Leaf).Key.String()+"\n")
	server.Secure(".")
	options := Options{Resolver: r, Port: at.Port(), AllowPrivate: true, Hello: "mail.contoso.com", Certificate: &ours, TLSA: true}
	report := probing().Probe(t.Context(), Target{Domain: "example.com"}, options)
	if report.Problem != "" || !report.MXSecure || len(report.Hosts) != 1 || report.Domain != "example.com" || report.Time.IsZero() {
		t.Fatalf("%+v", report)
	}
	host := report.Hosts[0]
	if host.Name != "mx.example.com" || host.Source != SourceMX || host.Preference != 10 || host.Problem != "" ||
		host.TLSAStatus != TLSASecure || len(host.TLSA) != 1 || len(host.Addresses) != 1 {
		t.Fatalf("%+v", host)
	}
	a := host.Addresses[0]
	if a.Address != at.Addr() || a.Port != at.Port() || !a.Reachable || a.Problem != "" || a.Detail != "" ||
		a.Greeting != "mx.example.com ESMTP" || a.HelloName != "mx.example.com" || !a.STARTTLS || a.TLS == nil {
		t.Fatalf("%+v", a)
	}
	found := a.TLS
	if found.Version != "TLS 1.3" || found.Cipher == "" || found.Presented != 2 || len(found.Chain) != 2 || !found.Chain[0].TLSAMatch || found.Chain[1].TLSAMatch {
		t.Errorf("%+v", found)
	}
	if !bytes.Equal(found.Chain[0].DER, c.DER) || !found.Chain[0].X509.Equal(c.Leaf) || !found.Chain[1].X509.Equal(c.Chain[0]) {
		t.Error("another chain than presented")
	}
	if s := subjectOf(c.Leaf); found.Chain[0].SHA256 != s.Certificate || *found.Chain[0].Key != s.Key {
		t.Error("wrong hashes")
	}
	if !found.ClientCertificateRequested || !found.ClientCertificateSent || !slices.Equal(found.AcceptableCAs, []string{"CN=Woodgrove Issuing"}) {
		t.Errorf("%+v", found)
	}
	if got, _ := presented.Load().([]byte); !bytes.Equal(got, own.DER) {
		t.Error("our certificate was not presented")
	}
	if name.Load() != "mx.example.com" || hello.Load() != "EHLO mail.contoso.com" {
		t.Errorf("SNI %v, %v", name.Load(), hello.Load())
	}
	if chain := report.Chain(subjectOf(c.Leaf).Certificate); len(chain) != 2 || report.Chain(Fingerprint{1}) != nil || len(report.Chains()) != 1 {
		t.Errorf("%d", len(chain))
	}

	// What is for people and programs.
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"domain":"example.com"`, `"mx_secure":true`, `"source":"mx"`, `"address":"127.0.0.1"`, `"version":"TLS 1.3"`,
		`"sha256":"` + subjectOf(c.Leaf).Certificate.String() + `"`, `"tlsa_match":true`, `"ehlo_name":"mx.example.com"`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}

	// Without a certificate of ours, a name for EHLO, and TLSA.
	options.Certificate, options.Hello, options.TLSA = nil, "", false
	report = probing().Probe(t.Context(), Target{Domain: "example.com"}, options)
	a = report.Hosts[0].Addresses[0]
	if a.Problem != "" || !a.TLS.ClientCertificateRequested || a.TLS.ClientCertificateSent || a.TLS.Chain[0].TLSAMatch || report.Hosts[0].TLSAStatus != "" {
		t.Errorf("%+v", a.TLS)
	}
	if hello.Load() != "EHLO [127.0.0.1]" {
		t.Error(hello.Load())
	}
}

// TestOtherProblems are those that no server has to be there for.
func TestOtherProblems(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := netip.MustParseAddrPort(gone.Addr().String()).Port()
	gone.Close()
	server, r := resolving(t, `
example.com MX 10 mx.example.com
mx.example.com A 127.0.0.1
mx.example.com A 10.0.0.1
mx.example.com AAAA fe80::1
bare.example MX 10 bare.example
gone.example MX 10 mx.gone.example
null.example MX 0 .
nothing.example TXT x
bogus.example MX 10 mx.bogus.example
`)
	server.Behave("bogus.example", "MX", dnsserver.Bogus, 0)
	server.Behave("refused.example", "MX", dnsserver.Refused, 0)
	server.Behave("mx.refused.example", "", dnsserver.Refused, 0)
	for _, c := range []struct {
		target Target
		allow  bool
		want   string
	}{
		{Target{Domain: "example.com"}, false, "[ mx.example.com: refused-address refused-address refused-address]"},
		{Target{Domain: "bare.example"}, false, "[ bare.example:no-address]"},
		{Target{Domain: "gone.example"}, false, "[ mx.gone.example:no-such-name]"},
		{Target{Domain: "null.example"}, false, "[no-mail]"},
		{Target{Domain: "nothing.example"}, false, "[no-mx]"},
		{Target{Domain: "none.example"}, false, "[no-such-name]"},
		{Target{Domain: "bogus.example"}, false, "[dns-bogus]"},
		{Target{Domain: "refused.example", Hosts: []string{"mx.refused.example"}}, false, "[dns-failed mx.refused.example:dns-failed]"},
		{Target{Domain: "not a domain", Hosts: []string{"192.0.2.1", "a\x1bb", "MX.example.com.", "mx.example.com"}}, false,
			"[bad-name 192.0.2.1:bad-name a?b:bad-name mx.example.com: refused-address refused-address refused-address]"},
		{Target{Domain: "null.example", Clients: []netip.Addr{
			netip.MustParseAddr("127.0.0.1"), {}, netip.MustParseAddr("::ffff:127.0.0.1"), netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("224.0.0.1"),
		}}, true, "[no-mail : connect-failed : refused-address]"},
	} {
		report := probing().Probe(t.Context(), c.target, Options{Resolver: r, Port: port, AllowPrivate: c.allow, TLSA: true})
		got := []string{string(report.Problem)}
		for _, host := range report.Hosts {
			line := host.Name + ":" + string(host.Problem)
			for _, a := range host.Addresses {
				line += " " + string(a.Problem)
				if a.Reachable || a.Detail == "" || a.TLS != nil {
					t.Errorf("%+v", a)
				}
			}
			got = append(got, line)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%v: %v", c.target, got)
		}
		if text, err := json.Marshal(report); err != nil || strings.Contains(string(text), "null,") || strings.Contains(string(text), ":null") {
			t.Errorf("%s, %v", text, err)
		}
	}
}

// TestEveryAddress of every host is looked at, in order, each host once.
func TestEveryAddress(t *testing.T) {
	_, intermediate := authority(t)
	var certificates []*pki.Certificate
	for _, name := range []string{"one", "two", "three"} {
		c, err := intermediate.Leaf(pki.LeafOptions{DNSNames: []string{name + ".example.com"}})
		if err != nil {
			t.Fatal(err)
		}
		certificates = append(certificates, c)
	}
	first := mailServer(t, "127.0.0.2:0", good(serverConfig(certificates[0].TLSCertificate())))
	for i, address := range []string{"127.0.0.3", "127.0.0.4"} {
		mailServer(t, netip.AddrPortFrom(netip.MustParseAddr(address), first.Port()).String(), good(serverConfig(certificates[i+1].TLSCertificate())))
	}
	server, r := resolving(t, `
example.com MX 20 mx2.example.com
example.com MX 10 mx1.example.com
mx1.example.com A 127.0.0.9
mx1.example.com A 127.0.0.2
mx1.example.com AAAA ::1
mx2.example.com A 127.0.0.2
probe.example.net A 127.0.0.3
`)
	server.Behave("mx2.example.com", "AAAA", dnsserver.ServFail, 0)
	report := probing().Probe(t.Context(), Target{
		Domain: "example.com", Hosts: []string{"probe.example.net", "mx1.example.com"},
		Clients: []netip.Addr{netip.MustParseAddr("127.0.0.3"), netip.MustParseAddr("127.0.0.4")},
	}, Options{Resolver: r, Port: first.Port(), AllowPrivate: true})
	var got []string
	for _, host := range report.Hosts {
		for _, a := range host.Addresses {
			got = append(got, fmt.Sprintf("%s %s %s %s", host.Source, host.Name, a.Address, a.Problem))
		}
	}
	want := []string{
		"mx mx1.example.com 127.0.0.9 connect-failed", "mx mx1.example.com 127.0.0.2 ", "mx mx1.example.com ::1 connect-failed",
		"mx mx2.example.com 127.0.0.2 ", "probe-host probe.example.net 127.0.0.3 ", "client  127.0.0.4 ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if report.Hosts[1].Problem != DNSBogus {
		t.Errorf("half of its addresses: %q", report.Hosts[1].Problem)
	}
	chains := report.Chains()
	if len(chains) != 3 {
		t.Fatalf("%d chains", len(chains))
	}
	for i, c := range certificates {
		if !chains[i][0].X509.Equal(c.Leaf) {
			t.Errorf("chain %d is of %v", i, chains[i][0].X509.DNSNames)
		}
	}
}

// TestEveryKey: a server with two certificates shows both.
func TestEveryKey(t *testing.T) {
	t.Parallel()
	_, intermediate := authority(t)
	leaf := func(kind pki.KeyKind) *pki.Certificate {
		c, err := intermediate.Leaf(pki.LeafOptions{Key: kind, DNSNames: []string{"mx.example.com"}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	ecdsa, rsa, ed25519 := leaf(pki.ECDSAP256), leaf(pki.RSA2048), leaf(pki.Ed25519)
	for _, c := range []struct {
		name    string
		has     []*pki.Certificate
		minimum uint16
		every   bool
		want    []*pki.Certificate
	}{
		{"both", []*pki.Certificate{ecdsa, rsa}, 0, true, []*pki.Certificate{ecdsa, rsa}},
		{"both, RSA first", []*pki.Certificate{rsa, ecdsa}, 0, true, []*pki.Certificate{rsa, ecdsa}},
		{"Ed25519 and RSA", []*pki.Certificate{ed25519, rsa}, 0, true, []*pki.Certificate{ed25519, rsa}},
		{"both, not asked for", []*pki.Certificate{ecdsa, rsa}, 0, false, []*pki.Certificate{ecdsa}},
		{"both, TLS 1.3 alone", []*pki.Certificate{ecdsa, rsa}, tls.VersionTLS13, true, []*pki.Certificate{ecdsa}},
		{"RSA", []*pki.Certificate{rsa}, 0, true, []*pki.Certificate{rsa}},
		{"ECDSA", []*pki.Certificate{ecdsa}, 0, true, []*pki.Certificate{ecdsa}},
	} {
		config := serverConfig(c.has[0].TLSCertificate())
		for _, more := range c.has[1:] {
			config.Certificates = append(config.Certificates, more.TLSCertificate())
		}
		config.MinVersion = max(config.MinVersion, c.minimum)
		at := mailServer(t, "127.0.0.1:0", good(config))
		_, r := resolving(t, oneHost(at.Addr()))
		report := probing().Probe(t.Context(), Target{Domain: "example.com"}, Options{Resolver: r, Port: at.Port(), AllowPrivate: true, EveryKey: c.every})
		if a := report.Hosts[0].Addresses[0]; a.Problem != "" || a.TLS.Version != "TLS 1.3" {
			t.Errorf("%s: %+v", c.name, a)
		}
		chains := report.Chains()
		if len(chains) != len(c.want) {
			t.Errorf("%s: %d chains", c.name, len(chains))
			continue
		}
		for i, want := range c.want {
			if !chains[i][0].X509.Equal(want.Leaf) || len(chains[i]) != 2 {
				t.Errorf("%s: chain %d is another", c.name, i)
			}
		}
	}
}

// TestTLSAStatus is what the report says of TLSA records where there is nothing to
// connect to.
func TestTLSAStatus(t *testing.T) {
	server, r := resolving(t, `
example.com MX 10 some.example.com
example.com MX 20 none.example.com
example.com MX 30 gone.example.com
example.com MX 40 insecure.example.com
example.com MX 50 bogus.example.com
some.example.com TXT x
_25._tcp.some.example.com TLSA 3 1 1 0a
_25._tcp.some.example.com TLSA 2 0 1 0b
none.example.com TXT x
insecure.example.com TXT x
_25._tcp.insecure.example.com TLSA 3 1 1 0a
bogus.example.com TXT x
`)
	server.Secure(".")
	server.Insecure("insecure.example.com")
	server.Behave("_25._tcp.bogus.example.com", "TLSA", dnsserver.Bogus, 0)
	report := probing().Probe(t.Context(), Target{Domain: "example.com"}, Options{Resolver: r, TLSA: true})
	var got []string
	for _, host := range report.Hosts {
		got = append(got, fmt.Sprintf("%s %s %v", host.Name, host.TLSAStatus, host.TLSA))
		if (host.TLSADetail == "") != (host.TLSAStatus != TLSAFailed) {
			t.Errorf("%s: %q", host.Name, host.TLSADetail)
		}
	}
	want := []string{
		"some.example.com secure [3 1 1 0a 2 0 1 0b]", "none.example.com none []", "gone.example.com none []",
		"insecure.example.com insecure []", "bogus.example.com failed []",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestHelloName(t *testing.T) {
	v4, v6 := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}, &net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0"}
	for _, c := range []struct {
		name  string
		local net.Addr
		want  string
	}{
		{"Mail.Contoso.com", v4, "mail.contoso.com"},
		{"", v4, "[192.0.2.1]"}, {"", v6, "[IPv6:fe80::1]"}, {"a\r\nQUIT", v4, "[192.0.2.1]"},
		{"", &net.UnixAddr{}, "[127.0.0.1]"},
	} {
		if got := helloName(c.name, c.local); got != c.want {
			t.Errorf("%q: %s", c.name, got)
		}
	}
}
