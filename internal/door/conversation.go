package door

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

const (
	// requestTime bounds a request from its first octet to its last.
	requestTime = 20 * time.Second
	// writeTime bounds the sending of answers.
	writeTime = 10 * time.Second
	// renewTime is how old an idle deadline may grow before it is set anew: setting it
	// costs as much as reading a request.
	renewTime = time.Minute
)

// Protocol is one in which a client asks one thing after the other.
type Protocol struct {
	Name    string        // for the log
	Usual   int           // octets that a usual request has: larger memory is given up after use
	Longest int           // octets that a request may have
	First   time.Duration // bounds the silence of a client before its first request
	Idle    time.Duration // and between requests; up to a minute of it may be cut off
}

// Answer answers whole requests that in begins with, one or several: it appends the
// answers to out, which is sent before Answer is called again, and returns how many
// octets of in these requests are, 0 if more is to be read first. An error ends the
// connection, once out is sent. in is not empty, and not to be kept.
type Answer func(out, in []byte) (answers []byte, n int, err error)

// Converse answers the requests of a client, within bounds of time and memory, until
// either of them ends it.
func (s *Server) Converse(c net.Conn, p *Protocol, answer Answer) {
	v := conversation{server: s, net: c, protocol: p, answer: answer, in: make([]byte, 0, p.Usual)}
	c.SetReadDeadline(time.Now().Add(p.First))
	for {
		if err := v.read(); err != nil {
			v.ended(err)
			return
		}
		wrong, err := v.answerAll()
		switch {
		case wrong != nil:
			s.Complain("closing a connection that does not speak the "+p.Name+" protocol", wrong)
			return
		case err != nil: // it left before it was answered, or takes no answers
			s.log.Debug(s.name+": connection ended", "error", err)
			return
		}
		v.setDeadline()
	}
}

// conversation is that with one client.
type conversation struct {
	server   *Server
	net      net.Conn
	protocol *Protocol
	answer   Answer

	in  []byte // what was read and not yet answered
	out []byte // no answers, but memory for them

	partial bool      // the read deadline is one for an unfinished request
	idling  time.Time // when the read deadline was last set, if it is not
}

// ended says why a connection ended, if that was not to be expected.
func (v *conversation) ended(err error) {
	switch {
	case v.server.Closing(), errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
	case errors.Is(err, os.ErrDeadlineExceeded) && len(v.in) > 0:
		v.server.Complain("closing a connection with an unfinished request", fmt.Errorf("no end after %v", requestTime))
	default:
		v.server.log.Debug(v.server.name+": connection ended", "error", err)
	}
}

// read adds to v.in what the client sends next.
func (v *conversation) read() error {
	// Asked after a deadline was set, which may have undone the one of Shutdown.
	if v.server.Closing() {
		return net.ErrClosed
	}
	if len(v.in) == cap(v.in) {
		v.in = append(make([]byte, 0, min(4*cap(v.in), v.protocol.Longest)), v.in...)
	}
	n, err := v.net.Read(v.in[len(v.in):cap(v.in)])
	v.in = v.in[:len(v.in)+n]
	if n > 0 {
		return nil
	}
	return err
}

// answerAll answers every whole request that was read, and keeps the beginning of the
// next one. It returns what the client did wrong, or why its answers could not be sent.
func (v *conversation) answerAll() (wrong, err error) {
	rest := v.in
	for len(rest) > 0 {
		out, n, wrong := v.answer(v.out[:0], rest)
		if err := v.send(out); wrong != nil || err != nil {
			return wrong, err
		}
		if n == 0 {
			break
		}
		rest = rest[n:]
	}
	if 0 < len(rest) && len(rest) < len(v.in) {
		v.partial = false // the next request has its time anew
	}
	switch {
	case len(rest) >= v.protocol.Longest:
		return fmt.Errorf("a request is longer than %d octets", v.protocol.Longest), nil
	case len(rest) == 0 && cap(v.in) > v.protocol.Usual:
		v.in = make([]byte, 0, v.protocol.Usual)
	default:
		v.in = v.in[:copy(v.in[:cap(v.in)], rest)]
	}
	return nil, nil
}

// send sends the answers that there are.
func (v *conversation) send(out []byte) (err error) {
	if len(out) > 0 {
		v.net.SetWriteDeadline(time.Now().Add(writeTime))
		_, err = v.net.Write(out)
	}
	if v.out = out; cap(out) > 4*v.protocol.Usual {
		v.out = nil
	}
	return err
}

// setDeadline bounds the next read: by the time for a request, from its first octet on,
// or by the time between requests.
func (v *conversation) setDeadline() {
	now := time.Now()
	switch {
	case len(v.in) > 0:
		if !v.partial {
			v.partial = true
			v.net.SetReadDeadline(now.Add(requestTime))
		}
	case v.partial || now.Sub(v.idling) > renewTime:
		v.partial, v.idling = false, now
		v.net.SetReadDeadline(now.Add(v.protocol.Idle))
	}
}
