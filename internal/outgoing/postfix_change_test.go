package outgoing_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/pki"
)

// look is one look-up at the door, on a connection of its own.
func look(key string) (answer string, took time.Duration, err error) {
	begin := time.Now()
	c, err := net.Dial("tcp", "127.0.0.1:18892")
	if err != nil {
		return "", 0, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	request := "send " + key
	if _, err := fmt.Fprintf(c, "%d:%s,", len(request), request); err != nil {
		return "", 0, err
	}
	in := bufio.NewReader(c)
	length, err := in.ReadString(':')
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(length, ":"))
	if err != nil {
		return "", 0, err
	}
	text := make([]byte, n+1)
	if _, err := io.ReadFull(in, text); err != nil {
		return "", 0, err
	}
	return string(text[:n]), time.Since(begin), nil
}

// testLog: a domain is one line, however often it is asked for.
func testLog(t *testing.T, s *site) {
	for _, domain := range []string{"good.example", "vself.example", "testing.example"} {
		for range 3 {
			if _, _, err := look(domain); err != nil {
				t.Fatal(err)
			}
		}
		if n := strings.Count(s.daemonLog(), " domain="+domain+" "); n != 1 {
			t.Errorf("%d lines about %s", n, domain)
		}
	}
}

// leaf makes a certificate.
func leaf(t *testing.T, ca *pki.CA, o pki.LeafOptions) mta.Common {
	t.Helper()
	c, err := ca.Leaf(o)
	if err != nil {
		t.Fatal(err)
	}
	return mta.Common{Certificate: c}
}

func impostor(t *testing.T, name string) mta.Common {
	t.Helper()
	c, err := pki.SelfSigned(names(name))
	if err != nil {
		t.Fatal(err)
	}
	return mta.Common{Certificate: c}
}

// testRecipients: a domain is the same however it is written, and what is below it is
// another one.
func testRecipients(t *testing.T, s *site) {
	s.records(t, "sub.self.example MX 10 mail1.sub.self.example\nmail1.sub.self.example A %s\n",
		s.serve(t, "sub.self.example", mta.FakeOptions{Common: impostor(t, "x.example")}))
	s.records(t, "one.covered.example MX 10 mail1.one.covered.example\nmail1.one.covered.example A %s\n",
		s.serve(t, "one.covered.example", mta.FakeOptions{Common: impostor(t, "x.example")}))
	s.records(t, "two.covered.example MX 10 mail2.covered.example\nmail2.covered.example A %s\n",
		s.serve(t, "two.covered.example", mta.FakeOptions{Common: leaf(t, s.root, names("mail2.covered.example"))}))
	for recipient, want := range map[string]func(string) bool{
		"bob@GOOD.EXAMPLE":           sent,
		"bob@SELF.Example":           deferred,
		"bob@xn--mnchen-3ya.example": deferred,
		"bob@XN--MNCHEN-3YA.example": deferred,
		"bob@m\u00fcnchen.example":   deferred,
		"bob@M\u00dcNCHEN.Example":   deferred,
		"bob@sub.self.example":       sent,
		"bob@one.covered.example":    deferred,
		"bob@ONE.covered.example":    deferred,
		"bob@two.covered.example":    sent,
	} {
		t.Run(recipient, func(t *testing.T) {
			if line := s.outcome(t, s.send(t, "alice@contoso.com", recipient), recipient, nil); !want(line) {
				t.Error(line)
			}
		})
	}
	// Of one message only the part for the listed domain waits.
	id := s.send(t, "alice@contoso.com", "bob@others.example", "bob@self.example", "bob@good.example")
	for recipient, want := range map[string]func(string) bool{"bob@others.example": sent, "bob@self.example": deferred, "bob@good.example": sent} {
		if line := s.outcome(t, id, recipient, nil); !want(line) {
			t.Error(line)
		}
	}
}

