package outgoing_test

import (
	"errors"
	"os"
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
		s.play(t, func() string { return s.postfix.Log() }, s.purge, []scene{
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
		})
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
