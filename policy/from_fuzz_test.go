package policy

import (
	"mime"
	"net/mail"
	"slices"
	"strings"
	"testing"
)

// FuzzFrom holds any From header to what must never be: a domain overlooked that
// another parser finds, or a header believed that another parser reads otherwise.
func FuzzFrom(f *testing.F) {
	const w = "woodgrovebank.com"
	for _, seed := range []string{
		"", "alice@woodgrovebank.com", `"Smith, Alice" <a@contoso.com>, B: b@contoso.com;`,
		"<@a.example,@b.example:a@woodgrovebank.com>", "a @ (c) b . (d) example <e@f.example",
		"=?utf-8?q?a=40?= =?utf-8?B?YWJj", "a\\", "\"", "(", "＠ü。example", "\r\n x@y.z",
	} {
		f.Add(seed, "")
	}
	f.Fuzz(func(t *testing.T, body, second string) {
		from := readFrom([]string{body}, false)
		broken := readFrom([]string{body, second}, false)
		checkFrom(t, body, &from)
		checkFrom(t, body+"\n"+second, &broken)
		if broken.wellFormed {
			t.Errorf("two headers are well-formed: %q, %q", body, second)
		}

		// What the strict grammar finds, the other finds too.
		for _, r := range from.domains {
			if !slices.Contains(broken.domains, r) && !broken.incomplete() {
				t.Errorf("%q: %q is overlooked: %v", body, r.domain, broken.domains)
			}
		}

		// net/mail reads RFC 5322 with some of the obsolete forms.
		if addresses, err := mail.ParseAddressList(body); err == nil && !from.incomplete() {
			var theirs []reading
			for _, address := range addresses {
				domain := address.Address[strings.LastIndexByte(address.Address, '@')+1:]
				literal := strings.HasPrefix(domain, "[")
				r := parseSenderDomain(trimDomain(strings.TrimPrefix(domain, "[")))
				if r.domain != "" && (r.hostName || !literal) {
					theirs = append(theirs, r)
				}
			}
			for _, r := range theirs {
				if !slices.Contains(from.domains, r) {
					t.Errorf("%q: net/mail finds %q, not one of %v", body, r.domain, from.domains)
				}
			}
			for _, r := range from.domains {
				if from.wellFormed && !slices.Contains(theirs, r) {
					t.Errorf("%q: net/mail finds %v, not %q", body, theirs, r.domain)
				}
			}
		}

		// In a broken header no @ is overlooked, whatever stands before it, nor
		// one in an encoded word.
		for _, address := range []string{
			"@WoodgroveBank.com",
			" " + mime.BEncoding.Encode("utf-8", "ä@woodgrovebank.com"),
			" " + mime.QEncoding.Encode("utf-8", "ä@woodgrovebank.com"),
		} {
			planted := readFrom([]string{body + address, second}, false)
			if !slices.Contains(planted.domains, reading{w, true}) && !planted.incomplete() {
				t.Errorf("%q: overlooked: %v", body+address, planted.domains)
			}
		}
	})
}

// checkFrom checks what holds for every header.
func checkFrom(t *testing.T, body string, from *fromDomains) {
	t.Helper()
	seen := make(map[reading]bool)
	for _, r := range from.readings() {
		if seen[r] || r.domain == "" {
			t.Errorf("%q: reading %q again, or empty", body, r.domain)
		}
		seen[r] = true
		if from.wellFormed && !r.hostName {
			t.Errorf("%q: well-formed with %q", body, r.domain)
		}
	}
	if len(seen) > maxFromReadings {
		t.Errorf("%q: %d readings", body, len(seen))
	}
	for domain := range seen {
		if !from.within(domain.domain) {
			continue
		}
		for r := range seen {
			if r.domain != domain.domain && !strings.HasSuffix(r.domain, "."+domain.domain) {
				t.Errorf("%q: within %q, but there is %q", body, domain.domain, r.domain)
			}
		}
		if !from.wellFormed || from.incomplete() {
			t.Errorf("%q: within %q, but well-formed %v, incomplete %v", body, domain.domain, from.wellFormed, from.incomplete())
		}
	}
}
