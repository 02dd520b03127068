package partner

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/pki"
)

// TestKindsOfPartners plays every kind of server. All problems that a server can
// cause must come up.
func TestKindsOfPartners(t *testing.T) {
	_, intermediate := authority(t)
	c, err := intermediate.Leaf(pki.LeafOptions{DNSNames: []string{"elsewhere.example.net"}})
	if err != nil {
		t.Fatal(err)
	}
	wanted := subjectOf(c.Leaf).Certificate
	certificate := c.TLSCertificate()
	many := certificate
	many.Certificate = slices.Concat(many.Certificate, slices.Repeat([][]byte{c.Chain[0].Raw}, 48))
	weak, err := pki.SelfSigned(pki.LeafOptions{Key: pki.RSA1024, Signature: x509.SHA1WithRSA})
	if err != nil {
		t.Fatal(err)
	}
	unreadable := certificate
	unreadable.Certificate = [][]byte{[]byte("this is no certificate"), c.Chain[0].Raw}
	big, err := intermediate.Leaf(pki.LeafOptions{Extra: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, 60_000)}}})
	if err != nil {
		t.Fatal(err)
	}
	bigs := big.TLSCertificate()
	bigs.Certificate = slices.Repeat([][]byte{big.DER}, 4)
	tooBig := bigs
	tooBig.Certificate = slices.Repeat([][]byte{big.DER}, 8)

	with := func(certificate tls.Certificate, change func(*tls.Config)) func(*peer) {
		config := serverConfig(certificate)
		if change != nil {
			change(config)
		}
		return good(config)
	}
	only := func(version uint16) func(*tls.Config) {
		return func(config *tls.Config) { config.MinVersion, config.MaxVersion = version, version }
	}
	say := func(lines ...string) func(*peer) {
		return func(p *peer) {
			p.say(lines...)
			_, _ = io.Copy(io.Discard, p.reader)
		}
	}
	after := func(play func(*peer)) func(*peer) {
		return func(p *peer) {
			if p.untilSTARTTLS() {
				play(p)
			}
		}
	}
	// no chain is wanted where it is nil, and none but this
	for _, k := range []struct {
		name    string
		play    func(*peer)
		problem Problem
		chain   int
		check   func(a *Address) bool
	}{
		{"good", with(certificate, nil), "", 2, func(a *Address) bool { return a.TLS.Version == "TLS 1.3" }},
		{"TLS 1.0", with(certificate, only(tls.VersionTLS10)), "", 2, func(a *Address) bool { return a.TLS.Version == "TLS 1.0" }},
		{"TLS 1.1", with(certificate, only(tls.VersionTLS11)), "", 2, nil},
		{"TLS 1.2", with(certificate, only(tls.VersionTLS12)), "", 2, nil},
		{"TLS 1.2 with RC4", with(weak.TLSCertificate(), func(c *tls.Config) {
			only(tls.VersionTLS12)(c)
			c.CipherSuites = []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}
		}), "", 1, func(a *Address) bool { return a.TLS.Cipher == "TLS_RSA_WITH_RC4_128_SHA" }},
		{"a weak certificate", with(weak.TLSCertificate(), nil), "", 1, nil},
		{"many certificates", with(many, nil), "", maxPresented, func(a *Address) bool { return a.TLS.Presented == 50 }},
		{"large certificates", with(bigs, nil), "", 4, nil},
		{"more certificates than fit", with(tooBig, nil), HandshakeFailed, 0, nil},
		{"more certificates than fit, TLS 1.2", with(tooBig, only(tls.VersionTLS12)), HandshakeFailed, 0, nil},
		{"what is no certificate", with(unreadable, nil), CertificateUnreadable, 2, func(a *Address) bool {
			chain := a.TLS.Chain
			return string(chain[0].DER) == "this is no certificate" && chain[0].X509 == nil && chain[0].Error != "" && chain[0].Key == nil && chain[1].X509 != nil
		}},
		{"what is no certificate, TLS 1.2", with(unreadable, only(tls.VersionTLS12)), CertificateUnreadable, 2, nil},
		{"what is no certificate, TLS 1.0", with(unreadable, only(tls.VersionTLS10)), CertificateUnreadable, 2, nil},
		{"what is no certificate, nothing but TLS 1.3", with(unreadable, only(tls.VersionTLS13)), HandshakeFailed, 0, nil},
		{"demands a certificate, TLS 1.3", with(certificate, func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }), RefusedAfterTLS, 2,
			func(a *Address) bool { return a.TLS.ClientCertificateRequested && !a.TLS.ClientCertificateSent }},
		{"demands a certificate, TLS 1.2", with(certificate, func(c *tls.Config) {
			only(tls.VersionTLS12)(c)
			c.ClientAuth = tls.RequireAnyClientCert
		}), HandshakeFailed, 2, func(a *Address) bool { return a.TLS.ClientCertificateRequested }},
		{"demands a certificate in SMTP", after(func(p *peer) {
			if p.secure(serverConfig(certificate)) && p.hear() != "" {
				p.say("421 4.7.1 No client certificate presented")
			}
		}), RefusedAfterTLS, 2, func(a *Address) bool { return strings.HasSuffix(a.Detail, "421 4.7.1 No client certificate presented") }},
		{"leaves after TLS", after(func(p *peer) { p.secure(serverConfig(certificate)) }), RefusedAfterTLS, 2, nil},

		{"closes at once", func(*peer) {}, NoGreeting, 0, nil},
		{"SSH", say("SSH-2.0-OpenSSH_9.9"), NoGreeting, 0, nil},
		{"a greeting in two", say("220-mx.example.com", "220 ESMTP", "250 but too early"), OutOfTurn, 0, nil},
		{"a greeting of two codes", say("220-mx.example.com", "250 ESMTP"), NoGreeting, 0, nil},
		{"a huge greeting", say("220 " + strings.Repeat("x", 1<<20)), NoGreeting, 0, nil},
		{"a greeting without end", func(p *peer) {
			for p.hearless("220-more") {
			}
		}, NoGreeting, 0, nil},
		{"a greeting of nothing", say("", ""), NoGreeting, 0, nil},
		{"control characters", func(p *peer) { p.say("220 \x1b[31mred\x00\x07") }, ConnectionLost, 0, func(a *Address) bool { return a.Greeting == "?[31mred??" }},
		{"refuses", say("554 5.7.1 not \x1b you"), Refused, 0, func(a *Address) bool { return a.Detail == "the greeting: 554 5.7.1 not ? you" && a.Reachable }},
		{"silent", func(p *peer) { p.hear() }, TimedOut, 0, nil},
		{"drips", func(p *peer) {
			for {
				if _, err := io.WriteString(p, "2"); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}, TimedOut, 0, nil},
		{"resets", func(p *peer) { p.say("220 hello"); p.hear(); p.Conn.(*net.TCPConn).SetLinger(0) }, ConnectionLost, 0, nil},
		{"leaves after the greeting", func(p *peer) { p.say("220 hello") }, ConnectionLost, 0, nil},
		{"leaves after EHLO", func(p *peer) { p.say("220 hello"); p.hear() }, ConnectionLost, 0, nil},
		{"talks first", say("220 hello", "250-mx.example.com", "250 STARTTLS", "220 go ahead"), OutOfTurn, 0, nil},
		{"no EHLO", func(p *peer) { p.say("220 hello"); p.hear(); p.say("502 what?"); p.hear() }, NoSTARTTLS, 0, nil},
		{"refuses EHLO", func(p *peer) { p.say("220 hello"); p.hear(); p.say("550 who?"); p.hear() }, Refused, 0, nil},
		{"EHLO without end", func(p *peer) {
			p.say("220 hello")
			p.hear()
			for p.hearless("250-STARTTLS") {
			}
		}, BadReply, 0, nil},
		{"EHLO of junk", func(p *peer) { p.say("220 hello"); p.hear(); p.say("OK"); p.hear() }, BadReply, 0, nil},
		{"no STARTTLS", func(p *peer) {
			p.say("220 hello")
			p.hear()
			p.say("250-mx.example.com", "250-XSTARTTLS", "250 STARTTLSX")
			p.hear()
		}, NoSTARTTLS, 0, func(a *Address) bool { return !a.STARTTLS && a.HelloName == "mx.example.com" }},
		{"STARTTLS in the first line", func(p *peer) { p.say("220 hello"); p.hear(); p.say("250 STARTTLS"); p.hear() }, NoSTARTTLS, 0, nil},
		{"refuses STARTTLS", func(p *peer) {
			p.say("220 hello")
			p.hear()
			p.say("250-mx.example.com", "250 STARTTLS")
			p.hear()
			p.say("454 4.7.0 not now")
			p.hear()
		}, STARTTLSFailed, 0, func(a *Address) bool { return a.STARTTLS && a.Detail == "STARTTLS: 454 4.7.0 not now" }},
		{"250 to STARTTLS", func(p *peer) {
			p.say("220 hello")
			p.hear()
			p.say("250-mx.example.com", "250 STARTTLS")
			p.hear()
			p.say("250 ok")
			p.hear()
		}, STARTTLSFailed, 0, nil},
		{"plaintext after STARTTLS", func(p *peer) {
			p.say("220 hello")
			p.hear()
			p.say("250-mx.example.com", "250 STARTTLS")
			p.hear()
			p.say("220 go ahead", "250 injected")
			p.secure(serverConfig(certificate))
		}, PlaintextAfterSTARTTLS, 0, nil},
		{"no TLS after STARTTLS", after(func(p *peer) { p.wait(); p.say("250 what?"); p.hear() }), HandshakeFailed, 0, nil},
		{"leaves in the handshake", after((*peer).wait), HandshakeFailed, 0, nil},
		{"silent in the handshake", after(func(p *peer) { _, _ = io.Copy(io.Discard, p) }), TimedOut, 0, nil},
		{"silent after TLS", after(func(p *peer) {
			if p.secure(serverConfig(certificate)) {
				_, _ = io.Copy(io.Discard, p)
			}
		}), TimedOut, 2, nil},
		{"TLS without end", after(func(p *peer) {
			p.wait()
			// Fragments of a handshake message that never is complete.
			for {
				if _, err := p.Write(append([]byte{22, 3, 3, 0x10, 0, 2, 0, 255, 255}, make([]byte, 0x1000-4)...)); err != nil {
					return
				}
			}
		}), HandshakeFailed, 0, nil},
	} {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			at := mailServer(t, "127.0.0.1:0", k.play)
			_, r := resolving(t, oneHost(at.Addr()))
			p := probing()
			if k.problem == TimedOut {
				p.timeout = 3 * time.Second
			}
			report := p.Probe(t.Context(), Target{Domain: "example.com"}, Options{Resolver: r, Port: at.Port(), AllowPrivate: true})
			if len(report.Hosts) != 1 || len(report.Hosts[0].Addresses) != 1 {
				t.Fatalf("%+v, %+v", report, report.Hosts)
			}
			a := report.Hosts[0].Addresses[0]
			if a.Problem != k.problem || (a.Detail == "") != (k.problem == "") || !a.Reachable {
				t.Fatalf("%+v", a)
			}
			chain := 0
			if a.TLS != nil {
				chain = len(a.TLS.Chain)
			}
			if chain != k.chain {
				t.Errorf("%d certificates: %s", chain, a.Detail)
			}
			if k.check != nil && !k.check(a) {
				t.Errorf("%+v %+v", a, a.TLS)
			}
			// Whatever else the server is like, what it presents can be learned.
			if k.name == "good" && report.Chain(wanted) == nil {
				t.Error("not to be found")
			}
			if printable(a.Detail) != a.Detail {
				t.Errorf("%q", a.Detail)
			}
		})
	}
}

// hearless says a line without waiting for anything; false when the client has gone.
func (p *peer) hearless(line string) bool {
	_, err := io.WriteString(p, line+"\r\n")
	return err == nil
}

// wait reads the first octet of what comes next.
func (p *peer) wait() { _, _ = p.reader.ReadByte() }
