package mta

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"domain-secured/internal/testkit/smtpclient"
)

// TestStandIn has a stand-in change, hang, and end.
func TestStandIn(t *testing.T) {
	t.Parallel()
	c, _ := common(t)
	milter, err := StartStandIn(t.Context(), StandInOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer milter.Close()
	fake := startFakeOf(t, FakeOptions{Common: c, Milter: milter.Endpoint(), MilterTimeout: time.Second})
	if reply := send(t, fake, smtpclient.Options{}, letter); !reply.Accepted() {
		t.Error(reply)
	}
	milter.Become(StandInOptions{Answer: firstOf(milterData)})
	if reply := send(t, fake, smtpclient.Options{}, letter); reply.Stage != smtpclient.DATA || reply.String() != milterTempfail {
		t.Errorf("no answer: at %s, %s", reply.Stage, reply)
	}
	sessions, err := milter.Sessions(t.Context())
	if err != nil || len(sessions) != 2 {
		t.Fatalf("%d sessions, %v", len(sessions), err)
	}
	quit := MilterPacket{Code: milterQuit}
	if !slices.Contains(sessions[0], quit) || slices.Contains(sessions[1], quit) {
		t.Errorf("sessions: %s", sessions)
	}

	milter.Become(StandInOptions{})
	session, err := smtpclient.Dial(t.Context(), smtpclient.Options{Addr: fake.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := milter.Sessions(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for a session that does not end: %v", err)
	}
	milter.Close()
	if reply, err := session.Send(t.Context(), letter); err != nil || reply.String() != milterTempfail {
		t.Errorf("%s, %v", reply, err)
	}
}

// TestCloseWhileMilterHangs closes a server whose milter does not answer.
func TestCloseWhileMilterHangs(t *testing.T) {
	t.Parallel()
	c, _ := common(t)
	asked := make(chan struct{})
	milter, err := StartStandIn(t.Context(), StandInOptions{Answer: func([]MilterPacket) []MilterPacket {
		close(asked)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer milter.Close()
	fake, err := StartFake(t.Context(), FakeOptions{Common: c, Milter: milter.Endpoint()})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", fake.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	<-asked
	begun := time.Now()
	if err := fake.Close(); err != nil || time.Since(begun) > milterTimeout/2 {
		t.Errorf("it took %v: %v", time.Since(begun), err)
	}
}

// TestTooMuchNegotiated has a milter ask for an action that was not offered, of the fake server and of Postfix.
func TestTooMuchNegotiated(t *testing.T) {
	t.Parallel()
	b := newBoth(t)
	got := b.fake.hold(t, StandInOptions{Actions: offeredActions + 1}, "DUNNO", smtpclient.Options{}, letter)
	want := b.postfix.hold(t, StandInOptions{Actions: offeredActions + 1}, "DUNNO", smtpclient.Options{}, letter)
	if !slices.Equal(got.replies, want.replies) || !slices.Equal(got.replies, []string{"MAIL: " + milterTempfail}) {
		t.Errorf("the fake said %q, Postfix %q", got.replies, want.replies)
	}
}
