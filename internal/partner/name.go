package partner

import (
	"fmt"
	"strings"
)

const (
	maxName  = 253 // octets of a name as text, RFC 1035 section 2.3.4
	maxLabel = 63
)

// cleanName returns a name in lower case without a final dot. What has other
// than letters, digits, hyphens and underscores (RFC 1123 section 2.1, and
// RFC 8552 for those that are no hosts) is an error: it goes into questions, TLS
// and logs.
func cleanName(name string) (string, error) {
	clean := strings.ToLower(strings.TrimSuffix(name, "."))
	if clean == "" || len(clean) > maxName {
		return "", fmt.Errorf("%.300q is not a domain name", name)
	}
	for label := range strings.SplitSeq(clean, ".") {
		if label == "" || len(label) > maxLabel || strings.Trim(label, nameOctets) != "" {
			return "", fmt.Errorf("%.300q is not a domain name", name)
		}
	}
	return clean, nil
}

const nameOctets = "abcdefghijklmnopqrstuvwxyz0123456789-_"

// cleanHost is cleanName for a host, whose last label is not a number: an
// address is no host (RFC 1123 section 2.1).
func cleanHost(name string) (string, error) {
	clean, err := cleanName(name)
	if err != nil {
		return "", err
	}
	if last := clean[strings.LastIndexByte(clean, '.')+1:]; strings.Trim(last, "0123456789") == "" {
		return "", fmt.Errorf("%q is not the name of a host", name)
	}
	return clean, nil
}

// maxText is how much of a stranger's words is kept.
const maxText = 300

// printable returns a stranger's words for a log, a terminal or a page: printable
// ASCII, and not too much of it.
func printable(s string) string {
	cut := s
	if len(cut) > maxText {
		cut = cut[:maxText]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, cut)
}
