package outgoing_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"domain-secured/internal/testkit/apart"
	"domain-secured/internal/testkit/mta"
)

// TestPostfix has a real Postfix deliver to servers with all that is right and wrong, and
// the daemon, as it is built, say what to insist on.
func TestPostfix(t *testing.T) {
	if _, err := mta.FindPostfix(); err != nil {
		missing(t, err)
	}
	err := apart.Run(t, func() {
		s := setUp(t)
		s.startPostfix(t)
		for _, sub := range []struct {
			name string
			run  func(*testing.T, *site)
		}{
			{"table", testTable},
			{"log", testLog},
			{"recipients", testRecipients},
			{"exported", testExported},
			{"exported for Sendmail", testExportedSendmail},
			{"bounce", testBounce},
			{"listed while mail waits", testListedWhileWaiting},
			{"MX changes", testMXChanges},
			{"first look is slow", testSlowLook},
			{"a thousand at once", testThousand},
			{"reload", testReload},
			{"check", testCheck},
			{"daemon down", testDown},
		} {
			daemonMark, postfixMark := len(s.daemonLog()), len(s.postfix.Log())
			t.Run(sub.name, func(t *testing.T) {
				t.Cleanup(func() {
					s.purge(t)
					if t.Failed() {
						t.Logf("domain-secured:\n%s\nPostfix:\n%s", tail(s.daemonLog()[daemonMark:]), tail(s.postfix.Log()[postfixMark:]))
					}
				})
				sub.run(t, s)
			})
		}
		for _, word := range []string{"DATA RACE", "panic", "fault of domain-secured", "does not speak"} {
			if log := s.daemonLog(); strings.Contains(log, word) {
				t.Errorf("%q in the daemon's log:\n%s", word, tail(log[strings.Index(log, word):]))
			}
		}
	})
	if errors.Is(err, apart.ErrNotPossible) {
		missing(t, err)
	}
}

// missing skips a test for want of something, except on CI, which must have everything.
func missing(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
}
