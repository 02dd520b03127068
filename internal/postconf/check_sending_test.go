package postconf

import (
	"strings"
	"testing"
)

func TestSending(t *testing.T) {
	const ours = "inet:127.0.0.1:18892"
	all := good().with("smtp_tls_policy_maps", "socketmap:inet:127.0.0.1:18892:send", "smtp_tls_fingerprint_digest", "sha256")
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
