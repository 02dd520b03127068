package policy

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// fromScan looks for domains in From headers without believing in their
// structure: it is for those that are not well-formed. A domain too many is
// better than one too few here: honest mail is hardly ever like that.
type fromScan struct {
	from fromDomains
	next []byte // the candidate being read
	last []byte // the one before
	work int    // what may still be done for a text, about in octets looked at
}

// header adds every domain that the body of a header may be taken to name.
func (x *fromScan) header(body string) {
	x.text(body)
	if !strings.Contains(body, "=?") {
		return
	}
	// RFC 2047 section 6.2 joins adjacent encoded words; some leave a gap.
	for _, gap := range []string{"", " "} {
		text, readable := decodeWords(body, gap)
		x.text(text)
		x.from.partial = x.from.partial || !readable
	}
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
	{drops, stops, stops},
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
	for i := 0; i < len(s) && x.work > 0 && !x.from.partial; {
		kind, size := kindOf(s[i:])
		i += size
		if kind != kindAt {
			continue
		}
		found = true
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
	i, before := 0, kindOther
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
				size = x.cfws(s[i:])
				behind, _ := kindOf(s[i+size:])
				inside := len(x.next) > 0 && before != kindDot && behind != kindDot
				if size == 0 || does == dotted && inside {
					does, size = stops, 1
				}
			}
		}
		if kind == kindAt || does == stops && len(x.next) > 0 {
			break
		}
		if does == keeps {
			x.next = append(x.next, s[i:i+size]...)
			before = kind
		}
		i += size
	}
	x.candidate()
	return plain
}

// candidate adds what was found behind an @.
func (x *fromScan) candidate() {
	if slices.Equal(x.next, x.last) {
		return
	}
	x.last = append(x.last[:0], x.next...)
	x.work -= 64 + len(x.next)*len(x.next)/16 // about what a conversion costs
	domain := trimDomain(string(x.next))
	x.from.add(parseSenderDomain(matchDomain(domain)))
	// NFKC turns these into dots, but IDNA does not.
	domain = strings.ReplaceAll(strings.ReplaceAll(domain, "\ufe52", "."), "\u2024", ".")
	x.from.add(parseSenderDomain(domain))
}

// matchDomain returns what the usual pattern for addresses in text finds of s,
// [A-Za-z0-9.-]+\.[A-Za-z]{2,}.
func matchDomain(s string) string {
	end := 0
	for end < len(s) && (isLetter(s[end]) || isDigit(s[end]) || s[end] == '-' || s[end] == '.') {
		end++
	}
	for dot := strings.LastIndexByte(s[:end], '.'); dot > 0; dot = strings.LastIndexByte(s[:dot], '.') {
		letters := 0
		for dot+1+letters < end && isLetter(s[dot+1+letters]) {
			letters++
		}
		if letters >= 2 {
			return s[:dot+1+letters]
		}
		end = dot
	}
	return ""
}

// cfws returns the length of the blanks and comments that s begins with. A
// comment that is never closed is none.
func (x *fromScan) cfws(s string) int {
	depth, end := 0, 0
	for i := 0; i < len(s) && x.work > 0; x.work-- {
		kind, size := kindOf(s[i:])
		switch {
		case s[i] == '\\' && depth > 0:
			size++ // with what it quotes
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
	case isLetter(c) || isDigit(c) || c == '-':
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
