package mta

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/testkit/smtpclient"
)

// allMacros are those that are compared.
var allMacros = map[int]string{
	0: "j {daemon_name} {daemon_addr} {daemon_port} v _ {client_addr} {client_port} {client_name} {client_ptr}",
	1: "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer} j",
	2: "i {mail_addr}, {mail_host}, {mail_mailer} {tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer} {client_addr} {client_port} {nonsense}",
	3: "i {rcpt_addr} {rcpt_host} {rcpt_mailer} {tls_version}",
	4: "i {tls_version} {cert_issuer} {client_addr} {client_port} {mail_addr}",
	5: "i j {tls_version} {cert_subject} {client_addr} {client_port} {daemon_name} {mail_addr}",
	6: "i {tls_version} {client_name}",
}

// steps returns the bits that decline the events, and the replies to them.
func steps(events, replies string) (bits uint32) {
	for i := range len(events) {
		bits |= milterEvents[events[i]].noEvent
	}
	for i := range len(replies) {
		bits |= milterEvents[replies[i]].silent
	}
	return bits
}

// TestMilterEventsAgree holds the same sessions with the fake server and with Postfix, and compares what the
// milter hears.
func TestMilterEventsAgree(t *testing.T) {
	t.Parallel()
	b := newBoth(t)
	good, err := b.ca.Leaf(pki.LeafOptions{CommonNames: []string{"mail1.woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	nameless, err := b.ca.Leaf(pki.LeafOptions{Organization: "Woodgrove Bank", DNSNames: []string{"mail1.woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	presenting := func(c *pki.Certificate) smtpclient.Options {
		certificate := c.TLSCertificate()
		return smtpclient.Options{TLS: true, Certificate: &certificate}
	}
	once := presenting(good)
	once.OneHello = true
	from := func(sender, parameters string, recipients ...string) smtpclient.Mail {
		return smtpclient.Mail{Sender: sender, Parameters: parameters, Recipients: recipients, Data: dated}
	}
	mail := from("alice@woodgrovebank.com", "", "bob@contoso.com")
	full := StandInOptions{Actions: offeredActions, Macros: allMacros}
	without := func(events, replies string) StandInOptions {
		o := full
		o.Steps = steps(events, replies)
		return o
	}
	refusing := func(code byte) StandInOptions {
		return StandInOptions{Actions: offeredActions, Macros: allMacros, Answer: firstOf(code, MilterPacket{MilterReplyCode, "454 4.7.1 no\x00"})}
	}
	for _, test := range []struct {
		name   string
		milter StandInOptions
		policy string
		client smtpclient.Options
		mails  []smtpclient.Mail
	}{
		{"plain", full, "DUNNO", smtpclient.Options{}, []smtpclient.Mail{mail}},
		{"no mail", full, "DUNNO", smtpclient.Options{}, nil},
		{"TLS", full, "DUNNO", presenting(good), []smtpclient.Mail{mail}},
		{"TLS without a second EHLO", full, "DUNNO", once, []smtpclient.Mail{mail}},
		{"TLS without a common name", full, "DUNNO", presenting(nameless), []smtpclient.Mail{mail}},
		{"TLS without a certificate", full, "DUNNO", smtpclient.Options{TLS: true}, []smtpclient.Mail{mail}},
		{"two messages", full, "DUNNO", presenting(good), []smtpclient.Mail{mail, from("carol@tailspintoys.com", "", "bob@contoso.net")}},
		{"EHLO before, between and after", full, "DUNNO", presenting(good), []smtpclient.Mail{hello, mail, hello, mail, hello}},
		{"EHLO twice without TLS", full, "DUNNO", smtpclient.Options{}, []smtpclient.Mail{hello, mail}},
		{"macros of its own", StandInOptions{}, "DUNNO", presenting(good), []smtpclient.Mail{mail}},
		{"two recipients", full, "DUNNO", smtpclient.Options{}, []smtpclient.Mail{from("alice@woodgrovebank.com", "", "bob@contoso.com", "carol@contoso.net")}},
		{"a recipient refused", full, "DUNNO", smtpclient.Options{}, []smtpclient.Mail{from("alice@woodgrovebank.com", "", "bob@fabrikam.com"), mail}},
		{"null sender", full, "DUNNO", smtpclient.Options{}, []smtpclient.Mail{from("", "", "bob@contoso.com")}},
		{"route, quotes, dot", full, "DUNNO", smtpclient.Options{}, []smtpclient.Mail{from(`@relay.example:"a b@\"x"@WoodGroveBank.COM.`, "", "Bob@CONTOSO.com")}},
		{"quotes in vain", full, "DUNNO", smtpclient.Options{}, []smtpclient.Mail{from(`"a.b"@woodgrovebank.com`, "", `"bob"@contoso.com`)}},
		{"no domain", full, "DUNNO", smtpclient.Options{}, []smtpclient.Mail{from("bare", "", "bob@contoso.com")}},
		{"parameters", full, "DUNNO", smtpclient.Options{}, []smtpclient.Mail{from("alice@bücher.example", "SIZE=1234  SMTPUTF8 body=8bitmime", "bob@contoso.com")}},
		{"refused by the policy service", full, "450 4.7.1 no", presenting(good), []smtpclient.Mail{mail, mail}},
		{"refused at MAIL", refusing(milterMail), "DUNNO", smtpclient.Options{}, []smtpclient.Mail{mail, mail}},
		{"refused at RCPT", refusing(milterRcpt), "DUNNO", smtpclient.Options{}, []smtpclient.Mail{mail, mail}},
		{"refused at DATA", refusing(milterData), "DUNNO", presenting(good), []smtpclient.Mail{mail, mail}},
		{"refused in the header", refusing(milterHeader), "DUNNO", smtpclient.Options{}, []smtpclient.Mail{mail, mail}},
		{"refused at the end", refusing(MilterEnd), "DUNNO", smtpclient.Options{}, []smtpclient.Mail{mail, mail}},
		{"accepted at MAIL", StandInOptions{Answer: firstOf(milterMail, MilterPacket{Code: MilterAccept})}, "DUNNO", smtpclient.Options{}, []smtpclient.Mail{mail, mail}},
		{"discarded in the header", StandInOptions{Answer: firstOf(milterHeader, MilterPacket{Code: MilterDiscard})}, "DUNNO", smtpclient.Options{}, []smtpclient.Mail{mail, mail}},
		{"DATA and end only", without("CHMRLNB", ""), "DUNNO", presenting(good), []smtpclient.Mail{mail, mail}},
		{"no events but the end", without("CHMRTLNB", "CHMRTLNB"), "DUNNO", presenting(good), []smtpclient.Mail{mail, mail}},
		{"no header", without("L", ""), "DUNNO", smtpclient.Options{}, []smtpclient.Mail{mail}},
		{"no end of header", without("N", ""), "DUNNO", smtpclient.Options{}, []smtpclient.Mail{mail}},
		{"no body", without("B", ""), "DUNNO", smtpclient.Options{}, []smtpclient.Mail{mail}},
		{"no body and no end of header", without("NB", "CHMRL"), "DUNNO", presenting(good), []smtpclient.Mail{mail, mail}},
		{"no replies but at the end", without("", "CHMRTLNB"), "DUNNO", presenting(good), []smtpclient.Mail{mail, mail}},
		{"leading blanks", StandInOptions{Steps: keepsLeadingSpace}, "DUNNO", smtpclient.Options{}, []smtpclient.Mail{mail}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := b.fake.hold(t, test.milter, test.policy, test.client, test.mails...)
			want := b.postfix.hold(t, test.milter, test.policy, test.client, test.mails...)
			for _, of := range []struct {
				what      string
				got, want []string
			}{
				{"replies", got.replies, want.replies}, {"told to the milter", got.told, want.told}, {"arrived", got.arrived, want.arrived},
			} {
				if diff := firstDifference(of.got, of.want); diff != "" {
					t.Errorf("%s: %s", of.what, diff)
				}
			}
		})
	}
}

// TestMilterRepliesAgree has the milter give the same answers at the same events.
func TestMilterRepliesAgree(t *testing.T) {
	t.Parallel()
	b := newBoth(t)
	mail := letter
	mail.Data = dated
	for _, answer := range []MilterPacket{
		{Code: MilterTempfail}, {Code: MilterReject},
		{MilterReplyCode, "454 4.7.5 woodgrovebank.com requires mutual TLS here: 100%% certificate-unknown\x00"},
		{MilterReplyCode, "550 5.7.1 no\x00"}, {MilterReplyCode, "450 no\x00"}, {MilterReplyCode, "421 4.7.0 no\x00"},
		{MilterReplyCode, "250 2.0.0 yes\x00"}, {MilterReplyCode, "450 5.7.1 mixed\x00"}, {MilterReplyCode, "no\x00"},
		{Code: 'X'}, InsertHeader(0, "X-Early", "x"),
	} {
		for _, code := range []byte{milterConnect, milterHello, milterMail, milterRcpt, milterData, milterHeader, milterEndOfHeader, milterBody, MilterEnd} {
			final := answer.Code == MilterReject || strings.HasPrefix(answer.Data, "550") || strings.HasPrefix(answer.Data, "421")
			if code == milterConnect && final || code == milterHello && strings.HasPrefix(answer.Data, "421") || code == MilterEnd && answer.Code == MilterInsertHeader {
				continue // ends the session before any mail; is no answer
			}
			t.Run(fmt.Sprintf("%c %c %.3s", code, answer.Code, answer.Data), func(t *testing.T) {
				o := StandInOptions{Actions: offeredActions, Answer: firstOf(code, answer)}
				got := b.fake.hold(t, o, "DUNNO", smtpclient.Options{}, mail, mail)
				want := b.postfix.hold(t, o, "DUNNO", smtpclient.Options{}, mail, mail)
				if diff := firstDifference(got.replies, want.replies); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
	t.Run("gone", func(t *testing.T) {
		b.fake.milter.Close()
		b.postfix.milter.Close()
		for _, tls := range []bool{false, true} {
			got, want := send(t, b.fake, smtpclient.Options{TLS: tls}, mail), send(t, b.postfix, smtpclient.Options{TLS: tls}, mail)
			if got != want || got.Accepted() {
				t.Errorf("the fake said, at %s, %s\nPostfix said, at %s, %s", got.Stage, got, want.Stage, want)
			}
		}
	})
}

// TestMilterEditsAgree has the milter edit the same header.
func TestMilterEditsAgree(t *testing.T) {
	t.Parallel()
	b := newBoth(t)
	mail := letter
	mail.Data = []byte("Domain-Secured: one\nDOMAIN-SECURED :two\nReceived: from a by b; c\n" + string(dated[:len(dated)-len(body)-1]) +
		"domain-secured\t:\n three\nDomain-Secured:\nDomain-Secured: five\n Domain-Secured: not six\n\nDomain-Secured: body\n")
	name := "Domain-Secured"
	long := InsertHeader(0, name, "mx1.contoso.com; domain=woodgrovebank.com;\n  client=127.0.0.1")
	for _, test := range []struct {
		name  string
		steps uint32
		edits []MilterPacket
	}{
		{"none", 0, nil},
		{"insert at the top", 0, []MilterPacket{long}},
		{"insert with its own blank", keepsLeadingSpace, []MilterPacket{InsertHeader(0, name, " stamp")}},
		{"insert below the first", 0, []MilterPacket{InsertHeader(1, name, "stamp")}},
		{"insert below the second", 0, []MilterPacket{InsertHeader(2, name, "stamp")}},
		{"insert far below", 0, []MilterPacket{InsertHeader(100, name, "stamp")}},
		{"add", 0, []MilterPacket{{MilterAddHeader, milterStrings(name, "stamp")}}},
		{"delete from the highest", 0, []MilterPacket{deleteHeader(5, name), deleteHeader(4, name), deleteHeader(3, name), deleteHeader(2, name), deleteHeader(1, name)}},
		{"delete from the lowest", 0, []MilterPacket{deleteHeader(1, name), deleteHeader(2, name), deleteHeader(3, name), deleteHeader(4, name), deleteHeader(5, name)}},
		{"delete the first again and again", 0, slices.Repeat([]MilterPacket{deleteHeader(1, name)}, 7)},
		{"delete the one inserted", 0, []MilterPacket{long, deleteHeader(1, name)}},
		{"delete, then insert", 0, []MilterPacket{deleteHeader(2, "domain-secured"), deleteHeader(1, name), long}},
		{"index 0", 0, []MilterPacket{deleteHeader(0, name)}},
		{"change", 0, []MilterPacket{ChangeHeader(3, name, "changed")}},
		{"change what is not there", 0, []MilterPacket{ChangeHeader(9, name, "changed")}},
		{"Received", 0, []MilterPacket{deleteHeader(2, "Received"), deleteHeader(1, "Received")}},
		{"insert, then Received", 0, []MilterPacket{long, deleteHeader(1, "Received")}},
		{"progress", 0, []MilterPacket{{Code: MilterProgress}, long}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := StandInOptions{Actions: offeredActions, Steps: test.steps, Answer: firstOf(MilterEnd, append(test.edits, MilterPacket{Code: MilterContinue})...)}
			got := b.fake.hold(t, o, "PREPEND X-Prepended: yes", smtpclient.Options{}, mail)
			want := b.postfix.hold(t, o, "PREPEND X-Prepended: yes", smtpclient.Options{}, mail)
			if diff := firstDifference(got.arrived, want.arrived); diff != "" || len(got.arrived) != 1 {
				t.Errorf("%d arrived; %s", len(got.arrived), diff)
			}
		})
	}
}

const body = "Hi Bob.\n.\n"

// dated is a letter that no mail server adds a field to but Received.
var dated = []byte("From: <alice@woodgrovebank.com>\nSubject:   hello\n\tworld\nX-Empty:\nDate: Fri, 2 Jan 2026 03:04:05 +0000\nMessage-ID: <1@woodgrovebank.com>\n\n" + body)

func deleteHeader(index uint32, name string) MilterPacket { return ChangeHeader(index, name, "") }

// firstOf answers the first event of a kind so, and continues otherwise.
func firstOf(code byte, answers ...MilterPacket) func([]MilterPacket) []MilterPacket {
	return func(told []MilterPacket) []MilterPacket {
		is := func(p MilterPacket) bool { return p.Code == code }
		if slices.IndexFunc(told, is) == len(told)-1 {
			return answers
		}
		return []MilterPacket{{Code: MilterContinue}}
	}
}
