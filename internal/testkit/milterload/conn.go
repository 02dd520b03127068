package milterload

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// A Peer says to which milter, and how.
type Peer struct {
	Network, Address string // as for net.Dial: "unix", "tcp"
	Style            Style
	Client           Client
	Mail             Mail
}

// A Conn is a connection to a milter that sends one mail again and again, with a queue id of its own each time.
// It is not safe for concurrent use.
type Conn struct {
	Answer Answer

	conn    net.Conn
	script  *script
	opened  bool // the opening has been sent
	sent    bool // a message has been
	pending []byte

	buffer     []byte // what was read; from r to w it is still to be looked at
	r, w       int
	deadlineAt time.Time
}

// timeout is how long a milter may take for a message. It is set once a while, for it has its price.
const timeout = 30 * time.Second

// Dial connects and negotiates. On TCP it leaves Nagle's algorithm on, as both MTAs do.
func Dial(p Peer) (*Conn, error) {
	nc, err := net.Dial(p.Network, p.Address)
	if err != nil {
		return nil, err
	}
	c := &Conn{conn: nc, buffer: make([]byte, 4096)}
	if tcp, ok := nc.(*net.TCPConn); ok {
		err = tcp.SetNoDelay(false)
	}
	if err == nil {
		err = c.negotiate()
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	c.script = scriptOf(p.Style, c.Answer, p.Client, p.Mail)
	return c, nil
}

func (c *Conn) negotiate() error {
	c.renew()
	var offer []byte
	for _, number := range []uint32{offerVersion, offerActions, offerProtocol} {
		offer = binary.BigEndian.AppendUint32(offer, number)
	}
	if _, err := c.conn.Write(appendPacket(nil, cmdOptneg, string(offer))); err != nil {
		return fmt.Errorf("milter: send OPTNEG: %w", err)
	}
	command, payload, err := c.read()
	if err != nil {
		return err
	}
	if command != cmdOptneg {
		return fmt.Errorf("milter: answers OPTNEG with %q", command)
	}
	c.Answer, err = parseAnswer(payload)
	return err
}

// A Result is what became of a message.
type Result struct {
	Reply                    byte   // what ended it: Accept, Continue, Reject, ...
	Text                     string // of ReplyCode: "450 4.7.1 ..."
	Inserted, Added, Changed int    // header fields, at the end of message

	EOM   time.Duration // from the end of message, and what had to wait with it, to the last reply
	Total time.Duration // from MAIL to the last reply
}

// Accepted reports whether the message passed.
func (r Result) Accepted() bool { return r.Reply == Accept || r.Reply == Continue }

// Send sends the mail as message number n, which its queue id is made of. The first one takes the connection's
// opening with it. A refusal is a result, not an error; after an error the connection is of no more use.
func (c *Conn) Send(n uint64) (Result, error) {
	began := time.Now()
	if began.After(c.deadlineAt) {
		c.renew()
	}
	if !c.opened {
		c.opened = true
		if result, err := c.play(c.script.opening, n); err != nil || result.Reply != Continue {
			return result, errors.Join(err, refusedOpening(result))
		}
	}
	if c.sent && c.script.style == Postfix {
		c.pending = appendPacket(c.pending, cmdAbort)
	}
	c.sent = true
	result, err := c.play(c.script.mail, n)
	result.Total = time.Since(began)
	return result, err
}

func refusedOpening(r Result) error {
	if r.Reply == Continue {
		return nil
	}
	return fmt.Errorf("milter: answers a connection with %q", r.Reply)
}

// play sends packets until they end, or the milter ends the message.
func (c *Conn) play(packets []packet, n uint64) (Result, error) {
	result := Result{Reply: Continue}
	var skipped byte
	var eom time.Time
	for i := range packets {
		p := &packets[i]
		if p.of == skipped {
			continue
		}
		if p.of == cmdEOM && eom.IsZero() {
			eom = time.Now()
		}
		if p.id >= 0 {
			number(p.text[p.id:p.id+len(queueID)], n)
		}
		c.pending = append(c.pending, p.text...)
		if p.reply || c.script.style == Sendmail {
			if _, err := c.conn.Write(c.pending); err != nil {
				return result, fmt.Errorf("milter: send %q: %w", p.of, err)
			}
			c.pending = c.pending[:0]
		}
		if !p.reply {
			continue
		}
		if err := c.reply(p.of, &result); err != nil {
			return result, err
		}
		if result.Reply == Skip {
			skipped, result.Reply = p.of, Continue
		}
		if result.Reply != Continue {
			break
		}
	}
	if !eom.IsZero() {
		result.EOM = time.Since(eom)
	}
	return result, nil
}

// reply reads to the end of an event's answer.
func (c *Conn) reply(of byte, into *Result) error {
	for {
		command, payload, err := c.read()
		if err != nil {
			return fmt.Errorf("answer to %q: %w", of, err)
		}
		switch command {
		case Accept, Continue, Discard, Reject, Skip, Tempfail:
			into.Reply = command
			return nil
		case ReplyCode:
			into.Reply = command
			if len(payload) > 0 {
				into.Text = string(payload[:len(payload)-1])
			}
			return nil
		case progress:
			continue
		}
		if of != cmdEOM {
			return fmt.Errorf("milter: answers %q with %q", of, command)
		}
		switch command {
		case insertHeader:
			into.Inserted++
		case addHeader:
			into.Added++
		case changeHeader:
			into.Changed++
		default:
			return fmt.Errorf("milter: answers the end of message with %q", command)
		}
	}
}

// read returns the next packet. It is overwritten by what is read next.
func (c *Conn) read() (command byte, payload []byte, err error) {
	for {
		if have := c.buffer[c.r:c.w]; len(have) >= 4 {
			size := int(binary.BigEndian.Uint32(have))
			if size < 1 || size > 1<<20 {
				return 0, nil, fmt.Errorf("milter: a packet of %d octets", size)
			}
			if len(have) >= 4+size {
				c.r += 4 + size
				return have[4], have[5 : 4+size], nil
			}
			if 4+size > len(c.buffer) {
				c.buffer = append(c.buffer, make([]byte, 4+size-len(c.buffer))...)
			}
		}
		c.w = copy(c.buffer, c.buffer[c.r:c.w])
		c.r = 0
		n, err := c.conn.Read(c.buffer[c.w:])
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, nil, fmt.Errorf("milter: read: %w", err)
		}
		c.w += n
	}
}

// renew gives the milter time again.
func (c *Conn) renew() {
	now := time.Now()
	c.deadlineAt = now.Add(timeout / 2)
	c.conn.SetDeadline(now.Add(timeout))
}

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// number writes a message's number, in base 36, over a queue id.
func number(id []byte, n uint64) {
	for i := len(id) - 1; i >= 0; i-- {
		id[i] = digits[n%36]
		n /= 36
	}
}

// Close says QUIT and closes the connection.
func (c *Conn) Close() error {
	var last []byte
	if c.script.style == Postfix && c.opened {
		last = appendPacket(appendPacket(nil, cmdAbort), cmdAbort)
	}
	_, err := c.conn.Write(appendPacket(last, cmdQuit))
	return errors.Join(err, c.conn.Close())
}
