package policy

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxFromReadings bounds what is remembered of the From headers of one message.
const maxFromReadings = 32

// From is what a message has for From headers (RFC 5322 section 3.6.2), not yet
// read: that costs, and most mail is not asked.
type From struct {
	// Bodies are theirs in their order, as a milter hears them: what follows the
	// colon, folded or not, with whatever octets were sent.
	Bodies []string
	// Truncated: there was more.
	Truncated bool
}

// fromDomains is what From headers say.
//
// They are read in two ways, for two questions with opposite doubts. Whether a
// stamp may stand for them is asked of a strict grammar, which says no when in
// doubt. Whether they name a domain that must be proven is asked of every domain
// that some mail client may show or use: these are the mailboxes, where the
// strict grammar is sure of them, else whatever follows an @, wherever it stands
// (fromscan.go). So nobody gains by malforming a header.
type fromDomains struct {
	domains    []reading // distinct
	wellFormed bool      // one header, that the strict grammar is sure of
	partial    bool      // it may name more than domains
}

// read reads the headers. Work and memory are linear in their length.
//
// A message has exactly one From header (RFC 5322 section 3.6). With more of
// them none is believed to be well-formed: clients differ in which one they
// show, and honest mail loses nothing by it.
func (f *From) read() *fromDomains {
	if len(f.Bodies) == 1 && !f.Truncated {
		p := fromParser{s: f.Bodies[0]}
		if p.parse() {
			p.from.wellFormed = true
			return &p.from
		}
	}
	x := fromScan{from: fromDomains{partial: f.Truncated}}
	for _, body := range f.Bodies {
		x.header(body)
	}
	return &x.from
}

// within reports whether the message has exactly one From header, it is
// well-formed, and every mailbox in it is at domain or below: then a stamp for
// domain may stand for it. domain is in the form that [ParseDomain] returns.
// Without a mailbox, as in an empty group, nothing is within.
func (f *fromDomains) within(domain string) bool {
	if !f.wellFormed || f.partial || len(f.domains) == 0 {
		return false
	}
	for _, r := range f.domains {
		above, below := strings.CutSuffix(r.domain, domain)
		if !below || above != "" && above[len(above)-1] != '.' {
			return false
		}
	}
	return true
}

// readings returns every domain that a From mailbox may be at, each once, and no
// more than maxFromReadings.
func (f *fromDomains) readings() []reading { return f.domains }

// incomplete reports whether From may name domains that readings lacks: headers
// were left out, or they hold too many domains or what cannot be read.
func (f *fromDomains) incomplete() bool { return f.partial }

func (f *fromDomains) add(r reading) {
	if r.domain == "" { // as "\u3002", a dot, becomes
		return
	}
	for _, known := range f.domains {
		if known == r {
			return
		}
	}
	if len(f.domains) == maxFromReadings {
		f.partial = true
		return
	}
	f.domains = append(f.domains, r)
}

// fromParser is the strict grammar: the address-list of RFC 5322 section 3.4,
// since a From may hold groups (RFC 6854), in UTF-8 (RFC 6532). Of the obsolete
// forms it knows only dots in a display name: John Q. Public. Left out, because
// clients read them differently and nobody needs them, are
//
//   - blanks and comments inside of an address, other than blanks next to < and >
//   - quoted local parts with anything but letters, digits, atom punctuation,
//     dots and spaces
//   - encoded words in an address (RFC 2047 section 5 forbids them)
//   - domains that are no host names: literals, single labels, U-labels that are
//     not written as IDNA would (RFC 5891 section 5.3)
//   - an @ in a comment or quoted string where one of them has an end that is
//     easily mistaken
//
// An unquoted @ in a display name, as in "alice@woodgrovebank.com <x@evil.example>",
// never was grammatical: some clients take the first address, others the
// one in brackets. Everybody who means a name puts it in quotes, as mailing lists
// do, and is then understood: a quoted name or a comment is never a mailbox.
type fromParser struct {
	s         string
	pos       int
	from      fromDomains
	mailboxes int
	// tricky: a parser that does not know quoted pairs, nested comments, comments
	// at all or groups sees a name, a comment or an address end elsewhere.
	tricky bool
}

