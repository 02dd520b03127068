package main

import (
	"slices"
	"strings"
	"testing"
)

// bankFormsOfSendmail are the bank's address in the ways that Sendmail understands.
var bankFormsOfSendmail = []string{
	"<alice@woodgrovebank.com>",
	"<Alice@WoodgroveBank.COM>",
	"alice@woodgrovebank.com",
	"<alice@woodgrovebank.com.>",
	"<alice @ woodgrovebank.com>",
	"< alice@woodgrovebank . com >",
	"<alice@woodgrovebank.com (fabrikam.com)>",
	"<alice@(fabrikam.com)woodgrovebank.com>",
	"<(fabrikam.com)alice@woodgrovebank.com>",
	"<@fabrikam.com:alice@woodgrovebank.com>",
	"<@fabrikam.com,@example.net:alice@woodgrovebank.com>",
	"<@mx1.contoso.com:alice@woodgrovebank.com>",
	`<"alice"@woodgrovebank.com>`,
	`<"alice@fabrikam.com"@woodgrovebank.com>`,
	`<alice\@fabrikam.com@woodgrovebank.com>`,
	"<fabrikam.com!alice@woodgrovebank.com>",
	"<alice%fabrikam.com@woodgrovebank.com>",
	"<woodgrovebank.com!alice>",
	"<WOODGROVEBANK.com!fabrikam.com!alice>",
	"<alice%woodgrovebank.com>",
	"<alice%woodgrovebank.com@mx1.contoso.com>",
	"<alice%fabrikam.com%woodgrovebank.com>",
	"<woodgrovebank.com!alice@mx1.contoso.com>",
	"<alice@woodgrovebank.com@mx1.contoso.com>",
	`<alice@"woodgrovebank.com">`,
	`<alice@woodgrovebank\.com>`,
	`<alice@wood"grove"bank.com>`,
	`<alice@"woodgrove"bank.com>`,
	`<alice@woodgrovebank.com\>`,
	`<alice@woodgrovebank..com>`,
	"<alice@woodgrovebank.com,>",
	"<alice@woodgrovebank.com;>",
	"<alice@@woodgrovebank.com>",
	"<alice@[woodgrovebank.com]>",
	"<alice@woodgrovebank.com%>",
	"<alice@\twoodgrovebank.com>",
	"<alice@fabrikam.com:alice@woodgrovebank.com>",
	"<alice%woodgrovebank.com@localhost>",
	"<alice@woodgrovebank.com@localhost>",
	"<woodgrovebank.com!alice@localhost>",
	"<@woodgrovebank.com>",
	"<alice@woodgrovebank.com> BODY=8BITMIME SIZE=100",
	"<group:alice@woodgrovebank.com;>",
}

// otherFormsOfSendmail resemble the bank's address, and are not it.
var otherFormsOfSendmail = []string{
	`<"alice@woodgrovebank.com"@fabrikam.com>`,
	"<@woodgrovebank.com:alice@fabrikam.com>",
	"<fabrikam.com!woodgrovebank.com!alice>",
	"<woodgrovebank.com!alice@fabrikam.com>",
	"<alice%woodgrovebank.com@fabrikam.com>",
	"<alice@mail1.woodgrovebank.com>",
	"<alice@notwoodgrovebank.com>",
	"<alice@woodgrovebank.com.fabrikam.com>",
	"<alice@woodgrovebank>",
	"<alice@fabrikam.com (woodgrovebank.com)>",
	"<alice%woodgrovebank.com@[127.0.0.1]>",
	"<mx1!woodgrovebank.com!alice>",
	"<woodgrovebank!alice>",
	"<alice@woodgrovebank.com.UUCP>",
	"<woodgrovebank.com:alice>",
	"<woodgrovebank.com::alice>",
	"<@woodgrovebank.com:alice>",
	"<alice>",
	"<>",
}

// testSendersOfSendmail: whatever Sendmail takes for the bank's address is the bank's, and nothing else is. What
// Sendmail does not understand it refuses itself.
func testSendersOfSendmail(t *testing.T, s *mailSite) {
	refused := 0
	for _, written := range bankFormsOfSendmail {
		code, text := s.tryForm(t, written)
		switch {
		case code == 450 && strings.HasPrefix(text, "4.7.0 woodgrovebank.com requires mutual TLS here: tls-not-used, "):
		case code == 553:
			refused++
		default:
			t.Errorf("%s: %d %s", written, code, text)
		}
	}
	if refused != 8 {
		t.Errorf("Sendmail itself refused %d, not 8", refused)
	}
	for _, written := range otherFormsOfSendmail {
		if code, text := s.tryForm(t, written); code != 250 {
			t.Errorf("%s: %d %s", written, code, text)
		}
	}
}

// testOwnDomain: of a sender in a domain that Sendmail takes for its own, its canonical form is the local part alone.
func testOwnDomain(t *testing.T, s *mailSite) {
	mark := s.Daemon.Mark()
	s.verb(t, "receive", "add", "mx1.contoso.com")
	s.logged(t, mark, "lists read")
	code, text := s.tryForm(t, "<bob@mx1.contoso.com>")
	if code != 450 || !strings.HasPrefix(text, "4.7.0 mx1.contoso.com requires mutual TLS here: tls-not-used, ") {
		t.Errorf("%d %s", code, text)
	}
	mark = s.Daemon.Mark()
	s.verb(t, "receive", "remove", "mx1.contoso.com")
	s.logged(t, mark, "lists read")
}

// tryForm sends a message without TLS, with what is written after "MAIL FROM:", and returns the last reply.
func (s *mailSite) tryForm(t *testing.T, written string) (code int, text string) {
	t.Helper()
	r := dialRaw(t, s.plain())
	defer r.Close()
	m, _ := letterFrom("")
	letter := strings.Join(slices.Concat(strings.Split(strings.TrimSuffix(string(m.Data), "\n"), "\n"), []string{"."}), "\r\n")
	for _, step := range []struct {
		say  string
		goOn int
	}{{"MAIL FROM:" + written, 250}, {"RCPT TO:<bob@contoso.com>", 250}, {"DATA", 354}, {letter, 0}} {
		r.say(t, step.say)
		var err error
		if code, text, err = r.ReadResponse(0); code == 0 {
			t.Fatal(err)
		}
		if code != step.goOn {
			break
		}
	}
	return code, text
}
