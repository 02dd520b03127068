package main

import (
	"strings"
	"testing"

	"domain-secured/internal/testkit/cases"
)

// TestSendmail holds the daemon, as it is built, to its promises beside a real Sendmail, which has no other word of
// it than the lines in contrib/sendmail. A subtest leaves the site as it found it.
func TestSendmail(t *testing.T) {
	s := setUp(t, cases.SetupOptions{Server: cases.Sendmail})
	for _, sub := range []struct {
		name string
		run  func(*testing.T, *mailSite)
	}{
		{"cases", testCases},
		{"session", testSession},
		{"plain session", testPlainSession},
		{"two recipients", testTwoRecipients},
		{"null sender", testNullSender},
		{"pipelining", testPipelining},
		{"stamps", testStamps},
		{"stamp of a pin", testStampOfPin},
		{"one line", testOneLine},
		{"From enforced", testFromEnforced},
		{"connectors", testConnectors},
		{"sender forms", testSendersOfSendmail},
		{"own domain", testOwnDomain},
		{"open transaction", testOpenTransaction},
		{"junk", testJunk},
		{"before and after TLS", testBeforeAndAfterTLS},
		{"resumed", testResumed},
		{"smuggling", testSmuggling},
		{"fingerprints", testFingerprints},
		{"not asked for", testNotAskedFor},
		{"Sendmail's own word", testMTAEvidence},
		{"check", testCheckSendmail},
		{"milter gone", testMilterGone},
	} {
		s.flushLog(t)
		daemonMark, sendmailMark := len(s.daemonLog()), len(s.MTA.Log())
		t.Run(sub.name, func(t *testing.T) {
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("domain-secured:\n%s\nSendmail:\n%s", tail(s.daemonLog()[daemonMark:]), tail(s.MTA.Log()[sendmailMark:]))
				}
			})
			sub.run(t, s)
		})
	}
	for _, word := range []string{"DATA RACE", "panic", "does not speak the milter protocol", "without MAIL"} {
		if log := s.daemonLog(); strings.Contains(log, word) {
			t.Errorf("%q in the daemon's log:\n%s", word, tail(log[strings.Index(log, word):]))
		}
	}
}
