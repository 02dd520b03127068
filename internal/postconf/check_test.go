package postconf

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
)

const our = "inet:127.0.0.1:18891"

// good is main.cf with nothing to find.
func good() Params {
	return Params{
		"mail_version": "3.7.11", "queue_directory": "/var/spool/postfix", "config_directory": "/etc/postfix",
		"smtpd_data_restrictions":             "check_policy_service " + our,
		"smtpd_delay_reject":                  "yes",
		"smtpd_policy_service_default_action": "451 4.3.5 Server configuration problem",
		"smtpd_policy_service_timeout":        "100s",
		"smtpd_relay_restrictions":            "permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination",
		"smtpd_tls_ask_ccert":                 "yes",
		"smtpd_tls_chain_files":               "/etc/postfix/k, /etc/postfix/c",
		"smtpd_tls_fingerprint_digest":        "sha256",
		"smtpd_tls_security_level":            "may",
		"smtpd_forbid_bare_newline":           "normalize",
		"soft_bounce":                         "no",
	}
}

func (p Params) with(pairs ...string) Params {
	q := maps.Clone(p)
	for i := 0; i < len(pairs); i += 2 {
		q[pairs[i]] = pairs[i+1]
	}
	return q
}

func (p Params) without(name string) Params {
	q := maps.Clone(p)
	delete(q, name)
	return q
}

func service(main Params, name, typ string, overrides ...string) Service {
	s := Service{Name: name, Type: typ, Overrides: Params{}, Params: main.with(overrides...), Entry: name + " " + typ + " n - n - - smtpd"}
	for i := 0; i < len(overrides); i += 2 {
		s.Overrides[overrides[i]] = overrides[i+1]
	}
	return s
}

// check writes findings as "severity service parameter: line" to compare, without that about the milter door, which is
// off.
func check(main Params, want string, services ...Service) (got []string) {
	s := &Settings{Version: "3.7.11", QueueDirectory: "/var/spool/postfix", Main: main, Services: services}
	for _, f := range Check(s, Want{PolicyListen: want}) {
		if strings.HasPrefix(f.Problem, "the milter door is off") {
			continue
		}
		got = append(got, fmt.Sprintf("%v %q %s: %s", f.Severity, f.Service, f.Parameter, f.Line))
	}
	return got
}

