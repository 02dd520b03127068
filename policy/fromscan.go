package policy

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// scan adds every domain that a From header which is not well-formed may be
// taken to name. Too many are better than one too few here: it is broken mail.
func (f *From) scan(body string) {
	scan := fromScan{from: f}
	scan.text(body)
	if !strings.Contains(body, "=?") {
		return
	}
	// RFC 2047 section 6.2 joins adjacent encoded words; some leave a gap.
	for _, gap := range []string{"", " "} {
		text, readable := decodeWords(body, gap)
		scan.text(text)
		f.partial = f.partial || !readable
	}
}

// fromScan looks for domains in a text without believing in its structure.
type fromScan struct {
	from *From
	last []byte // the candidate before
	next []byte // the one being read
	work int    // octets that may still be looked at
}

// Habits of software that looks for the end of a domain and does not find what
// it expects there: what it does with such a character.
type habit struct{ control, blank, other conduct }

type conduct int8

const (
	stops  conduct = iota
	drops          // and goes on
	keeps          // as part of the domain
	dotted         // drops, but only next to a dot (obs-domain of RFC 5322 section 4.4)
)

var habits = [...]habit{
	{stops, stops, stops},
	{drops, stops, stops},
	{stops, dotted, stops},
	{drops, dotted, stops},
	{stops, drops, stops}, // a long header unfolded without a blank
	{drops, drops, stops},
	{stops, stops, keeps},
	{keeps, stops, keeps},
	{keeps, keeps, keeps},
}

// text adds what stands behind each @. Text without any may be a bang path.
func (x *fromScan) text(s string) {
	x.work = 4096 + 32*len(s)
	found := false
	for i := 0; i < len(s) && x.work > 0; {
		kind, size := kindOf(s[i:])
		i += size
		if kind != kindAt {
			continue
		}
		found = true
		x.last = x.last[:0]
		for _, h := range habits {
			if plain := x.domain(s[i:], h); plain {
				break // the others would find the same
			}
		}
	}
	if x.work <= 0 {
		x.from.partial = true
	}
	if !found {
		var r readings
		r.bareAddress(s)
		for _, d := range r.all[:r.n] {
			x.from.add(d)
		}
	}
}

// domain adds the domain that s begins with, by one habit, and reports whether
// every other habit would find the same. What cannot begin a domain is skipped.
func (x *fromScan) domain(s string, h habit) (plain bool) {
	x.next = x.next[:0]
	plain = true
	i := 0
	for i < len(s) {
		kind, size := kindOf(s[i:])
		does := stops
		switch kind {
		case kindLetter, kindDot:
			does = keeps
		case kindControl:
			does, plain = h.control, false
		case kindOther:
			does, plain = h.other, false
		case kindBlank, kindComment:
			does, plain = h.blank, false
			if does == drops || does == dotted {
				after := x.cfws(s, i)
				if after == i || does == dotted && len(x.next) > 0 && !nextToDot(x.next, s[after:]) {
					does = stops
					break
				}
				i, size = after, 0
			} else if kind == kindComment {
				does = stops
			}
		}
		if kind == kindAt || does == stops && len(x.next) > 0 {
			break
		}
		switch {
		case does == keeps && kind == kindDot:
			x.next = append(x.next, '.')
		case does == keeps:
			x.next = append(x.next, s[i:i+size]...)
		}
		i += size
	}
	x.work -= i
	x.candidate()
	return plain
}

// nextToDot reports whether what stands between before and after has a dot on
// either side.
func nextToDot(before []byte, after string) bool {
	if len(before) > 0 && before[len(before)-1] == '.' {
		return true
	}
	kind, _ := kindOf(after)
	return kind == kindDot
}

// candidate adds what was found behind an @, also without the digits and hyphens
// at its end: the patterns that find addresses in text want letters there.
func (x *fromScan) candidate() {
	if slices.Equal(x.next, x.last) {
		return
	}
	x.last = append(x.last[:0], x.next...)
	x.work -= 64 // about what a conversion costs
	domain := trimDomain(string(x.next))
	if domain == "" {
		return
	}
	x.from.add(parseSenderDomain(domain))
	if short := strings.TrimRight(domain, "0123456789-_."); len(short) < len(domain) && strings.Contains(short, ".") {
		x.from.add(parseSenderDomain(short))
	}
}

// cfws returns where blanks and comments that begin at s[i] end. A comment that
// is never closed is none.
func (x *fromScan) cfws(s string, i int) int {
	depth, end := 0, i
	for ; i < len(s) && x.work > 0; x.work-- {
		kind, size := kindOf(s[i:])
		switch {
		case s[i] == '\\' && depth > 0:
			i++ // and what it quotes
		case kind == kindComment:
			depth++
		case s[i] == ')' && depth > 0:
			depth--
		case depth == 0 && kind != kindBlank:
			return end
		}
		if i += size; depth == 0 {
			end = i
		}
	}
	return end
}

// kind of a character for one who looks for the end of a domain.
type kind int8

