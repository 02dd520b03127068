package milter

import (
	"strings"
	"testing"
)

// TestPanic: a panic costs the connection that it happened in, and no other; the
// judge hears the end of what it heard begin.
func TestPanic(t *testing.T) {
	for _, c := range []struct {
		name, at string // of recorder.panics
		sent     string
		want     string
		heard    []string
	}{
		{"on coming", "attend", postfix, "", []string{"attend"}},
		{"on leaving", "leave", after(mail("pass@x"), macros('T', "i", "q1"), data, quit), agreed + proceed,
			heard("envelope q1 <pass@x>  192.0.2.7:1234", "abandoned q1 <pass@x>")},
		{"at DATA", "", after(mail("panic@x"), data), agreed, heard("envelope  <panic@x>  192.0.2.7:1234")},
		{"at the end", "", after(mail("panicend@x"), data, eom), agreed + proceed, heard("envelope  <panicend@x>  192.0.2.7:1234", "content  <panicend@x>")},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, "unix")
			s.judge.panics = c.at
			m := s.dial(t)
			// In turns: what was not sent before a panic is lost with it.
			for _, p := range packets(c.sent) {
				m.send(t, packet(p[0], p[1:]))
				switch p[0] {
				case 'O':
					m.expect(t, c.want[:min(len(agreed), len(c.want))])
				case 'T':
					m.expect(t, strings.TrimPrefix(c.want, agreed))
				}
			}
			m.expectClosed(t)
			s.judge.mu.Lock()
			got := s.judge.heard
			s.judge.heard = nil
			s.judge.mu.Unlock()
			if strings.Join(got, "|") != strings.Join(c.heard, "|") {
				t.Errorf("the judge heard %q, want %q", got, c.heard)
			}
			for _, want := range []string{"milter: panic, closing the connection", "as asked", "judge_test.go"} { // where it was
				if got := s.log.String(); !strings.Contains(got, want) {
					t.Errorf("log %q, want %q", got, want)
				}
			}
			expectReplies(t, s.dial(t).converse(t, after(mail("pass@x"), data, from, eom)), agreed+proceed+stamped)
		})
	}
}
