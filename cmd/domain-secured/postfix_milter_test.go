package main

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"domain-secured/internal/testkit/cases"
	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/smtpclient"
)

// stampsOf are the stamps of a message as it was delivered, and whether the first stands above everything but
// what virtual(8) puts on top.
func stampsOf(m mta.Message) (stamps []string, onTop bool) {
	for i, f := range m.Fields {
		if f.Is("Domain-Secured") {
			onTop = onTop || len(stamps) == 0 && i == 3
			stamps = append(stamps, strings.TrimSpace(f.Value))
		}
	}
	return stamps, onTop
}

// isStamped compares the stamps of a message with the beginning of the only one it is to have, "" for none.
func isStamped(t *testing.T, m mta.Message, want string) {
	t.Helper()
	stamps, onTop := stampsOf(m)
	switch {
	case want == "" && len(stamps) > 0:
		t.Errorf("from %q: stamped %q, want no stamp", m.Sender, stamps)
	case want != "" && (len(stamps) != 1 || !onTop || !strings.HasPrefix(stamps[0], want)):
		t.Errorf("from %q: stamps %q, on top %v; want %q alone", m.Sender, stamps, onTop, want)
	}
}

const (
	bankStamp = "mx1.contoso.com; domain=woodgrovebank.com; auth=chain; name=mail1.woodgrovebank.com;\n  fingerprint=sha256:"
	toysStamp = "mx1.contoso.com; domain=tailspintoys.com; auth=pin;\n  fingerprint=sha256:"
)

// forged are stamps as others write them: RFC 5322 section 4.5 knows blanks before the colon, case does not
// matter, a body may be folded or empty.
var forged = []string{
	"Domain-Secured: " + bankStamp + "00",
	"DOMAIN-SECURED: x",
	"domain-secured : x",
	"Domain-Secured\t: x",
	"Domain-Secured:x",
	"Domain-Secured:",
	"Domain-Secured:\n\tfolded\n more",
}

// written is a message with header fields of its own.
func written(sender, from string, fields ...string) (m smtpclient.Mail, id string) {
	m, id = letterFrom(sender)
	m.Data = []byte(strings.Replace(string(m.Data), "From: <somebody@example.net>\n", strings.Join(slices.Concat(fields, []string{"From: " + from}), "\n")+"\n", 1))
	return m, id
}

// testStamps sends messages with different outcomes on one connection: what is said of one holds for no other.
func testStamps(t *testing.T, s *mailSite) {
	for name, o := range map[string]smtpclient.Options{"two EHLOs": s.presenting(cases.Good), "one EHLO": oneHello(s.presenting(cases.Good))} {
		t.Run(name, func(t *testing.T) {
			session := s.dial(t, o)
			want := map[string]string{}
			var ids []string
			send := func(sender, from, outcome, stamp string, fields ...string) {
				t.Helper()
				m, id := written(sender, from, fields...)
				expect(t, session, m, outcome)
				ids = append(ids, id)
				if outcome == accepted {
					want[id] = stamp
				}
			}
			send(bankSender, bankSender, accepted, bankStamp)
			send(toysSender, toysSender, "pin-mismatch", "")
			send(fabrikamSender, fabrikamSender, accepted, "", forged...)
			send(bankSender, "Alice <"+bankSender+">", accepted, bankStamp, forged...)
			send(bankSender, fabrikamSender, accepted, "")
			send(bankSender, bankSender+", "+fabrikamSender, accepted, "")
			send(bankSender, bankSender+"\nFrom: "+bankSender, accepted, "")
			send(bankSender, `"`+bankSender+`" <`+fabrikamSender+`>`, accepted, "")
			send("", bankSender, accepted, "", forged[:1]...)
			send(litwareSender, litwareSender, accepted, "", forged[:2]...)
			send(toysSender, toysSender, "pin-mismatch", "", forged...)
			send(bankSender, bankSender, accepted, bankStamp, forged[6])
			all := s.arrived(t, ids...)
			if len(all) != len(want) {
				t.Errorf("%d messages arrived, want %d", len(all), len(want))
			}
			for _, m := range all {
				isStamped(t, m, want[m.Header.Get("Message-ID")])
			}
		})
	}
}

