package milter

import (
	"bytes"

	"domain-secured/milter/wire"
	"domain-secured/policy"
)

// maxFrom bounds what is kept of From headers, in octets.
const maxFrom = 16 << 10

// message is one message, from its MAIL to its end.
type message struct {
	sender string // as the client wrote it

	judged  bool // by its envelope, and not refused
	refused bool // by its envelope
	facts   policy.Facts
	verdict policy.Verdict

	stamps int // fields that it came with
	from   policy.From
	kept   int // octets of From
}

// inHand reports whether the MTA will ask about the message again: after a
// refusal at DATA the transaction is still open, but the client will go.
func (m *message) inHand() bool { return m != nil && !m.refused }

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
		m.stamps++
	case bytes.EqualFold(name, fromName):
		room := maxFrom - m.kept
		if m.from.Truncated = m.from.Truncated || c.in.cut || len(body) > room; len(body) > room {
			body = body[:room]
		}
		m.kept += len(body)
		if len(m.from.Bodies) < maxFromFields {
			m.from.Bodies = append(m.from.Bodies, string(body))
		} else {
			m.from.Truncated = true
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
	if c.askEnvelope() {
		c.out = wire.Append(c.out, wire.Continue)
	}
}

// withoutMail is for a message whose sender nobody has told: it may be of a
// listed domain, so it waits.
func (c *conn) withoutMail() {
	c.out = wire.Append(c.out, wire.Tempfail)
	c.server.Complain("a message without MAIL is refused for now", nil)
}

// askEnvelope has the judge say what it thinks of the transaction, and refuses it
// or reports that it may go on. After a refusal it may be asked about again, with
// DATA but without another MAIL.
func (c *conn) askEnvelope() bool {
	m := c.message
	m.facts = c.facts()
	m.verdict = c.server.judge.Envelope(&m.facts)
	m.refused = m.verdict.Refused()
	m.judged = !m.refused
	if m.refused {
		c.refuse(&m.verdict)
		m.facts, m.verdict = policy.Facts{}, policy.Verdict{} // which hold much
	}
	return m.judged
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
	defer c.forget()
	// Without DATA, which the protocol has since version 4, it is not judged yet.
	if !m.judged && !c.askEnvelope() {
		return
	}
	m.facts.Stamps = m.stamps
	end := c.server.judge.Content(&m.facts, &m.verdict, &m.from)
	if end.Verdict.Refused() {
		c.refuse(&end.Verdict)
		return
	}
	if !end.Keep && m.stamps > 0 {
		for i := m.stamps; i > 0; i-- {
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
