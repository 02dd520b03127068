package policy

import (
	"cmp"
	"strings"
)

// StampName is the name of the header field that a proven message gets.
const StampName = "Domain-Secured"

// stamp is the body of the field: who says so, of which domain, and how it was
// proven. What does not apply is left out. Nothing in it is longer than a host
// name, so no line is longer than RFC 5322 section 2.1.1 allows.
func (v *Verdict) stamp(f *Facts, hostname string) string {
	var b strings.Builder
	b.WriteString(stampToken(cmp.Or(hostname, f.Server, "unknown")))
	add := func(separator, key, value string) {
		if value != "" {
			b.WriteString(separator + key + "=" + stampToken(value))
		}
	}
	add("; ", "domain", v.Entry)
	add("; ", "auth", string(v.Auth))
	add("; ", "name", v.MatchedName)
	fold := ";\n  "
	if !v.Fingerprint.IsZero() {
		add(fold, "fingerprint", "sha256:"+v.Fingerprint.String())
		fold = "; "
	}
	if v.Revocation != "" {
		add(fold, "revocation", string(v.Revocation))
		fold = "; "
	}
	if f.TLSVersion != "" {
		add(fold, "tls", f.TLSVersion)
		fold = "; "
	}
	if f.Client.IsValid() {
		add(fold, "client", f.Client.Addr().WithZone("").String())
	}
	return b.String()
}

// stampToken replaces what could end a value, a line or a field: a stamp is made
// of what others say.
func stampToken(s string) string {
	s = s[:min(len(s), maxDomain)]
	for i := range len(s) {
		if !isStampChar(s[i]) {
			b := []byte(s)
			for ; i < len(b); i++ {
				if !isStampChar(b[i]) {
					b[i] = '?'
				}
			}
			return string(b)
		}
	}
	return s
}

func isStampChar(c byte) bool {
	letter := c | 0x20
	return 'a' <= letter && letter <= 'z' || isDigit(c) || strings.IndexByte(".-_:*+/", c) >= 0
}
