package policy

import (
	"strings"
	"testing"
)

func TestParseDomain(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	long := strings.Repeat(label63+".", 3) + strings.Repeat("b", 61) // 253 octets
	good := func(s, want string) {
		t.Helper()
		if got, err := ParseDomain(s); err != nil || got != want {
			t.Errorf("ParseDomain(%q) = %q, %v; want %q", s, got, err, want)
		}
	}
	bad := func(s, why string) {
		t.Helper()
		got, err := ParseDomain(s)
		if err == nil {
			t.Errorf("ParseDomain(%q) = %q; want an error", s, got)
		} else if !strings.Contains(err.Error(), why) {
			t.Errorf("ParseDomain(%q): %v; want it to say %q", s, err, why)
		}
	}
	good("woodgrovebank.com", "woodgrovebank.com")
	good("WoodgroveBank.COM", "woodgrovebank.com")
	good("woodgrovebank.com.", "woodgrovebank.com")
	good("bücher.example", "xn--bcher-kva.example")
	good("BÜCHER.example", "xn--bcher-kva.example")
	good("xn--bcher-kva.example", "xn--bcher-kva.example")
	good("woodgrovebank。com", "woodgrovebank.com")
	good("a-b.c--d.example", "a-b.c--d.example")
	good("1.example", "1.example")
	good("example.co.uk", "example.co.uk")
	good("github.io", "github.io") // on the private part of the list: one owner
	good(label63+".example", label63+".example")
	good(long, long)

	bad("", "empty")
	bad(".", "empty")
	bad(".contoso.com", "empty label")
	bad("contoso..com", "empty label")
	bad("contoso.com..", "empty label")
	bad("*.contoso.com", "pattern")
	bad("*", "pattern")
	bad("com", "single label")
	bad("localhost", "single label")
	bad("co.uk", "public suffix")
	bad("CO.UK.", "public suffix")
	bad("foo.ck", "public suffix") // by the rule *.ck
	bad("192.0.2.1", "IP address")
	bad("[192.0.2.1]", "IP address")
	bad("2001:db8::1", "IP address")
	bad("user@contoso.com", "address")
	bad("mail_1.contoso.com", `"_"`)
	bad("con toso.com", `" "`)
	bad("contoso.com\x00", `"\x00"`)
	bad("-contoso.com", "hyphen")
	bad("contoso-.com", "hyphen")
	bad("example.123", "number")
	bad("a"+label63+".example", "longer than 63")
	bad("b"+long, "longer than 253")
	bad("bü_cher.example", "internationalized")
	bad("bücher.example..", "empty label")
	bad("\xff.example", "internationalized")
	bad("\ufffd.example", "internationalized")
}

func FuzzParseDomain(f *testing.F) {
	for _, s := range []string{"woodgrovebank.com", "BÜCHER.example.", "*.x", "a..b", "\xff", "[::1]", "xn--a.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		domain, err := ParseDomain(s)
		if err != nil {
			return
		}
		if again, err := ParseDomain(domain); err != nil || again != domain {
			t.Errorf("%q became %q, and that %q, %v", s, domain, again, err)
		}
		if len(domain) > 253 || !strings.Contains(domain, ".") || strings.Trim(domain, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
			t.Errorf("%q became %q, which is no host name", s, domain)
		}
	})
}
