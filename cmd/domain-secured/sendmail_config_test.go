package main

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/cases"
	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/testkit/smtpclient"
)

const (
	filterLine      = "INPUT_MAIL_FILTER("
	fingerprintLine = "define(`confCERT_FINGERPRINT_ALGORITHM', `sha256')dnl"
)

// beside starts another Sendmail beside the same daemon: change makes its lines of those in contrib.
func (s *mailSite) beside(t *testing.T, o mta.SendmailOptions, change func(lines string) string) *mailSite {
	t.Helper()
	lines, err := s.SendmailLines(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o.Hostname, o.Domains, o.Certificate = cases.Hostname, []string{"contoso.com"}, s.World.Server
	o.Config = append(o.Config, strings.Split(change(strings.Join(lines, "\n")), "\n")...)
	sendmail, err := mta.StartSendmail(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sendmail.Close(); err != nil {
			t.Error(err)
		}
	})
	site := *s.Site
	site.MTA = sendmail
	return &mailSite{&site}
}

// replacing returns a change of one text that must be there.
func replacing(t *testing.T, old, new string) func(string) string {
	return func(lines string) string {
		t.Helper()
		if !strings.Contains(lines, old) {
			t.Fatalf("no %q in\n%s", old, lines)
		}
		return strings.Replace(lines, old, new, 1)
	}
}

// testFingerprints: without a SHA-256 nothing is proven, and the operator is told what to write.
func testFingerprints(t *testing.T, s *mailSite) {
	for name, line := range map[string]string{
		"none": "", "md5": strings.Replace(fingerprintLine, "sha256", "md5", 1), "sha1": strings.Replace(fingerprintLine, "sha256", "sha1", 1),
	} {
		t.Run(name, func(t *testing.T) {
			other := s.beside(t, mta.SendmailOptions{}, replacing(t, fingerprintLine, line))
			mark := s.Daemon.Mark()
			m, _ := letterFrom(bankSender)
			expect(t, other.dial(t, other.presenting(cases.Good)), m, "certificate-not-reported")
			if detail := attribute(t, s.logged(t, mark, " msg=verdict "), "detail"); !strings.Contains(detail, "put "+fingerprintLine+" into sendmail.mc") {
				t.Errorf("the operator is told: %s", detail)
			}
			m, _ = letterFrom(fabrikamSender)
			expect(t, other.dial(t, other.presenting(cases.Good)), m, accepted)
		})
	}
}

// testNotAskedFor: where Sendmail asks no client for a certificate, there is none.
func testNotAskedFor(t *testing.T, s *mailSite) {
	other := s.beside(t, mta.SendmailOptions{Config: []string{"define(`confTLS_SRV_OPTIONS', `V')dnl"}}, func(lines string) string { return lines })
	m, _ := letterFrom(bankSender)
	expect(t, other.dial(t, other.presenting(cases.Good)), m, "certificate-missing")
}

