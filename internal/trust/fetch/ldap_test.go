package fetch

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"
)

// tlv encodes one element, its length in the long form that Active Directory uses.
func tlv(tag byte, parts ...string) string {
	body := strings.Join(parts, "")
	n := len(body)
	return string([]byte{tag, 0x84, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + body
}

// ldapMessage encodes an LDAPMessage.
func ldapMessage(id byte, op ...string) string {
	return tlv(0x30, append([]string{"\x02\x01" + string(id)}, op...)...)
}

func ldapResult(tag, code byte) string {
	return tlv(tag, "\x0a\x01"+string(code), tlv(4, secret), tlv(4, secret))
}

// ldapEntry encodes a SearchResultEntry with one attribute.
func ldapEntry(values ...string) string {
	var set []string
	for _, value := range values {
		set = append(set, tlv(4, value))
	}
	return tlv(0x64, tlv(4, secret), tlv(0x30, tlv(0x30, tlv(4, secret), tlv(0x31, set...))))
}

var (
	bound    = ldapMessage(1, ldapResult(0x61, 0))
	done     = ldapResult(0x65, 0)
	referral = tlv(0x73, tlv(4, "ldap://"+secret+"/"))
)

// lying answers whatever it is asked with these octets.
func lying(t testing.TB, answer string) *server {
	octets := []byte(answer)
	return serve(t, func(s *server, conn net.Conn) {
		if _, err := conn.Read(make([]byte, 4096)); err != nil {
			return
		}
		_, _ = conn.Write(octets)
		// Hear it out: closing with octets unread would reset the connection and lose the answer.
		_, _ = io.Copy(io.Discard, conn)
	})
}

// ending is lying, and ends after that.
func ending(t testing.TB, answer string) *server {
	return serve(t, func(_ *server, conn net.Conn) {
		if _, err := conn.Read(make([]byte, 4096)); err != nil {
			return
		}
		_, _ = io.WriteString(conn, answer)
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
	})
}

const somewhere = "/cn=x?certificateRevocationList;binary"

func TestLDAPAnswers(t *testing.T) {
	const early, unusable = "ended the connection early", "no usable answer"
	withControls := func(message string) string { return message + tlv(0xa0, tlv(0x30, tlv(4, "1.2.3"))) }
	for _, c := range []struct {
		name, answer string
		want         string
		kind         error
		words        string
	}{
		{name: "good", answer: bound + ldapMessage(2, ldapEntry("hello")) + ldapMessage(2, done), want: "hello"},
		{name: "controls", answer: ldapMessage(1, withControls(ldapResult(0x61, 0))) + ldapMessage(2, withControls(ldapEntry("hello"))) + ldapMessage(2, withControls(done)), want: "hello"},
		{name: "entry and reference", answer: bound + ldapMessage(2, referral) + ldapMessage(2, ldapEntry("hello")) + ldapMessage(2, done), want: "hello"},
		{name: "empty value", answer: bound + ldapMessage(2, ldapEntry("")) + ldapMessage(2, done)},

		{name: "bind refused", answer: ldapMessage(1, ldapResult(0x61, 48)), words: "LDAP result 48, no anonymous access"},
		{name: "result nobody knows", answer: ldapMessage(1, ldapResult(0x61, 99)), words: "LDAP result 99"},
		{name: "busy", answer: bound + ldapMessage(2, ldapResult(0x65, 51)), words: "LDAP result 51, busy"},
		{name: "busy after the entry", answer: bound + ldapMessage(2, ldapEntry("hello")) + ldapMessage(2, ldapResult(0x65, 51)), words: "busy"},
		{name: "no entry", answer: bound + ldapMessage(2, done), words: "no such attribute"},
		{name: "no value", answer: bound + ldapMessage(2, ldapEntry()) + ldapMessage(2, done), words: "no such attribute"},
		{name: "reference only", answer: bound + ldapMessage(2, referral) + ldapMessage(2, done), words: "refers to another"},
		{name: "two values", answer: bound + ldapMessage(2, ldapEntry("hello", "world")) + ldapMessage(2, done), words: "more than one such value"},
		{name: "two entries", answer: bound + ldapMessage(2, ldapEntry("hello")) + ldapMessage(2, ldapEntry("world")) + ldapMessage(2, done), words: unusable},
		{name: "too large", answer: bound + ldapMessage(2, ldapEntry(strings.Repeat("x", 101))) + ldapMessage(2, done), kind: ErrTooLarge, words: "more than 100 octets"},
		{name: "endless references", answer: bound + strings.Repeat(ldapMessage(2, referral), 3000), kind: ErrTooLarge, words: "more than"},
		{name: "endless name", answer: bound + ldapMessage(2, tlv(0x64, tlv(4, strings.Repeat("x", 100_000)))), kind: ErrTooLarge, words: "more than"},
		{name: "notice of disconnection", answer: bound + ldapMessage(0, ldapResult(0x78, 52)), kind: io.ErrUnexpectedEOF, words: early},
		{name: "answer to something else", answer: bound + ldapMessage(3, done), words: unusable},
		{name: "search answered by bind", answer: bound + ldapMessage(2, ldapResult(0x61, 0)), words: unusable},
		{name: "bind answered by search", answer: ldapMessage(1, done), words: unusable},
		{name: "no LDAP", answer: secret, words: unusable},
		{name: "not a message", answer: tlv(0x31, secret), words: unusable},
		{name: "indefinite length", answer: "\x30\x80", words: unusable},
		{name: "length of lengths", answer: "\x30\x89\x00\x00\x00\x00\x00\x00\x00\x00\x01", words: unusable},
		{name: "negative length", answer: "\x30\x88\xff\xff\xff\xff\xff\xff\xff\xff", words: unusable},
		{name: "high tag", answer: tlv(0x30, "\x02\x01\x01", "\x7f\x81\x01\x00"), words: unusable},
		{name: "number of nothing", answer: tlv(0x30, "\x02\x00", ldapResult(0x61, 0)), words: unusable},
		{name: "long number", answer: tlv(0x30, "\x02\x05\x00\x00\x00\x00\x01", ldapResult(0x61, 0)), words: unusable},
		{name: "negative number", answer: tlv(0x30, "\x02\x01\xff", ldapResult(0x61, 0)), words: unusable},
		{name: "reaches out", answer: "\x30\x05\x02\x01\x01\x61\x7f" + secret, words: unusable},
		{name: "more in an attribute", answer: bound + ldapMessage(2, tlv(0x64, tlv(4), tlv(0x30, tlv(0x30, tlv(4), tlv(0x31), tlv(0x30, tlv(4), tlv(0x31, tlv(4, "hello"))))))) + ldapMessage(2, done), words: unusable},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, s := range []*server{lying(t, c.answer), ending(t, c.answer)} {
				got, err := get(t, client(t, Options{}), "ldap://"+s.addr+somewhere, 100)
				if c.words != "" {
					wantError(t, err, c.kind, c.words)
				} else if err != nil || got != c.want {
					t.Errorf("got %q, %v", got, err)
				}
			}
		})
	}
}

