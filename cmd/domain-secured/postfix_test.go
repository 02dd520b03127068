package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"domain-secured/internal/testkit/cases"
	"domain-secured/internal/testkit/mta"
)

// TestPostfix holds the daemon, as it is built, to its promises beside a real Postfix. There is one site for
// all; a subtest leaves it as it found it.
func TestPostfix(t *testing.T) {
	s := setUpPostfix(t)
	for _, sub := range []struct {
		name string
		run  func(*testing.T, *postfixSite)
	}{
		{"cases", onAny(testCases)},
		{"reply", testReply},
		{"session", onAny(testSession)},
		{"plain session", onAny(testPlainSession)},
		{"two recipients", onAny(testTwoRecipients)},
		{"null sender", onAny(testNullSender)},
		{"pipelining", onAny(testPipelining)},
		{"sender forms", testSenderForms},
		{"internationalized sender", testInternationalizedSender},
		{"renewed certificate", testRenewedCertificate},
		{"broken list", testBrokenList},
		{"broken configuration", testBrokenConfiguration},
		{"asked per recipient", testAskedPerRecipient},
		{"check", testCheckPostfix},
		{"swaks", testSwaks},
		{"stamps", onAny(testStamps)},
		{"stamp of a pin", onAny(testStampOfPin)},
		{"one line", onAny(testOneLine)},
		{"chunks", testChunks},
		{"SMTPUTF8", testUTF8},
		{"From enforced", onAny(testFromEnforced)},
		{"milter alone", testMilterAlone},
		{"policy service alone", testPolicyAlone},
		{"content filter", testContentFilter},
		{"connectors", onAny(testConnectors)},
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

// onAny makes a test of any site one of a site with Postfix.
func onAny(test func(*testing.T, *mailSite)) func(*testing.T, *postfixSite) {
	return func(t *testing.T, s *postfixSite) { test(t, s.mailSite) }
}

// A postfixSite is a site whose mail server is Postfix.
type postfixSite struct {
	*mailSite
	postfix *mta.Postfix
}

// policyService is the line of the README.
const policyService = "check_policy_service { %s, timeout=10s, { default_action = 450 4.7.5 domain security is unavailable } }"

func setUpPostfix(t *testing.T) *postfixSite {
	t.Helper()
	site := setUp(t, cases.SetupOptions{Services: []mta.Service{
		{Name: withMilter, Settings: reentry},
		{Name: withoutMilter, Settings: append(slices.Clone(reentry), "smtpd_milters =")},
	}})
	s := &postfixSite{mailSite: site, postfix: site.MTA.(*mta.Postfix)}
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
