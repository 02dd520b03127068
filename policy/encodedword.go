package policy

import (
	"strconv"
	"strings"
)

// decodeWords returns s with its encoded words (RFC 2047) decoded to the octets
// that they hold, a gap behind each, and whether those can be read: the charsets
// that mail software knows have ASCII in them, but for UTF-7. Every decoder has
// its own idea of a broken word; this one decodes what it can.
func decodeWords(s, gap string) (text string, readable bool) {
	b := make([]byte, 0, len(s))
	readable = true
	for afterWord := false; ; {
		start := strings.Index(s, "=?")
		if start < 0 {
			break
		}
		charset, encoding, size := wordHeader(s[start:])
		if size == 0 {
			b = append(b, s[:start+2]...)
			s, afterWord = s[start+2:], false
			continue
		}
		if !afterWord || strings.Trim(s[:start], " \t\r\n") != "" {
			b = append(b, s[:start]...)
		}
		s, afterWord = s[start+size:], true
		end := wordEnd(s, encoding)
		if encoding == 'q' {
			b = appendQ(b, s[:end])
		} else {
			// Some decoders end at padding, others go on.
			for part := range strings.SplitSeq(s[:end], "=") {
				b = append(appendBase64(b, part), gap...)
			}
		}
		b = append(b, gap...)
		s = strings.TrimPrefix(s[end:], "?=")
		readable = readable && !strings.Contains(lowerASCII(charset), "utf-7")
	}
	return string(append(b, s...)), readable
}

// wordHeader reads the beginning of an encoded word, "=?charset?q?", with its
// encoding in lower case. The size of what is none is 0.
func wordHeader(s string) (charset string, encoding byte, size int) {
	charset, rest, _ := strings.Cut(s[len("=?"):], "?")
	if len(rest) < 2 || rest[1] != '?' || strings.ContainsAny(charset, "= \t\r\n") {
		return "", 0, 0
	}
	if encoding = rest[0] | 0x20; encoding != 'q' && encoding != 'b' {
		return "", 0, 0
	}
	return charset, encoding, len("=?") + len(charset) + len("?q?")
}

// wordEnd returns the length of an encoded word's text: up to its end mark, the
// next word or the end of s.
func wordEnd(s string, encoding byte) int {
	for i := range len(s) {
		switch {
		case s[i] == '?' && (encoding == 'b' || strings.HasPrefix(s[i:], "?=")):
			return i
		case strings.HasPrefix(s[i:], "=?"):
			if _, _, size := wordHeader(s[i:]); size > 0 {
				return i
			}
		}
	}
	return len(s)
}

// appendQ decodes the encoding "Q" (RFC 2047 section 4.2).
func appendQ(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '_' {
			c = ' '
		} else if c == '=' && i+2 < len(s) {
			if octet, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				c = byte(octet)
				i += 2
			}
		}
		b = append(b, c)
	}
	return b
}

// appendBase64 decodes base64 without padding, passing over other octets.
func appendBase64(b []byte, s string) []byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	bits, n := uint32(0), 0
	for i := 0; i < len(s); i++ {
		value := strings.IndexByte(alphabet, s[i])
		if value < 0 {
			continue
		}
		bits = bits<<6 | uint32(value)
		if n += 6; n >= 8 {
			n -= 8
			b = append(b, byte(bits>>n))
		}
	}
	return b
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
