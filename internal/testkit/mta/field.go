package mta

import (
	"net/mail"
	"net/textproto"
	"strings"
)

// A Field is one field of a message's header, as it stands there.
type Field struct {
	Name  string // before the colon, with the blanks that some put there
	Value string // after the colon: with the blank that nearly all put there, and with its line breaks
}

// Is reports whether it is a field of that name.
func (f Field) Is(name string) bool { return strings.EqualFold(strings.TrimRight(f.Name, " \t"), name) }

// String returns the field as it stands in the message, without its last line break.
func (f Field) String() string { return f.Name + ":" + f.Value }

// ParseFields splits a message, with lines that end in \n, into the fields of its header and what follows it,
// without the empty line between.
func ParseFields(raw string) (fields []Field, rest string) {
	for raw != "" {
		line, after, _ := strings.Cut(raw, "\n")
		switch {
		case line == "":
			return fields, after
		case len(fields) > 0 && (line[0] == ' ' || line[0] == '\t'):
			fields[len(fields)-1].Value += "\n" + line
		default:
			name, value, ok := strings.Cut(line, ":")
			if !ok || !isFieldName(strings.TrimRight(name, " \t")) {
				return fields, raw // mail servers take it for the first line of the body
			}
			fields = append(fields, Field{name, value})
		}
		raw = after
	}
	return fields, ""
}

// isFieldName is field-name of RFC 5322 section 2.2.
func isFieldName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' })
}

// header returns the fields by name, unfolded.
func header(fields []Field) mail.Header {
	h := mail.Header{}
	for _, f := range fields {
		lines := strings.Split(f.Value, "\n")
		for i := range lines {
			lines[i] = strings.TrimSpace(lines[i])
		}
		name := textproto.CanonicalMIMEHeaderKey(strings.TrimRight(f.Name, " \t"))
		h[name] = append(h[name], strings.TrimSpace(strings.Join(lines, " ")))
	}
	return h
}
