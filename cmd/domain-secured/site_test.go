package main

import (
	"context"
	"crypto/rand"
	"os"
	"slices"
	"testing"
	"time"

	"domain-secured/internal/testkit/cases"
	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/smtpclient"
)

// A mailSite is contoso.com's mail server, with the daemon built for the race detector.
type mailSite struct{ *cases.Site }

// setUp starts one. It is ended with the test.
func setUp(t *testing.T, o cases.SetupOptions) *mailSite {
	t.Helper()
	if err := o.Server.Find(); err != nil {
		missing(t, err)
	}
	var err error
	if o.Binary, err = cases.Build(t.Context(), t.TempDir(), "-race"); err != nil {
		t.Fatal(err)
	}
	site, err := cases.Setup(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := site.Close(); err != nil { // the race detector's exit status, too
			t.Error(err)
		}
	})
	return &mailSite{site}
}

// missing skips a test for want of something, except on CI, which must have everything.
func missing(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// daemonLog is the log of this and all earlier runs of the daemon.
func (s *mailSite) daemonLog() string {
	text, err := os.ReadFile(s.LogFile())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// verb runs a verb that is to succeed, and returns what it printed.
func (s *mailSite) verb(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.Command(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// logged waits for a line of the daemon's log after a mark.
func (s *mailSite) logged(t *testing.T, mark int, text string) string {
	t.Helper()
	line, err := s.Daemon.WaitLogFrom(waiting(t), mark, text)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// flushLog waits for the daemon's log, which is written behind its back, to have all that was done before.
func (s *mailSite) flushLog(t *testing.T) {
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

// plain is how somebody connects who does not use TLS, presenting one who does and has a certificate.
func (s *mailSite) plain() smtpclient.Options {
	return smtpclient.Options{Addr: s.MTA.Addr(), Hello: "mail1.example.net"}
}

func (s *mailSite) presenting(kind cases.Kind) smtpclient.Options {
	o := s.plain()
	o.TLS = true
	if kind != "" {
		certificate := s.World.Certificates[kind].TLSCertificate()
		o.Certificate = &certificate
	}
	return o
}

func (s *mailSite) dial(t *testing.T, o smtpclient.Options) *smtpclient.Session {
	t.Helper()
	session, err := smtpclient.Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	return session
}

// arrived waits until nothing is on its way, and returns what came of the messages with the given ids.
func (s *mailSite) arrived(t *testing.T, ids ...string) []mta.Message {
	t.Helper()
	if err := s.MTA.Idle(waiting(t)); err != nil {
		t.Fatal(err)
	}
	all, err := s.MTA.Messages()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(m mta.Message) bool { return !slices.Contains(ids, m.Header.Get("Message-ID")) })
}
