package partner

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
)

const (
	maxLine       = 2 << 10 // octets of a reply line with its end; RFC 5321 section 4.5.3.1.5 wants 512
	maxReplyLines = 100
)

// reply is an SMTP reply (RFC 5321 section 4.2).
type reply struct {
	code  int
	lines []string // without the code, at least one
}

// ok reports whether the reply is positive.
func (r reply) ok() bool { return r.code/100 == 2 }

// String returns code and first line for people.
func (r reply) String() string { return printable(fmt.Sprintf("%d %s", r.code, r.lines[0])) }

// errBadReply is wrapped by the errors about replies that are none.
var errBadReply = errors.New("not an SMTP reply")

// readReply reads one reply. r has a buffer of maxLine. Errors are of the
// connection, or wrap errBadReply.
func readReply(r *bufio.Reader) (reply, error) {
	var all reply
	for range maxReplyLines {
		line, err := r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return reply{}, fmt.Errorf("%w: a line of more than %d octets: %s", errBadReply, r.Size(), printable(string(line[:50])))
		case err != nil:
			return reply{}, err
		}
		code, text, last, err := parseLine(strings.TrimSuffix(string(line[:len(line)-1]), "\r"))
		if err != nil {
			return reply{}, err
		}
		// RFC 5321 section 4.2.1: every line of a reply has the same code.
		if len(all.lines) > 0 && code != all.code {
			return reply{}, fmt.Errorf("%w: its lines have the codes %d and %d", errBadReply, all.code, code)
		}
		all.code = code
		all.lines = append(all.lines, text)
		if last {
			return all, nil
		}
	}
	return reply{}, fmt.Errorf("%w: it has more than %d lines", errBadReply, maxReplyLines)
}

// parseLine reads a line: three digits, then the end, a space or, with more lines
// to come, a hyphen (RFC 5321 section 4.2.1).
func parseLine(line string) (code int, text string, last bool, err error) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || strings.Trim(line[:3], "0123456789") != "" ||
		len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return 0, "", false, fmt.Errorf("%w: %q", errBadReply, printable(line))
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	if len(line) == 3 {
		return code, "", true, nil
	}
	return code, line[4:], line[3] == ' ', nil
}

// lists reports whether the reply to EHLO lists an extension (RFC 5321 section
// 4.1.1.1).
func (r reply) lists(extension string) bool {
	for _, line := range r.lines[1:] {
		word, _, _ := strings.Cut(line, " ")
		if strings.EqualFold(word, extension) {
			return true
		}
	}
	return false
}
