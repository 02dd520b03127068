package policy

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"strings"
	"testing"
)

// TestNames is the rule of Exchange's white paper and RFC 9525, pair by pair.
func TestNames(t *testing.T) {
	label64 := strings.Repeat("a", 64)
	for _, c := range []struct {
		domain           string
		sans             string // separated by blanks; "-" for none
		cn               string // separated by |
		exchange, strict bool
		note             string
	}{
		{"woodgrovebank.com", "woodgrovebank.com", "", true, true, "exact"},
		{"woodgrovebank.com", "mail1.woodgrovebank.com", "", true, false, "one node deep"},
		{"woodgrovebank.com", "mail1.us.woodgrovebank.com", "", false, false, "two nodes deep"},
		{"woodgrovebank.com", "a.b.c.woodgrovebank.com", "", false, false, "deeper"},
		{"woodgrovebank.com", "*.woodgrovebank.com", "", true, false, "*.X represents X; RFC 9525 wants a label"},
		{"woodgrovebank.com", "*.us.woodgrovebank.com", "", false, false, "wildcard below"},
		{"mail.contoso.com", "*.contoso.com", "", true, true, "the domain is below the wildcard"},
		{"a.b.contoso.com", "*.contoso.com", "", true, false, "all the sub-domains"},
		{"a.b.contoso.com", "*.b.contoso.com", "", true, true, "one label under it"},
		{"mail.contoso.com", "mail1.contoso.com", "", false, false, "sibling"},
		{"mail.contoso.com", "contoso.com", "", false, false, "parent"},
		{"mail.contoso.com", "mail2.mail.contoso.com", "", true, false, "one node below a subdomain"},
		{"contoso.com", "mail2.mail.contoso.com", "", false, false, "the same host, two deep"},
		{"contoso.com", "x.example.net contoso.com y.example.net", "", true, true, "among others"},
		{"contoso.com", "fabrikam.com", "", false, false, "another domain"},
		{"contoso.com", "evilcontoso.com", "", false, false, "suffix without a boundary"},
		{"contoso.com", "mail.evilcontoso.com", "", false, false, "the same, deeper"},
		{"contoso.com", "contoso.com.evil.net", "", false, false, "prefix"},
		{"contoso.com", "*.evilcontoso.com", "", false, false, "wildcard without a boundary"},
		{"evilcontoso.com", "*.contoso.com", "", false, false, "wildcard over something else"},
		{"contoso.com", "MAIL1.CONTOSO.com", "", true, false, "case"},
		{"contoso.com", "contoso.COM", "", true, true, "case, exact"},
		{"contoso.com", "contoso.com.", "", false, false, "trailing dot"},
		{"contoso.com", "mail1.contoso.com.", "", false, false, "trailing dot, deep"},
		{"contoso.com", "", "", false, false, "empty dNSName"},
		{"contoso.com", "*", "", false, false, "bare wildcard"},
		{"contoso.com", "*.com", "", false, false, "wildcard over a TLD"},
		{"contoso.co.uk", "*.co.uk", "", false, false, "wildcard over a public suffix"},
		{"contoso.com", "*.", "", false, false, "wildcard without a base"},
		{"contoso.com", "*.*.contoso.com", "", false, false, "two wildcards"},
		{"contoso.com", "mail.*.contoso.com", "", false, false, "inner wildcard"},
		{"w1.contoso.com", "w*.contoso.com", "", false, false, "partial wildcard"},
		{"contoso.com", "w*.contoso.com", "", false, false, "partial wildcard is not one node deep"},
		{"contoso.com", "*.contoso.com.", "", false, false, "wildcard, trailing dot"},
		{"contoso.com", "**.contoso.com", "", false, false, "two stars"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example", "", true, true, "A-label"},
		{"xn--bcher-kva.example", "mail.xn--bcher-kva.example", "", true, false, "under an A-label"},
		{"xn--bcher-kva.example", "bücher.example", "", false, false, "a U-label is no name"},
		{"microsoft.com", "mail.xn--mcrosoft-c2a.com", "", false, false, "look-alike"},
		{"contoso.com", "contoso.com\x00.evil.net", "", false, false, "NUL"},
		{"contoso.com", "mail_1.contoso.com", "", false, false, "underscore"},
		{"contoso.com", "mail-.contoso.com", "", false, false, "hyphen at the end"},
		{"contoso.com", "-mail.contoso.com", "", false, false, "hyphen at the start"},
		{"contoso.com", ".contoso.com", "", false, false, "leading dot"},
		{"contoso.com", "mail..contoso.com", "", false, false, "empty label"},
		{"contoso.com", label64 + ".contoso.com", "", false, false, "long label"},
		{"contoso.com", strings.Repeat("a.", 122) + "contoso.com", "", false, false, "too long"},
		{"contoso.com", "com", "", false, false, "single label"},
		{"contoso.com", "192.0.2.1", "", false, false, "an address as dNSName"},

		{"contoso.com", "-", "mail1.contoso.com", true, false, "CN, no SAN"},
		{"contoso.com", "-", "contoso.com", true, false, "CN, exact"},
		{"contoso.com", "-", "CONTOSO.com", true, false, "CN, case"},
		{"contoso.com", "-", "*.contoso.com", true, false, "CN, wildcard"},
		{"contoso.com", "-", "mail1.us.contoso.com", false, false, "CN two deep"},
		{"contoso.com", "-", "Contoso Mail Server", false, false, "CN with blanks"},
		{"contoso.com", "-", "mail1.contoso.com ", false, false, "CN with a blank at its end"},
		{"contoso.com", "-", "edgea36", false, false, "CN of one label"},
		{"contoso.com", "-", "mail.cöntoso.com", false, false, "CN with Unicode"},
		{"contoso.com", "-", strings.Repeat("a", 54) + ".contoso.com", false, false, "CN of 66 characters"},
		{"contoso.com", "-", strings.Repeat("a", 52) + ".contoso.com", true, false, "CN of 64 characters"},
		{"contoso.com", "-", "mail1.contoso.com|contoso.com", false, false, "two CNs"},
		{"contoso.com", "-", "contoso.com|contoso.com", false, false, "the same CN twice"},
		{"contoso.com", "other.example.net", "mail1.contoso.com", false, false, "CN beside a SAN"},
		{"contoso.com", "", "contoso.com", false, false, "CN beside an empty SAN"},
		{"contoso.com", "-", "", false, false, "nothing at all"},
	} {
		cert := &x509.Certificate{}
		if c.sans != "-" {
			cert.DNSNames = strings.Split(c.sans, " ")
		}
		for cn := range strings.SplitSeq(c.cn, "|") {
			if cn != "" {
				cert.Subject.Names = append(cert.Subject.Names, pkix.AttributeTypeAndValue{Type: oidCommonName, Value: cn})
			}
		}
		for rule, want := range map[NameMatch]bool{NameMatchExchange: c.exchange, NameMatchStrict: c.strict} {
			_, got := matchName(&Partner{NameMatch: rule}, c.domain, names(rule, cert, false))
			if got != want {
				t.Errorf("%s: domain %s, SANs %q, CN %q, rule %s: match %v, want %v", c.note, c.domain, c.sans, c.cn, rule, got, want)
			}
		}
	}
}

func TestNamesOfPartner(t *testing.T) {
	p := &Partner{NameMatch: NameMatchExchange, Names: []string{"mail.provider.example", "*.pool.provider.example"}}
	for name, want := range map[string]bool{
		"mail.provider.example":    true,
		"MAIL.Provider.example":    true,
		"*.pool.provider.example":  true,
		"x.pool.provider.example":  false, // equal, not covered
		"x.mail.provider.example":  false,
		"provider.example":         false,
		"woodgrovebank.com":        false, // the rule is replaced, not added to
		"mail1.woodgrovebank.com":  false,
		"mail.provider.example.":   false,
		"xmail.provider.example":   false,
		"*.mail.provider.example":  false,
		"mail.provider.example.eu": false,
	} {
		if _, got := matchName(p, "woodgrovebank.com", []string{name}); got != want {
			t.Errorf("name %q: match %v, want %v", name, got, want)
		}
	}
}

// FuzzNames compares the matcher with the rule in its plainest words.
func FuzzNames(f *testing.F) {
	f.Add("woodgrovebank.com", "mail1.woodgrovebank.com")
	f.Add("a.b.contoso.com", "*.contoso.com")
	f.Add("contoso.com", "*.*.com")
	f.Fuzz(func(t *testing.T, d, n string) {
		domain, err := ParseDomain(d)
		if err != nil {
			return
		}
		got, match := matchName(&Partner{NameMatch: NameMatchExchange}, domain, []string{n})
		name := lowerASCII(n)
		labels, wanted := strings.Split(name, "."), strings.Split(domain, ".")
		want := false
		if _, counts := presentedName(n); counts {
			switch {
			case labels[0] == "*":
				base := "." + strings.Join(labels[1:], ".")
				want = strings.HasSuffix("."+domain, base)
			case len(labels) == len(wanted)+1:
				want = fmt.Sprint(labels[1:]) == fmt.Sprint(wanted)
			default:
				want = name == domain
			}
		}
		if match != want || match && got != name {
			t.Errorf("domain %q, name %q: match %v as %q, want %v", domain, n, match, got, want)
		}
	})
}

func commonNameOf(name string) pkix.AttributeTypeAndValue {
	return pkix.AttributeTypeAndValue{Type: oidCommonName, Value: name}
}
