package postconf

import (
	"slices"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	for list, want := range map[string][]string{
		"":              nil,
		" ,\t\r\n, ":    nil,
		"a,b c\td\r\ne": {"a", "b", "c", "d", "e"},
		"check_policy_service { inet:h:1, timeout=5s, { default_action = 450 4.7.5 text } },b": {
			"check_policy_service", "{ inet:h:1, timeout=5s, { default_action = 450 4.7.5 text } }", "b"},
		"check_client_access inline:{a=b, {c = d e}} x": {"check_client_access", "inline:{a=b, {c = d e}}", "x"},
		"{a b}c d":  {"{a b}c", "d"},
		"a } , b":   {"a", "}", "b"},
		"a { b , c": {"a", "{ b , c"},
	} {
		if got := split(list); !slices.Equal(got, want) {
			t.Errorf("split(%q) = %q, want %q", list, got, want)
		}
	}
	if n := len(split(strings.Repeat("a ", 2*maxTokens))); n != maxTokens {
		t.Errorf("%d tokens", n)
	}
}

func TestParsePolicyCall(t *testing.T) {
	for token, want := range map[string]string{
		"inet:h:1":     "inet:h:1",
		"{ inet:h:1 }": "inet:h:1",
		"{inet:h:1, timeout=5s,{ default_action = 450 4.7.5 a b }, policy_context=}":  "inet:h:1 default_action=450 4.7.5 a b policy_context= timeout=5s",
		"{inet:h:1 max_idle=1d max_ttl=1w retry_delay=1 request_limit=0 try_limit=3}": "inet:h:1 max_idle=1d max_ttl=1w request_limit=0 retry_delay=1 try_limit=3",
		"{inet:h:1 timeout=1s timeout=9s}":                                            "inet:h:1 timeout=9s",
		"{}":                                                                          "error: no address between the braces",
		"{ inet:h:1":                                                                  "error: missing '}'",
		"{ inet:h:1 } x":                                                              "error: text after '}'",
		"{ inet:h:1, timeout }":                                                       "error: missing '=' after \"timeout\"",
		"{ inet:h:1, {timeout=5} x}":                                                  "error: missing '=' after \"x\"",
		"{ inet:h:1, TIMEOUT=5 }":                                                     "error: unknown option \"TIMEOUT\"",
		"{ inet:h:1, timeout=0 }":                                                     "error: bad value for timeout: \"0\"",
		"{ inet:h:1, try_limit=0 }":                                                   "error: bad value for try_limit: \"0\"",
		"{ inet:h:1, request_limit=many }":                                            "error: bad value for request_limit: \"many\"",
		"{ inet:h:1, { default_action = } }":                                          "error: bad value for default_action: \"\"",
		"{ inet:h:1, { default_action = a }b}":                                        "error: text after '}'",
	} {
		call, err := parsePolicyCall(token)
		got := call.address
		for _, name := range sortedNames(call.options) {
			got += " " + name + "=" + call.options[name]
		}
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", token, got, want)
		}
	}
}

func TestSeconds(t *testing.T) {
	for s, want := range map[string]int{"5": 5, "5s": 5, "2m": 120, "1h": 3600, "1d": 86400, "1w": 604800,
		"": -1, "s": -1, "5S": -1, "5x": -1, "-5": -1, "1.5s": -1, "5 s": -1, "9999999999": -1} {
		if got, ok := seconds(s); ok != (want >= 0) || ok && got != want {
			t.Errorf("seconds(%q) = %d, %v", s, got, ok)
		}
	}
}

