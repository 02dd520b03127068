package policy

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"testing"
)

func TestPresentedNames(t *testing.T) {
	cn := func(name string) pkix.Name {
		return pkix.Name{Names: []pkix.AttributeTypeAndValue{{Type: oidCommonName, Value: name}}}
	}
	for _, c := range []struct {
		name        string
		partner     Partner
		certificate x509.Certificate
		presented   []*x509.Certificate
		want        []PresentedName
	}{
		{"both rules", Partner{}, x509.Certificate{DNSNames: []string{"contoso.com", "mail1.contoso.com", "*.contoso.com", "fabrikam.com"}, Subject: cn("contoso.com")}, nil, []PresentedName{
			{Name: "contoso.com", Exchange: true, Strict: true},
			{Name: "mail1.contoso.com", Exchange: true},
			{Name: "*.contoso.com", Exchange: true},
			{Name: "fabrikam.com"},
		}},
		{"a common name alone", Partner{}, x509.Certificate{Subject: cn("contoso.com")}, nil, []PresentedName{{Name: "contoso.com", CommonName: true, Exchange: true}}},
		{"a common name under constraints", Partner{}, x509.Certificate{Subject: cn("contoso.com")}, []*x509.Certificate{{PermittedDNSDomains: []string{"fabrikam.com"}}}, []PresentedName{}},
		{"names of its own", Partner{Names: []string{"mail.provider.example"}}, x509.Certificate{DNSNames: []string{"Mail.Provider.example", "contoso.com"}}, nil, []PresentedName{
			{Name: "Mail.Provider.example", Configured: true},
			{Name: "contoso.com", Exchange: true, Strict: true},
		}},
		{"none", Partner{}, x509.Certificate{}, nil, []PresentedName{}},
	} {
		if got := c.partner.PresentedNames("contoso.com", &c.certificate, c.presented); !slices.Equal(got, c.want) || got == nil {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, got, c.want)
		}
	}
}

// TestNamesWanted: every name that is wanted would do.
func TestNamesWanted(t *testing.T) {
	for _, c := range []struct {
		partner      Partner
		domain, host string
		want         string
	}{
		{Partner{NameMatch: NameMatchExchange}, "contoso.com", "MX1.contoso.com", "[mx1.contoso.com contoso.com *.contoso.com]"},
		{Partner{NameMatch: NameMatchExchange}, "contoso.com", "mx1.us.contoso.com", "[contoso.com *.contoso.com]"},
		{Partner{NameMatch: NameMatchExchange}, "contoso.com", "contoso.com", "[contoso.com *.contoso.com]"},
		{Partner{NameMatch: NameMatchStrict}, "contoso.com", "mx1.contoso.com", "[contoso.com]"},
		{Partner{NameMatch: NameMatchStrict}, "mail.contoso.com", "mx1.contoso.com", "[mail.contoso.com *.contoso.com]"},
		{Partner{Names: []string{"a.example.net", "b.example.net"}}, "contoso.com", "mx1.contoso.com", "[a.example.net b.example.net]"},
	} {
		got := c.partner.NamesWanted(c.domain, c.host)
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s by %q at %s: %v, not %s", c.domain, c.partner.NameMatch, c.host, got, c.want)
		}
		for _, name := range got {
			if _, matches := matchName(&c.partner, c.domain, []string{name}); !matches {
				t.Errorf("%s by %q: %q is wanted, and does not match", c.domain, c.partner.NameMatch, name)
			}
		}
	}
}

func TestCovering(t *testing.T) {
	receive, err := ParseList("listed.sub.example\nplain.example\n")
	if err != nil {
		t.Fatal(err)
	}
	s := NewSnapshot(receive, nil, &Partner{}, map[string]*Partner{
		"sub.example":     {Domain: "sub.example", Subdomains: true},
		"own.sub.example": {Domain: "own.sub.example"},
		"plain.example":   {Domain: "plain.example"},
	}, nil)
	for domain, want := range map[string]string{
		"sub.example": "sub.example", "eu.sub.example": "sub.example", "a.eu.sub.example": "sub.example",
		"own.sub.example": "own.sub.example", "listed.sub.example": "listed.sub.example",
		"eu.plain.example": "eu.plain.example", "else.example": "else.example",
	} {
		if got := s.Covering(domain); got != want {
			t.Errorf("%s: %s, not %s", domain, got, want)
		}
	}
}
