package outgoing_test

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/apart"
	"domain-secured/internal/testkit/mta"
)

// TestSendmail has a real Sendmail deliver to the same servers, by the lines in contrib/sendmail and nothing else of
// ours, and the daemon, as it is built, say what to insist on.
func TestSendmail(t *testing.T) {
	if err := mta.FindSendmail(); err != nil {
		missing(t, err)
	}
	err := apart.Run(t, func() {
		s := setUp(t)
		s.sendmail = s.startSendmail(t, "sendmail")
		// All at once: each time the list is written the daemon takes a while to see it.
		s.more = "together.example\nbeside.example\nhandshake.example\ntwo.example\nrenewed.example\nrouted.example\nelsewhere.example\nprogram.below.example\n"
		s.list(t, s.listed())
		s.play(t, func() string { return s.sendmail.Log() }, s.purgeSendmail, []scene{
			{"table", testSendmailTable},
			{"recipients", testSendmailRecipients},
			{"no handshake", testSendmailNoHandshake},
			{"names of another session", testSendmailOtherSession},
			{"bounce", testSendmailBounce},
			{"listed while mail waits", testSendmailListedWhileWaiting},
			{"renewed", testSendmailRenewed},
			{"routes", testSendmailRoutes},
			{"daemon down", testSendmailDown},
		})
	})
	if errors.Is(err, apart.ErrNotPossible) {
		missing(t, err)
	}
}

// testSendmailTable sends a message to everyone.
func testSendmailTable(t *testing.T, s *site) {
	rows := s.rows()
	mails := make(map[string]mailed)
	for _, r := range rows {
		mails[r.domain] = s.mail(t, s.sendmail, "alice@contoso.com", "bob@"+r.domain)
	}
	for _, r := range rows {
		why := mails[r.domain].outcome(t, "bob@"+r.domain)
		if (why == "") != (r.sendmail == "") || !strings.Contains(why, r.sendmail) {
			t.Errorf("%s: %q, want %q", r.domain, why, r.sendmail)
		}
		if messages, _ := s.servers[r.domain].Messages(); why != "" && len(messages) > 0 {
			t.Errorf("%s: a message arrived", r.domain)
		}
	}
}

// testSendmailRecipients: of one message only the part for a listed domain waits whose server is not good, in
// sessions of their own and in one with all of them.
func testSendmailRecipients(t *testing.T, s *site) {
	m := s.mail(t, s.sendmail, "alice@contoso.com", "bob@others.example", "bob@self.example", "carol@self.example", "bob@good.example")
	m.leaves(t, "bob@others.example")
	m.leaves(t, "bob@good.example")
	m.waitsFor(t, "bob@self.example", notTrusted)
	m.waitsFor(t, "carol@self.example", notTrusted)
	s.at(t, "127.77.99.20", mta.FakeOptions{Common: leaf(t, s.root, names("mail1.together.example"))},
		"together.example", "beside.example", "unlisted-beside.example")
	s.records(t, "together.example MX 10 mail1.together.example\nbeside.example MX 10 mail1.beside.example\n")
	for _, recipients := range [][]string{
		{"bob@beside.example", "bob@together.example", "bob@unlisted-beside.example"},
		{"bob@unlisted-beside.example", "bob@together.example", "bob@beside.example"},
		{"bob@together.example", "bob@beside.example"},
	} {
		m := s.mail(t, s.sendmail, "alice@contoso.com", recipients...)
		for _, recipient := range recipients {
			if recipient == "bob@beside.example" {
				m.waitsFor(t, recipient, otherName)
			} else {
				m.leaves(t, recipient)
			}
		}
	}
}

