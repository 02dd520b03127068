package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"domain-secured/internal/testkit/cases"
)

func (s *postfixSite) list() string { return filepath.Join(s.Dir, "receive.list") }

// rewrite changes a file in place, as an editor does that keeps the inode, and returns what was in it.
func rewrite(t *testing.T, name string, change func(string) string) (was string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, []byte(change(string(text))), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func constantly(text string) func(string) string { return func(string) string { return text } }

// lineOf is the number of the line of text that begins with a word.
func lineOf(t *testing.T, text, word string) int {
	t.Helper()
	before, _, found := strings.Cut("\n"+text, "\n"+word)
	if !found {
		t.Fatalf("no line %s in:\n%s", word, text)
	}
	return strings.Count(before, "\n") + 1
}

// testRenewedCertificate: the partner has a new certificate, the administrator imports it, and that is all.
func testRenewedCertificate(t *testing.T, s *postfixSite) {
	session := s.dial(t, s.presenting(cases.NeverImported))
	send := func(want string) {
		t.Helper()
		m, _ := letterFrom(bankSender)
		expect(t, session, m, want)
	}
	send("certificate-unknown")
	certificate := s.World.Certificates[cases.NeverImported]
	name := filepath.Join(t.TempDir(), "renewed.pem")
	if err := os.WriteFile(name, certificate.PEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	s.verb(t, "cert", "import", name)
	send(accepted)
	mark := s.Daemon.Mark()
	s.verb(t, "cert", "forget", certificate.Fingerprint())
	s.logged(t, mark, "certificates changed")
	send("certificate-unknown")
}

// testBrokenList: a mistake in the list takes nobody off it and brings nobody onto it, and is in the log.
func testBrokenList(t *testing.T, s *postfixSite) {
	session := s.dial(t, s.plain())
	send := func(sender, want string) {
		t.Helper()
		m, _ := letterFrom(sender)
		expect(t, session, m, want)
	}
	const northwind = "nancy@northwindtraders.com"
	mark := s.Daemon.Mark()
	was := rewrite(t, s.list(), constantly("# edited\nnorthwindtraders.com\n\nwoodgrove bank.com\n"))
	line := s.logged(t, mark, "level=ERROR")
	if want := s.list() + ":4: "; !strings.HasPrefix(attribute(t, line, "problem"), want) {
		t.Errorf("no %q in %q", want, line)
	}
	send(bankSender, "tls-not-used")
	send(toysSender, "tls-not-used")
	send(northwind, accepted)

	mark = s.Daemon.Mark()
	rewrite(t, s.list(), constantly("# edited\nnorthwindtraders.com\n\nwoodgrovebank.com\n"))
	s.logged(t, mark, "lists read")
	send(bankSender, "tls-not-used")
	send(toysSender, accepted)
	send(northwind, "tls-not-used")

	// A list that is gone is not an empty one.
	mark = s.Daemon.Mark()
	aside := s.list() + ".aside"
	if err := os.Rename(s.list(), aside); err != nil {
		t.Fatal(err)
	}
	if line := s.logged(t, mark, "level=ERROR"); !strings.Contains(attribute(t, line, "problem"), s.list()+": ") {
		t.Errorf("no %s in %q", s.list(), line)
	}
	send(bankSender, "tls-not-used")
	send(northwind, "tls-not-used")
	if err := os.WriteFile(aside, []byte(was), 0o644); err != nil {
		t.Fatal(err)
	}
	mark = s.Daemon.Mark()
	if err := os.Rename(aside, s.list()); err != nil {
		t.Fatal(err)
	}
	s.logged(t, mark, "lists read")
	send(bankSender, "tls-not-used")
	send(toysSender, "tls-not-used")
	send(northwind, accepted)
}

// testBrokenConfiguration: the same for the configuration, which is read again on SIGHUP.
func testBrokenConfiguration(t *testing.T, s *postfixSite) {
	session := s.dial(t, s.plain())
	send := func(sender, want string) {
		t.Helper()
		m, _ := letterFrom(sender)
		expect(t, session, m, want)
	}
	hangUp := func(text string) string {
		t.Helper()
		mark := s.Daemon.Mark()
		if err := s.Daemon.Hangup(); err != nil {
			t.Fatal(err)
		}
		return s.logged(t, mark, text)
	}
	const litware = `[partner."litwareinc.com"]`
	enforcing := func(text string) string {
		return strings.Replace(text, litware+"\nmode = \"testing\"", litware+"\nmode = \"enforce\"", 1)
	}
	broken := func(text string) string { return enforcing(text) + "revokation = \"off\"\n" }
	was := rewrite(t, s.Config, broken)
	want := fmt.Sprintf("%s:%d: ", s.Config, lineOf(t, broken(was), "revokation"))
	if line := hangUp("level=ERROR"); !strings.HasPrefix(attribute(t, line, "problem"), want) || !strings.Contains(line, "revocation") {
		t.Errorf("no %q and no hint in %q", want, line)
	}
	send(litwareSender, accepted)
	send(bankSender, "tls-not-used")

	rewrite(t, s.Config, constantly("# nothing\nhostname = = \"mx1.contoso.com\"\n"))
	if line := hangUp("level=ERROR"); !strings.HasPrefix(attribute(t, line, "problem"), s.Config+":2: ") {
		t.Errorf("no %q in %q", s.Config+":2: ", line)
	}
	send(bankSender, "tls-not-used")

	// Lists go on being read, with the configuration accepted last.
	mark := s.Daemon.Mark()
	listWas := rewrite(t, s.list(), func(text string) string { return text + "northwindtraders.com\n" })
	s.logged(t, mark, "lists read")
	send("nancy@northwindtraders.com", "tls-not-used")
	send(litwareSender, accepted)

	rewrite(t, s.Config, constantly(enforcing(was)))
	hangUp("configuration read")
	send(litwareSender, "tls-not-used")
	rewrite(t, s.Config, constantly(was))
	rewrite(t, s.list(), constantly(listWas))
	hangUp("configuration read")
	send(litwareSender, accepted)
	send("nancy@northwindtraders.com", accepted)
}
