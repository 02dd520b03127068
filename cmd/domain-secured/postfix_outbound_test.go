package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"domain-secured/internal/ops"
	"domain-secured/internal/testkit/cases"
	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/testkit/smtpclient"
)

// testOutbound has Postfix send, and looks at what queue and status make of it.
func testOutbound(t *testing.T, s *postfixSite) {
	mark := s.Daemon.Mark()
	was := rewrite(t, s.Config, func(text string) string {
		return text + fmt.Sprintf("\n[send]\nmaillog = %q\ntlsrpt = \"unix:tlsrpt.sock\"\n[partner.\"secure.example\"]\nsubdomains = true\n", s.postfix.LogFile())
	})
	defer func() {
		rewrite(t, s.Config, constantly(was))
		mark := s.Daemon.Mark()
		if err := s.Daemon.Hangup(); err != nil {
			t.Error(err)
		}
		s.logged(t, mark, "configuration read")
	}()
	if err := s.Daemon.Hangup(); err != nil {
		t.Fatal(err)
	}
	s.logged(t, mark, "following outgoing mail")
	s.logged(t, mark, "configuration read")
	mark = s.Daemon.Mark()
	s.verb(t, "send", "add", "secure.example", "plain.example", "quiet.example")
	s.logged(t, mark, "lists read")
	defer s.verb(t, "send", "remove", "secure.example", "plain.example", "quiet.example")

	// A server with a certificate that is agreed on, and one without TLS.
	certificate, err := pki.SelfSigned(pki.LeafOptions{DNSNames: []string{"mx.secure.example"}})
	if err != nil {
		t.Fatal(err)
	}
	var transports, policies []string
	for domain, certificate := range map[string]*pki.Certificate{"secure.example": certificate, "plain.example": nil} {
		fake, err := mta.StartFake(t.Context(), mta.FakeOptions{Common: mta.Common{Domains: []string{domain, "us." + domain}, Certificate: certificate}})
		if err != nil {
			t.Fatal(err)
		}
		defer fake.Close()
		_, port, _ := net.SplitHostPort(fake.Addr())
		transports = append(transports, fmt.Sprintf("{ %s = smtp:[127.0.0.1]:%s }, { us.%s = smtp:[127.0.0.1]:%s }", domain, port, domain, port))
		policy := "encrypt"
		if certificate != nil {
			policy = "fingerprint match=" + certificate.Fingerprint()
		}
		policies = append(policies, fmt.Sprintf("{ [127.0.0.1]:%s = %s }", port, policy))
	}
	relay := s.parameter(t, "smtpd_relay_restrictions")
	s.configure(t, "transport_maps", "inline:{ "+strings.Join(transports, ", ")+" }", "smtp_tls_policy_maps", "inline:{ "+strings.Join(policies, ", ")+" }",
		"smtp_tls_loglevel", "1", "smtpd_relay_restrictions", "permit_inet_interfaces, reject", "smtp_tls_fingerprint_digest", "sha256")
	defer s.configure(t, "transport_maps", "", "smtp_tls_policy_maps", "", "smtpd_relay_restrictions", relay)

	m, _ := letterFrom(bankSender)
	expect(t, s.dial(t, s.presenting(cases.Good)), m, accepted)
	expect(t, s.dial(t, s.plain()), m, "tls-not-used")
	reply, err := smtpclient.Send(t.Context(), smtpclient.Options{Addr: s.postfix.Addr()}, smtpclient.Mail{
		Sender: "alice@contoso.com", Recipients: []string{"bob@secure.example", "carol@US.secure.example", "dave@plain.example", "eve@plain.example"},
		Data: []byte("Subject: hello\n\nHi.\n"),
	})
	if err != nil || !reply.Accepted() {
		t.Fatal(reply, err)
	}

	status := func() (*ops.Status, map[string]*ops.Partner) {
		t.Helper()
		var all ops.Status
		if err := json.Unmarshal([]byte(s.verb(t, "status", "--json")), &all); err != nil {
			t.Fatal(err)
		}
		partners := make(map[string]*ops.Partner)
		for _, p := range all.Partners {
			partners[p.Domain] = p
		}
		return &all, partners
	}
	waitUntil(t, "both deliveries", func() bool {
		_, all := status()
		secure, plain := all["secure.example"].Sent, all["plain.example"].Sent
		return secure != nil && secure.Secured > 0 && plain != nil && plain.Deferred > 0
	})
	all, partners := status()
	// Two nexthops may be one delivery, or two: of the one message, either way.
	if sent := partners["secure.example"].Sent; sent.Secured < 1 || sent.Secured > 2 || sent.NotSecured+sent.Unknown != 0 || len(sent.Failures) != 0 || sent.Deferred != 0 || sent.Last == nil {
		t.Errorf("%+v", sent)
	}
	plain := partners["plain.example"]
	if sent := plain.Sent; sent.Secured+sent.NotSecured+sent.Unknown != 0 || sent.Failures["tls-not-used"] != 1 || sent.Deferred != 1 || sent.LastFailure.Cause != "tls-not-used" || sent.DeferredSince == nil {
		t.Errorf("%+v", sent)
	}
	if plain.Receive || !plain.Send || plain.Mode != "enforce" || partners["quiet.example"] == nil || partners["quiet.example"].Sent != nil {
		t.Errorf("%+v, %+v", plain, partners["quiet.example"])
	}
	if *all.MessagesSent != partners["secure.example"].Sent.Secured || *all.SessionFailures != 1 || all.Maillog == nil || all.Maillog.Problem != "" || all.Maillog.Read == 0 || all.Maillog.Unknown != 0 {
		t.Errorf("%+v, %+v", all, all.Maillog)
	}
	// The other direction.
	if bank := partners["woodgrovebank.com"]; bank.Received.Passed == 0 || len(bank.Received.Failed) == 0 || bank.Received.LastPass == nil || bank.Received.LastRefusal.Reason == "" || *all.MessagesReceived == 0 {
		t.Errorf("%+v", bank)
	}
	if !all.Ready || all.Doors["milter"].Listen == "" || all.Config.Send != 3 || all.Config.Problem != "" {
		t.Errorf("%+v", all)
	}
	for _, want := range []string{"\nDomain-Secured Outbound Session Failures  1\n", "\nplain.example (enforce)\n  sent: 0 secured\n    tls-not-used: 1 session failed\n    1 message waiting, the first since "} {
		if text := s.verb(t, "status"); !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}

	// The queue says the same, from the other side.
	var waiting []waitingDomain
	if err := json.Unmarshal([]byte(s.verb(t, "queue", "--postfix="+s.postfix.ConfigDir(), "--json")), &waiting); err != nil {
		t.Fatal(err)
	}
	if len(waiting) != 1 || waiting[0].Domain != "plain.example" || !waiting[0].Listed || waiting[0].Messages != 1 || waiting[0].Recipients != 2 || len(waiting[0].Reasons) != 1 {
		t.Fatalf("%+v", waiting)
	}
	reason := waiting[0].Reasons[0]
	if reason.Cause != "tls-not-used" || !strings.HasPrefix(reason.Reason, "TLS is required, but was not offered by host 127.0.0.1") || reason.Queue != "deferred" ||
		len(reason.IDs) != 1 || reason.IDs[0] != plain.Sent.LastFailure.QueueID || !strings.Contains(reason.Do, "domain-secured probe plain.example") {
		t.Errorf("%+v", reason)
	}
	text := s.verb(t, "queue", "plain.example", "quiet.example", "--postfix="+s.postfix.ConfigDir())
	if !strings.HasPrefix(text, "plain.example: 1 message for 2 recipients, since ") || !strings.Contains(text, "its server offers no STARTTLS") || !strings.HasSuffix(text, "quiet.example: nothing waits\n") {
		t.Errorf("%s", text)
	}

	// What is taken out waits no more, and the socket goes with its key.
	if out, err := exec.Command("/usr/sbin/postsuper", "-c", s.postfix.ConfigDir(), "-d", reason.IDs[0]).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	waitUntil(t, "an empty queue", func() bool { _, all := status(); return all["plain.example"].Sent.Deferred == 0 })
	if text := s.verb(t, "queue", "--postfix="+s.postfix.ConfigDir()); text != "nothing waits for a domain of the send list\n" {
		t.Errorf("%s", text)
	}
	testReports(t, s, status)
}