// TestLDAPTruncated: no beginning of an answer is an answer.
func TestLDAPTruncated(t *testing.T) {
	answer := bound + ldapMessage(2, ldapEntry("hello")) + ldapMessage(2, done)
	for n := range len(answer) {
		s := ending(t, answer[:n])
		_, err := get(t, client(t, Options{}), "ldap://"+s.addr+somewhere, 100)
		wantError(t, err, io.ErrUnexpectedEOF, "early")
	}
}

func TestLDAPSlow(t *testing.T) {
	for _, answer := range []string{"", bound[:3], bound, bound + ldapMessage(2, ldapEntry("hello"))} {
		s := lying(t, answer)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, err := client(t, Options{}).Get(ctx, "ldap://"+s.addr+somewhere, Validators{}, io.Discard, 0)
		cancel()
		wantError(t, err, context.DeadlineExceeded, "not finished in time")
	}
}

func TestLDAPWriterFails(t *testing.T) {
	s := lying(t, bound+ldapMessage(2, ldapEntry("hello"))+ldapMessage(2, done))
	_, err := client(t, Options{}).Get(t.Context(), "ldap://"+s.addr+somewhere, Validators{}, failing{io.ErrShortWrite}, 0)
	wantError(t, err, io.ErrShortWrite, "storing what was fetched")
}

// TestLDAPMemory: neither a large value nor a million elements within each other
// are ever held.
func TestLDAPMemory(t *testing.T) {
	nested := "\x04\x00"
	for range 2000 {
		nested = tlv(0x30, nested)
	}
	for name, answer := range map[string]string{
		"large":  bound + ldapMessage(2, ldapEntry(strings.Repeat("x", 32<<20))) + ldapMessage(2, done),
		"nested": bound + ldapMessage(2, tlv(0x64, nested)),
	} {
		s := lying(t, answer)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var written counter
		_, err := client(t, Options{}).Get(t.Context(), "ldap://"+s.addr+somewhere, Validators{}, &written, 0)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
			t.Errorf("%s: %d octets were allocated", name, used)
		}
		if (err == nil) != (name == "large") || err == nil && written != 32<<20 {
			t.Errorf("%s: %d octets, %v", name, written, err)
		}
	}
}

