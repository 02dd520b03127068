package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/cases"
	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/smtpclient"
)

// TestPostfix holds the daemon, as it is built, to its promises beside a real Postfix. There is one site for
// all; a subtest leaves it as it found it.
func TestPostfix(t *testing.T) {
	if _, err := mta.FindPostfix(); err != nil {
		missing(t, err)
	}
	s := setUpPostfix(t)
	for _, sub := range []struct {
		name string
		run  func(*testing.T, *postfixSite)
	}{
		{"cases", testCases},
		{"reply", testReply},
		{"session", testSession},
		{"plain session", testPlainSession},
		{"two recipients", testTwoRecipients},
		{"null sender", testNullSender},
		{"pipelining", testPipelining},
		{"sender forms", testSenderForms},
		{"internationalized sender", testInternationalizedSender},
		{"renewed certificate", testRenewedCertificate},
		{"broken list", testBrokenList},
		{"broken configuration", testBrokenConfiguration},
		{"asked per recipient", testAskedPerRecipient},
		{"check", testCheckPostfix},
		{"swaks", testSwaks},
		{"stamps", testStamps},
		{"stamp of a pin", testStampOfPin},
		{"one line", testOneLine},
		{"chunks", testChunks},
		{"SMTPUTF8", testUTF8},
		{"From enforced", testFromEnforced},
		{"milter alone", testMilterAlone},
		{"policy service alone", testPolicyAlone},
		{"content filter", testContentFilter},
		{"connectors", testConnectors},
		{"learned", testLearned},
		{"asked in every state", testEveryState},
		{"captured requests", testCapturedRequests},
		{"revocation list is back", testListIsBack},
		{"outbound", testOutbound},
		{"stopped with a request in hand", testStoppedInHand},
		{"changes under traffic", testChangesUnderTraffic},
		{"killed under traffic", testKilledUnderTraffic},
	} {
		s.flushLog(t)
		daemonMark, postfixMark := s.daemonLog(), len(s.postfix.Log())
		t.Run(sub.name, func(t *testing.T) {
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("domain-secured:\n%s\nPostfix:\n%s", tail(s.daemonLog()[len(daemonMark):]), tail(s.postfix.Log()[postfixMark:]))
				}
			})
			sub.run(t, s)
		})
	}
	s.isSound(t)
}

// missing skips a test for want of something, except on CI, which must have everything.
func missing(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// A postfixSite is contoso.com's mail server, with the daemon built for the race detector.
type postfixSite struct {
	*cases.Site
	postfix *mta.Postfix
}

// policyService is the line of the README.
const policyService = "check_policy_service { %s, timeout=10s, { default_action = 450 4.7.5 domain security is unavailable } }"

func setUpPostfix(t *testing.T) *postfixSite {
	t.Helper()
	binary, err := cases.Build(t.Context(), t.TempDir(), "-race")
	if err != nil {
		t.Fatal(err)
	}
	site, err := cases.Setup(t.Context(), cases.SetupOptions{Binary: binary, Services: []mta.Service{
		{Name: withMilter, Settings: reentry},
		{Name: withoutMilter, Settings: append(slices.Clone(reentry), "smtpd_milters =")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := site.Close(); err != nil { // the race detector's exit status, too
			t.Error(err)
		}
	})
	s := &postfixSite{Site: site, postfix: site.MTA.(*mta.Postfix)}
	s.configure(t, "smtpd_data_restrictions", s.policyService(), "non_smtpd_milters", "$smtpd_milters", "smtpd_forbid_bare_newline", "normalize")
	return s
}

func (s *postfixSite) socket() string { return filepath.Join(s.Dir, "policy.sock") }

func (s *postfixSite) milterSocket() string { return filepath.Join(s.Dir, "milter.sock") }

// parameter is the value of a parameter of main.cf.
func (s *postfixSite) parameter(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "postconf", "-c", s.postfix.ConfigDir(), "-h", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func (s *postfixSite) policyService() string {
	return fmt.Sprintf(policyService, "unix:"+s.socket())
}

// configure sets parameters of main.cf, given as name and value in turn, and has Postfix use them.
func (s *postfixSite) configure(t *testing.T, settings ...string) {
	t.Helper()
	for i := 0; i < len(settings); i += 2 {
		if err := s.postfix.SetParameter(settings[i], settings[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.postfix.Reload(waiting(t)); err != nil {
		t.Fatal(err)
	}
}

// daemonLog is the log of this and all earlier runs of the daemon.
func (s *postfixSite) daemonLog() string {
	text, err := os.ReadFile(s.LogFile())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// isSound looks for what must not be in the logs, whatever was done to the daemon.
func (s *postfixSite) isSound(t *testing.T) {
	t.Helper()
	for _, word := range []string{"DATA RACE", "panic", "does not speak the policy protocol"} {
		if log := s.daemonLog(); strings.Contains(log, word) {
			t.Errorf("%q in the daemon's log:\n%s", word, tail(log[strings.Index(log, word):]))
		}
	}
	for _, word := range []string{"fatal:", "panic:", "451 4.3.5 Server configuration"} {
		if log := s.postfix.Log(); strings.Contains(log, word) {
			t.Errorf("%q in Postfix's log:\n%s", word, tail(log[strings.Index(log, word):]))
		}
	}
}

// verb runs a verb that is to succeed, and returns what it printed.
func (s *postfixSite) verb(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.Command(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// logged waits for a line of the daemon's log after a mark.
func (s *postfixSite) logged(t *testing.T, mark int, text string) string {
	t.Helper()
	line, err := s.Daemon.WaitLogFrom(waiting(t), mark, text)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// flushLog waits for the daemon's log, which is written behind its back, to have all that was done before.
func (s *postfixSite) flushLog(t *testing.T) {
	t.Helper()
	m, _ := letterFrom(rand.Text() + "@woodgrovebank.com")
	if _, err := smtpclient.Send(t.Context(), s.plain(), m); err != nil {
		t.Fatal(err)
	}
	s.logged(t, 0, " sender="+m.Sender+" ")
}

// waiting is the context of something that takes a moment and must not take for ever, also while cleaning up.
func waiting(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// waitUntil waits for what can only be looked at again and again.
func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	for ctx, tick := waiting(t), time.Tick(5*time.Millisecond); !done(); {
		select {
		case <-tick:
		case <-ctx.Done():
			t.Fatalf("waiting for %s: %v", what, ctx.Err())
		}
	}
}

// tail is the end of a text that may be long.
func tail(text string) string { return text[max(0, len(text)-16<<10):] }