// testReports sends a report as Postfix 3.11 does.
func testReports(t *testing.T, s *postfixSite, status func() (*ops.Status, map[string]*ops.Partner)) {
	path := s.Dir + "/tlsrpt.sock"
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o666 {
		t.Fatalf("%v, %v", info, err)
	}
	c, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, report := range []string{
		`{"dpv": "1","d": "plain.example","pr": "v=TLSRPTv1","policies":[{"policy-type":9,"policy-domain": "plain.example","failure-details":[{"c":201,"n": "mx.plain.example"}],"t":1,"f":1}]}`, "x",
	} {
		if _, err := c.Write([]byte(report)); err != nil {
			t.Fatal(err)
		}
	}
	waitUntil(t, "both reports", func() bool { all, _ := status(); return all.TLSRPT.Read == 2 })
	all, partners := status()
	got := partners["plain.example"].TLSRPT
	if all.TLSRPT.Unknown != 1 || got == nil || got.Successes != 0 || got.Failures["starttls-not-supported"] != 1 || got.LastFailure.Relay != "mx.plain.example" {
		t.Errorf("%+v, %+v", all.TLSRPT, got)
	}
	if !slices.ContainsFunc(all.Partners, func(p *ops.Partner) bool { return p.Domain == "quiet.example" }) {
		t.Error("a domain without mail is not told of")
	}
}
