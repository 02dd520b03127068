package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"domain-secured/internal/testkit/cases"
	"domain-secured/internal/testkit/smtpclient"
)

// testCheckPostfix breaks Postfix's settings: check says so before mail shows it.
func testCheckPostfix(t *testing.T, s *postfixSite) {
	// The services behind the content filter are worth a word each, and no more.
	out := s.verb(t, "check", "--postfix="+s.postfix.ConfigDir())
	if strings.Contains(out, "error: ") || strings.Count(out, "warning: ") != strings.Count(out, "warning: 127.0.0.1:") {
		t.Errorf("check:\n%s", out)
	}
	for _, c := range []struct {
		parameter       string
		settings, mend  []string
		how             smtpclient.Options
		outcome, logged string
	}{
		{
			parameter: "smtpd_data_restrictions",
			settings:  []string{"mynetworks", "127.0.0.0/8", "smtpd_data_restrictions", "permit_mynetworks, " + s.policyService()},
			mend:      []string{"mynetworks", "", "smtpd_data_restrictions", s.policyService()},
			how:       s.plain(), outcome: "tls-not-used", // says the milter
		},
		{
			parameter: "smtpd_tls_ask_ccert",
			settings:  []string{"smtpd_tls_ask_ccert", "no"},
			mend:      []string{"smtpd_tls_ask_ccert", "yes"},
			how:       s.presenting(cases.Good), outcome: "certificate-missing", logged: "certificate-missing",
		},
		{
			parameter: "smtpd_tls_fingerprint_digest",
			settings:  []string{"smtpd_tls_fingerprint_digest", "md5"},
			mend:      []string{"smtpd_tls_fingerprint_digest", "sha256"},
			how:       s.presenting(cases.Good), outcome: "certificate-not-reported", logged: "smtpd_tls_fingerprint_digest = sha256",
		},
	} {
		t.Run(c.parameter, func(t *testing.T) {
			s.configure(t, c.settings...)
			out, err := s.Command(t.Context(), "check", "--json", "--postfix="+s.postfix.ConfigDir())
			if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("check: %v, want exit status 1", err)
			}
			var result struct {
				Postfix []struct{ Severity, Parameter, Line string }
			}
			if err := json.Unmarshal([]byte(out), &result); err != nil {
				t.Fatal(err)
			}
			named := false
			for _, finding := range result.Postfix {
				named = named || finding.Severity == "error" && finding.Parameter == c.parameter && strings.HasPrefix(finding.Line, c.parameter+" = ")
			}
			if !named {
				t.Errorf("no finding about %s, with the line for main.cf:\n%s", c.parameter, out)
			}

			mark := s.Daemon.Mark()
			m, _ := letterFrom(bankSender)
			session := s.dial(t, c.how)
			reply, err := session.Send(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			if got := outcome(reply); got != c.outcome {
				t.Errorf("%s, want %s", got, c.outcome)
			}
			if c.outcome == "certificate-not-reported" && !strings.HasPrefix(reply.String(), "451 4.3.5 ") {
				t.Errorf("reply %s", reply)
			}
			if c.logged != "" {
				s.logged(t, mark, c.logged)
			}
			session.Close()

			s.configure(t, c.mend...)
			m, _ = letterFrom(bankSender)
			expect(t, s.dial(t, s.presenting(cases.Good)), m, accepted)
			s.verb(t, "check", "--postfix="+s.postfix.ConfigDir())
		})
	}
}

// testAskedPerRecipient has Postfix ask for each recipient and at DATA: one message is one line in the log.
func testAskedPerRecipient(t *testing.T, s *postfixSite) {
	s.configure(t, "smtpd_recipient_restrictions", s.policyService())
	defer s.configure(t, "smtpd_recipient_restrictions", "")
	mark := s.Daemon.Mark()

	m, id := letterFrom("several." + bankSender)
	m.Recipients = append(m.Recipients, "carol@contoso.com", "dave@contoso.com")
	session := s.dial(t, s.presenting(cases.Good))
	expect(t, session, m, accepted)
	if all := s.arrived(t, id); len(all) != 3 {
		t.Errorf("%d copies arrived, want 3", len(all))
	}
	session.Close()

	raw := dialRaw(t, s.plain())
	raw.say(t, "MAIL FROM:<refused."+bankSender+">", "RCPT TO:<bob@contoso.com>", "RCPT TO:<carol@contoso.com>")
	if text := raw.expect(t, 250, 450, 450); !strings.HasPrefix(text, "4.7.0 <carol@contoso.com>: Recipient address rejected: woodgrovebank.com requires mutual TLS here: tls-not-used, ") {
		t.Errorf("reply %s", text)
	}
	// What comes after these two in the log shows that they are whole.
	raw.say(t, "RSET", "MAIL FROM:<last."+bankSender+">", "RCPT TO:<bob@contoso.com>", "QUIT")
	raw.expect(t, 250, 250, 450, 221)
	s.logged(t, mark, " sender=last."+bankSender+" ")

	var senders []string
	for line := range strings.Lines(s.Daemon.Log()[mark:]) {
		if strings.Contains(line, " msg=verdict ") {
			senders = append(senders, attribute(t, line, "sender"))
		}
	}
	if want := []string{m.Sender, "refused." + bankSender, "last." + bankSender}; !slices.Equal(senders, want) {
		t.Errorf("verdicts on %q, want %q", senders, want)
	}
}

// testSwaks sends with a client that is not ours.
func testSwaks(t *testing.T, s *postfixSite) {
	swaks, err := exec.LookPath("swaks")
	if err != nil {
		missing(t, err)
	}
	certificate := s.World.Certificates[cases.Good]
	cert, key := filepath.Join(t.TempDir(), "certificate.pem"), filepath.Join(t.TempDir(), "key.pem")
	if err := errors.Join(os.WriteFile(cert, certificate.PEM(), 0o644), os.WriteFile(key, certificate.KeyPEM(), 0o600)); err != nil {
		t.Fatal(err)
	}
	run := func(want int, args ...string) {
		t.Helper()
		args = append([]string{"--server", s.postfix.Addr(), "--helo", "mail1.woodgrovebank.com", "--from", bankSender, "--to", cases.Recipient}, args...)
		out, err := exec.CommandContext(waiting(t), swaks, args...).CombinedOutput()
		if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		} else if got := exit.ExitCode(); (err != nil || want != 0) && got != want {
			t.Errorf("exit status %d, want %d:\n%s", got, want, out)
		}
	}
	const refusedData = 25 // swaks(1)
	_, id := letterFrom("")
	run(0, "--tls", "--tls-cert", cert, "--tls-key", key, "--header", "Message-Id: "+id)
	if all := s.arrived(t, id); len(all) != 1 || all[0].Sender != bankSender {
		t.Errorf("arrived: %v", all)
	}
	run(refusedData)
	run(refusedData, "--tls")
}