const (
	kindLetter  kind = iota // what a host name may have, and what IDNA may turn into that
	kindDot                 // RFC 3490 section 3.1; also what NFKC turns into a dot
	kindAt                  // and what NFKC turns into it
	kindBlank               //
	kindComment             // its parenthesis
	kindControl             // and what is easily dropped: invisible, quoting, no UTF-8
	kindSpecial             // ends a domain (RFC 5322 section 3.2.3)
	kindOther               // punctuation
)

// kindOf returns the kind of the first character of s and its length in octets.
func kindOf(s string) (kind, int) {
	if s == "" {
		return kindSpecial, 0
	}
	switch c := s[0]; {
	case 'a' <= c|0x20 && c|0x20 <= 'z' || isDigit(c) || c == '-':
		return kindLetter, 1
	case c == '.':
		return kindDot, 1
	case c == '@':
		return kindAt, 1
	case isBlank(c):
		return kindBlank, 1
	case c == '(':
		return kindComment, 1
	case c < ' ' || c == 0x7f || c == '\\' || c == '"':
		return kindControl, 1
	case strings.IndexByte(")<>[]:;,", c) >= 0:
		return kindSpecial, 1
	case c < utf8.RuneSelf:
		return kindOther, 1
	}
	r, size := utf8.DecodeRuneInString(s)
	switch {
	case r == '\uff20' || r == '\ufe6b':
		return kindAt, size
	case r == '\u3002' || r == '\uff0e' || r == '\uff61' || r == '\ufe52' || r == '\u2024':
		return kindDot, size
	case r == utf8.RuneError || unicode.Is(unicode.Cf, r) || unicode.IsControl(r):
		return kindControl, size
	case unicode.IsSpace(r):
		return kindBlank, size
	case unicode.IsPunct(r) || unicode.Is(unicode.Sm, r):
		return kindOther, size
	}
	return kindLetter, size
}

// decodeWords returns s with its encoded words (RFC 2047) decoded to the octets
// that they hold, a gap behind each, and whether those can be read: the charsets
// that mail software knows have ASCII in them, but for UTF-7. Every decoder has
// its own idea of a broken word; this one decodes what it can.
func decodeWords(s, gap string) (text string, readable bool) {
	b := make([]byte, 0, len(s))
	readable = true
	for afterWord := false; ; {
		start := strings.Index(s, "=?")
		if start < 0 {
			break
		}
		charset, encoding, size := wordHeader(s[start:])
		if size == 0 {
			b = append(b, s[:start+2]...)
			s, afterWord = s[start+2:], false
			continue
		}
		if !afterWord || strings.Trim(s[:start], " \t\r\n") != "" {
			b = append(b, s[:start]...)
		}
		s, afterWord = s[start+size:], true
		end := wordEnd(s, encoding)
		if encoding == 'q' {
			b = appendQ(b, s[:end])
		} else {
			// Some decoders end at padding, others go on.
			for part := range strings.SplitSeq(s[:end], "=") {
				b = append(appendBase64(b, part), gap...)
			}
		}
		b = append(b, gap...)
		s = strings.TrimPrefix(s[end:], "?=")
		readable = readable && !strings.Contains(lowerASCII(charset), "utf-7")
	}
	return string(append(b, s...)), readable
}

// wordHeader reads the beginning of an encoded word, "=?charset?q?", with its
// encoding in lower case. The size of what is none is 0.
func wordHeader(s string) (charset string, encoding byte, size int) {
	charset, rest, _ := strings.Cut(s[len("=?"):], "?")
	if len(rest) < 2 || rest[1] != '?' || strings.ContainsAny(charset, "= \t\r\n") {
		return "", 0, 0
	}
	if encoding = rest[0] | 0x20; encoding != 'q' && encoding != 'b' {
		return "", 0, 0
	}
	return charset, encoding, len("=?") + len(charset) + len("?q?")
}

// wordEnd returns the length of an encoded word's text: up to its end mark, the
// next word or the end of s.
func wordEnd(s string, encoding byte) int {
	for i := range len(s) {
		switch {
		case s[i] == '?' && (encoding == 'b' || strings.HasPrefix(s[i:], "?=")):
			return i
		case strings.HasPrefix(s[i:], "=?"):
			if _, _, size := wordHeader(s[i:]); size > 0 {
				return i
			}
		}
	}
	return len(s)
}

// appendQ decodes the encoding "Q" (RFC 2047 section 4.2).
func appendQ(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '_' {
			c = ' '
		} else if c == '=' && i+2 < len(s) {
			if octet, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				c = byte(octet)
				i += 2
			}
		}
		b = append(b, c)
	}
	return b
}

// appendBase64 decodes base64 without padding, passing over other octets.
func appendBase64(b []byte, s string) []byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	bits, n := uint32(0), 0
	for i := 0; i < len(s); i++ {
		value := strings.IndexByte(alphabet, s[i])
		if value < 0 {
			continue
		}
		bits = bits<<6 | uint32(value)
		if n += 6; n >= 8 {
			n -= 8
			b = append(b, byte(bits>>n))
		}
	}
	return b
}
