package main

import (
	"net"
	"strings"
	"testing"

	"domain-secured/internal/testkit/dnsserver"
	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/pki"
)

// testLearned: the partner has a new certificate, its servers present it, and nobody touches anything.
func testLearned(t *testing.T, s *postfixSite) {
	const host = "mail1.woodgrovebank.com"
	certificate, err := s.World.Issue(pki.LeafOptions{CommonNames: []string{host}, DNSNames: []string{host}})
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := mta.StartFake(t.Context(), mta.FakeOptions{
		Common: mta.Common{Hostname: host, Domains: []string{"woodgrovebank.com"}, Certificate: certificate},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	names, err := dnsserver.Start("woodgrovebank.com. 60 IN MX 10 mail1.woodgrovebank.com.\nmail1.woodgrovebank.com. 60 IN A 127.0.0.1\n")
	if err != nil {
		t.Fatal(err)
	}
	defer names.Close()
	_, port, err := net.SplitHostPort(theirs.Addr())
	if err != nil {
		t.Fatal(err)
	}
	hangUp := func() {
		t.Helper()
		mark := s.Daemon.Mark()
		if err := s.Daemon.Hangup(); err != nil {
			t.Fatal(err)
		}
		s.logged(t, mark, "configuration read")
	}
	presenting, own := s.presenting(""), certificate.TLSCertificate()
	presenting.Certificate = &own
	session := s.dial(t, presenting)
	m, _ := written(bankSender, bankSender)
	expect(t, session, m, "certificate-unknown")

	// Where to look is known only now.
	was := rewrite(t, s.Config, func(text string) string {
		return strings.Replace(text, "resolver = \"127.0.0.1:1\" # nobody answers\n\n[probe]\nport = 1 ", "resolver = \""+names.Addr()+"\"\n\n[probe]\nport = "+port+" ", 1)
	})
	mark := s.Daemon.Mark()
	hangUp()
	defer hangUp()
	defer rewrite(t, s.Config, constantly(was))
	// The look is due, or this attempt asks for it, or it has been.
	m, _ = written(bankSender, bankSender)
	if _, err := session.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if line := s.logged(t, mark, "learned a partner's certificate"); attribute(t, line, "trusted") != "true" || attribute(t, line, "domain") != "woodgrovebank.com" {
		t.Errorf("learned: %s", line)
	}
	m, id := written(bankSender, bankSender)
	expect(t, session, m, accepted)
	for _, m := range s.arrived(t, id) {
		isStamped(t, m, bankStamp)
	}
	if out := s.verb(t, "cert", "list"); !strings.Contains(out, "probe") {
		t.Errorf("cert list:\n%s", out)
	}
	s.verb(t, "cert", "forget", certificate.Fingerprint())
}
