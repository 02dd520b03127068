package policy

import (
	"crypto/x509"
	"strings"
)

// PresentedName is a name of a certificate, and what it is worth for a domain.
type PresentedName struct {
	Name       string `json:"name"`        // as in the certificate: may hold anything
	CommonName bool   `json:"common_name"` // not a dNSName
	Exchange   bool   `json:"exchange"`    // speaks for the domain by [NameMatchExchange]
	Strict     bool   `json:"strict"`      // speaks for it by [NameMatchStrict]
	Configured bool   `json:"configured"`  // is one of the partner's names, which replace both rules
}

// PresentedNames returns every name of a certificate that is compared, whether it
// is trusted or not: its dNSNames, else the common name where that counts. It is
// for people to read; whether the certificate is good, [Vet] says. presented are
// the certificates that it came with.
func (p *Partner) PresentedNames(domain string, c *x509.Certificate, presented []*x509.Certificate) []PresentedName {
	constrained := namesConstrained(append(Chain{c}, presented...))
	all := []PresentedName{}
	fallback := len(names(NameMatchStrict, c, constrained)) == 0
	for _, name := range names(NameMatchExchange, c, constrained) {
		n := PresentedName{Name: name, CommonName: fallback}
		n.Exchange = speaks(&Partner{NameMatch: NameMatchExchange}, domain, name)
		n.Strict = !fallback && speaks(&Partner{NameMatch: NameMatchStrict}, domain, name)
		n.Configured = p.Names != nil && speaks(p, domain, name)
		all = append(all, n)
	}
	return all
}

func speaks(p *Partner, domain, name string) bool {
	_, ok := matchName(p, domain, []string{name})
	return ok
}

// NamesWanted returns names of which any would speak for the domain in a
// certificate: the partner's own if it has some, else what the rule takes, with
// host before it if that is one of them.
func (p *Partner) NamesWanted(domain, host string) []string {
	if p.Names != nil {
		return p.Names
	}
	var wanted []string
	wildcard := "*." + domain
	if p.NameMatch == NameMatchStrict {
		wildcard = "*." + parentOf(domain)
	}
	for _, name := range []string{strings.ToLower(host), domain, wildcard} {
		if speaks(p, domain, name) && (len(wanted) == 0 || wanted[0] != name) {
			wanted = append(wanted, name)
		}
	}
	return wanted
}
