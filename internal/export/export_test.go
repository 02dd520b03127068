package export

import (
	"strings"
	"testing"

	"domain-secured/policy"
	"domain-secured/policy/tlsmap"
)

func entry(domain string, mode policy.Mode, d *policy.Demand) Entry {
	if d != nil {
		d.MinTLS, d.MinBits = 0x0303, 128
	}
	return Entry{Domain: domain, Partner: &policy.Partner{Mode: mode, MinBits: 128, SendVerify: policy.SendVerifyNames}, Demand: d}
}

// body is a table without what stands on top.
func body(t *testing.T, text, head string) string {
	t.Helper()
	rest, ok := strings.CutPrefix(text, head)
	if !ok {
		t.Fatalf("what a table cannot say is not on top: %s", text)
	}
	return rest
}

func TestPostfixTable(t *testing.T) {
	above := entry("b.example", policy.ModeEnforce, &policy.Demand{Names: []string{"b.example"}})
	above.Partner.Subdomains = true
	entries := []Entry{
		entry("c.example", policy.ModeEnforce, &policy.Demand{Fingerprints: []policy.Hash{{2}, {1}}}),
		above,
		entry("x.b.example", policy.ModeTesting, nil),
		entry("off.example", policy.ModeOff, nil),
		entry("a.example", policy.ModeEnforce, &policy.Demand{Wait: "no-starttls", Detail: "500\nevil.example secure \xff"}),
		entry("xn--mnchen-3ya.example", policy.ModeEnforce, &policy.Demand{Names: []string{"xn--mnchen-3ya.example"}}),
	}
	zeros := strings.TrimSuffix(strings.Repeat("00:", 31), ":")
	const rest = " ciphers=high protocols=>=TLSv1.2 servername=hostname\n"
	want := "\n# a.example waits: no-starttls: 500?evil.example secure ?\na.example fingerprint match=00:" + zeros + "\n" +
		"\nb.example secure match=b.example" + rest + ".b.example secure match=b.example" + rest +
		"\nc.example fingerprint match=01:" + zeros + "|02:" + zeros + rest +
		"\n# off.example: left out, its mode is off\n" +
		"\n# x.b.example: left out, its mode is testing\n# and so held to what is said of .b.example: a table knows no exception\n" +
		"\nxn--mnchen-3ya.example secure match=xn--mnchen-3ya.example" + rest +
		"m\u00fcnchen.example secure match=xn--mnchen-3ya.example" + rest
	if got := body(t, Postfix(entries, tlsmap.Version{Major: 3, Minor: 7}), postfixHead); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if entries[0].Demand.Fingerprints[0] != (policy.Hash{2}) {
		t.Error("a demand was changed")
	}
}

func TestSendmailLines(t *testing.T) {
	for _, c := range []struct {
		names [][]string
		want  string // the name, "" for none
		all   bool
	}{
		{nil, "", true},
		{[][]string{{"mail1.a.example", "a.example"}}, "a.example", true},
		{[][]string{{"mail2.a.example"}, {"mail1.a.example", "mail2.a.example"}}, "mail2.a.example", true},
		{[][]string{{"mail2.a.example"}, {"mail1.a.example"}}, "mail1.a.example", false},
		{[][]string{{"*.a.example"}}, "mail.a.example", true},
		{[][]string{{"*.example"}}, "a.example", true},
		{[][]string{{"*.hoster.example"}}, "mail.hoster.example", true},
	} {
		name, all := commonName(Entry{Domain: "a.example", Names: c.names})
		if name != c.want || all != c.all {
			t.Errorf("%q: %q %v, want %q %v", c.names, name, all, c.want, c.all)
		}
	}
	seen := entry("b.example", policy.ModeEnforce, &policy.Demand{Names: []string{"b.example"}})
	seen.Names = [][]string{{"b.example"}}
	several := entry("c.example", policy.ModeEnforce, &policy.Demand{Names: []string{"c.example"}})
	several.Names = [][]string{{"mail1.c.example"}, {"mail2.c.example"}}
	pins := entry("p.example", policy.ModeEnforce, &policy.Demand{Fingerprints: []policy.Hash{{1}}})
	pins.Partner.SendVerify, pins.Names = policy.SendVerifyPins, [][]string{{"p.example"}}
	waiting := entry("w.example", policy.ModeEnforce, &policy.Demand{Wait: "certificate-revoked"})
	waiting.Names = [][]string{{"w.example"}}
	want := "\n# a.example waits: no certificate that is trusted and speaks for it was seen\nTLS_Rcpt:a.example\tTEMP+VERIFY:999\n" +
		"\nTLS_Rcpt:b.example\tTEMP+VERIFY:128+CN:b.example\n" +
		"\n# c.example: some of its servers do not show this name\nTLS_Rcpt:c.example\tTEMP+VERIFY:128+CN:mail1.c.example\n" +
		"\n# p.example waits: pins cannot be said\nTLS_Rcpt:p.example\tTEMP+VERIFY:999\n" +
		"\n# t.example: left out, its mode is testing\n" +
		"\n# w.example waits: certificate-revoked: \nTLS_Rcpt:w.example\tTEMP+VERIFY:999\n"
	got := body(t, Sendmail([]Entry{
		waiting, several, pins, seen, entry("t.example", policy.ModeTesting, nil),
		entry("a.example", policy.ModeEnforce, &policy.Demand{Names: []string{"a.example"}}),
	}), sendmailHead)
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
