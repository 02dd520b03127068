package milter

import (
	"fmt"
	"strings"
	"testing"
)

// TestVersions: the lower of both versions is spoken, and nothing is accepted
// that was not offered.
func TestVersions(t *testing.T) {
	s := start(t, "unix")
	for _, c := range []struct{ offer, want string }{
		{offer(6, 0x1ff, 0x1fffff), answer(6, 0x111, 0xef1d8)},
		{offer(5, 0x1ff, 0x1fffff), answer(5, 0x111, 0xef1d8)},
		{offer(4, 0x1ff, 0x1fffff), answer(4, 0x111, 0xef1d8)},
		{offer(3, 0x0ff, 0x0fffff), answer(3, 0x011, 0xef1d8)},
		{offer(2, 0x03f, 0x00007f), answer(2, 0x011, 0x00058)},
		{offer(7, 0xffffffff, 0xffffffff), answer(6, 0x111, 0xef1d8)},
		{offer(1<<32-1, 0x111, 0), answer(6, 0x111, 0)},
		{offer(6, 0x011, 0x1fffff), answer(6, 0x011, 0xef1d8)}, // no SETSYMLIST
		{offer(6, 0x111, 0x002000), answer(6, 0x111, 0x002000)},
		{packet('O', offer(6, 0x1ff, 0x1fffff)[5:], "\x00\x00\x00\x00more"), answer(6, 0x111, 0xef1d8)},
	} {
		expectReplies(t, s.dial(t).converse(t, c.offer), c.want)
	}
}

// TestNoAgreement: a connection without an agreement ends, and the log says why.
func TestNoAgreement(t *testing.T) {
	for _, c := range []struct{ name, sent, complaint string }{
		{"version 0", offer(0, 0x1ff, 0x1fffff), "milter protocol version 0: want 2 to 6"},
		{"version 1", offer(1, 0x1ff, 0x1fffff), "milter protocol version 1: want 2 to 6"},
		{"no ADDHDRS", offer(6, 0x1fe, 0x1fffff), "the MTA lets a milter not add and change headers"},
		{"no CHGHDRS", offer(6, 0x1ef, 0x1fffff), "the MTA lets a milter not add and change headers"},
		{"a short offer", packet('O', offer(6, 0x1ff, 0x1fffff)[5:16]), "a negotiation of 11 octets"},
		{"an empty offer", packet('O'), "a negotiation of 0 octets"},
		{"no offer", client, "a command before the negotiation"},
		{"macros first", macros('C'), "a command before the negotiation"},
		{"QUIT first", quit, "a command before the negotiation"},
		{"HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "at most 256 are taken"},
		{"SMTP", "EHLO mail1.woodgrovebank.com\r\n", "at most 256 are taken"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "at most 256 are taken"},
		{"an offer of 257 octets", packet('O', strings.Repeat("x", 257-5)), "at most 256 are taken"},
		{"an offer of 2 GiB", "\x7f\xff\xff\xfbO", "at most 256 are taken"},
		{"an offer of 4 GiB", "\xff\xff\xff\xffO", "more than 2 GiB"},
		{"a large header first", packet('L', strings.Repeat("x", 300)), "at most 256 are taken"},
		{"zeros", strings.Repeat("\x00", 100), "a packet without a code"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, "unix")
			m := s.dial(t)
			m.send(t, c.sent) // and no end: it is the server that hangs up
			m.expectClosed(t)
			if got := s.log.String(); !strings.Contains(got, "milter: closing a connection that does not speak the milter protocol") || !strings.Contains(got, c.complaint) {
				t.Errorf("log %q, want %q", got, c.complaint)
			}
			s.Shutdown(t.Context())
			s.expectHeard(t)
		})
	}
	t.Run("an offer of 256 octets", func(t *testing.T) {
		expectReplies(t, start(t, "unix").dial(t).converse(t, packet('O', offer(6, 0x1ff, 0x1fffff)[5:], strings.Repeat("x", 256-17))), agreed)
	})
}

// commands are a session in which every command comes that can, with the bit
// (SMFIP_NR_*) by which it goes without a reply; 0 if there is always one, or
// never.
var commands = []struct {
	name   string
	packet string
	silent uint32
	reply  string
}{
	{"CONNECT", client, 0x1000, proceed},
	{"UNKNOWN", unknown, 0x20000, proceed},
	{"HELO", secured, 0x2000, proceed},
	{"MAIL", mail("pass@x"), 0x4000, proceed},
	{"RCPT", rcpt, 0x8000, proceed},
	{"DATA", data, 0, proceed},
	{"HEADER", from, 0x80, proceed},
	{"EOH", eoh, 0x40000, proceed},
	{"BODY", body, 0x80000, proceed},
	{"end", eom, 0, stamped},
	{"ABORT", abort, 0, ""},
	{"QUIT_NC", quitNew, 0, ""},
	{"QUIT", quit, 0, ""},
}

// TestReplies: what an MTA insists on being replied to is replied to.
func TestReplies(t *testing.T) {
	s := start(t, "unix")
	all := uint32(0x1fffff)
	offers := map[string]uint32{"all": all, "none": 0, "those of version 2": 0x7f}
	for _, c := range commands {
		if c.silent != 0 {
			offers["all but that of "+c.name] = all &^ c.silent
			offers["only that of "+c.name] = c.silent
		}
	}
	for name, offered := range offers {
		sent, want := offer(6, 0x1ff, offered), answer(6, 0x111, offered&0xef1d8)
		for _, c := range commands {
			sent += c.packet
			if offered&c.silent == 0 || c.silent == 0 {
				want += c.reply
			}
		}
		t.Run(name, func(t *testing.T) { expectReplies(t, s.dial(t).converse(t, sent), want) })
	}
}

// TestOldVersions: before version 4 there is no DATA, and the end is where a
// message is judged.
func TestOldVersions(t *testing.T) {
	for _, version := range []uint32{2, 3} {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			s := start(t, "unix")
			one := func(sender, queueID string) string {
				return macros('M', "i", queueID) + mail(sender) + forged + from + macros('E', "i", queueID) + eom
			}
			sent := offer(version, 0x3f, 0x7f) + client + secured + one("pass@x", "q1") + one("refuse@x", "q2") + one("late@x", "q3") + abort + quit
			want := answer(version, 0x11, 0x58) +
				proceed + proceed + // CONNECT, HELO
				proceed + proceed + proceed + remove(1) + stamped +
				proceed + proceed + proceed + because +
				proceed + proceed + proceed + because
			expectReplies(t, s.dial(t).converse(t, sent), want)
			s.Shutdown(t.Context())
			s.expectHeard(t, heard(passedIn, passed,
				"envelope q2 <refuse@x> TLSv1.3 192.0.2.7:1234",
				"envelope q3 <late@x> TLSv1.3 192.0.2.7:1234", "content q3 <late@x>")...)
		})
	}
}