func oneHello(o smtpclient.Options) smtpclient.Options {
	o.OneHello = true
	return o
}

// testStampOfPin: another partner, proven in another way.
func testStampOfPin(t *testing.T, s *mailSite) {
	m, id := written(toysSender, toysSender, forged...)
	expect(t, s.dial(t, s.presenting(cases.Pinned)), m, accepted)
	for _, m := range s.arrived(t, id) {
		isStamped(t, m, toysStamp)
	}
}

// testOneLine: with both doors a message is one line in the log.
func testOneLine(t *testing.T, s *mailSite) {
	s.flushLog(t)
	mark := s.Daemon.Mark()
	session := s.dial(t, s.presenting(cases.Good))
	for range 3 {
		m, _ := written(bankSender, bankSender)
		expect(t, session, m, accepted)
	}
	m, _ := written(toysSender, toysSender)
	expect(t, session, m, "pin-mismatch")
	m, _ = written(fabrikamSender, fabrikamSender)
	expect(t, session, m, accepted)
	s.flushLog(t)
	log := s.Daemon.Log()[mark:]
	if n := strings.Count(log, " msg=verdict "); n != 5 { // one is the flush's
		t.Errorf("%d lines, want 5:\n%s", n, log)
	}
	if n := strings.Count(log, " stamped=true "); n != 3 {
		t.Errorf("%d stamped, want 3:\n%s", n, log)
	}
}

// testChunks sends a message with BDAT (RFC 3030), which knows no DATA.
func testChunks(t *testing.T, s *postfixSite) {
	for _, c := range []struct {
		how         smtpclient.Options
		sender      string
		code        int
		stamp, what string
	}{
		{s.presenting(cases.Good), bankSender, 250, bankStamp, "proven"},
		{s.presenting(cases.Good), fabrikamSender, 250, "", "not listed"},
		{s.plain(), bankSender, 450, "", "without TLS"},
	} {
		t.Run(c.what, func(t *testing.T) {
			m, id := written(c.sender, c.sender, forged[:2]...)
			data := strings.ReplaceAll(string(m.Data), "\n", "\r\n")
			half := len(data) / 2
			r := dialRaw(t, c.how)
			r.say(t, "MAIL FROM:<"+c.sender+">", "RCPT TO:<"+cases.Recipient+">")
			r.expect(t, 250, 250)
			fmt.Fprintf(r.W, "BDAT %d\r\n%sBDAT %d LAST\r\n%s", half, data[:half], len(data)-half, data[half:])
			if err := r.W.Flush(); err != nil {
				t.Fatal(err)
			}
			if r.expect(t, c.code); c.code == 250 {
				r.expect(t, 250)
			}
			all := s.arrived(t, id)
			if len(all) != map[int]int{250: 1, 450: 0}[c.code] {
				t.Errorf("%d messages arrived", len(all))
			}
			for _, m := range all {
				isStamped(t, m, c.stamp)
			}
		})
	}
}

// testUTF8 has a sender that only SMTPUTF8 allows (RFC 6531).
func testUTF8(t *testing.T, s *postfixSite) {
	session := s.dial(t, s.presenting(cases.Good))
	m, id := written("älice@woodgrovebank.com", "Älice <älice@woodgrovebank.com>")
	m.Parameters = "SMTPUTF8"
	expect(t, session, m, accepted)
	all := s.arrived(t, id)
	if len(all) != 1 {
		t.Fatalf("%d messages arrived", len(all))
	}
	isStamped(t, all[0], bankStamp)
}

