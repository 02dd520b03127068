package milter

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"domain-secured/milter/wire"
)

// conn is one SMTP session of an MTA, or with QUIT_NC one after the other.
type conn struct {
	server *Server
	net    net.Conn
	in     input
	out    []byte // replies not yet sent

	negotiated bool
	silent     wire.Steps // what need not be replied to
	idling     time.Time  // when the read deadline was last set
	quiet      time.Time  // while the server is closing, when to leave if there is no message
	last       bool       // a message has come to its end while the server was closing

	// What CONNECT and HELO tell holds for all messages of the connection.
	client  netip.AddrPort
	connect stage
	helo    stage
	mail    stage
	data    stage // of the latest of DATA and the end
	message *message

	question question // to the judge, one at a time
}

// errQuit is the end of a connection that is to be.
var errQuit = errors.New("quit")

func (c *conn) serve() {
	if err := c.in.open(c.net); err != nil {
		c.server.Complain("closing a connection", err)
		return
	}
	defer c.in.release()
	c.net.SetReadDeadline(time.Now().Add(firstTime))
	for {
		wrong := c.handleAll()
		if err := c.flush(); err != nil {
			c.ended(err)
			return
		}
		if wrong != nil {
			if wrong != errQuit {
				c.server.Complain("closing a connection that does not speak the milter protocol", wrong)
			}
			return
		}
		if err := c.fill(); err != nil {
			c.ended(err)
			return
		}
	}
}

// ended says why a connection ended, if that was not to be expected.
func (c *conn) ended(err error) {
	switch {
	case c.server.Closing(), errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
	case errors.Is(err, os.ErrDeadlineExceeded) && !c.negotiated:
		c.server.Complain("closing a connection that did not negotiate in time", nil)
	default:
		c.server.log.Debug("milter: connection ended", "error", err)
	}
}

// end takes leave of the judge.
func (c *conn) end() {
	if c.negotiated {
		defer c.server.judge.Leave()
	}
	c.abandon()
}

// handleAll deals with every whole packet that was read.
func (c *conn) handleAll() error {
	for {
		p, ok, err := c.in.next()
		if err != nil || !ok {
			return err
		}
		if err := c.handle(p); err != nil {
			return err
		}
	}
}

// flush sends the replies that there are in one write.
func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	c.net.SetWriteDeadline(time.Now().Add(writeTime))
	_, err := c.net.Write(c.out)
	c.out = nil
	return err
}

// fill reads on, within a deadline that is set anew now and then.
func (c *conn) fill() error {
	for {
		if now := time.Now(); c.negotiated && now.Sub(c.idling) > renewTime {
			c.idling = now
			c.net.SetReadDeadline(now.Add(idleTime))
		}
		// Asked after a deadline was set, which may have undone the one of Shutdown.
		if c.server.Closing() {
			if err := c.drain(); err != nil {
				return err
			}
		}
		err := c.in.fill()
		if !errors.Is(err, os.ErrDeadlineExceeded) || !c.server.Closing() {
			return err
		}
	}
}

// drain sets the last deadline while the server is closing: none for a message in
// hand, which Shutdown waits for. An MTA holds back what needs no reply: where
// there seems to be no message, it may have got MAIL all the same, so it is given
// a moment.
func (c *conn) drain() error {
	now := time.Now()
	switch {
	case c.message.inHand():
		c.quiet = time.Time{}
	case c.quiet.IsZero():
		c.quiet = now.Add(quietTime)
	}
	switch {
	case c.message.inHand():
		c.idling = now
		return c.net.SetReadDeadline(time.Time{})
	case !c.negotiated, c.last, now.After(c.quiet):
		return net.ErrClosed
	}
	c.idling = now
	return c.net.SetReadDeadline(c.quiet)
}
