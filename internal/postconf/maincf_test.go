package postconf

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMainCF gets everything in main.cf wrong, puts in line by line what Check says, and looks whether listed mail
// is then judged by its certificate, waits while the daemon is down, and goes through the milter.
func TestMainCF(t *testing.T) {
	in := newInstance(t)
	p := newPolicyServer(t, "tcp", "127.0.0.1:0", policyWord)
	m := newMilterServer(t, "tcp", "127.0.0.1:0", "")
	want := Want{PolicyListen: "inet:" + p.listener.Addr().String(), MilterListen: "inet:" + m.listener.Addr().String(), Connectors: []Connector{local}}
	mailbox := in.mailbox()
	port := freePorts(t, 1)[0]
	in.smtpd = []string{port + " inet n - n - - smtpd"}
	in.main = append(in.main,
		"smtpd_tls_security_level = none",
		"smtpd_tls_fingerprint_digest = md5",
		"smtpd_tls_req_ccert = yes",
		"smtpd_discard_ehlo_keywords = starttls",
		"smtpd_policy_service_try_limit = 1",
		"smtpd_policy_service_default_action = dunno",
		"smtpd_data_restrictions = permit_mynetworks, reject_unauth_pipelining",
		"smtpd_recipient_restrictions = check_policy_service $mine",
		"mine = { "+want.PolicyListen+", timeout=1s, default_action=450 }",
		"soft_bounce = yes",
		"smtpd_milters = { inet:127.0.0.3:"+strings.TrimPrefix(want.MilterListen, "inet:127.0.0.1:")+", default_action=accept }",
		"smtpd_milter_maps = static:DISABLE",
		"receive_override_options = no_milters",
		"milter_default_action = accept",
		"milter_protocol = 2",
		"smtpd_forbid_bare_newline = no",
		"smtpd_authorized_xclient_hosts = 192.0.2.0/24",
	)
	var seen []string
	for round := 0; ; round++ {
		in.config()
		s, err := Read(context.Background(), in.dir)
		if err != nil {
			t.Fatal(err)
		}
		found := slices.DeleteFunc(Check(s, want), func(f Finding) bool { return strings.Contains(f.Problem, "unused parameter: mine") })
		if len(found) == 0 {
			break
		}
		if round == 4 {
			t.Fatalf("still not right: %+v", found)
		}
		for _, f := range found {
			seen = append(seen, f.Severity.String()+" "+f.Parameter)
			if f.Service != "" || f.Line == "" {
				t.Errorf("%+v", f)
			}
			for line := range strings.Lines(f.Line) {
				name, _, _ := strings.Cut(line, " =")
				in.main = slices.DeleteFunc(in.main, func(l string) bool { return strings.HasPrefix(l, name+" =") })
				in.main = append(in.main, strings.TrimSpace(line))
			}
		}
	}
	for _, f := range []string{"error smtpd_recipient_restrictions", "warning smtpd_recipient_restrictions", "error smtpd_tls_security_level",
		"error smtpd_tls_chain_files", "error smtpd_tls_ask_ccert", "error smtpd_tls_fingerprint_digest", "error smtpd_discard_ehlo_keywords", "warning soft_bounce",
		"error smtpd_milter_maps", "error receive_override_options", "warning milter_protocol", "warning non_smtpd_milters", "error smtpd_forbid_bare_newline", "error smtpd_authorized_xclient_hosts"} {
		if !slices.Contains(seen, f) {
			t.Errorf("not found: %s, only %q", f, seen)
		}
	}
	in.start()
	if got := session(t, port, "a@contoso.test", 15*time.Second, false); got != refused {
		t.Errorf("%s\n%s", got, in.logged())
	}
	asked := p.take()
	if len(asked) != 1 || asked[0]["queue_id"] == "" || len(asked[0]["ccert_fingerprint"]) != 32*3-1 {
		t.Errorf("asked with %v", asked)
	}
	p.answer("DUNNO")
	if got := forge(t, port, "passed", 15*time.Second); !strings.HasPrefix(got, "250") {
		t.Errorf("%s\n%s", got, in.logged())
	} else if got := stamps(t, mailbox, "passed"); got != ownStamp {
		t.Errorf("stamped %q", got)
	}
	p.stop()
	if got := session(t, port, "a@contoso.test", 15*time.Second, false); got != away {
		t.Errorf("%s\n%s", got, in.logged())
	}
}
