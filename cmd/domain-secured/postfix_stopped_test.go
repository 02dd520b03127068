package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"domain-secured/internal/testkit/cases"
	"domain-secured/internal/testkit/smtpclient"
)

// testStoppedInHand ends the daemon while it judges, and starts it again.
func testStoppedInHand(t *testing.T, s *postfixSite) {
	for range 5 {
		if s.stoppedInHand(t) {
			return
		}
	}
	t.Error("this machine is too slow")
}

// stoppedInHand has the daemon wait for a pipe in its store when it is told to stop. That must be done before
// the daemon looks at the store as a whole, a second after its start: false says that it was not.
func (s *postfixSite) stoppedInHand(t *testing.T) (inTime bool) {
	t.Helper()
	s.configure(t) // from now on Postfix has no connection to the daemon
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	certificate := s.World.Certificates[cases.NeverImported]
	name := strings.ToLower(strings.ReplaceAll(certificate.Fingerprint(), ":", "")) + ".pem"
	fifo := filepath.Join(s.Dir, "state", "certificates", name)
	if err := syscall.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(fifo)

	session := s.dial(t, s.presenting(cases.NeverImported))
	m, id := letterFrom(bankSender)
	var reply smtpclient.Reply
	var err error
	var running sync.WaitGroup
	running.Go(func() { reply, err = session.Send(t.Context(), m) })
	var pipe *os.File
	waitUntil(t, "the daemon to look for the certificate", func() bool {
		var none error // while nobody reads
		pipe, none = os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		return none == nil
	})
	inTime = time.Since(started) < 700*time.Millisecond
	var stopped error
	running.Go(func() { stopped = s.Daemon.Stop(context.WithoutCancel(t.Context())) })
	if inTime {
		waitUntil(t, "the door to be closed", func() bool {
			_, err := os.Lstat(s.milterSocket())
			return errors.Is(err, os.ErrNotExist)
		})
	}
	_, unwritten := pipe.Write(certificate.PEM())
	pipe.Close()
	running.Wait()
	os.Remove(fifo) // what is started next must not wait for it
	if restarted := s.Restart(t.Context()); restarted != nil {
		t.Fatal(restarted)
	}
	if !inTime {
		return false
	}
	if err != nil || unwritten != nil || stopped != nil {
		t.Fatalf("sending: %v, writing the certificate: %v, stopping: %v", err, unwritten, stopped)
	}
	if got := outcome(reply); got != accepted {
		t.Errorf("in hand: %s, want %s", got, accepted)
	}
	if all := s.arrived(t, id); len(all) != 1 {
		t.Errorf("%d messages arrived, want 1", len(all))
	}
	m, _ = letterFrom(bankSender)
	expect(t, session, m, "certificate-unknown") // by the policy service, which is asked before the milter that has gone
	expect(t, s.dial(t, s.presenting(cases.NeverImported)), m, "certificate-unknown")
	expect(t, s.dial(t, s.presenting(cases.Good)), m, accepted)
	return true
}
