package milter

import (
	"io"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"

	"domain-secured/policy"
)

// TestMalformed sends what no MTA would, amid a session. It costs that connection,
// and the log says why.
func TestMalformed(t *testing.T) {
	for _, c := range []struct{ name, sent, complaint string }{
		{"a packet without a code", "\x00\x00\x00\x00", "a packet without a code"},
		{"a packet of 2 GiB", "\x7f\xff\xff\xfbH", "at most 69632 are taken"},
		{"a header of 2 GiB", "\x7f\xff\xff\xfbL", "at most 69632 are taken"},
		{"a packet of 4 GiB", "\xff\xff\xff\xffL", "more than 2 GiB"},
		{"an unknown command", packet('Z', "x"), `unknown command \"Z\"`},
		{"a reply for a command", proceed, `unknown command \"c\"`},
		{"no code that is ASCII", packet(0xe4)[:4] + "\xe4", "unknown command"},
		{"CONNECT without a NUL", packet('C', "abc"), "connect: a string without the NUL"},
		{"CONNECT without data", packet('C'), "connect: a string without the NUL"},
		{"CONNECT without a port", packet('C', "abc\x004"), "connect: a peer without a port"},
		{"MAIL without a NUL", packet('M', "<a@x>"), "mail: a string without the NUL"},
		{"a header without a NUL", packet('L', "From"), "a string without the NUL"},
		{"macros for no command", packet('D'), "macros for no command"},
		{"macros without a NUL", packet('D', "Mi\x00q1"), "a string without the NUL"},
		{"a short offer again", packet('O', "\x00\x00\x00\x06"), "a negotiation of 4 octets"},
		{"a body that is too large", packet('B', strings.Repeat("x", 68<<10-4)), "at most 69632 are taken"},
		{"macros that are too large", packet('D', "M"+strings.Repeat("x", 68<<10)), "at most 69632 are taken"},
		{"a sender that is too large", mail(strings.Repeat("x", 68<<10)), "at most 69632 are taken"},
		{"a header of more than 16 MiB", "\x01\x00\x00\x00L", "at most 69632 are taken"},
		// It may be a stamp's with blanks behind it: not to be passed over.
		{"a header whose name is too large", header("Domain-Secured"+strings.Repeat(" ", 68<<10), "x"), "a string without the NUL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, "unix")
			m := s.dial(t)
			m.send(t, after(secured, mail("pass@x"), data))
			m.expect(t, agreed+proceed)
			go io.WriteString(m, c.sent) // it may not be read to its end
			m.expectClosed(t)
			if got := s.log.String(); !strings.Contains(got, "milter: closing a connection that does not speak the milter protocol") || !strings.Contains(got, c.complaint) {
				t.Errorf("log %q, want %q", got, c.complaint)
			}
			expectReplies(t, s.dial(t).converse(t, after(mail("late@x"), data, eom)), agreed+proceed+because)
		})
	}
}

// TestLarge: the largest packets that MTAs send are taken, and what is behind them
// is not lost.
func TestLarge(t *testing.T) {
	for name, large := range map[string]string{
		"a body":                    packet('B', strings.Repeat("x", 65535)),
		"the largest packet":        packet('B', strings.Repeat("x", 68<<10-5)),
		"the largest header kept":   header("Subject", strings.Repeat("x", 68<<10-5-9)),
		"a header one octet larger": header("Subject", strings.Repeat("x", 68<<10-5-8)),
		"a header of 90 KiB":        header("Subject", strings.Repeat("x", 90<<10)),
		"a header of 1 MiB":         header("Subject", strings.Repeat("x", 1<<20)),
		"three of them":             strings.Repeat(header("Subject", strings.Repeat("x", 1<<20)), 3),
		"a header of 16 MiB":        header("Subject", strings.Repeat("x", 16<<20-5-9)),
		"a sender of 60 KiB":        mail(strings.Repeat("x", 60<<10)) + abort + mail("pass@x") + data,
	} {
		want := agreed + proceed + remove(1) + stamped + proceed + because
		if strings.HasPrefix(name, "a sender") {
			want = agreed + proceed + proceed + remove(1) + stamped + proceed + because
		}
		sent := after(secured, mail("pass@x"), data, large, forged, from, eom, mail("late@x"), data, eom, quit)
		t.Run(name, func(t *testing.T) {
			expectReplies(t, start(t, "unix").dial(t).converse(t, sent), want)
			expectReplies(t, start(t, "tcp").dial(t).converse(t, sent), want)
			for _, part := range []int{4096, 16<<10 + 1, 100_000} {
				r := newRig(t, newSite(t).Server)
				for rest := sent; rest != ""; rest = rest[min(part, len(rest)):] {
					r.send(t, rest[:min(part, len(rest))])
				}
				expectReplies(t, r.finish(), want)
			}
		})
	}
}