// testFromEnforced: a domain may insist on the From header, bounces included.
func testFromEnforced(t *testing.T, s *mailSite) {
	hangUp := func() {
		t.Helper()
		mark := s.Daemon.Mark()
		if err := s.Daemon.Hangup(); err != nil {
			t.Fatal(err)
		}
		s.logged(t, mark, "configuration read")
	}
	const table = `[partner."woodgrovebank.com"]`
	was := rewrite(t, s.Config, func(text string) string {
		return strings.Replace(text, table, table+"\nfrom_alignment = \"enforce\"", 1)
	})
	hangUp()
	defer hangUp()
	defer rewrite(t, s.Config, constantly(was))

	proven, plain, anonymous := s.dial(t, s.presenting(cases.Good)), s.dial(t, s.plain()), s.dial(t, s.presenting(""))
	for _, c := range []struct {
		session     *smtpclient.Session
		sender      string
		from        string
		want, stamp string
	}{
		{proven, "", bankSender, accepted, ""},
		{proven, fabrikamSender, bankSender, accepted, ""},
		{proven, bankSender, bankSender, accepted, bankStamp},
		{proven, bankSender, fabrikamSender, accepted, ""},
		{plain, "", bankSender, "from-not-secured", ""},
		{plain, fabrikamSender, bankSender, "from-not-secured", ""},
		{plain, fabrikamSender, fabrikamSender + "\nFrom: " + bankSender, "from-not-secured", ""},
		{plain, fabrikamSender, `"` + bankSender + `" <` + fabrikamSender + `>`, accepted, ""},
		{plain, fabrikamSender, fabrikamSender, accepted, ""},
		{anonymous, "", bankSender, "from-not-secured", ""},
		{anonymous, litwareSender, bankSender, "from-not-secured", ""},
	} {
		m, id := written(c.sender, c.from, forged[0])
		expect(t, c.session, m, c.want)
		all := s.arrived(t, id)
		if (len(all) == 1) != (c.want == accepted) {
			t.Errorf("from %q, From %q: %d messages arrived", c.sender, c.from, len(all))
		}
		for _, m := range all {
			isStamped(t, m, c.stamp)
		}
	}
}

// testMilterAlone: a milter that Postfix has told no fingerprint lets no listed mail in.
func testMilterAlone(t *testing.T, s *postfixSite) {
	s.configure(t, "smtpd_data_restrictions", "")
	defer s.configure(t, "smtpd_data_restrictions", s.policyService())
	sendAll(t, s.mailSite, s.presenting(cases.Good), []sending{
		{bankSender, "certificate-not-reported"},
		{fabrikamSender, accepted},
		{bankSender, "certificate-not-reported"},
	})
	sendAll(t, s.mailSite, s.plain(), []sending{{bankSender, "tls-not-used"}, {fabrikamSender, accepted}})
}

// testPolicyAlone: without a milter the policy service has the last word, and reports at once.
func testPolicyAlone(t *testing.T, s *postfixSite) {
	milters := s.parameter(t, "smtpd_milters")
	s.configure(t, "smtpd_milters", "")
	defer s.configure(t, "smtpd_milters", milters)
	waitUntil(t, "Postfix to leave the milter", func() bool { return len(s.sockets(t)) <= listeners+1 })
	mark := s.Daemon.Mark()
	m, id := written(bankSender, bankSender, forged[0])
	expect(t, s.dial(t, s.presenting(cases.Good)), m, accepted)
	s.logged(t, mark, " result=pass ")
	for _, m := range s.arrived(t, id) {
		if stamps, _ := stampsOf(m); !slices.Equal(stamps, []string{strings.TrimPrefix(forged[0], "Domain-Secured: ")}) {
			t.Errorf("stamps %q", stamps)
		}
	}
}

// Where a content filter hands mail back, as in contrib/postfix.
const (
	withMilter    = "with-milter"
	withoutMilter = "without-milter"
)

var reentry = []string{
	"content_filter =", "smtpd_data_restrictions =", "mynetworks = 127.0.0.0/8",
	"smtpd_client_restrictions = permit_mynetworks, reject", "smtpd_relay_restrictions = permit_mynetworks, reject",
}

