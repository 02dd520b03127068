package main

import (
	"crypto/tls"
	"strings"
	"testing"

	"domain-secured/internal/testkit/cases"
	"domain-secured/internal/testkit/smtpclient"
)

// testOpenTransaction: after a refusal at DATA, Sendmail keeps the transaction open, and asks about the next try
// without another MAIL.
func testOpenTransaction(t *testing.T, s *mailSite) {
	r := dialRaw(t, s.plain())
	step := func(line string, code int, words string) {
		t.Helper()
		r.say(t, line)
		if text := r.expect(t, code); !strings.Contains(text, words) {
			t.Errorf("%s: %d %s, want %q", line, code, text, words)
		}
	}
	step("MAIL FROM:<"+bankSender+">", 250, "")
	step("RCPT TO:<bob@contoso.com>", 250, "")
	step("DATA", 450, " tls-not-used,")
	step("MAIL FROM:<"+fabrikamSender+">", 503, "Sender already specified")
	step("RCPT TO:<carol@contoso.com>", 250, "")
	step("DATA", 450, " tls-not-used,")
	step("DATA", 450, " tls-not-used,")
	step("EHLO mail1.example.net", 250, "")
	step("DATA", 503, "")
	m, id := letterFrom(fabrikamSender)
	r.deliver(t, m)
	// No reset, and no word of it to the milter.
	step("MAIL FROM:<"+bankSender+">", 250, "")
	step("RCPT TO:<bob@contoso.com>", 250, "")
	step("DATA", 450, " tls-not-used,")
	step("RSET", 250, "")
	step("RSET", 250, "")
	step("DATA", 503, "")
	if all := s.arrived(t, id); len(all) != 1 || all[0].Sender != fabrikamSender {
		t.Errorf("arrived: %v", all)
	}
}

// testJunk: what is no command reaches the milter, if anything does, as such.
func testJunk(t *testing.T, s *mailSite) {
	r := dialRaw(t, s.presenting(cases.Good))
	r.say(t, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS ClientHello in clear")
	r.expect(t, 500)
	r.say(t, "MAIL FROM:<"+bankSender+">")
	r.expect(t, 250)
	for _, junk := range []string{"XYZZY", strings.Repeat("x", 1500), "\xff\xfe"} {
		r.say(t, junk)
		r.expect(t, 500)
	}
	r.say(t, "NOOP", "VRFY bob")
	r.expect(t, 250, 250)
	r.say(t, "RCPT TO:<bob@contoso.com>")
	r.expect(t, 250)
	r.say(t, "DATA")
	r.expect(t, 354)
	m, id := written(bankSender, bankSender, forged...)
	r.say(t, strings.TrimSuffix(strings.ReplaceAll(string(m.Data), "\n", "\r\n"), "\r\n"), ".")
	r.expect(t, 250)
	for _, m := range s.arrived(t, id) {
		isStamped(t, m, bankStamp)
	}
}

// testBeforeAndAfterTLS: STARTTLS ends a session of another sort, without a word of it to the milter.
func testBeforeAndAfterTLS(t *testing.T, s *mailSite) {
	o := s.presenting(cases.Good)
	r := dialRaw(t, s.plain())
	r.say(t, "MAIL FROM:<"+bankSender+">")
	r.expect(t, 250)
	r.say(t, "RCPT TO:<bob@contoso.com>")
	r.expect(t, 250)
	r.say(t, "DATA")
	r.expect(t, 450)
	r.say(t, "STARTTLS")
	r.expect(t, 503)
	r.say(t, "RSET")
	r.expect(t, 250)
	r.say(t, "STARTTLS")
	r.expect(t, 220)
	secured, _ := r.overTLS(o, nil)
	m, id := written(bankSender, bankSender)
	secured.deliver(t, m) // without another EHLO
	all := s.arrived(t, id)
	if len(all) != 1 {
		t.Errorf("%d messages arrived", len(all))
	}
	for _, m := range all {
		isStamped(t, m, bankStamp)
	}
}

// testResumed: of a resumed TLS session Sendmail tells the certificate of the first handshake.
func testResumed(t *testing.T, s *mailSite) {
	for name, version := range map[string]uint16{"TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			tickets, resumed := tls.NewLRUClientSessionCache(1), 0
			for turn := range 5 {
				r := dialRaw(t, s.plain())
				r.say(t, "STARTTLS")
				r.expect(t, 220)
				secured, state := r.overTLS(s.presenting(cases.Good), func(c *tls.Config) {
					c.MaxVersion, c.ClientSessionCache, c.ServerName = version, tickets, cases.Hostname
				})
				m, id := written(bankSender, bankSender)
				secured.deliver(t, m)
				if state.ConnectionState().DidResume {
					resumed++
				}
				secured.say(t, "QUIT")
				secured.expect(t, 221)
				for _, m := range s.arrived(t, id) {
					stamps, _ := stampsOf(m)
					if len(stamps) != 1 || !strings.HasPrefix(stamps[0], bankStamp) || !strings.Contains(stamps[0], "tls="+name) {
						t.Errorf("turn %d: stamps %q", turn, stamps)
					}
				}
			}
			// A server may refuse to, now and then.
			if resumed == 0 {
				t.Error("no session was resumed")
			}
		})
	}
}

// testSmuggling: a line end that is none of SMTP's (RFC 5321 section 2.3.8) does not begin a second message, which
// would have the certificate of the first one.
func testSmuggling(t *testing.T, s *mailSite) {
	for _, end := range []string{"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\n.\r"} {
		r := dialRaw(t, s.presenting(cases.Good))
		m, id := written(bankSender, bankSender)
		inner, smuggled := written("eve@woodgrovebank.com", "eve@woodgrovebank.com")
		crlf := func(m smtpclient.Mail) string {
			return strings.TrimSuffix(strings.ReplaceAll(string(m.Data), "\n", "\r\n"), "\r\n")
		}
		r.say(t, "MAIL FROM:<"+bankSender+">")
		r.expect(t, 250)
		r.say(t, "RCPT TO:<bob@contoso.com>")
		r.expect(t, 250)
		r.say(t, "DATA")
		r.expect(t, 354)
		r.say(t, crlf(m)+end+"MAIL FROM:<eve@woodgrovebank.com>\r\nRCPT TO:<bob@contoso.com>\r\nDATA\r\n"+crlf(inner), ".", "QUIT")
		if text := r.expect(t, 421); !strings.Contains(text, "not allowed") {
			t.Errorf("%q: %s", end, text)
		}
		if all := s.arrived(t, id, smuggled); len(all) > 0 {
			t.Errorf("%q: %d messages arrived", end, len(all))
		}
	}
}