func TestParseLDAP(t *testing.T) {
	for raw, want := range map[string]string{
		"ldap://h/cn=x":                                                        "h:389  cn=x [certificateRevocationList;binary authorityRevocationList;binary deltaRevocationList;binary]",
		"ldap://h:3890/cn=x?a":                                                 "h:3890  cn=x [a;binary]",
		"ldaps://H.example./cn=x?a;binary":                                     "H.example.:636 H.example cn=x [a;binary]",
		"LDAP://[2600::1]/cn=x?a;BINARY;lang-de?base":                          "[2600::1]:389  cn=x [a;BINARY;lang-de]",
		"ldap:///cn=x?%61?BASE?f?ext":                                          "  cn=x [a;binary]",
		"ldap:///CN=A%20B%2cC,DC=x%3fy%c3%a4?2.5.4.39??(cn=a,!b)":              "  CN=A B,C,DC=x?yä [2.5.4.39;binary]",
		"ldap:///CN=A B,DC=x?certificateRevocationList?base?objectClass=cRLDP": "  CN=A B,DC=x [certificateRevocationList;binary]",
	} {
		u, err := parseURL(raw)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseLDAP(u)
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		var server ldapServer
		if got.server != nil {
			server = *got.server
		}
		if text := fmt.Sprintf("%s %s %s %s", server.address, server.host, got.dn, got.attributes); text != want {
			t.Errorf("%s: %q, want %q", raw, text, want)
		}
	}
	for raw, words := range map[string]string{
		"ldap://h": "no entry", "ldap://h/": "no entry", "ldap:///": "no entry", "ldap://h/?a": "no entry", "ldap://h/%ff": "no entry",
		"ldap:cn=x": "not of the form", "ldap://user@h/cn=x": "not of the form", "ldap://h/cn=x#2": "not of the form",
		"ldap://:389/cn=x": "its host or port", "ldap://h:/cn=x": "its host or port",
		"ldap://h/cn=x?a,b": "one attribute", "ldap://h/cn=x?*": "one attribute", "ldap://h/cn=x?a;": "one attribute", "ldap://h/cn=x?%zz": "one attribute", "ldap://h/cn=x?%00": "one attribute",
		"ldap://h/cn=x?" + strings.Repeat("a", 129): "one attribute",
		"ldap://h/cn=x?a?sub":                       "not base", "ldap://h/cn=x?a?one": "not base",
		"ldap://h/cn=x????!e-bindname=cn=y": "critical", "ldap://h/cn=x????a,!b": "critical", "ldap://h/cn=x?????": "too many",
	} {
		_, err := get(t, client(t, Options{}), raw, 0)
		wantError(t, err, ErrUnsupported, words)
	}
}

// FuzzLDAPURL looks for a URL that panics, or that asks for what it must not.
func FuzzLDAPURL(f *testing.F) {
	for _, raw := range []string{"ldap://h/cn=x?certificateRevocationList;binary?base?(objectClass=*)?ext", "ldaps://[::1]:636/cn=%41", "ldap:///CN=a,DC=b?a?base?c=d"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := parseURL(raw)
		if err != nil || u.Scheme != "ldap" && u.Scheme != "ldaps" {
			return
		}
		target, err := parseLDAP(u)
		if err != nil {
			wantError(t, err, ErrUnsupported, "as an LDAP URL")
			return
		}
		if target.dn == "" || u.Fragment != "" {
			t.Errorf("%q asks for %+v", raw, target)
		}
		for _, attribute := range target.attributes {
			if !isAttribute(strings.TrimSuffix(attribute, ";binary")) || !hasBinary(attribute) {
				t.Errorf("%q asks for %q", raw, attribute)
			}
		}
		if target.server != nil {
			if host, port, err := net.SplitHostPort(target.server.address); err != nil || host == "" || port == "" {
				t.Errorf("%q asks %q", raw, target.server.address)
			}
			// The same server is meant when the option says it.
			again, err := parseLDAPServer((&url.URL{Scheme: u.Scheme, Host: u.Host}).String())
			if err != nil || *again != *target.server {
				t.Errorf("%+v and %+v, %v", again, target.server, err)
			}
		}
	})
}

// FuzzLDAPAnswer looks for an answer that panics, hangs, or gives more than there is.
func FuzzLDAPAnswer(f *testing.F) {
	f.Add([]byte(ldapMessage(1, ldapEntry("hello")) + ldapMessage(1, done)))
	f.Add([]byte(ldapMessage(1, referral) + ldapMessage(1, done)))
	f.Add([]byte(ldapMessage(1, ldapResult(0x65, 32))))
	f.Add([]byte("\x30\x80"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		const limit = 100
		var got bytes.Buffer
		s := newSession(recorded{bytes.NewReader(answer)}, limit)
		n, found, err := s.search("cn=x", "a;binary", time.Second, &got, limit)
		if n > limit || n > int64(len(answer)) || int64(got.Len()) != n && err == nil {
			t.Errorf("%d octets, found %v, %v", n, found, err)
		}
		if found && err == nil && !bytes.Contains(answer, got.Bytes()) {
			t.Errorf("%q was not there", got.Bytes())
		}
	})
}

// recorded is a connection that says what was recorded.
type recorded struct{ io.Reader }

func (recorded) Write(p []byte) (int, error) { return len(p), nil }
