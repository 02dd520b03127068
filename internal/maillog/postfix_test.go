package maillog_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"domain-secured/internal/maillog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listed takes every domain below example for listed, but for one.
func listed(domain string) string {
	domain = strings.ToLower(domain)
	if !strings.HasSuffix(domain, ".example") || domain == "unlisted.example" {
		return ""
	}
	return domain
}

// follow has a ledger follow a file, and returns when it does.
func follow(t *testing.T, name string) *maillog.Ledger {
	t.Helper()
	ledger := maillog.NewLedger(listed, time.Now, faultless(t))
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	done := make(chan struct{})
	var once sync.Once
	go func() {
		defer close(done)
		maillog.NewFollower(ledger, func(err error) { once.Do(func() { first <- err }) }).File(ctx, name)
	}()
	t.Cleanup(func() { cancel(); <-done })
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	return ledger
}

// TestPostfix has a real Postfix deliver, and be prevented from it, in every way.
func TestPostfix(t *testing.T) {
	s := newSite(t, map[string]string{"wrongpin": "fingerprint match=" + strings.Repeat("00:", 31) + "00"})
	ledger := follow(t, s.postfix.LogFile())
	for kind := range s.servers {
		s.send(t, "bob@"+kind+".example")
	}
	s.send(t, "bob@down.example")
	s.send(t, "bob@good.example", "carol@GOOD.example", `"x>, relay=y[1.2.3.4]:25, status=sent (z)"@good.example`, "dave@pinned.example", "eve@plain.example")

	// What is to be: sent securely, insecurely, session failures by cause, waiting now.
	type want struct {
		secured, unsecured uint64
		failures           map[maillog.Cause]uint64
		deferred           int
	}
	wants := map[string]want{
		"good":       {secured: 2},
		"pinned":     {secured: 2},
		"lax":        {unsecured: 1},
		"expired":    {failures: map[maillog.Cause]uint64{maillog.CertificateExpired: 1}, deferred: 1},
		"mismatch":   {failures: map[maillog.Cause]uint64{maillog.CertificateHostMismatch: 1}, deferred: 1},
		"selfsigned": {failures: map[maillog.Cause]uint64{maillog.CertificateNotTrusted: 1}, deferred: 1},
		"plain":      {failures: map[maillog.Cause]uint64{maillog.TLSNotUsed: 2}, deferred: 2},
		"old":        {failures: map[maillog.Cause]uint64{maillog.HandshakeFailed: 1}, deferred: 1},
		"nopolicy":   {failures: map[maillog.Cause]uint64{maillog.PolicyNotKnown: 1}, deferred: 1},
		"wrongpin":   {failures: map[maillog.Cause]uint64{maillog.CertificateNotVerified: 1}, deferred: 1},
		"down":       {deferred: 1},
	}
	settled := func() bool {
		got := ledger.Summary().Partners
		for kind, w := range wants {
			c := got[kind+".example"]
			if c.Secured+c.Unsecured+c.Unknown != w.secured+w.unsecured || c.Deferred != w.deferred {
				return false
			}
		}
		return true
	}
	defer func() {
		if t.Failed() {
			t.Logf("%+v\n%s", ledger.Summary(), deliveries(s.postfix.Log()))
		}
	}()
	await(t, "all deliveries", settled)
	got := ledger.Summary()
	for kind, w := range wants {
		c := got.Partners[kind+".example"]
		if c.Secured != w.secured || c.Unsecured != w.unsecured || c.Unknown != 0 || c.Deferred != w.deferred {
			t.Errorf("%s: %+v, want %+v", kind, c, w)
		}
		for _, cause := range maillog.Causes() {
			if c.Failures[cause] != w.failures[cause] {
				t.Errorf("%s: %d times %s, want %d", kind, c.Failures[cause], cause, w.failures[cause])
			}
		}
		if (len(w.failures) > 0) != (c.LastFail.Cause != "") || w.failures[c.LastFail.Cause] == 0 && len(w.failures) > 0 {
			t.Errorf("%s: the last failure is %+v", kind, c.LastFail)
		}
		for _, e := range []maillog.Event{c.LastSent, c.LastFail} {
			if !e.Time.IsZero() && time.Since(e.Time).Abs() > time.Minute {
				t.Errorf("%s: at %v", kind, e.Time)
			}
		}
	}
	if got.Unparsed != 0 {
		t.Errorf("%d of %d lines could not be read", got.Unparsed, got.Lines)
	}

	// What is taken out of the queue does not wait any more.
	postsuper := exec.Command("/usr/sbin/postsuper", "-c", s.postfix.ConfigDir(), "-d", "ALL")
	if out, err := postsuper.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	await(t, "an empty queue", func() bool {
		for _, c := range ledger.Summary().Partners {
			if c.Deferred != 0 {
				return false
			}
		}
		return true
	})
}

