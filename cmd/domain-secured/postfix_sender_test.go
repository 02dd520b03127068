package main

import (
	"slices"
	"strings"
	"testing"

	"domain-secured/internal/testkit/mta"
)

// bankForms are the bank's address in the ways that Postfix understands, and what Postfix passes on of it.
var bankForms = []struct{ written, passed string }{
	{"<alice@WOODGROVEBANK.COM>", "alice@WOODGROVEBANK.COM"},
	{"<ALICE@WoodGroveBank.Com>", "ALICE@WoodGroveBank.Com"},
	{"<alice@woodgrovebank.com.>", "alice@woodgrovebank.com."},
	{"<@relay.example:alice@woodgrovebank.com>", "alice@woodgrovebank.com"},
	{"<@relay.example,@other.example:alice@woodgrovebank.com>", "alice@woodgrovebank.com"},
	{"<@contoso.com:alice@woodgrovebank.com>", "alice@woodgrovebank.com"},
	{`<"alice"@woodgrovebank.com>`, "alice@woodgrovebank.com"},
	{`<"a b@x"@WoodGroveBank.COM.>`, "a b@x@WoodGroveBank.COM."},
	{`<"alice@fabrikam.com"@woodgrovebank.com>`, "alice@fabrikam.com@woodgrovebank.com"},
	{`<"<alice@fabrikam.com>"@woodgrovebank.com>`, "<alice@fabrikam.com>@woodgrovebank.com"},
	{`<"alice@woodgrovebank.com">`, "alice@woodgrovebank.com"},
	{`<alice\@fabrikam.com@woodgrovebank.com>`, "alice@fabrikam.com@woodgrovebank.com"},
	{`<alice@"woodgrovebank.com">`, "alice@woodgrovebank.com"},
	{`<alice@woodgrovebank\.com>`, "alice@woodgrovebank.com"},
	{"<alice@@woodgrovebank.com>", "alice@@woodgrovebank.com"},
	{"<@woodgrovebank.com>", "@woodgrovebank.com"},
	{"alice@woodgrovebank.com", "alice@woodgrovebank.com"},
	{"< alice @ woodgrovebank . com >", "alice@woodgrovebank.com"},
	{"<alice@(the bank)woodgrovebank.com>", "alice@woodgrovebank.com"},
	{"<alice@woodgrovebank.com(fabrikam.com)>", "alice@woodgrovebank.com"},
	{"<(fabrikam.com)alice@woodgrovebank.com>", "alice@woodgrovebank.com"},
	{"<alice@woodgrovebank.com,>", "alice@woodgrovebank.com"},
	{"<group:alice@woodgrovebank.com;>", "alice@woodgrovebank.com"},
	{"<woodgrovebank.com!alice>", "woodgrovebank.com!alice"},
	{"<WOODGROVEBANK.COM.!alice>", "WOODGROVEBANK.COM.!alice"},
	{"<woodgrovebank.com!fabrikam.com!alice>", "woodgrovebank.com!fabrikam.com!alice"},
	{"<woodgrovebank.com!alice@>", "woodgrovebank.com!alice@"},
	{"<alice%woodgrovebank.com>", "alice%woodgrovebank.com"},
	{"<alice%woodgrovebank.com.>", "alice%woodgrovebank.com."},
	{"<alice%fabrikam.com%woodgrovebank.com>", "alice%fabrikam.com%woodgrovebank.com"},
	{"<fabrikam.com!alice%woodgrovebank.com>", "fabrikam.com!alice%woodgrovebank.com"},
	{"<alice%woodgrovebank.com@>", "alice%woodgrovebank.com@"},
	{"<alice@woodgrovebank.com@>", "alice@woodgrovebank.com@"},
	{"<alice@woodgrovebank.com@@>", "alice@woodgrovebank.com@@"},
	{"<alice%woodgrovebank.com%>", "alice%woodgrovebank.com%"},
	{"<!woodgrovebank.com!alice>", "!woodgrovebank.com!alice"},
}

// otherForms resemble the bank's address, and are not it: with what arrives.
var otherForms = []struct{ written, arrives string }{
	{`<"alice@woodgrovebank.com"@fabrikam.com>`, `"alice@woodgrovebank.com"@fabrikam.com`},
	{"<@woodgrovebank.com:alice@fabrikam.com>", "alice@fabrikam.com"},
	{"<fabrikam.com!woodgrovebank.com!alice>", "woodgrovebank.com!alice@fabrikam.com"},
	{"<woodgrovebank.com!alice@fabrikam.com>", "woodgrovebank.com!alice@fabrikam.com"},
	{"<alice%woodgrovebank.com@fabrikam.com>", "alice%woodgrovebank.com@fabrikam.com"},
	{"<alice@mail1.woodgrovebank.com>", "alice@mail1.woodgrovebank.com"},
	{"<alice@notwoodgrovebank.com>", "alice@notwoodgrovebank.com"},
	{"<alice@woodgrovebank.com.fabrikam.com>", "alice@woodgrovebank.com.fabrikam.com"},
	{"<@fabrikam.com:>", ""},
}

