package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
	"golang.org/x/text/unicode/norm"
)

// Limits of a host name in octets, without the trailing dot (RFC 1035 section 2.3.4).
const (
	maxDomain = 253
	maxLabel  = 63
)

var idnaProfile = idna.New(
	idna.MapForLookup(),
	idna.Transitional(false),
	idna.ValidateLabels(true),
	idna.BidiRule(),
	idna.StrictDomainName(true),
)

// toASCII turns a domain with non-ASCII letters into its A-labels, mapping case
// and width first (UTS 46 section 4, nontransitional; RFC 5891 section 5).
func toASCII(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", errors.New("it is not UTF-8")
	}
	if hasLongLabel(s) {
		return "", fmt.Errorf("a label is longer than %d octets", maxULabel)
	}
	ascii, err := idnaProfile.ToASCII(s)
	return strings.TrimRight(ascii, "."), err // a dot of either alphabet may follow one of the other
}

// maxULabel bounds a label in UTF-8, in octets, without what [condense] drops: no
// A-label stands for more characters than it has octets, and the work of turning
// one into the other grows with the square of them.
const maxULabel = maxLabel * utf8.UTFMax

func hasLongLabel(s string) bool {
	start := 0
	for i, r := range s {
		if isDot(r) {
			start = i + utf8.RuneLen(r)
		} else if i-start >= maxULabel {
			return true
		}
	}
	return false
}

// condense drops from a domain what stands for nothing in one, and joins letters
// and their marks (UTS 46 section 4, steps Map and Normalize): without that, no
// bound on the octets of a label would tell that it cannot be one. Its own work is
// linear.
func condense(s string) string {
	return norm.NFKC.String(strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) {
			return -1
		}
		return r
	}, s))
}

// isDot reports whether r stands between labels (UTS 46 section 4, RFC 3490
// section 3.1).
func isDot(r rune) bool { return r == '.' || r == '\u3002' || r == '\uff0e' || r == '\uff61' }

// ParseDomain reads a domain as an operator writes it in a list or as the name
// of a partner, and returns it in the one form in which domains are compared:
// A-labels in lower case without a trailing dot.
//
// It refuses what could not be a partner's domain or would cover more than one
// partner: an empty string, a wildcard, a single label, an IP address, a public
// suffix such as co.uk, and anything that is not a host name.
func ParseDomain(s string) (string, error) {
	domain := s
	if checkHostName(s) != nil { // most are in that form already
		var err error
		if domain, err = normalize(s); err != nil {
			return "", err
		}
	}
	if isPublicSuffix(domain) {
		return "", fmt.Errorf("%q is a public suffix: anyone can register a name below it", s)
	}
	return domain, nil
}

// normalize brings a domain into the form in which domains are compared.
func normalize(s string) (string, error) {
	domain := lowerASCII(strings.TrimSuffix(s, "."))
	if domain == "" {
		return "", errors.New("the domain is empty")
	}
	if strings.HasSuffix(domain, ".") {
		return "", explainDomain(s, domain, errEmptyLabel)
	}
	if !isASCII(domain) {
		var err error
		if domain, err = toASCII(domain); err != nil {
			return "", fmt.Errorf("%q is not an internationalized domain name: %w", s, err)
		}
	}
	if err := checkHostName(domain); err != nil {
		return "", explainDomain(s, domain, err)
	}
	return domain, nil
}

// explainDomain puts into words what an operator may have meant by s.
func explainDomain(s, domain string, err error) error {
	if _, notAddr := netip.ParseAddr(strings.Trim(domain, "[]")); notAddr == nil {
		return fmt.Errorf("%q is an IP address: only domains can be listed", s)
	}
	switch {
	case strings.Contains(domain, "*"):
		return fmt.Errorf("%q is a pattern: list the domain itself (subdomains = true on its partner covers what is below it)", s)
	case strings.Contains(domain, "@"):
		return fmt.Errorf("%q is an address: list the domain after the @", s)
	}
	return fmt.Errorf("%q is not a domain: %w", s, err)
}

var errEmptyLabel = errors.New("it has an empty label")

// checkHostName says what keeps s, in lower case, from being a host name of two
// labels or more: letters, digits and inner hyphens only (RFC 952, RFC 1123
// section 2.1), and a last label that is not a number, which would read as part
// of an IPv4 address (RFC 3696 section 2).
func checkHostName(s string) error {
	if len(s) > maxDomain {
		return fmt.Errorf("it is longer than %d octets", maxDomain)
	}
	labels, start, digits := 0, 0, true
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			c := s[i]
			if !isLDH(c) {
				return fmt.Errorf("%q is not allowed in a host name", s[i:i+1])
			}
			digits = digits && isDigit(c)
			continue
		}
		label := s[start:i]
		switch {
		case label == "":
			return errEmptyLabel
		case len(label) > maxLabel:
			return fmt.Errorf("a label is longer than %d octets", maxLabel)
		case label[0] == '-' || label[len(label)-1] == '-':
			return errors.New("a label begins or ends with a hyphen")
		}
		labels++
		if i == len(s) {
			break
		}
		start, digits = i+1, true
	}
	switch {
	case labels < 2:
		return errors.New("it has a single label")
	case digits:
		return errors.New("its last label is a number")
	}
	return nil
}

// isPublicSuffix reports whether domain, in lower case, is one of the ICANN
// section of the Public Suffix List, as com and co.uk are.
func isPublicSuffix(domain string) bool {
	suffix, icann := publicsuffix.PublicSuffix(domain)
	return icann && len(suffix) == len(domain)
}

// lowerASCII folds A-Z only (RFC 4343 section 3) and returns s itself, without
// an allocation, if there is nothing to fold.
func lowerASCII(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isLDH reports whether c is a letter in lower case, a digit or a hyphen.
func isLDH(c byte) bool { return 'a' <= c && c <= 'z' || isDigit(c) || c == '-' }
