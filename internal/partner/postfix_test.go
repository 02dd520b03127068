package partner

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/pki"
)

// TestPostfix looks at a real one, that asks for a client certificate.
func TestPostfix(t *testing.T) {
	root, intermediate := authority(t)
	c, err := intermediate.Leaf(pki.LeafOptions{DNSNames: []string{"mx.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	own, err := intermediate.Leaf(pki.LeafOptions{DNSNames: []string{"mail.contoso.com"}})
	if err != nil {
		t.Fatal(err)
	}
	both, err := intermediate.Leaf(pki.LeafOptions{DNSNames: []string{"mx.example.com"}, Key: pki.RSA2048})
	if err != nil {
		t.Fatal(err)
	}
	// Two certificates, as many servers have (postconf(5) smtpd_tls_chain_files).
	chains := ""
	for i, certificate := range []*pki.Certificate{both, c} {
		name := filepath.Join(t.TempDir(), fmt.Sprintf("%d.pem", i))
		if err := os.WriteFile(name, append(certificate.KeyPEM(), certificate.PEM()...), 0o600); err != nil {
			t.Fatal(err)
		}
		chains += name + " "
	}
	postfix, err := mta.StartPostfix(t.Context(), mta.PostfixOptions{
		Common: mta.Common{Hostname: "mx.example.com", Domains: []string{"example.com"}, Certificate: c, ClientCA: root.Certificate.Leaf},
		Main:   []string{"smtpd_tls_loglevel = 1", "smtpd_tls_chain_files = " + chains},
	})
	if errors.Is(err, mta.ErrNoPostfix) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := postfix.Close(); err != nil {
			t.Error(err)
		}
	}()
	at := netip.MustParseAddrPort(postfix.Addr())
	server, r := resolving(t, oneHost(at.Addr())+"_25._tcp.mx.example.com TLSA 3 0 1 "+subjectOf(c.Leaf).Certificate.String()+"\n")
	server.Secure(".")
	ours := own.TLSCertificate()
	report := NewProber().Probe(t.Context(), Target{Domain: "example.com"}, Options{
		Resolver: r, Port: at.Port(), AllowPrivate: true, Hello: "mail.contoso.com", Certificate: &ours, TLSA: true, EveryKey: true,
	})
	a := report.Hosts[0].Addresses[0]
	if a.Problem != "" || a.HelloName != "mx.example.com" || !strings.HasPrefix(a.Greeting, "mx.example.com ESMTP") || a.TLS == nil {
		t.Fatalf("%+v", a)
	}
	if a.TLS.Version != "TLS 1.3" || !a.TLS.ClientCertificateRequested || !a.TLS.ClientCertificateSent ||
		!slices.Equal(a.TLS.AcceptableCAs, []string{"CN=Woodgrove Root"}) {
		t.Errorf("%+v", a.TLS)
	}
	chain := report.Chain(subjectOf(c.Leaf).Certificate)
	if len(chain) != 2 || !chain[0].TLSAMatch || !chain[1].X509.Equal(c.Chain[0]) {
		t.Errorf("%d certificates", len(chain))
	}
	if other := report.Chain(subjectOf(both.Leaf).Certificate); len(other) != 2 || other[0].TLSAMatch || len(report.Chains()) != 2 {
		t.Errorf("the RSA certificate: %d", len(other))
	}
	// What it logs of us, a moment later: a trusted certificate, and an end as it
	// should be.
	for _, want := range []string{"Trusted TLS connection established from", "ehlo=2 starttls=1 quit=1 commands=4"} {
		for begin := time.Now(); !strings.Contains(postfix.Log(), want); time.Sleep(10 * time.Millisecond) {
			if time.Since(begin) > 10*time.Second {
				t.Fatalf("no %q in its log:\n%s", want, postfix.Log())
			}
		}
	}
}