// parse adds the domains of all mailboxes to p.from. If it returns false, there
// may be others.
func (p *fromParser) parse() bool {
	if !isFoldedText(p.s) || !p.addresses(false) || p.pos != len(p.s) {
		return false
	}
	return !p.tricky || countAt(p.s) == p.mailboxes && !strings.Contains(p.s, "=?")
}

// isFoldedText reports whether s is UTF-8 without control characters that is
// folded as RFC 5322 section 3.2.2 demands: no line of white space alone.
//
// Other charsets are no matter of taste: in Shift_JIS an @ or a backslash may be
// half of a letter.
func isFoldedText(s string) bool {
	blank := false // this line, and it is not the first
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == ' ' || c == '\t':
		case c == '\r' && strings.HasPrefix(s[i:], "\r\n"):
		case c == '\n' && !blank && i+1 < len(s) && (s[i+1] == ' ' || s[i+1] == '\t'):
			blank = true
		case c < ' ' || c == 0x7f || c == 0xc2 && i+1 < len(s) && s[i+1] < 0xa0: // C0, DEL, C1
			return false
		default:
			blank = false
		}
	}
	return !blank && utf8.ValidString(s)
}

// peek returns the next octet, or 0 at the end.
func (p *fromParser) peek() byte {
	if p.pos < len(p.s) {
		return p.s[p.pos]
	}
	return 0
}

// addresses reads addresses with commas between them, up to what can be none.
func (p *fromParser) addresses(inGroup bool) bool {
	for p.address(inGroup) && p.cfws() {
		if p.peek() != ',' {
			return true
		}
		p.pos++
	}
	return false
}

// address = addr-spec / [display-name] angle-addr / display-name ":" group ";"
func (p *fromParser) address(inGroup bool) bool {
	if !p.cfws() {
		return false
	}
	for words := 0; ; words++ {
		switch start := p.pos; {
		case p.peek() == '<':
			return p.angleAddr()
		case p.peek() == ':' && words > 0 && !inGroup:
			return p.group()
		case !p.word():
			return false
		case p.peek() == '@':
			return words == 0 && p.atDomain(p.s[start:p.pos])
		case !p.cfws():
			return false
		}
	}
}

// group reads a group from its colon on: it may be empty.
func (p *fromParser) group() bool {
	p.tricky = true
	p.pos++
	if !p.cfws() || p.peek() != ';' && !p.addresses(true) || p.peek() != ';' {
		return false
	}
	p.pos++
	return true
}

func (p *fromParser) angleAddr() bool {
	p.pos++
	p.blanks()
	start := p.pos
	if !p.word() || !p.atDomain(p.s[start:p.pos]) {
		return false
	}
	p.blanks()
	if p.peek() != '>' {
		return false
	}
	p.pos++
	return true
}

// atDomain reads the rest of an addr-spec behind its local part and adds it.
func (p *fromParser) atDomain(local string) bool {
	if p.peek() != '@' || !isLocalPart(local) {
		return false
	}
	p.pos++
	domain := p.atom()
	r := parseSenderDomain(domain)
	if !r.hostName || !isASCII(domain) && !isULabels(domain, r.domain) {
		return false
	}
	p.from.add(r)
	p.mailboxes++
	return true
}

// word = atom / quoted-string, where an atom may have dots in it: obs-phrase and
// dot-atom in one.
func (p *fromParser) word() bool {
	if p.peek() == '"' {
		return p.quotedString()
	}
	atom := p.atom()
	return atom != "" && countAt(atom) == 0 // it may have wide ones
}