// testSendmailNoHandshake: where TLS fails, Sendmail can be told to connect again and go on without it. Mail to a listed
// domain does not.
func testSendmailNoHandshake(t *testing.T, s *site) {
	s.at(t, "127.77.99.26", mta.FakeOptions{Common: leaf(t, s.root, names("mail1.handshake.example")), MaxTLS: tls.VersionTLS10},
		"handshake.example", "unlisted-handshake.example")
	for _, domain := range []string{"handshake.example", "unlisted-handshake.example"} {
		s.records(t, "%s MX 10 mail1.handshake.example\n", domain)
	}
	s.records(t, "mail1.handshake.example A 127.77.99.26\n")
	gives := s.startSendmail(t, "gives", "define(`confTLS_FALLBACK_TO_CLEAR', `true')dnl")
	m := s.mail(t, gives, "alice@contoso.com", "bob@unlisted-handshake.example", "bob@handshake.example")
	m.leaves(t, "bob@unlisted-handshake.example")
	m.waitsFor(t, "bob@handshake.example", noneShown)
}

// testSendmailOtherSession: a process of Sendmail has sessions with several servers, and the names of the last
// certificate only. An impostor whose certificate is trusted, but for another name, comes first in the DNS.
func testSendmailOtherSession(t *testing.T, s *site) {
	const domain, impostor, own = "two.example", "127.77.99.22", "127.77.99.23"
	s.records(t, "%[1]s MX 10 mx.impostor.example\n%[1]s MX 20 mail2.%[1]s\nmx.impostor.example A %[2]s\nmail2.%[1]s A %[3]s\n", domain, impostor, own)
	// An operator may have it keep sessions all the same.
	keeps := s.startSendmail(t, "keeps", "define(`confMCI_CACHE_SIZE', `4')dnl")
	var mails []mailed
	for range 3 {
		for _, by := range []*mta.Sendmail{s.sendmail, keeps} {
			m := s.mail(t, by, "alice@contoso.com", "bob@"+domain)
			m.waitsFor(t, "bob@"+domain, "refused")
			mails = append(mails, m)
		}
	}
	bad := s.at(t, impostor, mta.FakeOptions{Common: leaf(t, s.root, names("mx.impostor.example"))}, domain)
	s.at(t, own, mta.FakeOptions{Common: leaf(t, s.root, names("mail2."+domain))}, domain)
	for _, m := range mails {
		waitUntil(t, "an end of it", func() bool { return m.queued(t) == "" })
	}
	if messages, _ := bad.Messages(); len(messages) > 0 {
		t.Errorf("the impostor has %d messages", len(messages))
	}
}

// testSendmailBounce: a bounce is mail, too. Sendmail tries one in the process that has just failed for good, and
// there it takes a refusal of its own for now for one for good: the bounce goes to the postmaster. A recipient beside
// one who was refused for good may come back for the same reason. None of it leaves for a server that is not good.
func testSendmailBounce(t *testing.T, s *site) {
	s.records(t, "refusing.example MX 10 mail1.others.example\n") // which takes no mail for it
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	about := func(server, recipient string, words ...string) {
		t.Helper()
		if _, err := s.servers[server].Delivered(ctx, func(m mta.Message) bool {
			return m.Sender == "" && m.Recipient == recipient && !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(string(m.Raw), word) })
		}); err != nil {
			t.Errorf("about %q to %s: %v", words, recipient, err)
		}
	}
	s.mail(t, s.sendmail, "alice@good.example", "nobody@refusing.example")
	about("good.example", "alice@good.example", "nobody@refusing.example")
	s.mail(t, s.sendmail, "dave@self.example", "nobody@refusing.example")
	about("others.example", "postmaster@others.example", "dave@self.example", notTrusted)
	m := s.mail(t, s.sendmail, "erin@good.example", "nobody@refusing.example", "bob@self.example")
	about("good.example", "erin@good.example", "nobody@refusing.example")
	waitUntil(t, "an end of it, or a wait", func() bool {
		queued := m.queued(t)
		return queued == "" || strings.Contains(waits(queued, "bob@self.example"), notTrusted)
	})
	if messages, _ := s.servers["self.example"].Messages(); len(messages) > 0 {
		t.Error("something arrived")
	}
}

