package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/cases"
)

const (
	bankProven   = "the bank, proven"
	bankPlain    = "the bank, without TLS"
	toysPinned   = "pinned"
	unlisted     = "not listed"
	changing     = "listed at times, without TLS"
	changingName = "northwindtraders.com"
)

// trafficOf are the streams of the tests, and what comes of them while nothing is changed.
func trafficOf(s *postfixSite) ([]stream, outcomes) {
	return []stream{
			{bankProven, bankSender, s.presenting(cases.Good)},
			{bankPlain, bankSender, s.plain()},
			{toysPinned, toysSender, s.presenting(cases.Pinned)},
			{unlisted, fabrikamSender, s.plain()},
			{changing, "nancy@" + changingName, s.plain()},
		}, outcomes{
			bankProven: {accepted}, bankPlain: {"tls-not-used"}, toysPinned: {accepted}, unlisted: {accepted}, changing: {accepted},
		}
}

// testChangesUnderTraffic does to a busy site what its administrator does in a year.
func testChangesUnderTraffic(t *testing.T, s *postfixSite) {
	s.configure(t) // no smtpd is left from before that could end meanwhile, and its connection with it
	waitUntil(t, "the daemon to have no connections", func() bool { return len(s.sockets(t)) == listeners })
	mark := len(s.postfix.Log())
	streams, steady := trafficOf(s)
	tr := startTraffic(t, s, steady)
	tr.add(streams, true)
	tr.settle(t)
	lasting := s.sockets(t)
	waitUntil(t, "each session to have a connection with either door", func() bool {
		lasting = s.sockets(t)
		return len(lasting) == listeners+2*len(streams)
	})
	tr.add(streams, false)
	tr.settle(t)

	taken := func(text string, do func()) func() {
		return func() {
			mark := s.Daemon.Mark()
			do()
			s.logged(t, mark, text)
		}
	}
	listed := steady.with(changing, "tls-not-used")
	was, err := os.ReadFile(s.list())
	if err != nil {
		t.Fatal(err)
	}

	tr.change(t, listed, taken("lists read", func() { s.verb(t, "receive", "add", changingName) }))
	tr.change(t, steady, taken("lists read", func() { s.verb(t, "receive", "remove", changingName) }))
	// Written in place, in two halves, again and again until the daemon has looked: the first does not even parse.
	edits, slowest := s.Daemon.Mark(), time.Duration(0)
	tr.change(t, listed, taken("lists read", func() {
		for n := range int(1200 * time.Millisecond / pause) {
			began := time.Now()
			writeSlowly(t, s.list(), fmt.Sprintf("%s# edit %d\n%s\n", was, n, changingName), "bank.com")
			slowest = max(slowest, time.Since(began))
		}
	}))
	if log := s.Daemon.Log()[edits:]; slowest < 100*time.Millisecond && strings.Contains(log, "level=ERROR") {
		t.Errorf("half a list was read:\n%s", log)
	}
	tr.change(t, steady, taken("lists read", func() { rewrite(t, s.list(), constantly(string(was))) }))

	good := s.World.Certificates[cases.Good]
	tr.change(t, steady.with(bankProven, "certificate-unknown"), taken("certificates changed", func() { s.verb(t, "cert", "forget", good.Fingerprint()) }))
	tr.change(t, steady, func() { s.verb(t, "cert", "import", filepath.Join(s.Dir, "certificates", "good.pem")) })

	var toml string
	hangUp := func() {
		if err := s.Daemon.Hangup(); err != nil {
			t.Fatal(err)
		}
	}
	tr.change(t, steady.with(toysPinned, "pin-mismatch"), taken("configuration read", func() {
		toml = rewrite(t, s.Config, func(text string) string {
			before, _, _ := strings.Cut(text, `pins = ["sha256:`)
			_, after, _ := strings.Cut(text, `trust = "pins"`)
			_, after, _ = strings.Cut(after, "]\n")
			return before + `pins = ["sha256:` + strings.Repeat("00", 31) + "01\"]\n" + after
		})
		hangUp()
	}))
	tr.change(t, steady, taken("configuration read", func() {
		rewrite(t, s.Config, constantly(toml))
		hangUp()
	}))

	now := s.sockets(t)
	for _, socket := range lasting {
		if !slices.Contains(now, socket) {
			t.Errorf("a connection was closed while its session lasted")
		}
	}
	tr.check(t)
	for _, word := range []string{"warning:", "problem talking to server", " 451 "} {
		for line := range strings.Lines(s.postfix.Log()[mark:]) {
			// On a busy machine Postfix notices that a file is stamped in the next second.
			clock := strings.Contains(line, "file system clock") || strings.Contains(line, "resetting file time stamps")
			if strings.Contains(line, word) && !clock {
				t.Errorf("%q in Postfix's log: %s", word, line)
			}
		}
	}
}

// testKilledUnderTraffic: without the daemon no listed mail gets in, and when it is back all is as before.
func testKilledUnderTraffic(t *testing.T, s *postfixSite) {
	streams, steady := trafficOf(s)
	away := outcomes{}
	for _, one := range streams {
		away[one.name] = []string{unavailable}
	}
	tr := startTraffic(t, s, steady)
	tr.add(streams, true)
	tr.add(streams, false)
	tr.settle(t)
	tr.change(t, away, func() {
		if err := s.Daemon.Kill(); err != nil {
			t.Error(err)
		}
	})
	tr.change(t, steady, func() {
		if err := s.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	tr.check(t)
}

// writeSlowly writes a file in place, up to a word, and then the rest.
func writeSlowly(t *testing.T, name, text, word string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	half := strings.Index(text, word)
	_, err = f.WriteString(text[:half])
	<-time.After(pause)
	if _, more := f.WriteString(text[half:]); err != nil || more != nil {
		t.Fatal(err, more)
	}
}
