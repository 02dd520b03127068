package outgoing_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/smtpclient"
)

// startPostfix has contoso.com send by Postfix, as the README says.
func (s *site) startPostfix(t *testing.T) {
	t.Helper()
	chain := s.path("contoso.pem")
	if err := os.WriteFile(chain, append(s.ours.KeyPEM(), s.ours.PEM()...), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	s.postfix, err = mta.StartPostfix(t.Context(), mta.PostfixOptions{
		Common: mta.Common{Hostname: "mx1.contoso.com", Domains: []string{"contoso.com"}, Certificate: s.ours},
		Dir:    s.path("postfix"),
		Main: []string{
			"smtp_tls_security_level = may",
			"smtp_tls_policy_maps = socketmap:inet:127.0.0.1:18892:send",
			"smtp_tls_CAfile = " + s.path("root.pem"),
			"smtp_tls_chain_files = " + chain,
			"smtp_tls_loglevel = 1",
			"mynetworks = 127.0.0.0/8",
			"smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination",
			"smtputf8_enable = yes",
			"transport_maps = inline:{ { byhost.example = smtp:[mail1.byhost.example]:25 } }",
			// One try a second, whatever became of the last.
			"minimal_backoff_time = 1s", "maximal_backoff_time = 1s", "queue_run_delay = 1s", "transport_retry_time = 1s",
			"smtp_connect_timeout = 5s",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.postfix.Close(); err != nil {
			t.Error(err)
		}
	})
	s.chroot(t)
}

// chroot has smtp(8) run as Debian has it: in the queue directory, where it sees no other
// file.
func (s *site) chroot(t *testing.T) {
	t.Helper()
	etc := s.path("postfix/queue/etc")
	resolver, err := os.ReadFile("/etc/resolv.conf")
	if err := errors.Join(err, os.MkdirAll(etc, 0o755), os.WriteFile(filepath.Join(etc, "resolv.conf"), resolver, 0o644)); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "postconf", "-c", s.postfix.ConfigDir(), "-F", "smtp/unix/chroot = y").CombinedOutput()
	if err != nil {
		t.Fatalf("postconf: %v: %s", err, out)
	}
	if err := s.postfix.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// isChrooted reports whether some smtp(8) sees only the queue directory.
func (s *site) isChrooted() bool {
	roots, _ := filepath.Glob("/proc/[0-9]*/root")
	for _, root := range roots {
		if seen, err := os.Readlink(root); err == nil && seen == s.path("postfix/queue") {
			return true
		}
	}
	return false
}

// send hands Postfix a message and returns its queue id.
func (s *site) send(t *testing.T, sender string, recipients ...string) string {
	t.Helper()
	m := smtpclient.Mail{Sender: sender, Recipients: recipients, Data: []byte("Message-ID: <" + rand.Text() + "@contoso.com>\n\nhi\n")}
	for _, r := range recipients {
		if strings.ContainsFunc(r, func(r rune) bool { return r > '~' }) {
			m.Parameters = "SMTPUTF8"
		}
	}
	reply, err := smtpclient.Send(t.Context(), smtpclient.Options{Addr: s.postfix.Addr()}, m)
	if err != nil {
		t.Fatal(err)
	}
	_, id, found := strings.Cut(reply.Text, "queued as ")
	if !found {
		t.Fatalf("to %q: %v", recipients, reply)
	}
	return id
}

// outcome waits for what became of a message for a recipient, and returns that line of
// Postfix's log. further says whether it is the one; nil takes the first. Now and then the
// queue is flushed: a queue manager that was reloaded skips what its predecessor's smtp(8)
// has in hand.
func (s *site) outcome(t *testing.T, id, recipient string, further func(line string) bool) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 60*time.Second)
	defer cancel()
	begin := " " + id + ": to=<" + recipient + ">"
	flush := time.Tick(5 * time.Second)
	for tick := time.Tick(10 * time.Millisecond); ; {
		for line := range strings.Lines(s.postfix.Log()) {
			if strings.Contains(line, begin) && strings.Contains(line, " status=") && (further == nil || further(line)) {
				return line
			}
		}
		select {
		case <-tick:
		case <-flush:
			if out, err := exec.CommandContext(ctx, "postqueue", "-c", s.postfix.ConfigDir(), "-f").CombinedOutput(); err != nil {
				t.Errorf("postqueue: %v: %s", err, out)
			}
		case <-ctx.Done():
			t.Fatalf("no outcome of %s for %s", id, recipient)
		}
	}
}

func sent(line string) bool { return strings.Contains(line, " status=sent ") }

func deferred(line string) bool { return strings.Contains(line, " status=deferred ") }

// purge empties the queue: what waits for ever would go on being tried.
func (s *site) purge(t *testing.T) {
	out, err := exec.Command("postsuper", "-c", s.postfix.ConfigDir(), "-d", "ALL").CombinedOutput()
	if err != nil {
		t.Errorf("postsuper: %v: %s", err, out)
	}
}