// testContentFilter: a stamp outlives a filter behind Postfix, and what was forged before it does not.
func testContentFilter(t *testing.T, s *postfixSite) {
	filter, err := mta.StartFilter(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer filter.Close()
	s.configure(t, "content_filter", "smtp:["+strings.Replace(filter.Addr(), ":", "]:", 1))
	defer s.configure(t, "content_filter", "")
	hangUp := func() {
		t.Helper()
		mark := s.Daemon.Mark()
		if err := s.Daemon.Hangup(); err != nil {
			t.Fatal(err)
		}
		s.logged(t, mark, "configuration read")
	}
	send := func(service string, o smtpclient.Options, sender, stamp string) {
		t.Helper()
		filter.PassTo(s.postfix.ServiceAddr(service))
		m, id := written(sender, sender, forged...)
		expect(t, s.dial(t, o), m, accepted)
		all := s.arrived(t, id)
		if len(all) != 1 {
			t.Errorf("%s: %d messages arrived, want 1", service, len(all))
		}
		for _, m := range all {
			// Received of the second pass stand above it.
			if stamps, _ := stampsOf(m); (stamp == "") != (len(stamps) == 0) || stamp != "" && (len(stamps) != 1 || !strings.HasPrefix(stamps[0], stamp)) {
				t.Errorf("%s: stamps %q, want %q", service, stamps, stamp)
			}
		}
	}
	send(withoutMilter, s.presenting(cases.Good), bankSender, bankStamp)
	send(withoutMilter, s.plain(), fabrikamSender, "")

	_, port, err := net.SplitHostPort(s.postfix.ServiceAddr(withMilter))
	if err != nil {
		t.Fatal(err)
	}
	was := rewrite(t, s.Config, func(text string) string {
		return text + "\n[[connector]]\nname = \"content filter\"\nclient_addresses = [\"127.0.0.1\"]\nports = [" + port + "]\ntreat = \"internal\"\n"
	})
	hangUp()
	defer hangUp()
	defer rewrite(t, s.Config, constantly(was))
	send(withMilter, s.presenting(cases.Good), bankSender, bankStamp)
	send(withMilter, s.plain(), fabrikamSender, "")
}

// testConnectors: what a listener or a range of clients has of its own holds at both doors.
func testConnectors(t *testing.T, s *mailSite) {
	_, port, err := net.SplitHostPort(s.MTA.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		treat, more  string
		outcome      string // of the bank's mail, without TLS
		stamps, left []string
	}{
		{"enforce", "", "tls-not-used", nil, nil},
		{"off", "", accepted, nil, nil},
		{"external", "partners = [\"tailspintoys.com\"]", "tls-not-used", nil, nil},
		{"external", "partners = [\"woodgrovebank.com\"]", accepted, []string{"mx1.contoso.com; domain=woodgrovebank.com; auth=external;\n  client=127.0.0.1"}, nil},
		{"internal", "", accepted, []string{"x", "y"}, []string{"x", "y"}},
	} {
		t.Run(c.treat+c.more, func(t *testing.T) {
			hangUp := func() {
				t.Helper()
				mark := s.Daemon.Mark()
				if err := s.Daemon.Hangup(); err != nil {
					t.Fatal(err)
				}
				s.logged(t, mark, "configuration read")
			}
			was := rewrite(t, s.Config, func(text string) string {
				return fmt.Sprintf("%s\n[[connector]]\nname = \"test\"\nclient_addresses = [\"127.0.0.0/8\"]\nports = [%s]\ntreat = %q\n%s\n", text, port, c.treat, c.more)
			})
			hangUp()
			defer hangUp()
			defer rewrite(t, s.Config, constantly(was))
			session := s.dial(t, s.plain())
			for _, one := range []struct {
				sender, outcome string
				stamps          []string
			}{{bankSender, c.outcome, c.stamps}, {fabrikamSender, accepted, c.left}} {
				m, id := written(one.sender, one.sender, "Domain-Secured: x", "DOMAIN-SECURED: y")
				expect(t, session, m, one.outcome)
				for _, m := range s.arrived(t, id) {
					if stamps, _ := stampsOf(m); !slices.Equal(stamps, one.stamps) {
						t.Errorf("from %s: stamps %q, want %q", one.sender, stamps, one.stamps)
					}
				}
			}
		})
	}
}