// TestLargeCut cuts a session with a large header at every octet near its ends.
func TestLargeCut(t *testing.T) {
	before := after(mail("pass@x"), data)
	large := header("domain-secured", strings.Repeat("x", 100_000))
	sent := before + large + from + eom
	end := len(before) + len(large)
	for _, around := range []int{len(before), len(before) + 68<<10, end} {
		for cut := around - 12; cut < around+12; cut++ {
			r := newRig(t, newSite(t).Server)
			r.send(t, sent[:cut])
			r.send(t, sent[cut:])
			if got, want := r.finish(), agreed+proceed+remove(1)+stamped; got != want {
				t.Fatalf("cut at %d: replies %q, want %q", cut, packets(got), packets(want))
			}
		}
	}
}

// TestFrom: of From headers all is kept that a message may have, and more is known
// to have been.
func TestFrom(t *testing.T) {
	long := strings.Repeat("x", 10<<10)
	hundred := slices.Repeat([]string{"a@x"}, 100)
	for _, c := range []struct {
		name    string
		headers string
		want    policy.From
	}{
		{"none", forged, policy.From{}},
		{"one", header("From", "a@x"), policy.From{Bodies: []string{"a@x"}}},
		{"any case and blanks", header("FROM \t", " a@x") + header("frOm", "b@x\n\tc"), policy.From{Bodies: []string{" a@x", "b@x\n\tc"}}},
		{"others", header("X-From", "a@x") + header("Fro", "b@x") + header("From:", "c@x"), policy.From{}},
		{"empty", header("From", ""), policy.From{Bodies: []string{""}}},
		{"16 KiB", header("From", long) + header("From", long[:6<<10]), policy.From{Bodies: []string{long, long[:6<<10]}}},
		{"an octet more", header("From", long) + header("From", long[:6<<10]+"@"), policy.From{Bodies: []string{long, long[:6<<10]}, Truncated: true}},
		{"one behind 16 KiB", header("From", long) + header("From", long) + header("From", ""), policy.From{Bodies: []string{long, long[:6<<10], ""}, Truncated: true}},
		{"1 MiB", header("From", strings.Repeat(long, 100)), policy.From{Bodies: []string{strings.Repeat("x", 16<<10)}, Truncated: true}},
		{"cut off behind blanks", header("From"+strings.Repeat(" ", 67<<10), long), policy.From{Bodies: []string{long[:1<<10-5-4-1]}, Truncated: true}},
		{"100", strings.Repeat(header("From", "a@x"), 100), policy.From{Bodies: hundred}},
		{"101", strings.Repeat(header("From", "a@x"), 101), policy.From{Bodies: hundred, Truncated: true}},
		{"one of another message", header("From", "a@x") + eom + mail("x@x") + data + header("From", "b@x"), policy.From{Bodies: []string{"b@x"}}},
		{"too long in another message", header("From", long+long) + eom + mail("x@x") + data + header("From", "b@x"), policy.From{Bodies: []string{"b@x"}}},
		{"one of a message given up", header("From", "a@x") + abort + mail("x@x") + data + header("From", "b@x"), policy.From{Bodies: []string{"b@x"}}},
		{"of no message", eom + header("From", "a@x") + mail("x@x") + data + header("From", "b@x"), policy.From{Bodies: []string{"b@x"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			r := newRig(t, s.Server)
			r.send(t, after(mail("x@x"), data, c.headers, eom))
			r.finish()
			if n := len(s.judge.froms); n == 0 || !reflect.DeepEqual(s.judge.froms[n-1], c.want) {
				t.Errorf("%+.200v, want %+.200v", s.judge.froms, c.want)
			}
		})
	}
}

// TestNoSocket: a connection that cannot be waited for without memory is refused.
func TestNoSocket(t *testing.T) {
	s := newSite(t)
	ours, theirs := net.Pipe()
	s.handle(theirs)
	ours.Close()
	if got := s.log.String(); !strings.Contains(got, "neither a TCP nor a unix socket") {
		t.Errorf("log %q", got)
	}
	s.expectHeard(t)
}
