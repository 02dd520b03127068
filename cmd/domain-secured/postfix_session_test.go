package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"domain-secured/internal/testkit/cases"
	"domain-secured/internal/testkit/smtpclient"
)

func testCases(t *testing.T, s *mailSite) {
	for _, c := range cases.All() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			result, err := cases.Run(t.Context(), s.MTA, s.World, c)
			if err != nil {
				t.Fatal(err)
			}
			if err := result.Check(c); err != nil {
				t.Error(err)
			}
		})
	}
}

// testReply: what the client hears is what the daemon has logged as its reply, behind Postfix's decoration.
func testReply(t *testing.T, s *postfixSite) {
	for _, c := range cases.All() {
		mark := s.Daemon.Mark()
		result, err := cases.Run(t.Context(), s.MTA, s.World, c)
		if err != nil {
			t.Fatal(err)
		}
		if c.Sender == "" || strings.HasSuffix(c.Sender, "@fabrikam.com") { // not listed
			continue
		}
		line := s.logged(t, mark, " msg=verdict ")
		reply := attribute(t, line, "reply")
		if c.Accepted {
			if reply != "" {
				t.Errorf("%s: accepted, but the reply is %q", c.Name, reply)
			}
			continue
		}
		codes, action := fmt.Sprintf("%d %s ", c.Code, c.Enhanced), "tempfail"
		if c.Code >= 500 {
			action = "reject"
		}
		heard := strings.Replace(result.Reply.String(), "<DATA>: Data command rejected: ", "", 1)
		if heard != reply || !strings.HasPrefix(reply, codes+cases.Demand(c.Sender)+c.Reason+", ") || !strings.HasSuffix(reply, "; postmaster@contoso.com") {
			t.Errorf("%s: the client hears\n%s\nthe log says\n%s", c.Name, result.Reply, reply)
		}
		if want := codes + "<DATA>: Data command rejected: "; !strings.HasPrefix(result.Reply.String(), want) {
			t.Errorf("%s: the client hears %q, want %q in front", c.Name, result.Reply, want)
		}
		for key, want := range map[string]string{
			"domain": strings.TrimSuffix(cases.Demand(c.Sender), " requires mutual TLS here: "), "listed": "true", "result": "fail",
			"reason": c.Reason, "action": action, "mode": "enforce", "sender": c.Sender,
		} {
			if got := attribute(t, line, key); got != want {
				t.Errorf("%s: %s=%q in the log, want %q", c.Name, key, got, want)
			}
		}
	}
}

type sending struct {
	sender, want string
}

// sendAll sends one message after the other, and checks what arrives.
func sendAll(t *testing.T, s *mailSite, o smtpclient.Options, all []sending) {
	t.Helper()
	session := s.dial(t, o)
	var ids, want []string
	for _, one := range all {
		m, id := letterFrom(one.sender)
		expect(t, session, m, one.want)
		ids = append(ids, id)
		if one.want == accepted {
			want = append(want, one.sender)
		}
	}
	var got []string
	for _, m := range s.arrived(t, ids...) {
		got = append(got, m.Sender)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("arrived from %q, want %q", got, want)
	}
}

// testSession has one server send mail for many, as a provider does: its certificate is the bank's alone.
func testSession(t *testing.T, s *mailSite) {
	sendAll(t, s, s.presenting(cases.Good), []sending{
		{bankSender, accepted},
		{toysSender, "pin-mismatch"},
		{litwareSender, accepted},
		{fabrikamSender, accepted},
		{"", accepted},
		{"Bob@WOODGROVEBANK.com", accepted},
		{toysSender, "pin-mismatch"},
		{bankSender, accepted},
	})
	sendAll(t, s, s.presenting(cases.Pinned), []sending{
		{toysSender, accepted},
		{bankSender, "certificate-unknown"},
		{toysSender, accepted},
	})
}

func testPlainSession(t *testing.T, s *mailSite) {
	sendAll(t, s, s.plain(), []sending{
		{bankSender, "tls-not-used"},
		{fabrikamSender, accepted},
		{toysSender, "tls-not-used"},
		{"", accepted},
		{litwareSender, accepted},
		{bankSender, "tls-not-used"},
		{fabrikamSender, accepted},
	})
}

func testTwoRecipients(t *testing.T, s *mailSite) {
	for _, c := range []struct {
		how    smtpclient.Options
		want   string
		copies int
	}{
		{s.presenting(cases.Good), accepted, 2},
		{s.presenting(""), "certificate-missing", 0},
		{s.plain(), "tls-not-used", 0},
	} {
		mark := s.Daemon.Mark()
		m, id := letterFrom("two." + bankSender)
		m.Recipients = append(m.Recipients, "carol@contoso.com")
		expect(t, s.dial(t, c.how), m, c.want)
		if all := s.arrived(t, id); len(all) != c.copies {
			t.Errorf("%s: %d copies arrived, want %d", c.want, len(all), c.copies)
		}
		s.logged(t, mark, " sender="+m.Sender+" ")
	}
}

func testNullSender(t *testing.T, s *mailSite) {
	for _, o := range []smtpclient.Options{s.plain(), s.presenting(""), s.presenting(cases.SelfSigned)} {
		m, id := letterFrom("")
		expect(t, s.dial(t, o), m, accepted)
		if all := s.arrived(t, id); len(all) != 1 || all[0].Sender != "" {
			t.Errorf("arrived: %v", all)
		}
	}
}

// testPipelining sends whole transactions in one go (RFC 2920): the answer to DATA belongs to its own MAIL.
func testPipelining(t *testing.T, s *mailSite) {
	m, id := letterFrom(fabrikamSender)
	content := append(strings.Split(strings.TrimSuffix(string(m.Data), "\n"), "\n"), ".")
	group := func(sender string) []string {
		return []string{"MAIL FROM:<" + sender + ">", "RCPT TO:<" + cases.Recipient + ">", "RCPT TO:<carol@contoso.com>", "DATA"}
	}

	plain := dialRaw(t, s.plain())
	plain.say(t, group(bankSender)...)
	if text := plain.expect(t, 250, 250, 250, 450); !strings.Contains(text, " tls-not-used,") {
		t.Errorf("plain: %s", text)
	}
	plain.say(t, append([]string{"RSET"}, group(fabrikamSender)...)...)
	plain.expect(t, 250, 250, 250, 250, 354)
	// Sendmail is out of step on purpose with a client that does not wait for the reply to DATA.
	plain.say(t, append(content, group(bankSender)...)...)
	plain.expect(t, 250, 250, 250, 250, 450)
	plain.say(t, "RSET", "QUIT")
	plain.expect(t, 250, 221)

	proven := dialRaw(t, s.presenting(cases.Good))
	proven.say(t, group(toysSender)...)
	if text := proven.expect(t, 250, 250, 250, 450); !strings.Contains(text, " pin-mismatch,") {
		t.Errorf("proven: %s", text)
	}
	proven.say(t, append([]string{"RSET"}, group(bankSender)...)...)
	proven.expect(t, 250, 250, 250, 250, 354)
	proven.say(t, append(content, "QUIT")...)
	proven.expect(t, 250, 221)

	var got []string
	for _, m := range s.arrived(t, id) {
		got = append(got, m.Sender)
	}
	slices.Sort(got)
	if want := []string{bankSender, bankSender, fabrikamSender, fabrikamSender}; !slices.Equal(got, want) {
		t.Errorf("arrived from %q, want %q", got, want)
	}
}
