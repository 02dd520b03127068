package outgoing_test

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"domain-secured/internal/testkit/mta"
)

// export runs the verb as an operator does.
func (s *site) export(t *testing.T, kind string) (table, words string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), s.binary, "export", kind, "--config", s.config)
	c.Env = append(c.Environ(), "SSL_CERT_FILE="+s.path("root.pem"))
	var out, complaints bytes.Buffer
	c.Stdout, c.Stderr = &out, &complaints
	if err := c.Run(); err != nil {
		t.Fatalf("export %s: %v: %s", kind, err, complaints.String())
	}
	return out.String(), complaints.String()
}

// policies has Postfix look policies up in these tables.
func (s *site) policies(t *testing.T, maps string) {
	t.Helper()
	if err := s.postfix.SetParameter("smtp_tls_policy_maps", maps); err != nil {
		t.Fatal(err)
	}
	if err := s.postfix.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// testExported puts a table in the daemon's place, and sends to everyone once more.
func testExported(t *testing.T, s *site) {
	s.records(t, "same.covered.example MX 10 mx.same.covered.example\nmx.same.covered.example A %s\n",
		s.serve(t, "same.covered.example", mta.FakeOptions{Common: leaf(t, s.root, names("mail1.covered.example"))}))
	s.records(t, "other.covered.example MX 10 mail3.covered.example\nmail3.covered.example A %s\n",
		s.serve(t, "other.covered.example", mta.FakeOptions{Common: leaf(t, s.root, names("mail3.covered.example"))}))

	table, words := s.export(t, "postfix")
	for _, want := range []string{
		"\n.covered.example secure match=covered.example:mail1.covered.example ciphers=high protocols=>=TLSv1.2 servername=hostname\n",
		"\n# testing.example: left out, its mode is testing\n",
		"\n# revoked.example waits: certificate-revoked: ",
		"\nm\u00fcnchen.example secure match=xn--mnchen-3ya.example",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q", want)
		}
	}
	if !strings.Contains(words, "mail waits") || !strings.Contains(words, "domain=revoked.example") || strings.Contains(words, "domain=good.example") {
		t.Errorf("said: %s", words)
	}
	if again, _ := s.export(t, "postfix"); withoutRemarks(again) != withoutRemarks(table) {
		t.Errorf("another table the second time: %s\nfirst: %s", again, table)
	}
	s.write(t, "postfix/etc/send", table)
	s.policies(t, "texthash:"+s.path("postfix/etc/send"))
	defer s.policies(t, "socketmap:inet:127.0.0.1:18892:send")

	mails := map[string]func(string) bool{
		"bob@SELF.Example":           deferred,
		"bob@XN--MNCHEN-3YA.example": deferred,
		"bob@m\u00fcnchen.example":   deferred,
		"bob@M\u00dcNCHEN.Example":   deferred,
		"bob@same.covered.example":   sent,
		"bob@OTHER.covered.example":  deferred, // the daemon would let it go, a table cannot know
		// As the table says on top.
		"bob@byhost.example": sent,
	}
	for _, r := range slices.Concat(s.table(), s.pins) {
		if r.host == "-" || r.domain == "byhost.example" {
			continue
		}
		mails["bob@"+r.domain] = deferred
		if r.status == "sent" {
			mails["bob@"+r.domain] = sent
		}
	}
	ids := make(map[string]string)
	for recipient := range mails {
		ids[recipient] = s.send(t, "alice@contoso.com", recipient)
	}
	for recipient, want := range mails {
		line := s.outcome(t, ids[recipient], recipient, nil)
		// An smtp(8) of before the reload may have taken it, and asked the daemon.
		for try := 0; strings.Contains(line, noPolicy) && try < 5; try++ {
			line = s.outcome(t, s.send(t, "alice@contoso.com", recipient), recipient, nil)
		}
		if !want(line) || strings.Contains(line, noPolicy) {
			t.Error(line)
		}
	}
}

// withoutRemarks is what of a table counts.
func withoutRemarks(table string) string {
	var kept string
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "#") {
			kept += line
		}
	}
	return kept
}

// testExportedSendmail looks at the lines; what Sendmail makes of them is not tried here.
func testExportedSendmail(t *testing.T, s *site) {
	lines, _ := s.export(t, "sendmail")
	for _, want := range []string{
		"good.example\tTEMP+VERIFY:128+CN:mail1.good.example",
		"bare.example\tTEMP+VERIFY:128+CN:bare.example",
		"wild.example\tTEMP+VERIFY:128+CN:mail.wild.example",
		"mail.below.example\tTEMP+VERIFY:128+CN:mail.below.example",
		"weak.example\tTEMP+VERIFY:256+CN:mail1.weak.example",
		"vetted.example\tTEMP+VERIFY:128+CN:mail1.vetted.example",
		"provider.example\tTEMP+VERIFY:128+CN:mx.hoster.example",
		"revoked.example\tTEMP+VERIFY:999",
		"pin.example\tTEMP+VERIFY:999",
		"self.example\tTEMP+VERIFY:999",
		"plain.example\tTEMP+VERIFY:999",
	} {
		if !strings.Contains(lines, "\nTLS_Rcpt:"+want+"\n") {
			t.Errorf("no %q", want)
		}
	}
	if t.Failed() {
		t.Log(lines)
	}
	for _, out := range []string{"testing.example\t", "off.example\t", "others.example"} {
		if strings.Contains(lines, "TLS_Rcpt:"+out) {
			t.Errorf("held to something: %q", out)
		}
	}
}
