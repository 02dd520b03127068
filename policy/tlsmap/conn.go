package tlsmap

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"domain-secured/policy"
)

const (
	// requestTime bounds a request from its first octet to its last.
	requestTime = 20 * time.Second
	// writeTime bounds the sending of answers.
	writeTime = 10 * time.Second
	// renewTime is how old an idle deadline may grow before it is set anew.
	renewTime = time.Minute
	// bufferSize holds a usual request, and a usual answer; larger buffers are given up
	// after use.
	bufferSize = 1 << 10
)

// conn is one client, usually an smtp(8) process.
type conn struct {
	server *Server
	net    net.Conn

	in   []byte // what was read and not yet answered
	out  []byte // answers not yet sent
	text []byte // an answer that is being made

	asked   bool      // there was a request
	partial bool      // the read deadline is one for an unfinished request
	idling  time.Time // when the read deadline was last set, if it is not
}

func (c *conn) serve() {
	c.in = make([]byte, 0, bufferSize)
	for {
		if err := c.answerAll(); err != nil {
			c.server.Complain("closing a connection that does not speak the socketmap protocol", err)
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
		c.server.log.Debug("TLS policy door: connection ended", "error", err)
	}
}

// answerAll answers every whole request that was read, one after the other: each answer
// is sent before the next one is thought about, which may take a while.
func (c *conn) answerAll() error {
	for rest := c.in; ; {
		text, behind, err := cutNetstring(rest)
		if err != nil {
			if 0 < len(rest) && len(rest) < len(c.in) {
				c.partial = false // the next request has its time anew
			}
			c.keep(rest)
			if err == errUnfinished {
				return nil
			}
			return err
		}
		if err := c.answer(text); err != nil {
			return err
		}
		rest = behind
	}
}

// answer answers "send KEY" and "sendmail KEY".
func (c *conn) answer(request []byte) error {
	name, key, _ := strings.Cut(string(request), " ")
	c.text = c.text[:0]
	domain, version, fingerprint := key, "", ""
	if name == sendmailName {
		domain, version, fingerprint = sendmailKey(key)
	}
	switch d, ok := parseKey(domain); {
	case name != mapName && name != sendmailName:
		// Whoever asks for another map is configured wrongly, and must hear of it.
		c.text = append(c.text, never+`domain-secured: there are two maps, "send" and "sendmail"`...)
	case ok && name == sendmailName:
		c.text = appendAccess(c.text, c.server.insister.Insist(d), version, fingerprint)
	case !ok:
		c.text = append(c.text, notFound...)
	default:
		c.text = appendAnswer(c.text, c.server.insister.Insist(d), *c.server.version.Load())
	}
	if len(c.text) > maxNetstring {
		c.server.Complain("an answer is longer than a socket map allows, mail waits", fmt.Errorf("%d octets about %.300q", len(c.text), key))
		c.text = appendWait(c.text[:0], &policy.Demand{Wait: string(policy.InternalError), Detail: "the answer is too long: fewer names or pins"})
	}
	c.out = strconv.AppendInt(c.out[:0], int64(len(c.text)), 10)
	c.out = append(append(append(c.out, ':'), c.text...), ',')
	c.asked = true
	c.net.SetWriteDeadline(time.Now().Add(writeTime))
	_, err := c.net.Write(c.out)
	if cap(c.out) > 4*bufferSize {
		c.out, c.text = nil, nil
	}
	return err
}

// keep holds on to the beginning of a request.
func (c *conn) keep(rest []byte) {
	if len(rest) == 0 && cap(c.in) > bufferSize {
		c.in = make([]byte, 0, bufferSize)
		return
	}
	c.in = c.in[:copy(c.in[:cap(c.in)], rest)]
}

// read adds to c.in what the client sends next.
func (c *conn) read() error {
	if err := c.setDeadline(); err != nil {
		return err
	}
	if len(c.in) == cap(c.in) {
		// A netstring with its length and marks is never longer than this.
		grown := make([]byte, len(c.in), min(4*cap(c.in), maxNetstring+bufferSize))
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

// setDeadline bounds the next read: by the time for a request, from its first octet
// on, or by the time between requests.
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
	// Shutdown says that the server is closing before it sets deadlines: a deadline of its
	// own is not overwritten unseen.
	if c.server.Closing() {
		return net.ErrClosed
	}
	return err
}