// deliveries are the lines of a log that matter.
func deliveries(log string) string {
	var b strings.Builder
	for line := range strings.Lines(log) {
		if strings.Contains(line, "/smtp[") || strings.Contains(line, "/error[") || strings.Contains(line, "postsuper") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// TestRotation follows a real Postfix's log through both ways of rotation.
func TestRotation(t *testing.T) {
	s := newSite(t, nil)
	name := s.postfix.LogFile()
	ledger := follow(t, name)
	sent := func(want uint64) {
		t.Helper()
		s.send(t, "bob@good.example")
		await(t, "a delivery", func() bool { return ledger.Summary().Partners["good.example"].Secured >= want })
		if got := ledger.Summary().Partners["good.example"].Secured; got != want {
			t.Fatalf("%d messages, not %d", got, want)
		}
	}
	defer func() {
		if t.Failed() {
			all, _ := filepath.Glob(name + "*")
			for _, name := range all {
				text, _ := os.ReadFile(name)
				t.Logf("%s\n%s", name, deliveries(string(text)))
			}
		}
	}()
	sent(1)
	// Renamed: Postfix writes on to the old file until it is told.
	check(t, os.Rename(name, name+".1"))
	sent(2)
	check(t, os.WriteFile(name, nil, 0o644)) // as logrotate(8) does with "create"
	sent(3)
	check(t, s.postfix.Reload(t.Context()))
	sent(4)
	if info, err := os.Stat(name); err != nil || info.Size() == 0 {
		t.Fatalf("Postfix did not take the new file: %v", err)
	}
	// Copied and truncated, as logrotate(8) does with "copytruncate".
	text, err := os.ReadFile(name)
	check(t, err)
	check(t, os.WriteFile(name+".2", text, 0o644))
	check(t, os.Truncate(name, 0))
	sent(5)
	sent(6)
}

// TestFileAppears: a log that is not there yet is read from its start, one that is
// from its end.
func TestFileAppears(t *testing.T) {
	name := filepath.Join(t.TempDir(), "mail.log")
	ledger := maillog.NewLedger(listed, time.Now, faultless(t))
	states := make(chan error, 10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		maillog.NewFollower(ledger, func(err error) { states <- err }).File(ctx, name)
	}()
	defer func() { cancel(); <-done }()
	if err := <-states; err == nil || !os.IsNotExist(unwrap(err)) {
		t.Fatalf("a file that is not there: %v", err)
	}
	const line = "2026-11-22T09:49:09.123456+01:00 mx1 postfix/smtp[1]: 8569198E275: to=<a@b.example>, relay=none, delay=1, delays=1/0/0/0, dsn=4.4.1, status=deferred (x)\n"
	check(t, os.WriteFile(name+".new", []byte(line), 0o644))
	check(t, os.Rename(name+".new", name))
	if err := <-states; err != nil {
		t.Fatal(err)
	}
	if got := ledger.Summary(); got.Lines != 1 || got.Partners["b.example"].Deferred != 1 {
		t.Fatalf("%+v", got)
	}
	second := follow(t, name)
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	check(t, err)
	defer f.Close()
	// A line may come in parts, and one that never ends takes no memory.
	for _, part := range []string{line[:40], line[40:], strings.Repeat("x", 1<<20), "\n", "half"} {
		_, err := f.WriteString(part)
		check(t, err)
	}
	await(t, "two lines", func() bool { return second.Summary().Lines == 2 })
	if got := second.Summary(); got.Unparsed != 1 || got.Partners["b.example"].Deferred != 1 {
		t.Fatalf("%+v", got)
	}
	// What is no file is said, and waited for.
	check(t, os.Remove(name))
	check(t, os.Mkdir(name, 0o755))
	if err := <-states; err == nil {
		t.Fatal("a directory is taken for a log")
	}
}

func unwrap(err error) error {
	for {
		next, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		if os.IsNotExist(err) {
			return err
		}
		err = next.Unwrap()
	}
}

// TestJournal follows a real journald, in a mount namespace of its own.
func TestJournal(t *testing.T) {
	if os.Getenv("MAILLOG_JOURNAL") != "" {
		inJournal(t)
		return
	}
	for _, program := range []string{"unshare", "journalctl", journald} {
		if _, err := exec.LookPath(program); err != nil || os.Geteuid() != 0 {
			t.Skipf("no journal can be kept here: %v", err)
		}
	}
	c := exec.CommandContext(t.Context(), "unshare", "-m", "--propagation", "private", os.Args[0], "-test.run=^TestJournal$", "-test.v")
	c.Env = append(os.Environ(), "MAILLOG_JOURNAL=1")
	out, err := c.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestJournal")) {
		t.Fatalf("%v\n%s", err, out)
	}
}

const journald = "/usr/lib/systemd/systemd-journald"

func inJournal(t *testing.T) {
	for _, dir := range []string{"/run", "/var/log"} {
		if out, err := exec.Command("mount", "-t", "tmpfs", "tmpfs", dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	check(t, os.MkdirAll("/run/systemd/journal", 0o755))
	check(t, os.MkdirAll("/run/log/journal", 0o755))
	server := exec.Command(journald)
	check(t, server.Start())
	defer server.Wait()
	defer server.Process.Kill()
	await(t, "journald", func() bool { _, err := os.Stat("/run/systemd/journal/dev-log"); return err == nil })
	to, err := net.Dial("unixgram", "/run/systemd/journal/dev-log")
	check(t, err)
	defer to.Close()
	// As syslog(3) writes it: of one process, for the journal has its id from the kernel.
	log := func(tag, priority, text string) {
		t.Helper()
		_, err := fmt.Fprintf(to, "<%s>Nov 22 08:49:09 %s[%d]: %s", priority, tag, os.Getpid(), text)
		check(t, err)
	}
	log("postfix/smtp", "22", "before")

	ledger := maillog.NewLedger(listed, time.Now, faultless(t))
	ctx, cancel := context.WithCancel(t.Context())
	var states []error
	var mu sync.Mutex
	done := make(chan struct{})
	go func() {
		defer close(done)
		maillog.NewFollower(ledger, func(err error) { mu.Lock(); defer mu.Unlock(); states = append(states, err) }).Journal(ctx)
	}()
	// journalctl(1) does not say when it has begun.
	await(t, "the first line", func() bool { log("postfix/smtp", "22", "again"); return ledger.Summary().Lines > 0 })
	log("other", "14", "ABCDE: to=<a@b.example>, relay=none, dsn=4.4.1, status=deferred (not by a mail program)")
	log("postfix/smtp", "22", "Verified TLS connection established to mx[192.0.2.1]:25: TLSv1.3")
	log("postfix/smtp", "22", "8569198E275: to=<bücher@b.example>, relay=mx[192.0.2.1]:25, delay=1, delays=1/0/0/0, dsn=2.0.0, status=sent (250 schön)")
	await(t, "the delivery", func() bool { return ledger.Summary().Partners["b.example"].Secured == 1 })
	got := ledger.Summary()
	if got.Unparsed != 0 || got.Partners["b.example"].Deferred != 0 || time.Since(got.Partners["b.example"].LastSent.Time).Abs() > time.Minute {
		t.Errorf("%+v", got)
	}
	await(t, "word that it is followed", func() bool { mu.Lock(); defer mu.Unlock(); return len(states) > 0 })
	cancel()
	<-done
	mu.Lock()
	defer mu.Unlock()
	if len(states) != 1 || states[0] != nil {
		t.Errorf("%v", states)
	}
}

// TestJournalFails: a journalctl(1) that cannot be run, or ends, is said once, and tried
// again.
func TestJournalFails(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	states := make(chan error, 10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		maillog.NewFollower(maillog.NewLedger(listed, time.Now, faultless(t)), func(err error) { states <- err }).Journal(ctx)
	}()
	defer func() { cancel(); <-done }()
	if err := <-states; err == nil || !strings.Contains(err.Error(), "executable file not found") {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "journalctl")
	check(t, os.WriteFile(program+".new", []byte("#!/bin/sh\necho No journal files were opened >&2\nexit 1\n"), 0o755))
	check(t, os.Rename(program+".new", program))
	if err := <-states; err == nil || err.Error() != "following the journal: journalctl: exit status 1: No journal files were opened" {
		t.Fatal(err)
	}
}
