package milter

import (
	"testing"
	"time"
)

// TestJudgingAtATime: however many messages the judge takes its time for, it is
// asked about the next, and what did the asking goes when there is too much of it.
func TestJudgingAtATime(t *testing.T) {
	s := start(t, "unix")
	const count = 3 * maxIdle
	s.judge.asked, s.judge.answer = make(chan struct{}, count), make(chan struct{})
	var waiting []mta
	for range count {
		m := s.dial(t)
		m.send(t, after(mail("wait@x")))
		m.expect(t, agreed)
		m.send(t, data)
		waiting = append(waiting, m)
	}
	for range count {
		<-s.judge.asked
	}
	expectReplies(t, s.dial(t).converse(t, after(mail("pass@x"), data, eom)), agreed+proceed+stamped)
	close(s.judge.answer)
	for _, m := range waiting {
		m.expect(t, proceed)
		m.send(t, eom)
		m.expect(t, proceed)
	}
	for began := time.Now(); s.judging.idle.Load() > maxIdle; time.Sleep(time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("%d goroutines wait for questions, want %d", s.judging.idle.Load(), maxIdle)
		}
	}
	expectReplies(t, s.dial(t).converse(t, after(mail("pass@x"), data, eom)), agreed+proceed+stamped)
}
