package policy

import (
	"errors"
	"strings"
	"testing"
)

func TestParseHash(t *testing.T) {
	digits := strings.Repeat("94", 31) + "0a"
	colons := strings.Repeat("94:", 31) + "0A"
	for _, s := range []string{digits, strings.ToUpper(digits), "sha256:" + digits, "SHA256:" + colons, colons} {
		h, err := ParseHash(s)
		if err != nil || h.String() != digits {
			t.Errorf("%q: %s, %v", s, h, err)
		}
	}
	for _, s := range []string{digits[:32], digits[:40], digits + "00", colons[:47], colons + ":00", "94"} {
		if _, err := ParseHash(s); !errors.Is(err, ErrNotSHA256) {
			t.Errorf("%q: %v, want %v", s, err, ErrNotSHA256)
		}
	}
	for _, s := range []string{"", "sha256:", digits[1:], digits[:63] + "g", colons + ":", ":" + colons, "9:" + colons, colons[:94] + "x", strings.Replace(colons, ":", "-", 1), strings.Replace(colons, ":94:", ":94-", 1), "md5:" + digits} {
		if _, err := ParseHash(s); err == nil || errors.Is(err, ErrNotSHA256) {
			t.Errorf("%q: %v, want it not to be hexadecimal", s, err)
		}
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add(strings.Repeat("94:", 31) + "0A")
	f.Add(strings.Repeat("9", 64))
	f.Add("::")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ParseHash(s)
		if err != nil {
			return
		}
		s = strings.ToLower(strings.ReplaceAll(s, ":", ""))
		if !strings.HasSuffix(s, h.String()) {
			t.Errorf("%q was read as %s", s, h)
		}
	})
}
