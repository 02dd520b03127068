package milter

import (
	"bytes"
	"strconv"

	"domain-secured/milter/wire"
	"domain-secured/policy"
)

const (
	// maxFrom bounds what is kept of From headers, in octets.
	maxFrom = 64 << 10
	// maxForged bounds the stamps that are removed from a message. Each costs the
	// MTA a pass over the header; no honest message has more than a few.
	maxForged = 1000
)

// message is one message, from its MAIL to its end.
type message struct {
	sender string // as the client wrote it

	judged  bool // by its envelope, and not refused
	facts   policy.Facts
	verdict policy.Verdict

	forged  int      // stamps that it came with
	from    []string // bodies of its From headers
	kept    int      // octets of them
	fromCut bool     // there was more
}

// inHand reports whether the MTA will ask about the message again: after a
// refusal at DATA the transaction is still open, but the client will go.
func (m *message) inHand() bool { return m != nil && !m.verdict.Refused() }

func (c *conn) takeHeader(data []byte) error {
	name, body, err := wire.ParseHeader(data)
	if err != nil {
		return err
	}
	c.proceed(wire.NoReplyHeader)
	m := c.message
	if m == nil {
		return nil
	}
	// RFC 5322 section 4.5 knows blanks before the colon, and MTAs leave them.
	name = bytes.TrimRight(name, " \t")
	switch {
	case bytes.EqualFold(name, stampName):
		m.forged++
	case bytes.EqualFold(name, fromName):
		room := maxFrom - m.kept
		if m.fromCut = m.fromCut || c.in.cut || len(body) > room; len(body) > room {
			body = body[:room]
		}
		m.kept += len(body)
		if len(m.from) < maxFromFields {
			m.from = append(m.from, string(body))
		} else {
			m.fromCut = true
		}
	}
	return nil
}

// maxFromFields bounds the From headers that are kept: one is allowed (RFC 5322
// section 3.6).
const maxFromFields = 100

// Names of header fields are compared without regard to case (RFC 5322 section
// 1.2.2).
var (
	stampName = []byte(policy.StampName)
	fromName  = []byte("From")
)

// judgeEnvelope replies to DATA.
func (c *conn) judgeEnvelope() {
	c.data.begin()
	if c.message == nil {
		c.withoutMail()
		return
	}
	if v := c.askEnvelope(); v.Refused() {
		c.refuse(v)
		return
	}
	c.out = wire.Append(c.out, wire.Continue)
}

// withoutMail is for a message whose sender nobody has told: it may be of a
// listed domain, so it waits.
func (c *conn) withoutMail() {
	c.out = wire.Append(c.out, wire.Tempfail)
	c.server.Complain("a message without MAIL is refused for now", nil)
}

// askEnvelope has the judge say what it thinks of the transaction.
func (c *conn) askEnvelope() *policy.Verdict {
	m := c.message
	m.facts = c.facts()
	m.verdict = c.server.judge.Envelope(&m.facts)
	m.judged = !m.verdict.Refused()
	return &m.verdict
}

func (c *conn) refuse(v *policy.Verdict) {
	c.out = wire.AppendReplyCode(c.out, v.Reply.Code, v.Reply.Enhanced, v.Reply.Text)
}

// judgeContent replies to the end of a message.
func (c *conn) judgeContent() {
	c.data.begin()
	c.last = c.server.Closing()
	m := c.message
	if m == nil {
		c.withoutMail()
		return
	}
	if !m.judged { // there was no DATA: the protocol has it since version 4
		if v := c.askEnvelope(); v.Refused() {
			c.refuse(v)
			c.forget()
			return
		}
	}
	if m.forged > maxForged {
		c.out = wire.AppendReplyCode(c.out, "550", "5.7.1", "more than "+strconv.Itoa(maxForged)+" header fields "+policy.StampName)
		c.tellAbandoned()
		c.forget()
		return
	}
	c.forget()
	from := policy.ReadFrom(m.from, m.fromCut)
	end := c.server.judge.Content(&m.facts, &m.verdict, &from)
	if end.Verdict.Refused() {
		c.refuse(&end.Verdict)
		return
	}
	if !end.Keep && m.forged > 0 {
		for i := m.forged; i > 0; i-- {
			c.out = wire.AppendDeleteHeader(c.out, policy.StampName, i)
		}
		c.server.removed.add(m, c.server.log)
	}
	if end.Stamp != "" {
		c.out = wire.AppendInsertHeader(c.out, policy.StampName, end.Stamp)
	}
	c.out = wire.Append(c.out, wire.Continue)
}

// abandon gives up the message in hand, if there is one.
func (c *conn) abandon() {
	if m := c.message; m != nil && m.judged {
		c.server.judging.do(&c.question, (*conn).tellAbandoned)
	}
	c.forget()
}

func (c *conn) tellAbandoned() { c.server.judge.Abandoned(&c.message.facts, &c.message.verdict) }

// forget leaves of a message nothing to the next one.
func (c *conn) forget() { c.message, c.data = nil, stage{} }