func TestCompareEndpoints(t *testing.T) {
	const queue = "/var/spool/postfix"
	for _, c := range []struct {
		theirs, ours string
		chroot       bool
		want         sameness
	}{
		{"inet:127.0.0.1:18891", "inet:127.0.0.1:18891", false, same},
		{"inet:127.0.0.1:18892", "inet:127.0.0.1:18891", false, other},
		{"inet:localhost:18891", "inet:127.0.0.1:18891", false, same},
		{"inet:LocalHost:18891", "inet:[::1]:18891", false, same},
		{"inet:18891", "inet:127.0.0.1:18891", false, same},
		{"inet::18891", "inet:127.0.0.1:18891", false, same},
		{"inet:localhost:18891", "inet:192.0.2.1:18891", false, nearly},
		{"inet:[::1]:18891", "inet:127.0.0.1:18891", false, nearly},
		{"inet:127.0.0.1:18891", "inet:[::1]:18891", false, nearly},
		{"inet:[::ffff:127.0.0.1]:18891", "inet:127.0.0.1:18891", false, same},
		{"inet:[0:0:0:0:0:0:0:1]:18891", "inet:[::1]:18891", false, same},
		{"inet:127.0.0.1:18891", "inet:0.0.0.0:18891", false, same},
		{"inet:[::1]:18891", "inet:0.0.0.0:18891", false, nearly},
		{"inet:[::1]:18891", "inet:[::]:18891", false, same},
		{"inet:127.0.0.1:18891", "inet::18891", false, same},
		{"inet:127.0.0.1:18891", "inet:localhost:18891", false, same},
		{"inet:[::1]:18891", "inet:localhost:18891", false, nearly},
		{"inet:mx1.example:18891", "inet:192.0.2.1:18891", false, perhaps},
		{"inet:mx1.example:18891", "inet:MX1.example:18891", false, same},
		{"inet:192.0.2.1:18891", "inet:mx1.example:18891", false, perhaps},
		{"unix:/run/ds/policy", "unix:/run/ds/policy", false, same},
		{"unix:/run//ds/../ds/policy", "unix:/run/ds/policy", false, same},
		{"local:/run/ds/policy", "unix:/run/ds/policy", false, same},
		{"unix:/run/ds/policy", "unix:/run/ds/policy", true, nearly},
		{"unix:ds/policy", "unix:/var/spool/postfix/ds/policy", false, same},
		{"unix:ds/policy", "unix:/var/spool/postfix/ds/policy", true, same},
		{"unix:/ds/policy", "unix:/var/spool/postfix/ds/policy", true, same},
		{"unix:/ds/policy", "unix:/var/spool/postfix/ds/policy", false, nearly},
		{"unix:/var/spool/postfix/ds/policy", "unix:/var/spool/postfix/ds/policy", true, nearly},
		{"unix:private/policyd", "unix:/var/spool/postfix/ds/policy", true, other},
		{"inet:127.0.0.1:18891", "unix:/run/ds/policy", false, other},
	} {
		theirs, ok1 := parseEndpoint(c.theirs)
		ours, ok2 := parseEndpoint(c.ours)
		if got := theirs.compare(ours, c.chroot, queue); !ok1 || !ok2 || got != c.want {
			t.Errorf("%s to %s, chroot %v: %d, want %d", c.theirs, c.ours, c.chroot, got, c.want)
		}
		address, reachable := ours.forPostfix(c.chroot, queue)
		if e, ok := parseEndpoint(address); !ok || reachable && e.compare(ours, c.chroot, queue) < perhaps {
			t.Errorf("for Postfix, %s is %s, which does not reach it", c.ours, address)
		}
	}
	for _, bad := range []string{"", "inet", "inet:", "unix:", "tcp:a:1", "inet:[::1", "inet:[::1]18891", "inet:h:", "INET:h:1"} {
		if e, ok := parseEndpoint(bad); ok {
			t.Errorf("%q: %+v", bad, e)
		}
	}
}

func TestSteps(t *testing.T) {
	p := Params{
		"smtpd_restriction_classes": "one, two loop_a loop_b wide",
		"one":                       "permit_mynetworks, check_policy_service inet:h:1",
		"two":                       "warn_if_reject one, reject",
		"loop_a":                    "sleep 1 loop_b",
		"loop_b":                    "loop_a",
		"wide":                      strings.Repeat("one ", 2000),
	}
	kinds := []string{"harmless", "permits", "mayOK", "asks", "refuses", "broken", "unknown"}
	for list, want := range map[string]string{
		"":                             "",
		"Permit_MyNetworks, reject":    "permit_mynetworks(permits) reject(refuses)",
		"one":                          "permit_mynetworks(permits) check_policy_service inet:h:1(asks)",
		"ONE":                          "one(unknown)",
		"two":                          "permit_mynetworks(permits)w check_policy_service inet:h:1(asks)w reject(refuses)",
		"warn_if_reject reject permit": "reject(harmless)w permit(permits)",
		"warn_if_reject warn_if_reject reject reject":                                    "reject(harmless)w reject(refuses)",
		"reject_rbl_client zen.example=127.0.0.2 permit_dnswl_client list.example defer": "reject_rbl_client zen.example=127.0.0.2(harmless) permit_dnswl_client list.example(permits) defer(refuses)",
		"reject_rbl_client":              "reject_rbl_client(harmless)",
		"check_policy_service":           "check_policy_service(broken)",
		"check_policy_service nonsense":  "check_policy_service nonsense(broken)",
		"check_client_access hash:/x":    "check_client_access hash:/x(mayOK)",
		"check_client_access x":          "check_client_access x(broken)",
		"check_sender_ns_access hash:/x": "check_sender_ns_access hash:/x(harmless)",
		"hash:/x":                        "hash:/x(broken)",
		"sleep x":                        "sleep x(broken)",
		"sleep 10":                       "sleep 10(harmless)",
		"reject_unheard_of":              "reject_unheard_of(unknown)",
	} {
		p[dataList] = list
		var got []string
		for _, s := range steps(p, dataList) {
			word := s.String() + "(" + kinds[s.kind] + ")"
			if s.warned {
				word += "w"
			}
			got = append(got, word)
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("%q:\n got %s\nwant %s", list, g, want)
		}
	}
	p["smtpd_sender_restrictions"] = "hash:/x"
	if s := steps(p, "smtpd_sender_restrictions"); len(s) != 1 || s[0].String() != "check_sender_access hash:/x" || s[0].kind != mayOK {
		t.Errorf("%+v", s)
	}
	p[dataList] = "loop_a"
	if s := steps(p, dataList); len(s) == 0 || s[len(s)-1].kind != broken {
		t.Errorf("a class in itself: %+v", s)
	}
	p[dataList] = strings.Repeat("wide ", 50)
	if s := steps(p, dataList); len(s) > maxSteps+1 {
		t.Errorf("%d steps", len(s))
	}
}

