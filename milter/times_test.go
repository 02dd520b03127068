package milter

import (
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDeadlines: short before the negotiation, for longer than any client of an
// MTA is silent after it, and seldom set.
func TestDeadlines(t *testing.T) {
	r := newRig(t, newSite(t).Server)
	r.send(t, postfix[:9])
	r.send(t, postfix[9:])
	for range 10 {
		r.send(t, client+mail("pass@x")+data)
		r.send(t, from+eom)
	}
	r.finish()
	if len(r.reading) != 2 || !about(r.reading[0], 10*time.Second) || !about(r.reading[1], idleTime) || idleTime < 2*time.Hour {
		t.Errorf("read deadlines in %v, want 10 s and more than 2 h", r.reading)
	}
	if len(r.writing) != 21 || !about(r.writing[0], 10*time.Second) || !about(r.writing[20], 10*time.Second) {
		t.Errorf("write deadlines in %v, want 21 of 10 s", r.writing)
	}
}

func about(got, want time.Duration) bool { return got <= want && got > want-time.Second }

// TestRenewed: a deadline is set anew once it is a minute old.
func TestRenewed(t *testing.T) {
	for age, want := range map[time.Duration]int{0: 0, renewTime - time.Second: 0, renewTime + time.Second: 1, time.Hour: 1} {
		r := idleRig(t, newSite(t).Server)
		if err := r.c.in.open(r); err != nil {
			t.Fatal(err)
		}
		r.c.negotiated, r.c.idling = true, time.Now().Add(-age)
		io.WriteString(r.mta, client)
		if err := r.c.fill(); err != nil {
			t.Fatal(err)
		}
		r.c.in.release()
		if len(r.reading) != want || want > 0 && !about(r.reading[0], idleTime) {
			t.Errorf("%v old: set to %v", age, r.reading)
		}
	}
}

// TestFirstTime: who does not negotiate, or does so in a trickle, is let go.
func TestFirstTime(t *testing.T) {
	t.Parallel()
	s := start(t, "unix")
	began := time.Now()
	silent, trickle := s.dial(t), s.dial(t)
	go func() {
		for _, octet := range []byte(postfix)[:len(postfix)-1] {
			if _, err := trickle.Write([]byte{octet}); err != nil {
				break
			}
			time.Sleep(time.Second) // longer than the time, all in all
		}
	}()
	for _, m := range []mta{silent, trickle} {
		m.expectClosed(t)
		if took := time.Since(began); took < firstTime || took > firstTime+5*time.Second {
			t.Errorf("closed after %v, want %v", took, firstTime)
		}
	}
	if got := s.log.String(); !strings.Contains(got, "milter: closing a connection that did not negotiate in time") {
		t.Errorf("log %q", got)
	}
}

// TestStuck: who does not read the replies is let go, and meanwhile costs no one
// else.
func TestStuck(t *testing.T) {
	t.Parallel()
	s := start(t, "unix")
	stuck := s.dial(t)
	began := time.Now()
	go func() {
		io.WriteString(stuck, after(mail("refuse@x")))
		for {
			if _, err := io.WriteString(stuck, strings.Repeat(data, 1000)); err != nil {
				return
			}
		}
	}()
	s.dial(t).converse(t, after(mail("pass@x"), data, eom))
	for strings.Count(strings.Join(s.judge.all(), " "), "leave") < 2 {
		time.Sleep(10 * time.Millisecond)
		if time.Since(began) > 6*writeTime {
			t.Fatal("still there")
		}
	}
	if took := time.Since(began); took < writeTime {
		t.Errorf("closed after %v, want %v", took, writeTime)
	}
}

// TestNoStall: an MTA that sends macros and command in two writes, as Sendmail
// does, does not wait for the kernel's delayed acknowledgement (40 ms) between them.
func TestNoStall(t *testing.T) {
	m := start(t, "tcp").dial(t)
	m.Conn.(*net.TCPConn).SetNoDelay(false) // Nagle's algorithm, as in C by default
	m.send(t, postfix)
	m.expect(t, agreed)
	var times []time.Duration
	for range 100 {
		began := time.Now()
		for _, part := range []string{macros('M', tls...), mail("x@x"), macros('T', "i", "q1"), data} {
			m.send(t, part)
		}
		m.expect(t, proceed)
		m.send(t, macros('E', "i", "q1"))
		m.send(t, eom)
		m.expect(t, proceed)
		times = append(times, time.Since(began))
	}
	slices.Sort(times)
	if median := times[len(times)/2]; median > 60*time.Millisecond {
		t.Errorf("a message takes %v (median), as if acknowledgements were delayed", median)
	}
}
