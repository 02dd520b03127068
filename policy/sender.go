package policy

import (
	"strings"
	"unicode/utf8"
)

// reading is one domain that a sender address may mean.
type reading struct {
	// domain is in lower case, as A-labels where it could be turned into them.
	domain string
	// hostName is false for what is no host name: it may still be meant as one,
	// so it is compared with the lists more generously.
	hostName bool
}

// readings are the domains that one transaction's sender may mean: almost always
// one, and never more than maxReadings (with and without comments, d!a and a%d).
type readings struct {
	all [maxReadings]reading
	n   int
}

const maxReadings = 4

// senderReadings returns the domains of a transaction's sender. MailAddr is the
// MTA's own canonical form, macro {mail_addr}, and is believed alone where it has
// a domain; else Sender is read, the MAIL argument or policy attribute.
func senderReadings(f *Facts) readings {
	var r readings
	r.address(f.MailAddr)
	// Sendmail leaves out a domain that it takes for its own.
	if r.n == 0 {
		r.address(f.Sender)
	}
	return r
}

// address adds what one address may mean. An MTA passes on what the client wrote
// more or less verbatim, and accepts forms that RFC 5321 section 4.1.2 no longer
// knows, so all of these are the domain d:
//
//	<a@d>  a@d.  <@relay:a@d>  <a @ d>  <a@d (comment)>  "x@y"@d  a@d@  d!a  a%d
func (r *readings) address(s string) {
	s = withoutRoute(s)
	// A parenthesis is a comment to some MTAs and part of the local part to
	// others (RFC 5322 section 3.2.2): both are meant.
	if strings.IndexByte(s, '(') >= 0 {
		r.bareAddress(withoutComments(s))
	}
	r.bareAddress(s)
}

func (r *readings) bareAddress(s string) {
	// "a@d@" has an empty domain at its end, which Postfix lets pass.
	for at := strings.LastIndexByte(s, '@'); at >= 0; at = strings.LastIndexByte(s, '@') {
		if domain := trimDomain(s[at+1:]); domain != "" {
			r.add(domain)
			return
		}
		s = s[:at]
	}
	// postconf(5) swap_bangpath, allow_percent_hack; sendmail's ruleset 3. Empty
	// parts are passed over, as Postfix does.
	for rest := s; ; {
		part, behind, found := strings.Cut(rest, "!")
		if domain := trimDomain(part); found && domain != "" {
			r.add(domain)
			break
		}
		if rest = behind; !found {
			break
		}
	}
	for percent := strings.LastIndexByte(s, '%'); percent >= 0; percent = strings.LastIndexByte(s, '%') {
		if domain := trimDomain(s[percent+1:]); domain != "" {
			r.add(domain)
			break
		}
		s = s[:percent]
	}
}

func (r *readings) add(domain string) {
	if domain == "" {
		return
	}
	d := parseSenderDomain(domain)
	for _, known := range r.all[:r.n] {
		if known == d {
			return
		}
	}
	if r.n < maxReadings {
		r.all[r.n] = d
		r.n++
	}
}

var unquoted = strings.NewReplacer(`\`, "", `"`, "")

func parseSenderDomain(s string) reading {
	// Quoted characters mean themselves (RFC 5322 sections 3.2.1 and 3.2.4), and
	// Sendmail leaves that to the next server.
	if strings.ContainsAny(s, `\"`) {
		s = unquoted.Replace(s)
	}
	s = lowerASCII(s)
	if !isASCII(s) && utf8.ValidString(s) && (len(s) > maxSenderDomain || hasLongLabel(s)) {
		s = lowerASCII(condense(s))
	}
	if !isASCII(s) && len(s) <= maxSenderDomain {
		if ascii, err := toASCII(s); err == nil {
			s = ascii
		}
	}
	return reading{domain: s, hostName: checkHostName(s) == nil}
}

// trimDomain removes what surrounds a domain in an address: blanks, brackets,
// quotes, trailing dots. From the right everything goes that cannot end a host
// name, for a mail server may well drop it too.
func trimDomain(s string) string {
	for s != "" {
		c := s[len(s)-1] | 0x20 // letters to lower case
		if isLDH(c) && s[len(s)-1] > 0x20 || s[len(s)-1] >= 0x80 {
			break
		}
		s = s[:len(s)-1]
	}
	return trimOpening(s)
}

// trimOpening removes what may stand before an address or a domain.
func trimOpening(s string) string {
	for s != "" && (s[0] <= ' ' || s[0] == '<' || s[0] == '"') {
		s = s[1:]
	}
	return s
}

// withoutRoute removes a source route, "@relay1,@relay2:" (RFC 5321 appendix C).
func withoutRoute(s string) string {
	trimmed := trimOpening(s)
	if strings.HasPrefix(trimmed, "@") {
		if colon := strings.IndexByte(trimmed, ':'); colon >= 0 {
			return trimmed[colon+1:]
		}
	}
	return s
}

// withoutComments removes every parenthesized part, however deep (RFC 5322
// section 3.2.2). One that is never closed reaches to the end.
func withoutComments(s string) string {
	var b strings.Builder
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			if depth == 0 {
				b.WriteString(s[i : i+2])
			}
			i++
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth == 0:
			b.WriteByte(c)
		}
	}
	return b.String()
}
