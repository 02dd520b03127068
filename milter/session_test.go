package milter

import (
	"slices"
	"strings"
	"testing"
)

// session is what an MTA sends, what must come back, and what the judge hears.
type session struct {
	name  string
	sent  string
	want  string
	heard []string
}

// after is what comes after an MTA told of its client.
func after(packets ...string) string {
	return postfix + macros('C', "j", "mx.contoso.com", "{daemon_name}", "MTA") + client + strings.Join(packets, "")
}

// letter is a whole message with macros of its own.
func letter(sender, queueID string, headers ...string) string {
	return macros('M', tls...) + mail(sender) + macros('R') + macros('T', "i", queueID) + data +
		strings.Join(headers, "") + macros('N', "i", queueID) + macros('E', "i", queueID) + eom
}

var (
	secured = macros('H', tls...) + helo
	plain   = macros('H') + helo
	forged  = header("Domain-Secured", "forged")
	from    = header("From", "<pass@woodgrovebank.com>")
	stamped = insert(stamp) + proceed
)

// heard is what the judge hears of a session.
func heard(what ...string) []string {
	return append(append([]string{"attend"}, what...), "leave")
}

const (
	passedIn = "envelope q1 <pass@x> TLSv1.3 192.0.2.7:1234"
	passed   = "content q1 <pass@x>"
)

