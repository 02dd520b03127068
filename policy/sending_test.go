package policy

import "testing"

func TestSendingTo(t *testing.T) {
	send, err := ParseList("woodgrovebank.com\nmail.fabrikam.com\nfabrikam.com\nbücher.example\n")
	if err != nil {
		t.Fatal(err)
	}
	receive, err := ParseList("contoso.com\n")
	if err != nil {
		t.Fatal(err)
	}
	defaults := &Partner{}
	s := NewSnapshot(receive, send, defaults, map[string]*Partner{
		"fabrikam.com": {Domain: "fabrikam.com", Subdomains: true}, "contoso.com": {Domain: "contoso.com", Subdomains: true},
	}, nil)
	for name, want := range map[string]string{
		"woodgrovebank.com": "woodgrovebank.com", "WoodGroveBank.COM.": "woodgrovebank.com", "us.woodgrovebank.com": "",
		"fabrikam.com": "fabrikam.com", "a.b.FABRIKAM.com": "fabrikam.com", "mail.fabrikam.com": "mail.fabrikam.com",
		"BÜCHER.example": "xn--bcher-kva.example", "xn--bcher-kva.example": "xn--bcher-kva.example",
		"contoso.com": "", "us.contoso.com": "", "com": "", "": "", "[192.0.2.1]": "",
	} {
		if _, entry := s.SendingTo(name); entry != want {
			t.Errorf("%s: %q, want %q", name, entry, want)
		}
	}
}
