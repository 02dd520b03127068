package policy

import (
	"slices"
	"testing"
)

func TestSendingTo(t *testing.T) {
	list := func(text string) *List {
		l, err := ParseList(text)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	s := NewSnapshot(list("fabrikam.com"), list("woodgrovebank.com\ncovered.example\nmore.covered.example\nm\u00fcnchen.example\n"), &Partner{}, map[string]*Partner{
		"covered.example": {Domain: "covered.example", Subdomains: true},
		"fabrikam.com":    {Domain: "fabrikam.com", Subdomains: true},
	}, nil)
	for name, want := range map[string][2]string{
		"woodgrovebank.com":             {"woodgrovebank.com", "woodgrovebank.com"},
		"WoodgroveBank.COM.":            {"woodgrovebank.com", "woodgrovebank.com"},
		"mail.woodgrovebank.com":        {"mail.woodgrovebank.com", ""},
		"a.b.covered.example":           {"a.b.covered.example", "covered.example"},
		"more.covered.example":          {"more.covered.example", "more.covered.example"},
		"x.more.covered.example":        {"x.more.covered.example", "covered.example"},
		"M\u00dcNCHEN.example":          {"xn--mnchen-3ya.example", "xn--mnchen-3ya.example"},
		"xn--MNCHEN-3ya.example":        {"xn--mnchen-3ya.example", "xn--mnchen-3ya.example"},
		"woodgrovebank\u3002com":        {"woodgrovebank.com", "woodgrovebank.com"},
		"woodgrovebank.com.\u3002":      {"woodgrovebank.com", "woodgrovebank.com"},
		"\\<a\uff0ewoodgrovebank.com":   {"a.woodgrovebank.com", ""},
		"fabrikam.com":                  {"fabrikam.com", ""}, // from which mail is received
		"127.0.0.1":                     {"127.0.0.1", ""},
		"2001:db8::1":                   {"2001:db8::1", ""},
		"":                              {"", ""},
		".":                             {"", ""},
		"contoso.com":                   {"contoso.com", ""},
		"evilwoodgrovebank.com":         {"evilwoodgrovebank.com", ""},
		"a_b.woodgrovebank.com":         {"a_b.woodgrovebank.com", "woodgrovebank.com"}, // no host name: rather too much
		"\xff.woodgrovebank.com":        {"\xff.woodgrovebank.com", "woodgrovebank.com"},
		"woodgrovebank.com.contoso.com": {"woodgrovebank.com.contoso.com", ""},
	} {
		if domain, entry := s.SendingTo(name); domain != want[0] || entry != want[1] {
			t.Errorf("%q: %q, %q; want %q", name, domain, entry, want)
		} else if again, same := s.SendingTo(domain); again != domain || same != entry {
			t.Errorf("%q, then %q: %q, %q", name, domain, again, same)
		}
	}
}

func TestSending(t *testing.T) {
	for _, c := range []struct {
		p    Partner
		want SendVerify
	}{
		{Partner{Trust: TrustChain, Revocation: RevocationRequire}, SendVerifyVetted},
		{Partner{Trust: TrustChain, Revocation: RevocationIfAvailable}, SendVerifyNames},
		{Partner{Trust: TrustChain, Revocation: RevocationOff}, SendVerifyNames},
		{Partner{Trust: TrustPins, Revocation: RevocationRequire}, SendVerifyPins},
		{Partner{Trust: TrustPins, SendVerify: SendVerifyVetted}, SendVerifyVetted},
		{Partner{Trust: TrustChain, Revocation: RevocationRequire, SendVerify: SendVerifyNames}, SendVerifyNames},
	} {
		if got := c.p.Sending(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.p, got, c.want)
		}
	}
}

// TestSendNames: what a mail server would take for one of these names speaks for the
// domain by the partner's rule, and nothing else does.
func TestSendNames(t *testing.T) {
	const d = "woodgrovebank.com"
	for _, c := range []struct {
		name             string
		p                Partner
		hosts, presented []string
		want             []string
	}{
		{"no more is known", Partner{}, nil, nil, []string{d}},
		{"hosts", Partner{}, []string{"mail2." + d, "mail1." + d, "mail1." + d}, nil, []string{d, "mail1." + d, "mail2." + d}},
		{"hosts elsewhere", Partner{}, []string{"mx.provider.example", "mail1.us." + d, d, "evil" + d}, nil, []string{d}},
		{"of certificates", Partner{}, []string{"mail2.mail." + d}, []string{"mail." + d, "MAIL3." + d, "x.us." + d, "other.example"}, []string{d, "mail." + d, "mail3." + d}},
		{"wildcards", Partner{}, nil, []string{"*." + d, "*.us." + d, "*.com"}, []string{d, "mail." + d}},
		{"no names", Partner{}, nil, []string{"a_b." + d, " ." + d, "mail1." + d + ":x", "mail1." + d + " tafile=x", "-." + d}, []string{d}},
		{"strict", Partner{NameMatch: NameMatchStrict}, []string{"mail1." + d}, []string{"mail1." + d}, []string{d}},
		{"of its own", Partner{Names: []string{"mx.provider.example", "*.provider.example"}}, []string{"mail1." + d}, nil, []string{"mx.provider.example", "*.provider.example"}},
	} {
		if c.p.NameMatch == "" {
			c.p.NameMatch = NameMatchExchange
		}
		got := c.p.SendNames(d, c.hosts, c.presented)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		for _, name := range got {
			if _, speaks := matchName(&c.p, d, []string{name}); !speaks {
				t.Errorf("%s: %q does not speak for the domain", c.name, name)
			}
		}
	}
	many := make([]string, 1000)
	for i := range many {
		many[i] = "mail" + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676)) + "." + d
	}
	if got := (&Partner{NameMatch: NameMatchExchange}).SendNames(d, nil, many); len(got) != maxNames {
		t.Errorf("%d names", len(got))
	}
}

// FuzzSendingTo: what is remembered of a destination under its name is of the same entry
// as what was asked for.
func FuzzSendingTo(f *testing.F) {
	list, err := ParseList("woodgrovebank.com\ncovered.example\nm\u00fcnchen.example\n")
	if err != nil {
		f.Fatal(err)
	}
	s := NewSnapshot(nil, list, &Partner{}, map[string]*Partner{"covered.example": {Domain: "covered.example", Subdomains: true}}, nil)
	for _, seed := range []string{"woodgrovebank.com", "a.covered.example.", "M\u00dcNCHEN.example", "\\<A\\\uff0em\u00fcnchen.example", "woodgrovebank.com.\u3002", "\"a_b\".woodgrovebank.com", "\xff.covered.example"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		domain, entry := s.SendingTo(name)
		if again, same := s.SendingTo(domain); entry != "" && (again != domain || same != entry) {
			t.Errorf("%q: %q, %q, then %q, %q", name, domain, entry, again, same)
		}
	})
}