// sessions are about what is remembered, for how long.
var sessions = []session{
	{"no mail", after(plain, abort, abort, quit), agreed, heard()},
	{"a port probe", after(quit), agreed, heard()},
	{"only an offer", postfix, agreed, heard()},
	{"passes", after(secured, letter("pass@x", "q1", from), quit), agreed + proceed + stamped, heard(passedIn, passed)},
	{"no QUIT", after(secured, letter("pass@x", "q1", from)), agreed + proceed + stamped, heard(passedIn, passed)},
	{
		"two messages, the second without any macros of TLS",
		after(secured, letter("pass@x", "q1", from), macros('M'), mail("pass@y"), macros('T', "i", "q2"), data, forged, from, macros('E', "i", "q2"), eom),
		agreed + proceed + stamped + proceed + remove(1) + stamped,
		heard(passedIn, passed, "envelope q2 <pass@y> TLSv1.3 192.0.2.7:1234", "content q2 <pass@y>"),
	},
	{
		"facts of CONNECT and HELO live through refusals and ABORTs",
		after(secured, mail("refuse@x"), data, mail("late@x"), data, eom, abort, mail("reject@x"), data, abort, abort, abort, mail("test@x"), data, abort, mail("pass@x"), macros('T', "i", "q1"), data, eom),
		agreed + because + proceed + because + forGood + proceed + proceed + stamped,
		heard("envelope  <refuse@x> TLSv1.3 192.0.2.7:1234", "envelope  <late@x> TLSv1.3 192.0.2.7:1234", "content  <late@x>",
			"envelope  <reject@x> TLSv1.3 192.0.2.7:1234", "envelope  <test@x> TLSv1.3 192.0.2.7:1234", "abandoned  <test@x>", passedIn, passed),
	},
	{
		"HELO after STARTTLS replaces the first", after(plain, abort, secured, mail("x@x"), data, eom), agreed + proceed + proceed,
		heard("envelope  <x@x> TLSv1.3 192.0.2.7:1234", "content  <x@x>"),
	},
	{
		"an empty MACRO packet replaces its stage", after(secured, plain, mail("x@x"), data, eom), agreed + proceed + proceed,
		heard("envelope  <x@x>  192.0.2.7:1234", "content  <x@x>"),
	},
	{
		"macros that a HELO did not come with are not its own", after(secured, helo, mail("x@x"), data, eom), agreed + proceed + proceed,
		heard("envelope  <x@x>  192.0.2.7:1234", "content  <x@x>"),
	},
	{
		"the latest of two MACRO packets counts", after(macros('H', tls...), macros('H', "{tls_version}", "TLSv1.2"), helo, mail("x@x"), data, eom), agreed + proceed + proceed,
		heard("envelope  <x@x> TLSv1.2 192.0.2.7:1234", "content  <x@x>"),
	},
	{
		"MAIL without a second EHLO", after(plain, macros('M', tls...), mail("pass@x"), macros('T', "i", "q1"), data, eom), agreed + proceed + stamped,
		heard(passedIn, passed),
	},
	{
		"macros of MAIL do not outlive their message", after(plain, letter("pass@x", "q1"), mail("x@x"), data, eom), agreed + proceed + stamped + proceed + proceed,
		heard(passedIn, passed, "envelope  <x@x>  192.0.2.7:1234", "content  <x@x>"),
	},
	{
		"macros of DATA and the end do not outlive their message",
		after(plain, mail("a@x"), macros('T', "i", "q1"), data, macros('E', "i", "q1"), abort, mail("b@x"), data, eom),
		agreed + proceed + proceed + proceed,
		heard("envelope q1 <a@x>  192.0.2.7:1234", "abandoned q1 <a@x>", "envelope  <b@x>  192.0.2.7:1234", "content  <b@x>"),
	},
	{
		"macros without braces", after(macros('H', "tls_version", "TLSv1.3", "verify", "OK"), helo, mail("x@x"), macros('T', "{i}", "q1"), data, eom), agreed + proceed + proceed,
		heard("envelope q1 <x@x> TLSv1.3 192.0.2.7:1234", "content q1 <x@x>"),
	},
	{
		// Sendmail keeps the transaction open after a refusal at DATA.
		"RCPT and DATA again after a refusal", after(secured, mail("refuse@x"), rcpt, macros('T', "i", "q1"), data, rcpt, macros('T', "i", "q2"), data, abort), agreed + because + because,
		heard("envelope q1 <refuse@x> TLSv1.3 192.0.2.7:1234", "envelope q2 <refuse@x> TLSv1.3 192.0.2.7:1234"),
	},
	{
		"DATA again after it was let go on", after(secured, mail("pass@x"), macros('T', "i", "q1"), data, macros('T', "i", "q1"), data, eom), agreed + proceed + proceed + stamped,
		heard(passedIn, passedIn, passed),
	},
	{
		"MAIL again before the end", after(secured, mail("a@x"), data, forged, mail("pass@x"), macros('T', "i", "q1"), data, eom), agreed + proceed + proceed + stamped,
		heard("envelope  <a@x> TLSv1.3 192.0.2.7:1234", "abandoned  <a@x>", passedIn, passed),
	},
	{
		"EHLO within a transaction", after(secured, mail("a@x"), data, secured, mail("pass@x"), macros('T', "i", "q1"), data, eom), agreed + proceed + proceed + stamped,
		heard("envelope  <a@x> TLSv1.3 192.0.2.7:1234", "abandoned  <a@x>", passedIn, passed),
	},
	{
		"gone before DATA and after", after(secured, mail("a@x"), rcpt, abort, mail("b@x"), data, header("X", "y")), agreed + proceed,
		heard("envelope  <b@x> TLSv1.3 192.0.2.7:1234", "abandoned  <b@x>"),
	},
	{
		"what is not asked for", after(unknown, secured, unknown, mail("pass@x"), rcpt, unknown, macros('T', "i", "q1"), data, from, eoh, body, body, eom), agreed + proceed + stamped,
		heard(passedIn, passed),
	},
	{
		"another session of the client's", after(secured, letter("pass@x", "q1"), quitNew, connect('4', 25, "192.0.2.8"), helo, mail("pass@x"), macros('T', "i", "q1"), data, eom),
		agreed + proceed + stamped + proceed + stamped,
		heard(passedIn, passed, "envelope q1 <pass@x>  192.0.2.8:25", passed),
	},
	{
		"another session in the midst of a message", after(secured, mail("a@x"), data, quitNew, connect('4', 25, "192.0.2.8"), mail("b@x"), data, eom), agreed + proceed + proceed + proceed,
		heard("envelope  <a@x> TLSv1.3 192.0.2.7:1234", "abandoned  <a@x>", "envelope  <b@x>  192.0.2.8:25", "content  <b@x>"),
	},
	{
		"another session whose client is not told", after(secured, quitNew, mail("b@x"), data, eom), agreed + proceed + proceed,
		heard("envelope  <b@x>  invalid AddrPort", "content  <b@x>"),
	},
	{
		"CONNECT again", after(secured, connect('4', 25, "192.0.2.8"), mail("b@x"), data, eom), agreed + proceed + proceed,
		heard("envelope  <b@x>  192.0.2.8:25", "content  <b@x>"),
	},
	{
		"an offer again", after(secured, mail("a@x"), data, postfix, mail("b@x"), data, eom), agreed + proceed + agreed + proceed + proceed,
		heard("envelope  <a@x> TLSv1.3 192.0.2.7:1234", "abandoned  <a@x>", "envelope  <b@x>  invalid AddrPort", "content  <b@x>"),
	},
	{
		"no DATA", after(secured, mail("pass@x"), header("domain-secured", ""), macros('E', "i", "q1"), eom), agreed + remove(1) + stamped,
		heard(passedIn, passed),
	},
	{"no DATA, refused at the end", after(mail("refuse@x"), eom, mail("x@x"), abort), agreed + because, heard("envelope  <refuse@x>  192.0.2.7:1234")},
	{"no MAIL", after(secured, data, from, forged, eom, mail("x@x"), data, eom, data), agreed + tempfail + tempfail + proceed + proceed + tempfail, heard("envelope  <x@x> TLSv1.3 192.0.2.7:1234", "content  <x@x>")},
	{"the null sender", after(mail(""), data, eom), agreed + proceed + proceed, heard("envelope  <>  192.0.2.7:1234", "content  <>")},
}