func TestCheck(t *testing.T) {
	const first = "smtpd_data_restrictions = check_policy_service " + our
	const whole = "smtpd_data_restrictions = check_policy_service { " + our + ", timeout=10s, { default_action = 450 4.7.5 domain security is unavailable } }"
	submission := []string{"smtpd_data_restrictions", "", "smtpd_sasl_auth_enable", "yes", "smtpd_client_restrictions", "permit_sasl_authenticated, reject"}
	for _, c := range []struct {
		name     string
		main     Params
		listen   string
		services func(main Params) []Service
		want     []string
	}{
		{name: "nothing", main: good()},
		{name: "pass service behind postscreen", main: good(), services: func(m Params) []Service {
			return []Service{service(m, "smtpd", "pass")}
		}},
		{name: "a fresh Debian", main: good().with(dataList, "", "smtpd_tls_ask_ccert", "no", "smtpd_tls_fingerprint_digest", "md5", "relay_clientcerts", "hash:/x"), want: []string{
			`error "" smtpd_data_restrictions: ` + whole,
			`error "" smtpd_tls_ask_ccert: smtpd_tls_ask_ccert = yes`,
			`error "" smtpd_tls_fingerprint_digest: smtpd_tls_fingerprint_digest = sha256`}},
		{name: "no TLS", main: good().with("smtpd_tls_security_level", ""), want: []string{
			`error "" smtpd_tls_security_level: smtpd_tls_security_level = may`}},
		{name: "no certificate", main: good().with("smtpd_tls_chain_files", ""), want: []string{
			`error "" smtpd_tls_chain_files: smtpd_tls_chain_files = /etc/postfix/server.key, /etc/postfix/server.pem`}},
		{name: "any certificate", main: good().with("smtpd_tls_chain_files", "", "smtpd_tls_eccert_file", "/x")},
		{name: "requiring", main: good().with("smtpd_tls_security_level", "encrypt", "smtpd_tls_req_ccert", "yes"), want: []string{
			`warning "" smtpd_tls_req_ccert: smtpd_tls_req_ccert = no`}},
		{name: "soft bounce", main: good().with("soft_bounce", "yes"), want: []string{
			`warning "" soft_bounce: soft_bounce = no`}},
		{name: "behind a permit, the rest is kept", main: good().with(dataList, "permit_mynetworks warn_if_reject reject_rbl_client a.b, check_client_access hash:/x check_policy_service "+our), want: []string{
			`error "" smtpd_data_restrictions: ` + first + ", permit_mynetworks, warn_if_reject reject_rbl_client a.b, check_client_access hash:/x",
			`warning "" smtpd_data_restrictions: ` + first + ", permit_mynetworks, warn_if_reject reject_rbl_client a.b, check_client_access hash:/x"}},
		{name: "another policy service in front", main: good().with(dataList, "check_policy_service inet:127.0.0.1:10023 check_policy_service "+our), want: []string{
			`warning "" smtpd_data_restrictions: ` + first + ", check_policy_service inet:127.0.0.1:10023"}},
		{name: "a class of our own is taken out", main: good().with(dataList, "permit ds", "smtpd_restriction_classes", "ds", "ds", "check_policy_service "+our), want: []string{
			`error "" smtpd_data_restrictions: ` + first + ", permit"}},
		{name: "asked at RCPT", main: good().with(dataList, "reject_unauth_pipelining", "smtpd_recipient_restrictions", "reject_unauth_destination, check_policy_service "+our), want: []string{
			`error "" smtpd_recipient_restrictions: ` + first + ", reject_unauth_pipelining\nsmtpd_recipient_restrictions = reject_unauth_destination"}},
		{name: "asked at RCPT and DATA", main: good().with("smtpd_recipient_restrictions", "check_policy_service "+our)},
		{name: "asked at the end of data", main: good().with(dataList, "", eodList, "check_policy_service "+our), want: []string{
			`warning "" smtpd_end_of_data_restrictions: ` + first + "\nsmtpd_end_of_data_restrictions ="}},
		{name: "asked too early", main: good().with(dataList, "", "smtpd_delay_reject", "no", "smtpd_client_restrictions", "check_policy_service "+our), want: []string{
			`error "" smtpd_client_restrictions: ` + first + "\nsmtpd_client_restrictions ="}},
		{name: "by a table and a class", main: good().with(dataList, "check_sender_access texthash:/x", "smtpd_restriction_classes", "ds", "ds", "check_policy_service "+our), want: []string{
			`warning "" smtpd_data_restrictions: `}},
		{name: "a class that no table leads to", main: good().with(dataList, "reject_unauth_pipelining", "smtpd_restriction_classes", "ds", "ds", "check_policy_service "+our), want: []string{
			`error "" smtpd_data_restrictions: ` + whole + ", reject_unauth_pipelining"}},
		{name: "default action of all", main: good().with("smtpd_policy_service_default_action", "DUNNO"), want: []string{
			`error "" smtpd_policy_service_default_action: ` + whole}},
		{name: "discard", main: good().with("smtpd_policy_service_default_action", "DISCARD"), want: []string{
			`error "" smtpd_policy_service_default_action: ` + whole}},
		{name: "impatient", main: good().with("smtpd_policy_service_timeout", "3s"), want: []string{
			`warning "" smtpd_policy_service_timeout: ` + whole}},
		{name: "impatient group", main: good().with(dataList, "check_policy_service { "+our+", timeout=4 }"), want: []string{
			`warning "" smtpd_data_restrictions: ` + whole}},
		{name: "patient group", main: good().with(dataList, "check_policy_service { "+our+", timeout=5 }", "smtpd_policy_service_timeout", "3s")},
		{name: "wrong address", main: good().with(dataList, "check_policy_service inet:[::1]:18891"), want: []string{
			`error "" smtpd_data_restrictions: ` + whole}},
		{name: "a name for an address", main: good().with(dataList, "check_policy_service inet:mx1:18891"), want: []string{
			`warning "" smtpd_data_restrictions: ` + whole}},
		{name: "door off", main: good().with("smtpd_tls_fingerprint_digest", "md5"), listen: "off", want: []string{
			`warning "" : `}},
		{name: "nonsense for a door", main: good(), listen: "18891", want: []string{
			`error "" : `}},
		{name: "no smtpd", main: good().with("smtpd_tls_ask_ccert", "no"), services: func(Params) []Service { return nil }, want: []string{
			`error "" smtpd_tls_ask_ccert: smtpd_tls_ask_ccert = yes`,
			`warning "" : `}},

		{name: "switched off on a public port", main: good(), services: func(m Params) []Service {
			return []Service{service(m, "smtp", "inet"), service(m, "2525", "inet", dataList, "")}
		}, want: []string{`error "2525 inet" smtpd_data_restrictions:   -o { ` + whole + " }"}},
		{name: "switched off for submission", main: good(), services: func(m Params) []Service {
			return []Service{service(m, "smtp", "inet"), service(m, "submission", "inet", submission...)}
		}, want: []string{`warning "submission inet" smtpd_data_restrictions: `}},
		{name: "called submission, but open", main: good(), services: func(m Params) []Service {
			return []Service{service(m, "submission", "inet", dataList, "", "smtpd_sasl_auth_enable", "yes", "smtpd_client_restrictions", "permit_sasl_authenticated")}
		}, want: []string{`error "submission inet" smtpd_data_restrictions:   -o { ` + whole + " }"}},
		{name: "submission that lets a table in", main: good(), services: func(m Params) []Service {
			return []Service{service(m, "submission", "inet", dataList, "", "smtpd_sasl_auth_enable", "yes", "smtpd_client_restrictions", "check_client_access hash:/x, permit_sasl_authenticated, reject")}
		}, want: []string{`error "submission inet" smtpd_data_restrictions:   -o { ` + whole + " }"}},
		{name: "switched off for a filter", main: good(), services: func(m Params) []Service {
			return []Service{service(m, "smtp", "inet"), service(m, "127.0.0.1:10025", "inet", dataList, "reject_unauth_pipelining", "smtpd_tls_security_level", "none")}
		}, want: []string{`warning "127.0.0.1:10025 inet" smtpd_data_restrictions: `}},
		{name: "switched off behind a proxy on this machine", main: good(), services: func(m Params) []Service {
			return []Service{service(m, "[::1]:10025", "inet", dataList, "", "smtpd_upstream_proxy_protocol", "haproxy")}
		}, want: []string{`error "[::1]:10025 inet" smtpd_data_restrictions:   -o { ` + whole + " }"}},
		{name: "a class that one service turns into a permit", main: good().with(dataList, "early, check_policy_service "+our, "smtpd_restriction_classes", "early", "early", "reject_unauth_pipelining"), services: func(m Params) []Service {
			return []Service{service(m, "smtp", "inet"), service(m, "2525", "inet", "early", "permit")}
		}, want: []string{`error "2525 inet" smtpd_data_restrictions:   -o { ` + first + ", early }"}},
		{name: "an override that has nothing to do with it", main: good().with(dataList, "permit, check_policy_service "+our), services: func(m Params) []Service {
			return []Service{service(m, "smtp", "inet"), service(m, "2525", "inet", "smtpd_delay_reject", "no")}
		}, want: []string{`error "" smtpd_data_restrictions: ` + first + ", permit"}},
		{name: "switched off for submission in a chroot", main: good().with(dataList, "check_policy_service unix:/run/ds/p"), listen: "unix:/run/ds/p", services: func(m Params) []Service {
			s := service(m, "submission", "inet", submission...)
			s.Chroot = true
			return []Service{service(m, "smtp", "inet"), s}
		}, want: []string{`warning "submission inet" smtpd_data_restrictions: `}},
		{name: "a filter's way back without TLS", main: good(), services: func(m Params) []Service {
			return []Service{service(m, "localhost:10025", "inet", "smtpd_tls_security_level", "none")}
		}, want: []string{`warning "localhost:10025 inet" smtpd_data_restrictions:   -o smtpd_data_restrictions=`}},
		{name: "main.cf is wrong on a loopback port too", main: good().with(dataList, "", "smtpd_tls_ask_ccert", "no"), services: func(m Params) []Service {
			return []Service{service(m, "127.0.0.1:25", "inet")}
		}, want: []string{`error "" smtpd_data_restrictions: ` + whole, `error "" smtpd_tls_ask_ccert: smtpd_tls_ask_ccert = yes`}},
		{name: "once for main.cf, whatever TLS level a service has", main: good().with("smtpd_tls_ask_ccert", "no"), services: func(m Params) []Service {
			return []Service{service(m, "smtp", "inet"), service(m, "submission", "inet", "smtpd_tls_security_level", "encrypt")}
		}, want: []string{`error "" smtpd_tls_ask_ccert: smtpd_tls_ask_ccert = yes`}},
		{name: "one service of its own", main: good(), services: func(m Params) []Service {
			return []Service{service(m, "smtp", "inet"), service(m, "smtps", "inet", "smtpd_tls_wrappermode", "yes", "smtpd_tls_ask_ccert", "no")}
		}, want: []string{`error "smtps inet" smtpd_tls_ask_ccert:   -o smtpd_tls_ask_ccert=yes`}},
		{name: "every service puts main.cf right", main: good().with("smtpd_tls_ask_ccert", "no"), services: func(m Params) []Service {
			return []Service{service(m, "smtp", "inet", "smtpd_tls_ask_ccert", "yes")}
		}},
		{name: "socket outside the chroot", main: good().with(dataList, "check_policy_service unix:/run/ds/p"), listen: "unix:/run/ds/p", services: func(m Params) []Service {
			s := service(m, "smtp", "inet")
			s.Chroot, s.Entry = true, "smtp inet n - y - - smtpd"
			return []Service{s, service(m, "smtps", "inet")}
		}, want: []string{`error "smtp inet" chroot: smtp inet n - n - - smtpd`}},
		{name: "socket inside the chroot", main: good().with(dataList, "check_policy_service unix:/var/spool/postfix/ds/p"), listen: "unix:/var/spool/postfix/ds/p", services: func(m Params) []Service {
			s := service(m, "smtp", "inet")
			s.Chroot = true
			return []Service{s, service(m, "smtps", "inet")}
		}, want: []string{`error "" smtpd_data_restrictions: ` + strings.Replace(whole, our, "unix:ds/p", 1)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			services := []Service{service(c.main, "smtp", "inet")}
			if c.services != nil {
				services = c.services(c.main)
			}
			listen := c.listen
			switch listen {
			case "":
				listen = our
			case "off":
				listen = ""
			}
			got := check(c.main, listen, services...)
			if g, w := strings.Join(got, "\n"), strings.Join(c.want, "\n"); g != w {
				t.Errorf("got\n%s\nwant\n%s", g, w)
			}
		})
	}
	if Check(nil, Want{}) != nil {
		t.Error("findings about nothing")
	}
	if Check(&Settings{}, Want{PolicyListen: our}) == nil {
		t.Error("no findings in an empty configuration")
	}
}

func TestFindingJSON(t *testing.T) {
	b, err := json.Marshal(Finding{Severity: Error, Parameter: "x"})
	if want := `{"service":"","severity":"error","parameter":"x","problem":"","line":""}`; err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
}

func TestFindingString(t *testing.T) {
	for want, f := range map[string]Finding{
		"warning: it is so": {Severity: Warning, Problem: "it is so"},
		"error: it is so\n  put into main.cf:\n    a = b\n    c = d":                 {Severity: Error, Problem: "it is so", Line: "a = b\nc = d"},
		"error: smtp inet: it is so\n  put into master.cf, smtp inet:\n      -o a=b": {Severity: Error, Service: "smtp inet", Problem: "it is so", Line: "  -o a=b"},
	} {
		if got := f.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