// testBounce: a bounce is mail, too.
func testBounce(t *testing.T, s *site) {
	s.records(t, "refusing.example MX 10 mail1.others.example\n") // which takes no mail for it
	s.send(t, "carol@self.example", "nobody@refusing.example")
	waitUntil(t, "the bounce", func() bool {
		for line := range strings.Lines(s.postfix.Log()) {
			if strings.Contains(line, ": to=<carol@self.example>") {
				if !deferred(line) || !strings.Contains(line, unverified) {
					t.Errorf("the bounce: %s", line)
				}
				return true
			}
		}
		return false
	})
	if messages, _ := s.servers["self.example"].Messages(); len(messages) > 0 {
		t.Error("something arrived")
	}
}

// testListedWhileWaiting: the list counts for mail that is in the queue already.
func testListedWhileWaiting(t *testing.T, s *site) {
	const address = "127.77.99.1"
	s.records(t, "later.example MX 10 mail1.later.example\nmail1.later.example A %s\n", address)
	id := s.send(t, "alice@contoso.com", "bob@later.example")
	if line := s.outcome(t, id, "bob@later.example", nil); !strings.Contains(line, "Connection refused") {
		t.Fatal(line)
	}
	s.list(t, s.listed()+"later.example\n")
	s.serveAt(t, address, "later.example", mta.FakeOptions{Common: impostor(t, "mail1.later.example")})
	s.outcome(t, id, "bob@later.example", func(line string) bool {
		if sent(line) {
			t.Errorf("sent: %s", line)
		}
		return sent(line) || strings.Contains(line, unverified)
	})
	s.list(t, s.listed())
	s.outcome(t, id, "bob@later.example", sent)
}

// testMXChanges: another server takes the mail, and it has another certificate.
func testMXChanges(t *testing.T, s *site) {
	for _, how := range []string{"names", "vetted"} {
		t.Run(how, func(t *testing.T) {
			domain := how + "-moves.example"
			s.write(t, "domain-secured.toml", s.settings()+fmt.Sprintf("[partner.%q]\nsend_verify = %q\n", domain, how))
			s.hangUp(t)
			s.list(t, s.listed()+domain+"\n")
			moves := func(host string, certificate mta.Common) {
				s.dns.Remove(domain, "MX")
				s.records(t, "%[1]s. 5 IN MX 10 %[2]s.%[1]s.\n%[2]s.%[1]s A %[3]s\n", domain, host, s.serve(t, domain, mta.FakeOptions{Common: certificate}))
			}
			moves("old", leaf(t, s.root, names("old."+domain)))
			if line := s.outcome(t, s.send(t, "alice@contoso.com", "bob@"+domain), "bob@"+domain, nil); !sent(line) || !strings.Contains(line, "relay=old.") {
				t.Error(line)
			}
			moves("new", leaf(t, s.root, names("new."+domain)))
			if line := s.outcome(t, s.send(t, "alice@contoso.com", "bob@"+domain), "bob@"+domain, sent); !strings.Contains(line, "relay=new.") {
				t.Error(line)
			}
			from := len(s.daemonLog())
			moves("bad", impostor(t, "bad."+domain))
			id := s.send(t, "alice@contoso.com", "bob@"+domain)
			s.logged(t, from, "domain="+domain+" ", "certificate-not-trusted")
			s.outcome(t, id, "bob@"+domain, deferred)
			if messages, _ := s.servers[domain].Messages(); len(messages) > 0 {
				t.Error("something arrived")
			}
			s.list(t, s.listed())
		})
	}
	s.write(t, "domain-secured.toml", s.settings())
	s.hangUp(t)
}

