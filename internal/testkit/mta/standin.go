package mta

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"sync"
)

// StandInOptions describe a milter that takes a real one's place.
type StandInOptions struct {
	Actions uint32         // SMFIF_…: what it may do at the end of a message
	Steps   uint32         // SMFIP_…: events it does not want, replies it does not give
	Macros  map[int]string // SETSYMLIST: the macros it asks for, by stage (0 connect … 5 end of message, 6 end of header)

	// Answer is asked wherever an answer is due, with everything its connection has told so far; the last is
	// what is to be answered. What it returns is sent; nothing is no answer. Nil continues always.
	Answer func(told []MilterPacket) []MilterPacket
}

// A StandIn is a milter to try mail servers with: it keeps what it is told, and answers as it is told. It
// speaks protocol version 6.
type StandIn struct {
	options  StandInOptions
	listener net.Listener
	running  sync.WaitGroup

	mu       sync.Mutex
	conns    map[net.Conn]bool
	sessions [][]MilterPacket
	changed  chan struct{} // closed, and made anew, when a session has ended
	closed   bool
}

// StartStandIn starts one on a port of 127.0.0.1.
func StartStandIn(ctx context.Context, o StandInOptions) (*StandIn, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start stand-in milter: %w", err)
	}
	s := &StandIn{options: o, listener: listener, conns: map[net.Conn]bool{}, changed: make(chan struct{})}
	s.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.running.Go(func() { s.serve(conn) })
		}
	})
	return s, nil
}

// Endpoint returns where it listens, as smtpd_milters and FakeOptions want it.
func (s *StandIn) Endpoint() string { return "inet:" + s.listener.Addr().String() }

// Become gives it other options, for connections that begin from now on.
func (s *StandIn) Become(o StandInOptions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options = o
}

// Sessions waits until nobody is connected, and returns what each connection has told, negotiation first, in
// the order in which they ended.
func (s *StandIn) Sessions(ctx context.Context) ([][]MilterPacket, error) {
	for {
		s.mu.Lock()
		open, sessions, changed := len(s.conns), s.sessions, s.changed
		s.mu.Unlock()
		if open == 0 {
			return sessions, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the end of %d sessions of the milter: %w", open, context.Cause(ctx))
		case <-changed:
		}
	}
}

// Close stops it, as a crash would: connections just end. Further calls do nothing.
func (s *StandIn) Close() {
	s.listener.Close()
	s.mu.Lock()
	s.closed = true
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

func (s *StandIn) serve(conn net.Conn) {
	s.mu.Lock()
	s.conns[conn] = true
	if s.closed {
		conn.Close()
	}
	options := s.options
	s.mu.Unlock()
	told := options.talk(conn)
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
	s.sessions = append(s.sessions, told)
	close(s.changed)
	s.changed = make(chan struct{})
}

// talk returns what it was told when the connection ends, for whatever reason.
func (o *StandInOptions) talk(conn net.Conn) (told []MilterPacket) {
	in := bufio.NewReader(conn)
	for {
		p, err := readMilterPacket(in)
		if err != nil {
			return told
		}
		told = append(told, p)
		if p.Code == milterQuit {
			return told
		}
		var wire []byte
		for _, answer := range o.answers(p, told) {
			wire = answer.append(wire)
		}
		if _, err := conn.Write(wire); err != nil {
			return told
		}
	}
}

func (o *StandInOptions) answers(p MilterPacket, told []MilterPacket) []MilterPacket {
	event, known := milterEvents[p.Code]
	switch {
	case p.Code == milterNegotiate:
		return []MilterPacket{{milterNegotiate, o.negotiation()}}
	case !known || o.Steps&event.silent != 0:
		return nil
	case o.Answer == nil:
		return []MilterPacket{{Code: MilterContinue}}
	}
	return o.Answer(slices.Clone(told))
}

func (o *StandInOptions) negotiation() string {
	b := binary.BigEndian.AppendUint32(nil, milterVersion)
	b = binary.BigEndian.AppendUint32(b, o.Actions)
	b = binary.BigEndian.AppendUint32(b, o.Steps)
	for stage := range milterStages {
		if list, ok := o.Macros[stage]; ok {
			b = append(binary.BigEndian.AppendUint32(b, uint32(stage)), milterStrings(list)...)
		}
	}
	return string(b)
}