// testSendmailListedWhileWaiting: the list counts for mail that is in the queue already.
func testSendmailListedWhileWaiting(t *testing.T, s *site) {
	const address = "127.77.99.24"
	s.records(t, "later.example MX 10 mail1.later.example\nmail1.later.example A %s\n", address)
	m := s.mail(t, s.sendmail, "alice@contoso.com", "bob@later.example")
	m.waitsFor(t, "bob@later.example", "refused")
	s.list(t, s.listed()+"later.example\n")
	s.serveAt(t, address, "later.example", mta.FakeOptions{Common: impostor(t, "mail1.later.example")})
	m.waitsFor(t, "bob@later.example", notTrusted)
	s.list(t, s.listed())
	m.leaves(t, "bob@later.example")
}

// testSendmailRenewed: the partner has a new certificate. Its mail waits until the daemon has seen it, which it
// does by itself; one that is revoked or that nobody trusts it does not take.
func testSendmailRenewed(t *testing.T, s *site) {
	const domain, address = "renewed.example", "127.77.99.25"
	s.write(t, "domain-secured.toml", s.settings()+"[partner.\""+domain+"\"]\nrevocation = \"require\"\n")
	s.hangUp(t)
	s.records(t, "%[1]s. 5 IN MX 10 mail1.%[1]s.\nmail1.%[1]s A %[2]s\nmail2.%[1]s A %[2]s\nmail3.%[1]s A %[2]s\n", domain, address)
	show := func(certificate mta.Common) {
		if s.servers[domain] != nil {
			s.servers[domain].Close()
		}
		s.at(t, address, mta.FakeOptions{Common: certificate}, domain)
	}
	show(leaf(t, s.issuing, s.listedName("mail1."+domain)))
	s.mail(t, s.sendmail, "alice@contoso.com", "bob@"+domain).leaves(t, "bob@"+domain)

	show(leaf(t, s.issuing, s.listedName("mail1."+domain)))
	m := s.mail(t, s.sendmail, "alice@contoso.com", "bob@"+domain)
	m.waitsFor(t, "bob@"+domain, notExpected)
	// It would be looked at again after five minutes. Where the DNS says something else that is at once.
	s.records(t, "%[1]s. 5 IN MX 20 mail2.%[1]s.\n", domain)
	m.leaves(t, "bob@"+domain)

	revoked := s.listedName("mail1." + domain)
	revoked.Serial = revokedSerial
	show(leaf(t, s.issuing, revoked))
	m = s.mail(t, s.sendmail, "alice@contoso.com", "bob@"+domain)
	m.waitsFor(t, "bob@"+domain, notExpected)
	s.records(t, "%[1]s. 5 IN MX 30 mail3.%[1]s.\n", domain)
	m.waitsFor(t, "bob@"+domain, "certificate-revoked")
	s.write(t, "domain-secured.toml", s.settings())
	s.hangUp(t)
}

