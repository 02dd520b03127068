package delegation

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"domain-secured/policy"
)

const (
	// maxRequest bounds one request in octets: about thirty attributes, of which a
	// few can be as long as a line of SMTP (postconf(5) line_length_limit, 2048).
	maxRequest = 64 << 10
	// requestTime bounds a request from its first octet to its last.
	requestTime = 20 * time.Second
	// writeTime bounds the sending of answers.
	writeTime = 10 * time.Second
	// renewTime is how old an idle deadline may grow before it is set anew:
	// setting it costs as much as reading a request.
	renewTime = time.Minute
	// bufferSize holds a usual request; a larger buffer is given up after use.
	bufferSize = 4 << 10
)

// conn is one client, usually an smtpd(8) process.
type conn struct {
	server *Server
	net    net.Conn

	in       []byte // what was read and not yet answered
	searched int    // of in, how far there is no end of a request
	out      []byte // answers not yet sent
	facts    policy.Facts

	asked   bool      // there was a request
	partial bool      // the read deadline is one for an unfinished request
	idling  time.Time // when the read deadline was last set, if it is not
}

func (c *conn) serve() {
	c.in = make([]byte, 0, bufferSize)
	for {
		if err := c.answerAll(); err != nil {
			c.server.Complain("closing a connection that does not speak the policy protocol", err)
			return
		}
		if err := c.read(); err != nil {
			c.ended(err)
			return
		}
	}
}

// ended says why a connection ended, if that was not to be expected.
func (c *conn) ended(err error) {
	switch {
	case c.server.Closing(), errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
	case errors.Is(err, os.ErrDeadlineExceeded) && len(c.in) > 0:
		c.server.Complain("closing a connection with an unfinished request", fmt.Errorf("no end after %v", requestTime))
	default:
		c.server.log.Debug("policy door: connection ended", "error", err)
	}
}

// answerAll answers every whole request that was read, and sends the answers in
// one write.
func (c *conn) answerAll() error {
	whole := c.wholeRequests()
	var wrong error
	for text := string(c.in[:whole]); text != ""; {
		if c.facts, text, wrong = parseRequest(text); wrong != nil {
			break
		}
		if whole > bufferSize {
			c.facts = c.facts.Clone() // what is remembered of them keeps no large request
		}
		verdict := c.server.judge.Envelope(&c.facts)
		c.out = appendAnswer(c.out, &verdict)
	}
	if wrong == nil && len(c.in)-whole >= maxRequest {
		wrong = fmt.Errorf("a request is longer than %d octets", maxRequest)
	}
	c.keep(c.in[whole:])
	return cmp.Or(c.write(), wrong)
}

// write sends the answers that there are.
func (c *conn) write() error {
	if len(c.out) == 0 {
		return nil
	}
	c.asked = true
	c.net.SetWriteDeadline(time.Now().Add(writeTime))
	_, err := c.net.Write(c.out)
	c.out = c.out[:0]
	return err
}

// wholeRequests returns how much of c.in is requests that have their end.
func (c *conn) wholeRequests() int {
	if bytes.HasSuffix(c.in, endOfRequest) {
		return len(c.in) // as it is nearly always
	}
	end := bytes.LastIndex(c.in[c.searched:], endOfRequest)
	if end < 0 {
		c.searched = max(len(c.in)-1, 0) // its first half may be there
		return 0
	}
	return c.searched + end + len(endOfRequest)
}

var endOfRequest = []byte("\n\n")

// keep holds on to the beginning of a request.
func (c *conn) keep(rest []byte) {
	if len(rest) < len(c.in) {
		c.searched = 0
		if len(rest) > 0 {
			c.partial = false // the next request has its time anew
		}
	}
	if len(rest) == 0 && cap(c.in) > bufferSize {
		c.in = make([]byte, 0, bufferSize)
		return
	}
	c.in = c.in[:copy(c.in[:cap(c.in)], rest)]
}

// appendAnswer renders a verdict. A pass is DUNNO, never OK: it says something
// about a domain and permits nothing (access(5)).
func appendAnswer(b []byte, v *policy.Verdict) []byte {
	b = append(b, "action="...)
	if v.Refused() {
		b = append(b, v.Reply.Code...)
		b = append(b, ' ')
		b = append(b, v.Reply.Enhanced...)
		b = append(b, ' ')
		b = append(b, v.Reply.Text...)
	} else {
		b = append(b, "DUNNO"...)
	}
	return append(b, '\n', '\n')
}

// read adds to c.in what the client sends next.
func (c *conn) read() error {
	if err := c.setDeadline(); err != nil {
		return err
	}
	if len(c.in) == cap(c.in) {
		grown := make([]byte, len(c.in), min(4*cap(c.in), maxRequest+bufferSize))
		copy(grown, c.in)
		c.in = grown
	}
	n, err := c.net.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	if n > 0 {
		return nil
	}
	return err
}

// setDeadline bounds the next read: by the time for a request, from its first
// octet on, or by the time between requests.
func (c *conn) setDeadline() error {
	now := time.Now()
	var err error
	switch {
	case len(c.in) > 0:
		if !c.partial {
			c.partial = true
			err = c.net.SetReadDeadline(now.Add(requestTime))
		}
	case !c.asked:
		err = c.net.SetReadDeadline(now.Add(firstTime))
	case c.partial || now.Sub(c.idling) > renewTime:
		c.partial, c.idling = false, now
		err = c.net.SetReadDeadline(now.Add(idleTime))
	}
	// Shutdown says that the server is closing before it sets deadlines: a
	// deadline of its own is not overwritten unseen.
	if c.server.Closing() {
		return net.ErrClosed
	}
	return err
}
