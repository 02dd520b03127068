package postconf

import (
	"strings"
	"testing"
)

// FuzzRestrictions looks for lists that cannot be taken apart, or whose line does not put us first.
func FuzzRestrictions(f *testing.F) {
	for _, list := range []string{
		"check_policy_service inet:127.0.0.1:18891",
		"permit_mynetworks check_policy_service { inet:127.0.0.1:18891, { default_action = 450 4.7.5 x } }",
		"warn_if_reject class, reject_rbl_client", "class class", "{", "}{", "check_policy_service {", "inline:{a=b} $$",
	} {
		f.Add(list, "check_policy_service inet:localhost:18891 class", "dunno")
	}
	f.Fuzz(func(t *testing.T, list, class, action string) {
		p := Params{dataList: list, "class": class, "smtpd_restriction_classes": "class", "smtpd_delay_reject": "yes",
			"smtpd_policy_service_default_action": action, "smtpd_tls_security_level": "may"}
		s := &Settings{QueueDirectory: "/q", Main: p, Services: []Service{{Name: "smtp", Type: "inet", Params: p}}}
		for _, fd := range Check(s, Want{PolicyListen: "inet:127.0.0.1:18891"}) {
			if fd.Problem == "" || strings.ContainsAny(fd.Service, "\n") {
				t.Errorf("%+v", fd)
			}
			value, ok := strings.CutPrefix(fd.Line, dataList+" = ")
			if !ok {
				continue
			}
			q := Params{dataList: strings.ReplaceAll(value, "$$", "$")}
			first := steps(q, dataList)[0]
			call, err := parsePolicyCall(first.arg)
			e, ok := parseEndpoint(call.address)
			if first.kind != asks || err != nil || !ok || e.compare(endpoint{host: "127.0.0.1", port: "18891"}, false, "/q") != same {
				t.Errorf("%q does not begin with us", value)
			}
		}
		for _, st := range steps(p, dataList) {
			_, _ = parsePolicyCall(st.arg)
		}
		_ = judgeAction(list, p)
	})
}