// testMilterGone: while the daemon is gone everything is deferred, and nothing is let in unjudged.
func testMilterGone(t *testing.T, s *mailSite) {
	session := s.dial(t, s.presenting(cases.Good))
	m, id := letterFrom(fabrikamSender)
	expect(t, session, m, accepted)
	if err := s.Daemon.Kill(); err != nil {
		t.Fatal(err)
	}
	const deferred = "MAIL 451 4.3.2 Please try again later"
	for _, sender := range []string{bankSender, fabrikamSender} {
		m, _ := letterFrom(sender)
		reply, err := session.Send(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if reply.Code != 451 {
			t.Errorf("from %s, in a session from before: %s", sender, reply)
		}
		expect(t, s.dial(t, s.plain()), m, deferred)
		var refused *smtpclient.RefusedError
		if _, err := smtpclient.Dial(t.Context(), s.presenting(cases.Good)); !errors.As(err, &refused) || refused.Reply.Code != 454 {
			t.Errorf("STARTTLS: %v", err)
		}
	}
	// What the lines are for: F=T.
	open := s.beside(t, mta.SendmailOptions{}, replacing(t, " F=T,", ""))
	m, unjudged := letterFrom(bankSender)
	expect(t, open.dial(t, open.plain()), m, accepted)
	if all := open.arrived(t, unjudged); len(all) != 1 {
		t.Errorf("%d messages arrived", len(all))
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	m, again := written(bankSender, bankSender)
	expect(t, s.dial(t, s.presenting(cases.Good)), m, accepted)
	all := s.arrived(t, id, again)
	if len(all) != 2 {
		t.Errorf("%d messages arrived", len(all))
	}
}

// testMTAEvidence: Sendmail's own word, its {verify}, for a partner that asks for no more.
func testMTAEvidence(t *testing.T, s *mailSite) {
	rulesets, err := os.ReadFile("../../contrib/sendmail/altnames.mc")
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
	was := rewrite(t, s.Config, func(text string) string {
		before, after, ok := strings.Cut(text, "[partner.\"woodgrovebank.com\"]\nroots = [\"woodgrovebank-root.pem\"]\n")
		if !ok {
			t.Fatal("the bank has another table")
		}
		return before + "[partner.\"woodgrovebank.com\"]\nevidence = \"mta\"\nmta_issuer = \"Woodgrove Bank Issuing CA\"\nrevocation = \"off\"\n" + after
	})
	hangUp()
	defer hangUp()
	defer rewrite(t, s.Config, constantly(was))

	same := func(lines string) string { return lines }
	trusting := mta.SendmailOptions{Common: mta.Common{ClientCA: s.World.Root.Certificate.Leaf}}
	plain := s.beside(t, trusting, same)
	// Nothing of this is Sendmail's fingerprint: it is not needed.
	trusting.Rulesets = []string{string(rulesets)}
	named := s.beside(t, trusting, replacing(t, fingerprintLine, ""))

	names := func(cn string, sans ...string) func() (*pki.Certificate, error) {
		return func() (*pki.Certificate, error) {
			o := pki.LeafOptions{DNSNames: sans}
			if cn != "" {
				o.CommonNames = []string{cn}
			}
			return s.World.Issuing.Leaf(o)
		}
	}
	other, err := pki.NewCA(pki.CAOptions{Name: "Woodgrove Bank Issuing CA"})
	if err != nil {
		t.Fatal(err)
	}
	byRoot := func() (*pki.Certificate, error) {
		return s.World.Root.Leaf(pki.LeafOptions{CommonNames: []string{"mail1.woodgrovebank.com"}})
	}
	impostor := func() (*pki.Certificate, error) {
		return other.Leaf(pki.LeafOptions{CommonNames: []string{"mail1.woodgrovebank.com"}, DNSNames: []string{"woodgrovebank.com"}})
	}
	for _, c := range []struct {
		what        string
		certificate func() (*pki.Certificate, error)
		sender      string
		hello       string
		plain       string // what comes of it without the ruleset
		named       string // and with it
		name        string // that the stamp gives then
	}{
		{"the common name", names("mail1.woodgrovebank.com"), bankSender, "x.example", accepted, accepted, "mail1.woodgrovebank.com"},
		{"the domain", names("Woodgrove Bank", "woodgrovebank.com"), bankSender, "x.example", "certificate-host-mismatch", accepted, "woodgrovebank.com"},
		{"no common name", names("", "a.example", "woodgrovebank.com"), bankSender, "x.example", "certificate-host-mismatch", accepted, "woodgrovebank.com"},
		{"capital letters", names("", "WoodgroveBank.COM"), "alice@wOODGROVEbANK.com", "x.example", "certificate-host-mismatch", accepted, "woodgrovebank.com"},
		{"a wildcard", names("", "*.woodgrovebank.com"), bankSender, "x.example", "certificate-host-mismatch", accepted, "*.woodgrovebank.com"},
		{"the name in EHLO", names("", "mail7.woodgrovebank.com"), bankSender, "mail7.woodgrovebank.com", "certificate-host-mismatch", accepted, "mail7.woodgrovebank.com"},
		{"another name in EHLO", names("", "mail7.woodgrovebank.com"), bankSender, "mail8.woodgrovebank.com", "certificate-host-mismatch", "certificate-host-mismatch", ""},
		{"another's name", names("mail1.fabrikam.com", "fabrikam.com"), bankSender, "fabrikam.com", "certificate-host-mismatch", "certificate-host-mismatch", ""},
		{"another issuer", byRoot, bankSender, "x.example", "certificate-not-trusted", "certificate-not-trusted", ""},
		{"an untrusted issuer of that name", impostor, bankSender, "woodgrovebank.com", "certificate-not-trusted", "certificate-not-trusted", ""},
		{"expired", func() (*pki.Certificate, error) { return s.World.Certificates[cases.Expired], nil }, bankSender, "x.example", "certificate-not-trusted", "certificate-not-trusted", ""},
		{"no certificate", nil, bankSender, "x.example", "certificate-missing", "certificate-missing", ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			o := smtpclient.Options{TLS: true, Hello: c.hello}
			if c.certificate != nil {
				certificate, err := c.certificate()
				if err != nil {
					t.Fatal(err)
				}
				pair := certificate.TLSCertificate()
				o.Certificate = &pair
			}
			for site, want := range map[*mailSite]string{plain: c.plain, named: c.named} {
				o.Addr = site.MTA.Addr()
				m, id := written(c.sender, c.sender)
				expect(t, site.dial(t, o), m, want)
				for _, m := range site.arrived(t, id) {
					name := c.name
					if site == plain {
						name = "mail1.woodgrovebank.com"
					}
					isStamped(t, m, "mx1.contoso.com; domain=woodgrovebank.com; auth=mta; name="+name+";")
				}
			}
		})
	}
	// A name is the certificate's, and not a sender's before.
	t.Run("two senders", func(t *testing.T) {
		certificate, err := names("", "fabrikam.com", "woodgrovebank.com")()
		if err != nil {
			t.Fatal(err)
		}
		pair := certificate.TLSCertificate()
		session := named.dial(t, smtpclient.Options{Addr: named.MTA.Addr(), Hello: "x.example", TLS: true, Certificate: &pair})
		for range 2 {
			for sender, stamp := range map[string]string{bankSender: "mx1.contoso.com; domain=woodgrovebank.com; auth=mta; name=woodgrovebank.com;", fabrikamSender: ""} {
				m, id := written(sender, sender)
				expect(t, session, m, accepted)
				for _, m := range named.arrived(t, id) {
					isStamped(t, m, stamp)
				}
			}
		}
	})
	// A process that delivers mail itself has the names of the server then, and knows those of the client no more.
	for _, mode := range []string{"background", "interactive"} {
		t.Run("names of a server, "+mode, func(t *testing.T) {
			show, err := pki.SelfSigned(pki.LeafOptions{DNSNames: []string{"woodgrovebank.com"}})
			if err != nil {
				t.Fatal(err)
			}
			server, err := mta.StartFake(t.Context(), mta.FakeOptions{Common: mta.Common{Domains: []string{"fabrikam.com", "contoso.com"}, Certificate: show}})
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			_, port, _ := net.SplitHostPort(server.Addr())
			o := trusting
			o.Config = []string{"define(`confDELIVERY_MODE', `" + mode + "')dnl", "define(`RELAY_MAILER_ARGS', `TCP $h " + port + "')dnl"}
			site := s.beside(t, o, same)
			certificate, err := names("mail1.fabrikam.com", "fabrikam.com")()
			if err != nil {
				t.Fatal(err)
			}
			pair := certificate.TLSCertificate()
			session := site.dial(t, smtpclient.Options{Addr: site.MTA.Addr(), Hello: "x.example", TLS: true, Certificate: &pair})
			m, id := written(fabrikamSender, fabrikamSender)
			expect(t, session, m, accepted)
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			if _, err := server.Delivered(ctx, func(m mta.Message) bool { return strings.Contains(string(m.Raw), id) }); err != nil {
				t.Fatal(err)
			}
			m, _ = written(bankSender, bankSender)
			expect(t, session, m, "certificate-host-mismatch")
		})
	}
}