func (p *fromParser) atom() string {
	start := p.pos
	for p.pos < len(p.s) && isAtext(p.s[p.pos]) {
		p.pos++
	}
	return p.s[start:p.pos]
}

func (p *fromParser) quotedString() bool {
	depth := 0
	for p.pos++; p.pos < len(p.s); p.pos++ {
		switch p.s[p.pos] {
		case '\\':
			if !p.quotedPair() {
				return false
			}
		case '(':
			depth++
		case ')':
			depth--
			p.tricky = p.tricky || depth < 0
		case '"':
			p.pos++
			p.tricky = p.tricky || depth != 0
			return true
		}
	}
	return false
}

func (p *fromParser) comment() bool {
	depth, inQuotes := 0, false
	for ; p.pos < len(p.s); p.pos++ {
		switch p.s[p.pos] {
		case '\\':
			if !p.quotedPair() {
				return false
			}
		case '"':
			inQuotes = !inQuotes
		case '(':
			depth++
			p.tricky = p.tricky || depth > 1
		case ')':
			if depth--; depth == 0 {
				p.pos++
				p.tricky = p.tricky || inQuotes
				return true
			}
		}
	}
	return false
}

// quotedPair goes from a backslash to what it quotes.
func (p *fromParser) quotedPair() bool {
	p.tricky = true
	p.pos++
	return p.pos < len(p.s) && p.s[p.pos] != '\r' && p.s[p.pos] != '\n'
}

// cfws passes over comments and folding white space.
func (p *fromParser) cfws() bool {
	for p.blanks(); p.peek() == '('; p.blanks() {
		if !p.comment() {
			return false
		}
	}
	return true
}

func (p *fromParser) blanks() {
	for p.pos < len(p.s) && isBlank(p.s[p.pos]) {
		p.pos++
	}
}

// isLocalPart reports whether a word can be a local part that nobody reads
// otherwise. Whoever decodes an encoded word there gets another address.
func isLocalPart(word string) bool {
	if strings.Contains(word, "=?") || countAt(word) > 0 {
		return false
	}
	if word[0] != '"' {
		return word[0] != '.' && word[len(word)-1] != '.' && !strings.Contains(word, "..")
	}
	word = word[1 : len(word)-1]
	for i := 0; i < len(word); i++ {
		if !isAtext(word[i]) && word[i] != ' ' {
			return false
		}
	}
	return word != ""
}

// isULabels reports whether s is, but for ASCII case, what its A-labels ascii
// stand for: nothing in it had to be mapped. Nor has it punctuation or symbols,
// which UTS 46 lets pass and RFC 5892 section 2 does not, but for those of its
// appendix A.
func isULabels(s, ascii string) bool {
	u, err := idnaProfile.ToUnicode(ascii)
	if err != nil || u != lowerASCII(s) {
		return false
	}
	for _, r := range s {
		if r >= utf8.RuneSelf && !unicode.In(r, unicode.L, unicode.M, unicode.Nd) &&
			!strings.ContainsRune("\u00b7\u0375\u05f3\u05f4\u200c\u200d\u30fb", r) {
			return false
		}
	}
	return true
}

// isAtext reports whether c is atext of RFC 5322 section 3.2.3 as RFC 6532
// section 3.2 extends it, or a dot.
func isAtext(c byte) bool {
	return isLetter(c) || isDigit(c) || c >= utf8.RuneSelf ||
		strings.IndexByte("!#$%&'*+-/=?^_`{|}~.", c) >= 0
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// The wide @, which some software turns into the common one (NFKC).
const (
	fullwidthAt = "\uff20"
	smallAt     = "\ufe6b"
)

// countAt returns the number of @ in s, wide ones too.
func countAt(s string) int {
	n := strings.Count(s, "@")
	if !isASCII(s) {
		n += strings.Count(s, fullwidthAt) + strings.Count(s, smallAt)
	}
	return n
}