func TestJudgeAction(t *testing.T) {
	p := Params{"smtpd_restriction_classes": "stop go", "stop": "reject_unauth_pipelining defer", "go": "permit"}
	for action, want := range map[string]outcome{
		"451 4.3.5 Server configuration problem": waits, "450 4.7.5 x": waits, "421 x": waits, "DEFER": waits,
		"defer_if_permit 4.7.5 x": waits, "Defer": waits, "stop": waits, "450\tx": waits,
		"550 5.7.1 x": bounces, "REJECT": bounces, "reject 5.7.1 x": bounces,
		"DUNNO": passes, "ok": passes, "OK text": passes, "permit": passes, "450": passes, "1234567": passes, "relay": passes,
		"PREPEND X: y": passes, "WARN x": passes, "defer_if_reject x": passes, "go": passes, "permit_mynetworks, reject": passes,
		"reject_unauth_pipelining": passes, "HOLD": passes,
		"discard": lost, "DISCARD x": lost,
		"nonsense": errs, "250 ok": errs, "45 x": errs, "check_client_access hash:/x": errs, "STOP": errs, "450 ": passes,
		"": dies,
	} {
		if got := judgeAction(strings.TrimSpace(action), p); got != want {
			t.Errorf("%q: %d, want %d", action, got, want)
		}
	}
}

func TestParseMaster(t *testing.T) {
	entries := `smtp       inet  n       -       y       -       -       smtpd
smtp       unix  -       -       y       -       -       smtp
127.0.0.1:10025 inet n - - - - /usr/lib/postfix/sbin/smtpd -v -o smtpd_data_restrictions= -o {a = b c}
a/b unix n - n - - smtpd -o x=y
short inet n
`
	overrides := "127.0.0.1:10025/inet/smtpd_data_restrictions =\n127.0.0.1:10025/inet/a = b = c\na/b/unix/x = y\nsmtp/unix/z = 1\n"
	got := parseMaster("smtpd", entries, overrides, true)
	if len(got) != 3 {
		t.Fatalf("%+v", got)
	}
	if s := got[0]; s.String() != "smtp inet" || !s.Chroot || len(s.Overrides) != 0 || s.withoutChroot() != "smtp inet n - n - - smtpd" {
		t.Errorf("%+v %q", s, s.withoutChroot())
	}
	s := got[1]
	if v, ok := s.Overrides["smtpd_data_restrictions"]; !ok || v != "" || s.Overrides["a"] != "b = c" || len(s.Overrides) != 2 || !s.Chroot {
		t.Errorf("%+v", s)
	}
	if want := "127.0.0.1:10025 inet n - n - - /usr/lib/postfix/sbin/smtpd -v -o smtpd_data_restrictions= -o {a = b c}"; s.withoutChroot() != want {
		t.Errorf("%q", s.withoutChroot())
	}
	if s := got[2]; s.Chroot || s.Overrides["x"] != "y" {
		t.Errorf("%+v", s)
	}
	for level, want := range map[string]bool{"": false, "0": true, "1": false, "3.6": false, "0.9": true, "x": false} {
		if chrootDefault(Params{"compatibility_level": level}) != want {
			t.Errorf("compatibility_level %q", level)
		}
	}
}