// bücherForms are of another listed domain, an internationalized one (RFC 6531).
var bücherForms = []struct{ written, passed string }{
	{"<alice@bücher.example> SMTPUTF8", "alice@bücher.example"},
	{"<älice@BÜCHER.Example.> SMTPUTF8", "älice@BÜCHER.Example."},
	{"<alice@bu\u0308cher.example> SMTPUTF8", "alice@bu\u0308cher.example"},
	{"<alice@ｂücher。example> SMTPUTF8", "alice@ｂücher。example"},
	{"<@relay.example:alice@bücher.example> SMTPUTF8", "alice@bücher.example"},
	{"<bücher.example!alice> SMTPUTF8", "bücher.example!alice"},
	{"<alice%bücher.example> SMTPUTF8", "alice%bücher.example"},
	{"<alice@xn--bcher-kva.example>", "alice@xn--bcher-kva.example"},
	{"<alice@XN--BCHER-KVA.EXAMPLE> SMTPUTF8", "alice@XN--BCHER-KVA.EXAMPLE"},
}

func testSenderForms(t *testing.T, s *postfixSite) {
	for _, form := range bankForms {
		s.refusedForm(t, form.written, form.passed, "woodgrovebank.com")
	}
	for _, form := range otherForms {
		all := s.sendForm(t, form.written)
		if len(all) != 1 || all[0].Sender != form.arrives {
			t.Errorf("%s: %v arrived, want one from %q", form.written, all, form.arrives)
		}
	}
}

func testInternationalizedSender(t *testing.T, s *postfixSite) {
	mark := s.Daemon.Mark()
	s.verb(t, "receive", "add", "bücher.example")
	s.logged(t, mark, "lists read")
	for _, form := range bücherForms {
		s.refusedForm(t, form.written, form.passed, "xn--bcher-kva.example")
	}
	// What else is the bank's domain to those who look up names (UTS 46).
	for _, domain := range []string{"ｗoodgrovebank.com", "woodgrovebank。com", "woodgrove\u00adbank.com", "woodgroveban\u212a.com"} {
		s.refusedForm(t, "<alice@"+domain+"> SMTPUTF8", "alice@"+domain, "woodgrovebank.com")
	}
	mark = s.Daemon.Mark()
	s.verb(t, "receive", "remove", "xn--bcher-kva.example")
	s.logged(t, mark, "lists read")
	if all := s.sendForm(t, "<alice@bücher.example> SMTPUTF8"); len(all) != 1 || all[0].Sender != "alice@bücher.example" {
		t.Errorf("%v arrived, want one message", all)
	}
}

// refusedForm sends a message whose sender is of the domain, but not proven.
func (s *postfixSite) refusedForm(t *testing.T, written, passed, domain string) {
	t.Helper()
	mark := s.Daemon.Mark()
	if all := s.sendForm(t, written); len(all) > 0 {
		t.Errorf("%s: arrived from %q", written, all[0].Sender)
		return
	}
	line := s.logged(t, mark, " msg=verdict ")
	if got := attribute(t, line, "sender"); got != passed {
		t.Errorf("%s: Postfix passes on %q, want %q", written, got, passed)
	}
	if got := attribute(t, line, "reply"); !strings.HasPrefix(got, "450 4.7.0 "+domain+" requires mutual TLS here: tls-not-used, ") {
		t.Errorf("%s: %s", written, got)
	}
}

// sendForm sends a message without TLS, with what is written after "MAIL FROM:", and returns what arrived of it.
func (s *postfixSite) sendForm(t *testing.T, written string) []mta.Message {
	t.Helper()
	r := dialRaw(t, s.plain())
	defer r.Close()
	m, id := letterFrom("")
	r.say(t, "MAIL FROM:"+written)
	r.expect(t, 250)
	r.say(t, "RCPT TO:<bob@contoso.com>")
	r.expect(t, 250)
	r.say(t, "DATA")
	code, text, err := r.ReadResponse(0)
	if code == 354 {
		r.say(t, slices.Concat(strings.Split(strings.TrimSuffix(string(m.Data), "\n"), "\n"), []string{"."})...)
		code, text, err = r.ReadResponse(0)
	}
	switch {
	case err != nil:
		t.Fatal(err)
	case code == 450:
		return nil
	case code != 250:
		t.Fatalf("%s: %d %s", written, code, text)
	}
	return s.arrived(t, id)
}
