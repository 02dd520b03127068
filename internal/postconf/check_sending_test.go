package postconf

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestSending(t *testing.T) {
	const ours = "inet:127.0.0.1:18892"
	all := good().with("smtp_tls_policy_maps", "socketmap:inet:127.0.0.1:18892:send", "smtp_tls_fingerprint_digest", "sha256",
		"smtp_tls_chain_files", "/etc/postfix/mx1.pem")
	for _, c := range []struct {
		name string
		main Params
		want Want
		says string // of the one finding, "" for none
		line string
	}{
		{"as it should be", all, Want{Sends: true, TLSMapListen: ours, PostfixVersion: "3.7"}, "", ""},
		{"through proxymap", all.with("smtp_tls_policy_maps", "hash:/x, proxy:socketmap:inet:localhost:18892:send"), Want{Sends: true, TLSMapListen: ours}, "", ""},
		{"a socket", all.with("smtp_tls_policy_maps", "socketmap:unix:private/ds:send"), Want{Sends: true, TLSMapListen: "unix:/var/spool/postfix/private/ds"}, "", ""},
		{"nobody is sent to", good(), Want{TLSMapListen: ours}, "", ""},
		{"not asked", all.with("smtp_tls_policy_maps", "hash:/x"), Want{Sends: true, TLSMapListen: ours}, "does not ask", "smtp_tls_policy_maps = socketmap:inet:127.0.0.1:18892:send, hash:/x"},
		{"not asked at all", all.without("smtp_tls_policy_maps"), Want{Sends: true, TLSMapListen: ours}, "does not ask", "smtp_tls_policy_maps = socketmap:inet:127.0.0.1:18892:send"},
		{"another map", all.with("smtp_tls_policy_maps", "socketmap:inet:127.0.0.1:18892:sned"), Want{Sends: true, TLSMapListen: ours}, "does not ask", ""},
		{"another port", all.with("smtp_tls_policy_maps", "socketmap:inet:127.0.0.1:8461:send"), Want{Sends: true, TLSMapListen: ours}, "does not ask", ""},
		{"the door is off", all, Want{Sends: true}, "the TLS policy door is off", ""},
		{"md5", all.with("smtp_tls_fingerprint_digest", "md5"), Want{Sends: true, TLSMapListen: ours}, `compares "md5" fingerprints`, "smtp_tls_fingerprint_digest = sha256"},
		{"an older Postfix", all, Want{Sends: true, TLSMapListen: ours, PostfixVersion: "3.10"}, "older than postfix_version", "[tlsmap]\npostfix_version = \"3.7\""},
	} {
		c.want.PolicyListen = our
		var got []Finding
		for _, f := range Check(&Settings{Version: "3.7.11", QueueDirectory: "/var/spool/postfix", Main: c.main, Services: []Service{service(c.main, "smtp", "inet")}}, c.want) {
			if !strings.HasPrefix(f.Problem, "the milter door is off") {
				got = append(got, f)
			}
		}
		switch {
		case c.says == "" && len(got) == 0:
		case len(got) != 1 || c.says == "" || !strings.Contains(got[0].Problem, c.says) || got[0].Severity != Error || c.line != "" && got[0].Line != c.line:
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestSendingOnlyPure has what the Postfix of the tests cannot show.
func TestSendingOnlyPure(t *testing.T) {
	main := good().with("smtp_tls_policy_maps", "socketmap:inet:127.0.0.1:18892:send", "smtp_tls_fingerprint_digest", "sha256",
		"smtp_tls_chain_files", "/etc/postfix/mx1.pem", "tls_required_enable", "yes")
	var many []Destination
	for i := range mostLines + 1 {
		many = append(many, Destination{Domain: fmt.Sprintf("p%02d.test", i)})
	}
	for _, c := range []struct {
		name     string
		main     Params
		version  string
		client   ClientCertificate
		send     []Destination
		severity Severity
		says     string // "" for no finding
		line     string
	}{
		{name: "a header before 3.10", main: main, version: "3.9.1"},
		{name: "a header from 3.10 on", main: main, version: "3.10.0", severity: Error, says: `"TLS-Required: no"`, line: "tls_required_enable = no"},
		{name: "a header, off", main: main.with("tls_required_enable", "no"), version: "3.11.6"},
		{name: "a key of root's alone", main: main, version: "3.7.11", client: ClientCertificate{Unread: "open /etc/postfix/mx1.pem: permission denied"}, severity: Warning, says: "is not known"},
		{name: "a relayhost for many", main: main.with("relayhost", "[relay.test]"), version: "3.7.11", send: many, severity: Error, says: "p00.test, p01.test, p02.test, p03.test, p04.test and 16 more goes to [relay.test]"},
		{name: "a relayhost, and what is below", main: main.with("relayhost", "[relay.test]"), version: "3.7.11", send: []Destination{{Domain: "p.test", Subdomains: true}},
			severity: Error, says: "goes to [relay.test]", line: "transport_maps = inline:{ p.test=smtp:, .p.test=smtp: }"},
		{name: "a relayhost that is listed itself", main: main.with("relayhost", "[mx.p.test]:587"), version: "3.7.11", send: []Destination{{Domain: "p.test", Subdomains: true}}},
	} {
		s := &Settings{Version: c.version, Main: c.main, At: time.Now(), Transports: Params{"smtp": "smtp"},
			Delivery: []Service{{Name: "smtp", Type: "unix", Params: c.main, Overrides: Params{}}}}
		if c.client != (ClientCertificate{}) {
			s.Delivery[0].Client = []ClientCertificate{c.client}
		}
		check := checker{s: s, want: Want{Sends: true, TLSMapListen: "inet:127.0.0.1:18892", Send: c.send}}
		check.at(nil)
		check.sending()
		switch got := check.found; {
		case c.says == "" && len(got) == 0:
		case len(got) != 1 || c.says == "" || got[0].Severity != c.severity || !strings.Contains(got[0].Problem, c.says) || got[0].Line != c.line:
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
