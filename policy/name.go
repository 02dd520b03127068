package policy

import (
	"crypto/x509"
	"encoding/asn1"
	"strings"
)

// NameMatch says which names of a certificate speak for a domain.
type NameMatch string

const (
	// NameMatchExchange follows Exchange's Domain Security: the domain itself,
	// a host one label below it, or a wildcard over it or over a parent of it.
	NameMatchExchange NameMatch = "exchange"
	// NameMatchStrict follows RFC 9525: the domain itself, or a wildcard that
	// stands for its first label; never the common name.
	NameMatchStrict NameMatch = "strict"
)

// maxCommonName is ub-common-name of RFC 5280 appendix A.1, in characters.
const maxCommonName = 64

var oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// presentedName returns a name from a certificate in lower case, and whether it
// counts: host name labels, at least two, without a trailing dot; or "*." before
// such a name that is not a public suffix (RFC 5280 section 4.2.1.6, RFC 9525
// section 6.3). Names that do not count are ignored, never an error.
func presentedName(s string) (string, bool) {
	s = lowerASCII(s)
	base, wildcard := strings.CutPrefix(s, "*.")
	if checkHostName(base) != nil || len(s) > maxDomain {
		return "", false
	}
	return s, !wildcard || !isPublicSuffix(base)
}

// CheckName says whether s can be one of a partner's names, as a certificate
// would present it, and returns it in lower case. Names with non-ASCII letters
// must be given as A-labels.
func CheckName(s string) (string, bool) { return presentedName(s) }

// nameMatches reports whether a presented name speaks for domain.
func nameMatches(rule NameMatch, domain, name string) bool {
	base, wildcard := strings.CutPrefix(name, "*.")
	if name == domain {
		return true
	}
	if rule == NameMatchStrict {
		return wildcard && parentOf(domain) == base
	}
	if wildcard {
		// "*.contoso.com represents contoso.com and all the sub-domains": Domain
		// Security white paper, as is the one-node rule below.
		return domain == base || strings.HasSuffix(domain, "."+base)
	}
	return parentOf(name) == domain
}

// parentOf returns domain without its first label.
func parentOf(domain string) string {
	_, parent, _ := strings.Cut(domain, ".")
	return parent
}

// matchName returns the first of the names that speaks for partner p.
func matchName(p *Partner, domain string, names []string) (string, bool) {
	for _, name := range names {
		name, ok := presentedName(name)
		if !ok {
			continue
		}
		if p.Names != nil {
			for _, wanted := range p.Names {
				if name == wanted {
					return name, true
				}
			}
			continue
		}
		if nameMatches(p.NameMatch, domain, name) {
			return name, true
		}
	}
	return "", false
}

// names returns the names of a certificate that may be compared: its dNSName
// SANs, or else its common name, if the rule knows one at all.
//
// The common name is a fallback for certificates without any dNSName (RFC 6125
// section 6.4.4), never for one with several, and not under a CA with dNSName
// constraints: a common name escapes those (RFC 5280 section 4.2.1.10).
func names(rule NameMatch, c *x509.Certificate, constrained bool) []string {
	if len(c.DNSNames) > 0 || hasDNSName(c) {
		return c.DNSNames
	}
	if rule == NameMatchStrict || constrained {
		return nil
	}
	return commonName(c)
}

// commonName returns the one common name of a certificate that can be a host
// name, or nothing.
func commonName(c *x509.Certificate) []string {
	var found []string
	for _, attribute := range c.Subject.Names {
		if attribute.Type.Equal(oidCommonName) {
			name, _ := attribute.Value.(string)
			found = append(found, name)
		}
	}
	if len(found) != 1 || len(found[0]) > maxCommonName {
		return nil
	}
	return found
}

// hasDNSName reports whether the subject alternative names hold a dNSName that
// crypto/x509 did not list.
func hasDNSName(c *x509.Certificate) bool {
	const dNSName = 2 // RFC 5280 section 4.2.1.6, context-specific tag
	for _, extension := range c.Extensions {
		if !extension.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) {
			continue
		}
		var names []asn1.RawValue
		if _, err := asn1.Unmarshal(extension.Value, &names); err != nil {
			return true
		}
		for _, name := range names {
			if name.Class == asn1.ClassContextSpecific && name.Tag == dNSName {
				return true
			}
		}
	}
	return false
}

// namesConstrained reports whether a CA of the chain limits dNSNames.
func namesConstrained(chain Chain) bool {
	for _, ca := range chain[1:] {
		if len(ca.PermittedDNSDomains) > 0 || len(ca.ExcludedDNSDomains) > 0 {
			return true
		}
	}
	return false
}