// TestConnectionForEachStage: Stalwart tells the whole story again at each stage, on a connection of its own, and
// wants no answer but to its end.
func TestConnectionForEachStage(t *testing.T) {
	s := start(t, "tcp")
	story := []string{client, secured, macros('M', tls...) + mail("pass@x"), rcpt, macros('T', "i", "q1") + data + from + forged + eom}
	for told := range story {
		want := agreed
		if told == len(story)-1 {
			want += proceed + remove(1) + stamped
		}
		expectReplies(t, s.dial(t).converse(t, postfix+strings.Join(story[:told+1], "")), want)
	}
	s.Shutdown(t.Context())
	s.expectHeard(t, slices.Concat(slices.Repeat(heard(), 4), heard(passedIn, passed))...)
}

func TestSessions(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		for _, c := range sessions {
			t.Run(network+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				s := start(t, network)
				expectReplies(t, s.dial(t).converse(t, c.sent), c.want)
				s.Shutdown(t.Context())
				s.expectHeard(t, c.heard...)
			})
		}
	}
}

// TestOctetByOctet: an MTA's writes are no borders.
func TestOctetByOctet(t *testing.T) {
	for _, c := range sessions {
		s := newSite(t)
		r := newRig(t, s.Server)
		for _, octet := range []byte(c.sent) {
			r.send(t, string([]byte{octet}))
		}
		expectReplies(t, r.finish(), c.want)
		s.expectHeard(t, c.heard...)
	}
}

// TestTwoParts cuts a session in two, everywhere.
func TestTwoParts(t *testing.T) {
	c := sessions[slices.IndexFunc(sessions, func(c session) bool { return strings.HasPrefix(c.name, "two messages") })]
	for cut := range len(c.sent) {
		s := newSite(t)
		r := newRig(t, s.Server)
		r.send(t, c.sent[:cut])
		r.send(t, c.sent[cut:])
		if got := r.finish(); got != c.want {
			t.Fatalf("cut at %d: replies %q, want %q", cut, packets(got), packets(c.want))
		}
		s.expectHeard(t, c.heard...)
	}
}

// TestOneWrite: however many replies there are to what comes at a time, they are
// one write.
func TestOneWrite(t *testing.T) {
	r := newRig(t, newSite(t).Server)
	var want []string
	for _, c := range []struct{ sent, want string }{
		{postfix, agreed},
		{client + secured, ""},
		{mail("pass@x") + data + forged + forged + from, proceed},
		{eom, remove(2) + remove(1) + stamped},
		{strings.Repeat(mail("pass@x")+data+eom, 20), strings.Repeat(proceed+stamped, 20)},
		{mail("x@x") + abort, ""},
		{mail("x@x") + data + eom + data + quit, proceed + proceed + tempfail}, // also before it ends
	} {
		r.send(t, c.sent)
		if c.want != "" {
			want = append(want, c.want)
		}
	}
	expectReplies(t, r.finish(), strings.Join(want, ""))
	if !slices.Equal(r.writes, want) {
		t.Errorf("%d writes %q, want %d", len(r.writes), r.writes, len(want))
	}
}

// TestTurns holds a conversation, in which each waits for the other.
func TestTurns(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		m := start(t, network).dial(t)
		for _, turn := range [][2]string{
			{postfix, agreed},
			{client + macros('H') + helo + macros('H', tls...) + helo + macros('M') + mail("pass@x") + data, proceed},
			{from + eom, stamped},
			{mail("refuse@x") + data, because},
			{abort + mail("late@x") + data, proceed},
			{forged + eom, because},
		} {
			m.send(t, turn[0])
			m.expect(t, turn[1])
		}
		m.send(t, quit)
		m.expectClosed(t)
	}
}
