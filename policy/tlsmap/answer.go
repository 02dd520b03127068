package tlsmap

import (
	"strconv"
	"strings"

	"domain-secured/policy"
)

// Version is that of the oldest Postfix that asks: an attribute that it does not know
// would defer mail.
type Version struct{ Major, Minor int }

// AtLeast reports whether v is that version or a later one.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

// ParseVersion reads "3.7".
func ParseVersion(s string) (v Version, ok bool) {
	major, minor, _ := strings.Cut(s, ".")
	var err1, err2 error
	v.Major, err1 = strconv.Atoi(major)
	v.Minor, err2 = strconv.Atoi(minor)
	return v, err1 == nil && err2 == nil && v.Major >= 0 && v.Minor >= 0
}

// The words that an answer begins with (socketmap_table(5)).
const (
	found    = "OK "
	notFound = "NOTFOUND "
	notNow   = "TEMP "
	never    = "PERM "
)

// appendAnswer renders what is insisted on as one line.
func appendAnswer(b []byte, d *policy.Demand, v Version) []byte {
	if d == nil {
		return append(b, notFound...)
	}
	start := len(b)
	b, insists := appendPolicy(append(b, found...), d, v)
	if !insists {
		return appendWait(b[:start], d)
	}
	return b
}

// Policy renders what is insisted on as the value of an entry in a table of Postfix's:
// postconf(5) smtp_tls_policy_maps. It is "" if mail is to wait.
func Policy(d *policy.Demand, v Version) string {
	b, insists := appendPolicy(nil, d, v)
	if !insists {
		return ""
	}
	return string(b)
}

// appendPolicy reports whether there is anything to insist on.
func appendPolicy(b []byte, d *policy.Demand, v Version) (policy []byte, insists bool) {
	switch {
	case d.Wait != "":
		return b, false
	case len(d.Names) > 0:
		b = append(b, "secure match="...)
		for i, name := range d.Names {
			if i > 0 {
				b = append(b, ':')
			}
			b = append(b, name...)
		}
		if d.RootsFile != "" {
			b = append(b, " tafile="...)
			b = append(b, d.RootsFile...)
		}
	case len(d.Fingerprints) > 0:
		b = append(b, "fingerprint match="...)
		for i, h := range d.Fingerprints {
			if i > 0 {
				b = append(b, '|')
			}
			b = appendFingerprint(b, h)
		}
	default:
		return b, false
	}
	b = appendCiphers(b, d.MinBits)
	b = appendProtocols(b, d.MinTLS, v)
	// As who looked at the server named it: one without a name may be shown another
	// certificate (postconf(5) smtp_tls_servername, since Postfix 3.4).
	if v.AtLeast(3, 4) {
		b = append(b, " servername=hostname"...)
	}
	return b, true
}

// appendFingerprint writes a fingerprint as every Postfix compares them: before 3.6 that
// was done as text.
func appendFingerprint(b []byte, h policy.Hash) []byte {
	const digits = "0123456789ABCDEF"
	for i, octet := range h {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, digits[octet>>4], digits[octet&0xf])
	}
	return b
}

// appendCiphers: of the grades of postconf(5) smtp_tls_mandatory_ciphers, HIGH has none
// of fewer than 128 bits, and less what is named here none of fewer than 256, but for
// TLS 1.3, of which no policy takes a cipher out.
func appendCiphers(b []byte, bits int) []byte {
	switch {
	case bits < 128:
		return append(b, " ciphers=medium"...)
	case bits == 128:
		return append(b, " ciphers=high"...)
	}
	return append(b, " ciphers=high exclude=AES128:CAMELLIA128:ARIA128"...)
}

// appendProtocols: a lower bound since Postfix 3.6, before that what is excluded
// (postconf(5) smtp_tls_mandatory_protocols).
func appendProtocols(b []byte, least policy.TLSVersion, v Version) []byte {
	names := []string{"SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}
	for n := 2; n < len(names); n++ {
		if policy.ParseTLSVersion(names[n]) != least {
			continue
		}
		if v.AtLeast(3, 6) {
			return append(append(b, " protocols=>="...), names[n]...)
		}
		b = append(b, " protocols=!"...)
		return append(b, strings.Join(names[:n], ":!")...)
	}
	return b
}

// maxWait bounds what a mail server is told, and logs, about mail that waits.
const maxWait = 300

// appendWait never says that nothing is known, whatever the demand lacks.
func appendWait(b []byte, d *policy.Demand) []byte {
	b = append(b, notNow...)
	text := "domain-secured: " + d.Wait
	if d.Detail != "" {
		text += ": " + d.Detail
	}
	for i := range min(len(text), maxWait) {
		c := text[i]
		if c < ' ' || c > '~' {
			c = '?'
		}
		b = append(b, c)
	}
	return b
}
