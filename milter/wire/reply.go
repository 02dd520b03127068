package wire

import (
	"encoding/binary"
	"strings"
)

// AppendReplyCode appends a [ReplyCode] packet: an SMTP reply of one line. code
// is three digits of which the first is 4 or 5, and enhanced is an enhanced
// status code of the same class (RFC 3463): with anything else, MTAs answer what
// they like. Whatever is not printable ASCII in text becomes a question mark.
func AppendReplyCode(b []byte, code, enhanced, text string) []byte {
	b, at := begin(b, ReplyCode)
	b = append(b, code...)
	b = append(b, ' ')
	b = append(b, enhanced...)
	b = append(b, ' ')
	for i := range len(text) {
		c := text[i]
		switch {
		case c == '%': // smfi_setreply: "%" is an escape, "%%" a percent sign
			b = append(b, '%', '%')
		case c < ' ' || c > '~':
			b = append(b, '?')
		default:
			b = append(b, c)
		}
	}
	return end(append(b, 0), at)
}

// AppendInsertHeader appends an [InsertHeader] packet that puts a header field
// above all others. Lines of body end in "\n", and all but the first begin with
// a blank; a NUL becomes a question mark. The MTA puts a blank before the body.
func AppendInsertHeader(b []byte, name, body string) []byte {
	b, at := begin(b, InsertHeader)
	b = binary.BigEndian.AppendUint32(b, 0)
	return end(appendField(b, name, body), at)
}

// AppendDeleteHeader appends a [ChangeHeader] packet that deletes a header field.
// index counts those of the name from 1.
//
// To Postfix that is the index among those still there, to Sendmail the one that
// the field had when the message came. Deleting the highest first is right for
// both, and so is inserting afterwards: an inserted field counts at once.
func AppendDeleteHeader(b []byte, name string, index int) []byte {
	b, at := begin(b, ChangeHeader)
	b = binary.BigEndian.AppendUint32(b, uint32(index))
	return end(appendField(b, name, ""), at)
}

func appendField(b []byte, name, body string) []byte {
	b = append(b, name...)
	b = append(b, 0)
	b = append(b, strings.ReplaceAll(body, "\x00", "?")...)
	return append(b, 0)
}