// testSlowLook: who does not answer keeps nobody waiting for longer than four seconds,
// and not at all for what others show.
func testSlowLook(t *testing.T, s *site) {
	tarpit, err := net.Listen("tcp", "127.77.99.2:25")
	if err != nil {
		t.Fatal(err)
	}
	defer tarpit.Close()
	s.write(t, "domain-secured.toml", s.settings()+"[partner.\"slow.example\"]\nsend_verify = \"vetted\"\n[partner.\"stuck.example\"]\nsend_verify = \"vetted\"\n")
	s.hangUp(t)
	s.list(t, s.listed()+"slow.example\nstuck.example\n")
	s.records(t, "slow.example MX 10 mail1.slow.example\nslow.example MX 20 mail2.slow.example\nmail1.slow.example A %s\nmail2.slow.example A 127.77.99.2\n",
		s.serve(t, "slow.example", mta.FakeOptions{Common: leaf(t, s.root, names("mail1.slow.example"))}))
	s.records(t, "stuck.example MX 10 mail1.stuck.example\nmail1.stuck.example A 127.77.99.2\n")
	var work sync.WaitGroup
	for domain, want := range map[string]string{"slow.example": "OK fingerprint match=", "stuck.example": "TEMP domain-secured: not-looked-at-yet: "} {
		work.Go(func() {
			answer, took, err := look(domain)
			if err != nil || !strings.HasPrefix(answer, want) || took > 10*time.Second {
				t.Errorf("%s: %q after %v, %v", domain, answer, took, err)
			}
		})
	}
	work.Wait()
	if line := s.outcome(t, s.send(t, "alice@contoso.com", "bob@slow.example"), "bob@slow.example", nil); !sent(line) {
		t.Error(line)
	}
	s.logged(t, 0, "domain=stuck.example ", "reason=timed-out")
	s.list(t, s.listed())
	s.write(t, "domain-secured.toml", s.settings())
	s.hangUp(t)
}

// testThousand: a thousand domains at once, none of which was asked for before. Each has
// its answer in time, and none a weaker one.
func testThousand(t *testing.T, s *site) {
	const domains = 1000
	var zone strings.Builder
	for n := range domains {
		fmt.Fprintf(&zone, "d%d.many.example. 300 IN MX 10 mail1.many.example.\n", n)
	}
	s.records(t, "%s", zone.String())
	todo := make(chan int, domains)
	for n := range domains {
		todo <- n
	}
	for round := 1; len(todo) > 0; round++ {
		if round > 20 {
			t.Fatalf("%d have no policy yet", len(todo))
		}
		var work sync.WaitGroup
		var slowest time.Duration
		var mu sync.Mutex
		left := len(todo)
		for range left {
			n := <-todo
			work.Go(func() {
				answer, took, err := look(fmt.Sprintf("d%d.many.example", n))
				mu.Lock()
				slowest = max(slowest, took)
				mu.Unlock()
				switch {
				case err != nil:
					t.Error(err)
				case strings.HasPrefix(answer, "OK fingerprint match="):
				case strings.HasPrefix(answer, "TEMP domain-secured: not-looked-at-yet"), strings.HasPrefix(answer, "TEMP domain-secured: dns-failed"):
					todo <- n
				default:
					t.Errorf("d%d: %q", n, answer)
				}
			})
		}
		work.Wait()
		t.Logf("round %d: %d asked, %d have a policy, the slowest answer took %v", round, left, left-len(todo), slowest)
		if slowest > 20*time.Second { // 4.5 s, on a machine that does nothing else
			t.Errorf("an answer took %v", slowest)
		}
	}
}

// testReload: other settings hold at once, for queued mail, too.
func testReload(t *testing.T, s *site) {
	id := s.send(t, "alice@contoso.com", "bob@notown.example")
	s.outcome(t, id, "bob@notown.example", deferred)
	changed := strings.Replace(s.settings(), "[partner.\"notown.example\"]\nroots = [\"other.pem\"]", "[partner.\"notown.example\"]\nroots = [\"third.pem\"]", 1)
	s.write(t, "third.pem", string(s.root.PEM()))
	s.write(t, "domain-secured.toml", changed)
	s.hangUp(t)
	s.outcome(t, id, "bob@notown.example", sent)
	bundles := func() int {
		entries, err := os.ReadDir(s.path("postfix/queue/roots"))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if info, err := entry.Info(); err != nil || info.Mode() != 0o644 {
				t.Errorf("%v, %v", info, err)
			}
		}
		return len(entries)
	}
	if n := bundles(); n != 3 {
		t.Errorf("%d files of roots, want 3", n)
	}
	// One that has gone is written again, and one that nobody needs any more goes.
	s.write(t, "domain-secured.toml", s.settings())
	s.hangUp(t)
	if err := errors.Join(os.RemoveAll(s.path("postfix/queue/roots")), os.Mkdir(s.path("postfix/queue/roots"), 0o755)); err != nil {
		t.Fatal(err)
	}
	s.hangUp(t)
	if n := bundles(); n != 2 { // also of those that nobody has written to yet
		t.Errorf("%d files of roots, want 2", n)
	}
	if line := s.outcome(t, s.send(t, "alice@contoso.com", "bob@own.example"), "bob@own.example", nil); !sent(line) {
		t.Error(line)
	}
}

