package milter

import (
	"errors"
	"fmt"
	"net/netip"

	"domain-secured/milter/wire"
)

// silent is what need not be replied to; the rest is what the MTA need not send.
// RCPT, body and unknown commands say nothing that a verdict needs.
const wantSteps = wire.NoRcpt | wire.NoBody | wire.NoEndOfHeader | wire.NoUnknown |
	wire.NoReplyConnect | wire.NoReplyHelo | wire.NoReplyMail | wire.NoReplyRcpt |
	wire.NoReplyHeader | wire.NoReplyEOH | wire.NoReplyBody | wire.NoReplyUnknown

const needActions = wire.AddHeaders | wire.ChangeHeaders

var (
	errNotNegotiated = errors.New("a command before the negotiation")
	errActions       = errors.New("the MTA lets a milter not add and change headers: without that, forged stamps would stay")
)

// handle deals with one packet. An error ends the connection.
func (c *conn) handle(p wire.Packet) error {
	if !c.negotiated && p.Code != wire.Negotiate {
		return errNotNegotiated
	}
	switch p.Code {
	case wire.Negotiate:
		return c.negotiate(p.Data)
	case wire.Macro:
		return c.takeMacros(p.Data)
	case wire.Connect:
		return c.takeConnect(p.Data)
	case wire.Helo:
		c.abandon()
		c.helo.begin()
		c.proceed(wire.NoReplyHelo)
	case wire.Mail:
		return c.takeMail(p.Data)
	case wire.Rcpt:
		c.proceed(wire.NoReplyRcpt)
	case wire.Data:
		c.server.judging.do(&c.question, (*conn).judgeEnvelope)
	case wire.Header:
		return c.takeHeader(p.Data)
	case wire.EndOfHeader:
		c.proceed(wire.NoReplyEOH)
	case wire.Body:
		c.proceed(wire.NoReplyBody)
	case wire.EndOfBody:
		c.server.judging.do(&c.question, (*conn).judgeContent)
	case wire.Unknown:
		c.proceed(wire.NoReplyUnknown)
	case wire.Abort:
		c.abandon()
	case wire.QuitNew:
		c.reset()
	case wire.Quit:
		return errQuit
	default:
		return fmt.Errorf("unknown command %q", string(rune(p.Code)))
	}
	return nil
}

// proceed replies that there is no objection, unless that goes without saying.
func (c *conn) proceed(silent wire.Steps) {
	if c.silent&silent == 0 {
		c.out = wire.Append(c.out, wire.Continue)
	}
}

func (c *conn) negotiate(data []byte) error {
	offer, err := wire.ParseOffer(data)
	if err != nil {
		return err
	}
	accepted, err := offer.Accept(wire.Offer{Version: wire.MaxVersion, Actions: needActions | wire.SetMacros, Steps: wantSteps})
	switch {
	case err != nil:
		return err
	case accepted.Actions&needActions != needActions:
		return errActions
	}
	var lists []wire.MacroList
	if accepted.Actions&wire.SetMacros != 0 {
		lists = macroLists
	}
	c.out = wire.AppendNegotiate(c.out, accepted, lists...)
	if c.reset(); !c.negotiated {
		c.server.judge.Attend()
	}
	c.negotiated, c.silent = true, accepted.Steps
	c.in.limit = maxPacket
	return nil
}

// reset forgets the SMTP session.
func (c *conn) reset() {
	c.abandon()
	c.client = netip.AddrPort{}
	c.connect, c.helo, c.mail = stage{}, stage{}, stage{}
}

func (c *conn) takeMacros(data []byte) error {
	command, macros, err := wire.ParseMacros(data)
	if err != nil {
		return err
	}
	switch command {
	case wire.Connect:
		c.connect.replace(macros)
	case wire.Helo:
		c.helo.replace(macros)
	case wire.Mail:
		c.mail.replace(macros)
	case wire.Data, wire.EndOfBody:
		c.data.replace(macros)
	}
	return nil
}

func (c *conn) takeConnect(data []byte) error {
	peer, err := wire.ParseConnect(data)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	c.abandon()
	c.connect.begin()
	c.helo = stage{}
	c.client = address(peer)
	c.proceed(wire.NoReplyConnect)
	return nil
}

func (c *conn) takeMail(data []byte) error {
	sender, err := wire.ParseMail(data)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	c.abandon()
	c.mail.begin()
	c.message = &message{sender: string(sender)}
	c.proceed(wire.NoReplyMail)
	return nil
}
