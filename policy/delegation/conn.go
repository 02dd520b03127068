package delegation

import (
	"bytes"

	"domain-secured/policy"
)

// conn is one client, usually an smtpd(8) process.
type conn struct {
	judge    policy.Judge
	searched int // of what was read, how far there is no end of a request
	facts    policy.Facts
}

// answer answers every whole request that was read, and has the answers sent in one
// write.
func (c *conn) answer(out, in []byte) (_ []byte, whole int, err error) {
	whole = c.wholeRequests(in)
	for text := string(in[:whole]); text != ""; {
		if c.facts, text, err = parseRequest(text); err != nil {
			break
		}
		if whole > usual {
			c.facts = c.facts.Clone() // what is remembered of them keeps no large request
		}
		verdict := c.judge.Envelope(&c.facts)
		out = appendAnswer(out, &verdict)
	}
	return out, whole, err
}

// wholeRequests returns how much of in is requests that have their end.
func (c *conn) wholeRequests(in []byte) int {
	if bytes.HasSuffix(in, endOfRequest) {
		c.searched = 0
		return len(in) // as it is nearly always
	}
	end := bytes.LastIndex(in[c.searched:], endOfRequest)
	if end < 0 {
		c.searched = len(in) - 1 // its first half may be there
		return 0
	}
	whole := c.searched + end + len(endOfRequest)
	c.searched = 0
	return whole
}

var endOfRequest = []byte("\n\n")

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
