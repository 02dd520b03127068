package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"domain-secured/internal/testkit/smtpclient"
)

// A stream is one kind of mail that keeps coming.
type stream struct {
	name, sender string
	how          smtpclient.Options
}

// outcomes are what may come of the streams, by their names.
type outcomes map[string][]string

// with is what may come of the streams after a change to one.
func (o outcomes) with(stream, outcome string) outcomes {
	changed := maps.Clone(o)
	changed[stream] = []string{outcome}
	return changed
}

// traffic is mail coming in from many servers at the same time, and a record of what came of each message.
type traffic struct {
	site    *postfixSite
	stamps  map[string]string // by sender, how they begin
	stop    chan struct{}
	running sync.WaitGroup

	mu      sync.Mutex
	epochs  []epoch
	sent    []sent
	servers []*sendingServer
}

// An epoch is a time in which the same outcomes are right. It ends where the next one begins.
type epoch struct {
	from    time.Time
	allowed outcomes
}

// sent is a message, and when its verdict was given: not before began, not after ended.
type sent struct {
	stream, id, outcome string
	began, ended        time.Time
}

// A sendingServer sends the messages of a stream, one after the other.
type sendingServer struct {
	stream  stream
	lasting bool      // in one session, not in one for every few messages
	latest  time.Time // when the last message began that has ended
}

// pause is what a server waits between two messages: more would only be more for Postfix to do.
const pause = 20 * time.Millisecond

func startTraffic(t *testing.T, s *postfixSite, allowed outcomes) *traffic {
	tr := &traffic{
		site: s, stamps: map[string]string{bankSender: bankStamp, toysSender: toysStamp},
		stop: make(chan struct{}), epochs: []epoch{{time.Now(), allowed}},
	}
	t.Cleanup(tr.end)
	return tr
}

// end stops all sending. It may be called again.
func (tr *traffic) end() {
	tr.mu.Lock()
	select {
	case <-tr.stop:
	default:
		close(tr.stop)
	}
	tr.mu.Unlock()
	tr.running.Wait()
}

// add has a server more send each of the streams.
func (tr *traffic) add(streams []stream, lasting bool) {
	for _, one := range streams {
		server := &sendingServer{stream: one, lasting: lasting}
		tr.mu.Lock()
		tr.servers = append(tr.servers, server)
		tr.mu.Unlock()
		tr.running.Go(func() { tr.send(server) })
	}
}

func (tr *traffic) send(server *sendingServer) {
	var session *smtpclient.Session
	quit := func() {
		if session != nil {
			session.Close()
			session = nil
		}
	}
	defer quit()
	for n := 1; ; n++ {
		select {
		case <-tr.stop:
			return
		case <-time.After(pause):
		}
		m, id := written(server.stream.sender, server.stream.sender)
		one := sent{stream: server.stream.name, id: id, began: time.Now()}
		var err error
		if session == nil {
			session, err = smtpclient.Dial(context.Background(), server.stream.how)
		}
		if err == nil {
			var reply smtpclient.Reply
			reply, err = session.Send(context.Background(), m)
			one.outcome = outcome(reply)
		}
		var refused *smtpclient.RefusedError
		switch {
		case errors.As(err, &refused):
			one.outcome = outcome(refused.Reply)
		case err != nil:
			one.outcome = err.Error()
		}
		one.ended = time.Now()
		tr.mu.Lock()
		tr.sent = append(tr.sent, one)
		server.latest = one.began
		tr.mu.Unlock()
		// Postfix asks a milter that has failed no more on that connection.
		if err != nil || one.outcome == unavailable || !server.lasting && n%3 == 0 {
			quit()
		}
	}
}

// change does something that changes what is right. While it is done, both are: before it and after it. It
// returns when every server has sent a message of which only the new outcome is right.
func (tr *traffic) change(t *testing.T, after outcomes, do func()) {
	t.Helper()
	tr.mu.Lock()
	either := outcomes{}
	for stream, before := range tr.epochs[len(tr.epochs)-1].allowed {
		either[stream] = slices.Concat(before, after[stream])
	}
	tr.epochs = append(tr.epochs, epoch{time.Now(), either})
	tr.mu.Unlock()
	do()
	tr.mu.Lock()
	tr.epochs = append(tr.epochs, epoch{time.Now(), after})
	tr.mu.Unlock()
	tr.settle(t)
}

// settle waits until every server has sent a message that it began from now on.
func (tr *traffic) settle(t *testing.T) {
	t.Helper()
	now := time.Now()
	waitUntil(t, "a message from every server", func() bool {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		return !slices.ContainsFunc(tr.servers, func(s *sendingServer) bool { return !s.latest.After(now) })
	})
}

// check ends the traffic, and compares what came of every message with what was right at that time, and what
// was accepted with what arrived.
func (tr *traffic) check(t *testing.T) {
	t.Helper()
	tr.end()
	counts, wrong := map[string]int{}, 0
	accepts := map[string]bool{} // by id, whether it is yet to arrive
	for _, one := range tr.sent {
		counts[one.stream+": "+one.outcome]++
		if one.outcome == accepted {
			accepts[one.id] = true
		}
		if allowed := tr.allowed(&one); !slices.Contains(allowed, one.outcome) {
			if wrong++; wrong <= 10 {
				t.Errorf("%s, from %s to %s: %s, want one of %q", one.stream, one.began.Format(clock), one.ended.Format(clock), one.outcome, allowed)
			}
		}
	}
	t.Logf("%d messages, %d wrong: %v", len(tr.sent), wrong, counts)
	if err := tr.site.postfix.Idle(waiting(t)); err != nil {
		t.Fatal(err)
	}
	all, err := tr.site.postfix.Messages()
	if err != nil {
		t.Fatal(err)
	}
	refused := map[string]bool{}
	for _, one := range tr.sent {
		refused[one.id] = one.outcome != accepted
	}
	for _, m := range all {
		id := m.Header.Get("Message-ID")
		if _, mine := refused[id]; !mine {
			continue // of an earlier test
		}
		if refused[id] {
			t.Errorf("from %s: refused, but it arrived", m.Sender)
		}
		delete(accepts, id)
		isStamped(t, m, tr.stamps[m.Sender])
	}
	if len(accepts) > 0 {
		t.Errorf("%d messages were accepted, but did not arrive", len(accepts))
	}
}

const clock = "15:04:05.000"

// allowed are the outcomes that were right at any time at which a message may have been judged.
func (tr *traffic) allowed(one *sent) (right []string) {
	for i, e := range tr.epochs {
		over := i+1 < len(tr.epochs) && tr.epochs[i+1].from.Before(one.began)
		if !over && !e.from.After(one.ended) {
			right = append(right, e.allowed[one.stream]...)
		}
	}
	return right
}

// listeners are the sockets on which the daemon listens: milter, policy and http.
const listeners = 3

// sockets are those that the daemon has open, its listeners being among them.
func (s *postfixSite) sockets(t *testing.T) (sockets []string) {
	t.Helper()
	names, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.Daemon.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if target, err := os.Readlink(name); err == nil && strings.HasPrefix(target, "socket:") {
			sockets = append(sockets, target)
		}
	}
	return sockets
}
