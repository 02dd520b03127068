package mta

import (
	"crypto/tls"
	"regexp"
	"slices"
	"strings"
	"testing"

	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/testkit/smtpclient"
)

// byNature are the attributes whose values differ from one session or TLS library to another; their form
// does not.
var byNature = map[string]*regexp.Regexp{
	"client_port":        regexp.MustCompile(`^\d{1,5}$`),
	"server_port":        regexp.MustCompile(`^\d{1,5}$`),
	"queue_id":           regexp.MustCompile(`^[0-9A-F]{6,15}$`),
	"instance":           regexp.MustCompile(`^[0-9a-f]+\.[0-9a-f]{8}\.[0-9a-f]+\.[0-9a-f]+$`),
	"encryption_cipher":  regexp.MustCompile(`^(|TLS_(AES|CHACHA20)_[0-9A-Z_]+|ECDHE-ECDSA-(AES|CHACHA20)[0-9A-Z-]+)$`),
	"encryption_keysize": regexp.MustCompile(`^(0|128|256)$`),
}

// TestAttributesAgree holds the same sessions with the fake server and with Postfix, and compares what the
// policy service hears.
func TestAttributesAgree(t *testing.T) {
	t.Parallel()
	c, ca := common(t)
	weird, err := ca.Leaf(pki.LeafOptions{CommonNames: []string{"Weird = CN+with spaces", "second"}, DNSNames: []string{"mail1.woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	nameless, err := ca.Leaf(pki.LeafOptions{Organization: "Woodgrove Bank", DNSNames: []string{"mail1.woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	selfSigned, err := pki.SelfSigned(pki.LeafOptions{CommonNames: []string{"mail1.woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	serverOnly, err := ca.Leaf(pki.LeafOptions{CommonNames: []string{"mail1.woodgrovebank.com"}, Usage: pki.UsageServer})
	if err != nil {
		t.Fatal(err)
	}
	intermediate, err := ca.Intermediate(pki.CAOptions{Name: "Issuing CA"})
	if err != nil {
		t.Fatal(err)
	}
	deep, err := intermediate.Leaf(pki.LeafOptions{CommonNames: []string{"mail2.woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	presenting := func(c *pki.Certificate) smtpclient.Options {
		certificate := c.TLSCertificate()
		return smtpclient.Options{TLS: true, Certificate: &certificate}
	}
	from := func(sender string, recipients ...string) smtpclient.Mail {
		return smtpclient.Mail{Sender: sender, Recipients: recipients, Data: letter.Data}
	}
	with := func(parameters string, m smtpclient.Mail) smtpclient.Mail {
		m.Parameters = parameters
		return m
	}
	older := presenting(weird)
	older.MaxVersion = tls.VersionTLS12

	policyOfFake, policyOfPostfix := newOracle(t, "tcp", "127.0.0.1:0"), newOracle(t, "tcp", "127.0.0.1:0")
	fake, postfix := startFake(t, c, policyOfFake), startPostfix(t, c, askingAtData(policyOfPostfix))
	for _, test := range []struct {
		name string
		o    smtpclient.Options
		m    smtpclient.Mail
	}{
		{"plain", smtpclient.Options{}, letter},
		{"no certificate", smtpclient.Options{TLS: true}, letter},
		{"trusted", presenting(weird), letter},
		{"TLS 1.2", older, letter},
		{"no common name", presenting(nameless), letter},
		{"self-signed", presenting(selfSigned), letter},
		{"server only", presenting(serverOnly), letter},
		{"intermediate", presenting(deep), letter},
		{"two recipients", smtpclient.Options{}, from("alice@woodgrovebank.com", "bob@contoso.com", "carol@contoso.net")},
		{"null sender", smtpclient.Options{}, from("", "bob@contoso.com")},
		{"route, quotes, dot", smtpclient.Options{}, from(`@relay.example:"a b@x"@WoodGroveBank.COM.`, "bob@contoso.com")},
		{"no domain", smtpclient.Options{}, from("bare", "Bob@Contoso.COM")},
		{"not ASCII", smtpclient.Options{}, with("SMTPUTF8", from("alice@bücher.example", "bob@contoso.com"))},
		{"size", smtpclient.Options{}, with("SIZE=1234 BODY=8BITMIME", letter)},
	} {
		t.Run(test.name, func(t *testing.T) {
			fakeReply, postfixReply := send(t, fake, test.o, test.m), send(t, postfix, test.o, test.m)
			if fakeReply.Accepted() != postfixReply.Accepted() {
				t.Fatalf("the fake said %s, Postfix %s", fakeReply, postfixReply)
			}
			if !postfixReply.Accepted() {
				t.Fatalf("refused by either, and nothing to compare: %s", postfixReply)
			}
			got, want := policyOfFake.last(), policyOfPostfix.last()
			if diff := differ(got, want); diff != "" {
				t.Errorf("%s\nfake:\n%s\nPostfix:\n%s", diff, got, want)
			}
		})
	}
}

// differ compares two requests, and says how they differ.
func differ(got, want string) string {
	gotLines, wantLines := slices.Collect(strings.Lines(got)), slices.Collect(strings.Lines(want))
	if len(gotLines) != len(wantLines) {
		return "not the same number of attributes"
	}
	for i := range wantLines {
		if gotLines[i] == wantLines[i] {
			continue
		}
		gotName, gotValue, _ := strings.Cut(strings.TrimSpace(gotLines[i]), "=")
		wantName, wantValue, _ := strings.Cut(strings.TrimSpace(wantLines[i]), "=")
		form := byNature[wantName]
		if gotName != wantName || form == nil || !form.MatchString(gotValue) || !form.MatchString(wantValue) {
			return "differs: " + gotLines[i] + "and: " + wantLines[i]
		}
	}
	return ""
}

// TestRepliesAgree has the policy service give the same answers to the fake server and to Postfix, and
// compares what their clients hear.
func TestRepliesAgree(t *testing.T) {
	t.Parallel()
	c, _ := common(t)
	policy := newOracle(t, "tcp", "127.0.0.1:0")
	fake, postfix := startFake(t, c, policy), startPostfix(t, c, askingAtData(policy))
	for _, reply := range []string{
		"action=dunno", "action=DUNNO", "action=OK", "action=550",
		"action=450 4.7.5 text", "action=450 text", "action=530 5.7.0 text", "action=450 4.7.1 woodgrovebank.com requires mutual TLS here: certificate-unknown (it is not known here)",
		"action=REJECT", "action=REJECT text", "action=reject 5.7.5 text",
		"action=DEFER", "action=DEFER 4.7.5 text", "action=DEFER_IF_PERMIT", "action=DEFER_IF_PERMIT 4.7.5 text",
		"action=421 4.7.0 text", "action=nonsense", "nonsense=1", "no attribute",
		"comment=1\naction=450 4.7.5 text",
	} {
		t.Run(reply, func(t *testing.T) {
			policy.answer(reply)
			got, want := send(t, fake, smtpclient.Options{}, letter), send(t, postfix, smtpclient.Options{}, letter)
			if want.Accepted() && got.Accepted() {
				return // the texts name the queue ids
			}
			if got != want {
				t.Errorf("the fake said, at %s, %s\nPostfix said, at %s, %s", got.Stage, got, want.Stage, want)
			}
		})
	}

	t.Run("PREPEND", func(t *testing.T) {
		policy.answer("action=PREPEND X-Test: prepended")
		for _, server := range []MTA{fake, postfix} {
			if reply := send(t, server, smtpclient.Options{}, letter); !reply.Accepted() {
				t.Fatal(reply)
			}
			if _, err := server.Delivered(t.Context(), func(m Message) bool { return m.Header.Get("X-Test") == "prepended" }); err != nil {
				t.Error(err)
			}
		}
	})

	t.Run("service gone", func(t *testing.T) {
		policy.stop()
		got, want := send(t, fake, smtpclient.Options{}, letter), send(t, postfix, smtpclient.Options{}, letter)
		if got != want || got.Stage != smtpclient.DATA || got.Code != 451 {
			t.Errorf("the fake said, at %s, %s\nPostfix said, at %s, %s", got.Stage, got, want.Stage, want)
		}
	})
}
