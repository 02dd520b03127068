package milter

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestDrain: at the end of a server messages in hand go on to their end, and so do
// those that begin within a moment; then the connection is closed.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := start(t, "unix")
	var began time.Time
	closing := make(chan struct{})
	var goOn sync.WaitGroup
	insisting := offer(6, 0x1ff, 0x1fffff&^0x4000) // on a reply to MAIL
	agreedInsisting := answer(6, 0x111, 0xef1d8&^0x4000)
	long := header("X", strings.Repeat("x", 90<<10))
	const atOnce, afterAMoment = time.Duration(0), quietTime
	for _, c := range []struct {
		name         string
		before, want string
		after, goOn  string        // after Shutdown
		closed       time.Duration // more than a moment: it is given up a moment before
	}{
		{"not negotiated", "", "", "", "", atOnce},
		{"half an offer", postfix[:9], "", "", "", atOnce},
		{"idle", postfix, agreed, "", "", afterAMoment},
		{"between two messages", after(secured, mail("pass@x"), data, eom), agreed + proceed + stamped, "", "", afterAMoment},
		{"after ABORT", after(mail("pass@x"), data, abort, data), agreed + proceed + tempfail, "", "", afterAMoment},
		{"refused at DATA", after(mail("refuse@x"), data), agreed + because, "", "", afterAMoment},
		{"refused at the end", after(mail("late@x"), data, eom), agreed + proceed + because, "", "", afterAMoment},
		{"goes", postfix, agreed, client + secured + abort + quit, "", atOnce},
		{"after MAIL", insisting + client + mail("pass@x"), agreedInsisting + proceed, data + from + eom, proceed + stamped, atOnce},
		{"after DATA", after(mail("pass@x"), data), agreed + proceed, forged + from + eom, remove(1) + stamped, atOnce},
		{"within a packet", after(mail("pass@x"), data, from[:7]), agreed + proceed, from[7:] + eom, stamped, atOnce},
		{"within a long header", after(mail("pass@x"), data, long[:80<<10]), agreed + proceed, long[80<<10:] + eom, stamped, atOnce},
		{"MAIL was on its way", postfix, agreed, client + secured + mail("pass@x") + data + from + eom, proceed + stamped, atOnce},
		{"the next MAIL was on its way", after(mail("x@x"), data, eom), agreed + proceed + proceed, mail("pass@x") + data + from + eom, proceed + stamped, atOnce},
		{"given up", after(mail("pass@x"), data), agreed + proceed, from + abort, "", afterAMoment},
		{"MAIL was on its way, and is given up", postfix, agreed, client + mail("pass@x") + data, proceed, 2*time.Second + afterAMoment},
		{"refused then", insisting + mail("refuse@x"), agreedInsisting + proceed, data, because, afterAMoment},
		{"refused in the end", after(mail("late@x"), data), agreed + proceed, eom, because, atOnce},
	} {
		m := s.dial(t)
		m.send(t, c.before)
		m.expect(t, c.want)
		goOn.Go(func() {
			<-closing
			if c.after != "" {
				m.send(t, c.after[:1])
				m.send(t, c.after[1:])
				m.expect(t, c.goOn)
			}
			if pause := c.closed - afterAMoment; pause > 0 {
				time.Sleep(pause)
				m.send(t, abort)
			}
			m.expectClosed(t)
			if took := time.Since(began); took < c.closed || took > c.closed+4*time.Second {
				t.Errorf("%s: closed after %v, want %v", c.name, took, c.closed)
			}
		})
	}
	down := make(chan error, 1)
	began = time.Now()
	go func() { down <- s.Shutdown(t.Context()) }()
	s.awaitClosing()
	close(closing)
	goOn.Wait()
	if err := <-down; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if got := s.log.String(); strings.Contains(got, "milter: closing") {
		t.Errorf("a complaint about what was right: %s", got)
	}
	comings := 0
	for _, what := range s.judge.all() {
		switch what {
		case "attend":
			comings++
		case "leave":
			comings--
		}
	}
	if comings != 0 {
		t.Errorf("the judge believes that %d are still there", comings)
	}
}

// awaitClosing returns when Shutdown has woken up every connection.
func (s *site) awaitClosing() {
	for {
		c, err := net.Dial(s.addr.Network(), s.addr.String())
		if err != nil {
			return // the listener is gone, and connections follow under the same lock
		}
		c.Close()
		time.Sleep(time.Millisecond)
	}
}

// TestDrainWhileJudging: the answer that is looked for when the server is to end
// is given, and the message goes on.
func TestDrainWhileJudging(t *testing.T) {
	s := start(t, "unix")
	s.judge.asked, s.judge.answer = make(chan struct{}), make(chan struct{})
	m := s.dial(t)
	m.send(t, postfix)
	m.expect(t, agreed)
	m.send(t, mail("wait@x"), data)
	<-s.judge.asked
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(t.Context()) }()
	s.awaitClosing()
	close(s.judge.answer)
	m.expect(t, proceed)
	m.send(t, eom)
	m.expect(t, proceed)
	m.expectClosed(t)
	if err := <-down; err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

// TestDrainInTime: what does not come to its end in time is closed, and the judge
// is told that the message was given up.
func TestDrainInTime(t *testing.T) {
	s := start(t, "unix")
	m := s.dial(t)
	m.send(t, after(mail("pass@x"), macros('T', "i", "q1"), data, from))
	m.expect(t, agreed+proceed)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
	m.expectClosed(t)
	s.expectHeard(t, heard("envelope q1 <pass@x>  192.0.2.7:1234", "abandoned q1 <pass@x>")...)
}
