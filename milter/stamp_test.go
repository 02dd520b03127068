package milter

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// removed takes away n stamps as both kinds of MTAs understand it.
func removed(n int) string {
	var b strings.Builder
	for i := n; i > 0; i-- {
		b.WriteString(remove(uint32(i)))
	}
	return b.String()
}

func TestStamps(t *testing.T) {
	for _, c := range []struct {
		name    string
		sender  string
		headers string
		want    string // at the end
	}{
		{"none", "x@x", from, proceed},
		{"none, passes", "pass@x", from, stamped},
		{"one", "x@x", forged, removed(1) + proceed},
		{"one, passes", "pass@x", forged, remove(1) + insert(stamp) + proceed},
		{"two", "x@x", forged + from + forged, remove(2) + remove(1) + proceed},
		{"seven", "pass@x", strings.Repeat(forged, 7), remove(7) + remove(6) + remove(5) + remove(4) + remove(3) + remove(2) + remove(1) + stamped},
		{"a thousand", "pass@x", strings.Repeat(forged, 1000), removed(1000) + stamped},
		{"upper case", "x@x", header("DOMAIN-SECURED", "x"), remove(1) + proceed},
		{"mixed case", "x@x", header("dOmAiN-sEcUrEd", "x"), remove(1) + proceed},
		{"a blank before the colon", "x@x", header("Domain-Secured ", "x"), remove(1) + proceed},
		{"more blanks", "x@x", header("Domain-Secured \t \t", "x") + header("domain-secured\t", "y"), removed(2) + proceed},
		{"empty", "x@x", header("Domain-Secured", ""), remove(1) + proceed},
		{"blank", "x@x", header("Domain-Secured", " "), remove(1) + proceed},
		{"without a body", "x@x", packet('L', "Domain-Secured\x00"), remove(1) + proceed},
		{"folded", "x@x", header("Domain-Secured", "mx;\n\tdomain=woodgrovebank.com"), remove(1) + proceed},
		{"folded before the first word", "x@x", header("Domain-Secured", "\n\tmx; domain=woodgrovebank.com"), remove(1) + proceed},
		{"other names", "x@x", header("Domain-Secured-By", "x") + header("X-Domain-Secured", "x") + header("Domain-Secure", "x") +
			header("Domain_Secured", "x") + header(" Domain-Secured", "x") + header("Domain-Secured:", "x") + header("", "Domain-Secured: x"), proceed},
		{"in a body", "x@x", header("Subject", "x\n\tDomain-Secured: x") + body, proceed},
		{"kept", "keep@x", forged + forged, proceed},
		{"refused at the end", "late@x", forged + forged, because},
		{"refused at the end, with a stamp", "odd@x", forged, forGood},
		{"a refusal that is only tested", "test@x", forged, remove(1) + proceed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, "unix")
			sent := after(mail(c.sender), data, c.headers, eom)
			// Nothing of it is left to the next message.
			sent += mail("pass@x") + data + forged + eom
			expectReplies(t, s.dial(t).converse(t, sent), agreed+proceed+c.want+proceed+remove(1)+stamped)
		})
	}
}

// TestStampsAreCounted: the judge is told how many there were, and of those of
// this message alone.
func TestStampsAreCounted(t *testing.T) {
	s := newSite(t)
	r := newRig(t, s.Server)
	sent := postfix + client
	counts := []int{0, 1, 2, 7, 1000, 1001, 0}
	for _, n := range counts {
		sent += mail("keep@x") + data + strings.Repeat(forged+from, n) + eom + mail("x@x") + data + forged + abort
	}
	r.send(t, sent)
	r.finish()
	if !slices.Equal(s.judge.stamps, counts) {
		t.Errorf("the judge was told of %v stamps, want %v", s.judge.stamps, counts)
	}
}

// letters are three messages from which stamps are removed, and others.
func letters() string {
	one := func(queueID string, stamps int) string {
		return mail("x@x") + macros('T', "i", queueID) + data + strings.Repeat(forged, stamps) + eom
	}
	return after(one("q0", 0), one("q1", 2), one("q2", 3), one("q3", 0), one("q4", 4), mail("keep@x"), data, forged, eom)
}

func (s *site) expectRemovedSaid(t *testing.T) {
	t.Helper()
	log := s.log.String()
	for _, want := range []string{
		`msg="removed forged stamps" fields=2 messages=1 last_client=192.0.2.7:1234 last_queue_id=q1`,
		`msg="removed forged stamps" fields=7 messages=2 last_client=192.0.2.7:1234 last_queue_id=q4`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("log %s, want %s", log, want)
		}
	}
	if n := strings.Count(log, "removed forged stamps"); n != 2 {
		t.Errorf("%d lines, want 2: %s", n, log)
	}
}

// TestRemovedIsSaid: the log has a line a second, in which no removal is left out.
func TestRemovedIsSaid(t *testing.T) {
	t.Parallel()
	s := start(t, "unix")
	began := time.Now()
	s.dial(t).converse(t, letters())
	for !strings.Contains(s.log.String(), "q4") && time.Since(began) < 5*time.Second {
		time.Sleep(10 * time.Millisecond) // it is due within a second
	}
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("the second line comes after %v", took)
	}
	s.expectRemovedSaid(t)
	s.Shutdown(t.Context()) // adds nothing
	s.expectRemovedSaid(t)
}

// TestRemovedIsSaidAtTheEnd: what is not yet said is said when the server ends.
func TestRemovedIsSaidAtTheEnd(t *testing.T) {
	s := start(t, "unix")
	s.dial(t).converse(t, letters())
	s.Shutdown(t.Context())
	s.expectRemovedSaid(t)
}