// testDown: without the daemon Postfix sends nothing to anybody, and goes on when it is
// back.
func testDown(t *testing.T, s *site) {
	if err := s.daemon.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.daemon = nil
	recipients := []string{"bob@good.example", "bob@others.example"}
	ids := make([]string, len(recipients))
	for i, recipient := range recipients {
		ids[i] = s.send(t, "alice@contoso.com", recipient)
	}
	for i, recipient := range recipients {
		if line := s.outcome(t, ids[i], recipient, nil); !deferred(line) || !strings.Contains(line, noPolicy) {
			t.Error(line)
		}
	}
	s.startDaemon(t)
	for i, recipient := range recipients {
		s.outcome(t, ids[i], recipient, sent)
	}
}

// testCheck: what check says of a Postfix that compares other fingerprints is so.
func testCheck(t *testing.T, s *site) {
	digest := func(name string) {
		t.Helper()
		if err := s.postfix.SetParameter("smtp_tls_fingerprint_digest", name); err != nil {
			t.Fatal(err)
		}
		if err := s.postfix.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	check := func(as *syscall.Credential) string {
		t.Helper()
		c := exec.CommandContext(t.Context(), s.binary, "check", "--config", s.config, "--postfix="+s.postfix.ConfigDir())
		c.Env = append(os.Environ(), "SSL_CERT_FILE="+s.path("root.pem")) // as the daemon has it
		c.SysProcAttr = &syscall.SysProcAttr{Credential: as}
		out, err := c.Output()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return string(out)
	}
	if out := check(nil); strings.Contains(out, "smtp_tls_") {
		t.Errorf("%s", out)
	}
	digest("md5")
	if out := check(nil); !strings.Contains(out, "smtp_tls_fingerprint_digest = sha256") {
		t.Errorf("%s", out)
	}
	id := s.send(t, "alice@contoso.com", "bob@vetted.example")
	if line := s.outcome(t, id, "bob@vetted.example", nil); !deferred(line) {
		t.Error(line)
	}
	digest("sha256")
	s.outcome(t, id, "bob@vetted.example", sent)
	// What the chrooted smtp(8) may not read: mail waits for that, and check says for what.
	roots := s.path("postfix/queue/roots")
	said := "mail for own.example and notown.example waits, as Postfix cannot read the partner's roots: user postfix may not pass the directory " +
		roots + " (drwx------ root:root): chmod o+x " + roots + "\n"
	if out := check(nil); strings.Contains(out, "roots") {
		t.Errorf("%s", out)
	}
	if err := os.Chmod(roots, 0o700); err != nil {
		t.Fatal(err)
	}
	if out := check(nil); !strings.Contains(out, said) {
		t.Errorf("want %s: %s", said, out)
	}
	unknown := ", and mail for own.example and notown.example waits if it cannot: only root can try that: run this as root\n"
	if out := check(&syscall.Credential{Uid: 65534, Gid: 65534}); !strings.Contains(out, unknown) || strings.Contains(out, said) {
		t.Errorf("want %s: %s", unknown, out)
	}
	id = s.send(t, "alice@contoso.com", "bob@own.example")
	if line := s.outcome(t, id, "bob@own.example", nil); !strings.Contains(line, "(client TLS configuration problem)") {
		t.Error(line)
	}
	if err := os.Chmod(roots, 0o711); err != nil {
		t.Fatal(err)
	}
	if out := check(nil); strings.Contains(out, "roots") {
		t.Errorf("%s", out)
	}
	s.outcome(t, id, "bob@own.example", sent)
}