// testSendmailRoutes: what counts is the domain, whatever host mail for it is sent to. What takes it elsewhere check
// finds.
func testSendmailRoutes(t *testing.T, s *site) {
	s.at(t, "127.77.99.21", mta.FakeOptions{Common: impostor(t, "mail1.routed.example")}, "routed.example", "[127.77.99.21]")
	found := func(by *mta.Sendmail) (said []string) {
		out, err := exec.CommandContext(t.Context(), s.binary, "check", "--config", s.config, "--sendmail="+by.ConfigFile()).Output()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "mailertable") || strings.Contains(line, "SMART_HOST") || strings.Contains(line, "going out") {
				said = append(said, line)
			}
		}
		return said
	}
	s.mail(t, s.sendmail, "alice@contoso.com", "bob@routed.example").waitsFor(t, "bob@routed.example", notTrusted)

	// Who names a host gets that one, and a domain in its place is held to the same.
	s.records(t, "routed.example A 127.77.99.21\n")
	s.mail(t, s.sendmail, "alice@contoso.com", "bob@[routed.example]").waitsFor(t, "bob@[routed.example]", notTrusted)
	s.mail(t, s.sendmail, "alice@contoso.com", "bob@[127.77.99.21]").leaves(t, "bob@[127.77.99.21]")

	// Three routes lead elsewhere, and check says of three that they do.
	s.mail(t, s.sendmail, "alice@contoso.com", "bob@elsewhere.example")
	s.mail(t, s.sendmail, "alice@contoso.com", "bob@around.covered.example")
	s.mail(t, s.sendmail, "alice@contoso.com", "bob@program.below.example")
	waitUntil(t, "what leads elsewhere", func() bool {
		messages, _ := s.servers["plainothers.example"].Messages()
		kept, _ := os.ReadFile(s.path("sendmail/kept-bob@program.below.example"))
		for _, recipient := range []string{"bob@elsewhere.example", "bob@around.covered.example"} {
			if !slices.ContainsFunc(messages, func(m mta.Message) bool { return strings.Contains(string(m.Raw), recipient) }) {
				return false
			}
		}
		return len(kept) > 0
	})
	said := found(s.sendmail)
	if all := strings.Join(said, ""); len(said) != 3 || !strings.Contains(all, " elsewhere.example ") || !strings.Contains(all, " around.covered.example ") || !strings.Contains(all, " .below.example ") {
		t.Errorf("check says %q", said)
	}

	// A smart host is the domain's server, or mail waits. One for an address in the place of all is a way around.
	smart := s.startSendmail(t, "smart", "define(`SMART_HOST', `relay:[127.77.99.21]')dnl")
	m := s.mail(t, smart, "alice@contoso.com", "bob@good.example")
	m.waitsFor(t, "bob@good.example", notTrusted)
	if said := found(smart); len(said) != 3 {
		t.Errorf("check says of a smart host: %q", said)
	}
	another := s.startSendmail(t, "another", "define(`SMART_HOST', `smtp:all@plainothers.example')dnl")
	s.mail(t, another, "alice@contoso.com", "carol@self.example")
	waitUntil(t, "what leads elsewhere", func() bool {
		messages, _ := s.servers["plainothers.example"].Messages()
		return slices.ContainsFunc(messages, func(m mta.Message) bool { return strings.Contains(string(m.Raw), "carol@self.example") })
	})
	if said := found(another); len(said) != 4 || !strings.Contains(strings.Join(said, ""), "SMART_HOST is smtp:all@plainothers.example") {
		t.Errorf("check says of another address: %q", said)
	}

	// A map of another name is none of the daemon's, which must not be taken for its leave.
	renamed := s.startSendmailWith(t, "renamed", strings.NewReplacer("Ksendmail ", "Kdomains ", "$(sendmail ", "$(domains ").Replace(sendingLines(t)))
	if why := s.mail(t, renamed, "alice@contoso.com", "bob@self.example").outcome(t, "bob@self.example"); why == "" {
		t.Error("it was sent, with a map of another name")
	}
}

// testSendmailDown: without the daemon Sendmail sends nothing to anybody, whatever flags the map has lost, and goes on
// when it is back.
func testSendmailDown(t *testing.T, s *site) {
	const flags = " -T<TMPF> "
	senders := []*mta.Sendmail{s.sendmail}
	for name, other := range map[string]string{"noflag": " ", "optional": " -o ", "nodefer": " -t "} {
		senders = append(senders, s.startSendmailWith(t, name, strings.Replace(sendingLines(t), flags, other, 1)))
	}
	if err := s.daemon.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.daemon = nil
	recipients := []string{"late@good.example", "late@vetted.example", "late@others.example", "late@plainothers.example"}
	var mails []mailed
	for _, by := range senders {
		for _, recipient := range recipients {
			mails = append(mails, s.mail(t, by, "alice@contoso.com", recipient))
		}
	}
	for i, m := range mails {
		if why := m.outcome(t, recipients[i%len(recipients)]); !strings.Contains(why, "sendmail map: lookup (") && !strings.Contains(why, "domain-secured does not answer") {
			t.Errorf("%s to %s: %q", m.queue, recipients[i%len(recipients)], why)
		}
	}
	s.startDaemon(t)
	for i, m := range mails {
		m.leaves(t, recipients[i%len(recipients)])
	}
}
