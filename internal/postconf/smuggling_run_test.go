package postconf

import (
	"strings"
	"testing"
	"time"
)

// TestSmuggling sends a message that holds another one behind <LF>.<CR><LF>.
func TestSmuggling(t *testing.T) {
	in := newInstance(t)
	m := newMilterServer(t, "tcp", "127.0.0.1:0", "")
	want := Want{MilterListen: "inet:" + m.listener.Addr().String()}
	in.mailbox()
	in.main = append(in.main, "smtpd_milters = "+want.MilterListen, "smtpd_forbid_bare_newline_exclusions =")
	values := map[string]struct {
		severity Severity
		found    bool
		senders  int // who the milter hears of; -1 if smtpd does not even start
	}{
		"no": {Error, true, 2}, "normalize": {0, false, 1}, "Yes": {0, false, 1}, "reject": {0, false, 1}, "note": {Error, true, -1}, "maybe": {Error, true, -1},
	}
	ports := freePorts(t, len(values))
	port := map[string]string{}
	for value := range values {
		port[value] = ports[len(port)]
		in.smtpd = append(in.smtpd, port[value]+" inet n - n - - smtpd", "  -o syslog_name="+value, "  -o smtpd_forbid_bare_newline="+value)
	}
	in.start()
	s := in.read()
	if s.version().before(version{3, 7, 10}) || !s.version().before(version{3, 8, 0}) {
		delete(values, "note") // what older and newer ones make of it is not claimed
	}
	for value, v := range values {
		t.Run(value, func(t *testing.T) {
			f := findOne(t, Check(s, want), port[value]+" inet", "smtpd_forbid_bare_newline")
			if (f != nil) != v.found || f != nil && (f.Severity != v.severity || f.Line != "  -o smtpd_forbid_bare_newline=normalize") {
				t.Errorf("%v", f)
			}
			if f != nil && strings.Contains(f.Problem, "smtpd stops") != (v.senders < 0) {
				t.Errorf("%v", f)
			}
			if v.senders < 0 {
				dial(t, port[value], time.Millisecond)
				in.awaitLog(t, value+`/smtpd\[\d+\]: fatal: `)
				return
			}
			m.take()
			d := dial(t, port[value], 15*time.Second)
			d.reply()
			d.verbs("EHLO client.test", "MAIL FROM:<alice@woodgrovebank.test>", "RCPT TO:<a@box.test>", "DATA")
			d.verb("From: alice@woodgrovebank.test\r\n\r\nhello\n.\r\n" +
				"MAIL FROM:<boss@woodgrovebank.test>\r\nRCPT TO:<a@box.test>\r\nDATA\r\nFrom: boss@woodgrovebank.test\r\n\r\nsmuggled\r\n.")
			for d.verb("QUIT")[0] == '2' {
			}
			senders := 0
			for _, event := range m.take() {
				if strings.HasPrefix(event, "M ") {
					senders++
				}
			}
			if senders != v.senders {
				t.Errorf("%d senders, want %d", senders, v.senders)
			}
		})
	}
	if t.Failed() {
		t.Log(in.logged())
	}
}

// TestXClient speaks for another client: the certificate is still the speaker's own.
func TestXClient(t *testing.T) {
	in := newInstance(t)
	p := newPolicyServer(t, "tcp", "127.0.0.1:0", policyWord)
	want := Want{PolicyListen: "inet:" + p.listener.Addr().String()}
	port := freePorts(t, 1)[0]
	in.main = append(in.main, "smtpd_tls_chain_files = $config_directory/server.key, $config_directory/server.pem", "smtpd_tls_security_level = may",
		"smtpd_tls_ask_ccert = yes", "smtpd_forbid_bare_newline = normalize", "smtpd_data_restrictions = check_policy_service "+want.PolicyListen,
		"smtpd_authorized_xclient_hosts = 192.0.2.0/24, 127.0.0.1")
	in.smtpd = []string{port + " inet n - n - - smtpd"}
	in.start()
	f := findOne(t, Check(in.read(), want), "", "smtpd_authorized_xclient_hosts")
	if f == nil || f.Severity != Error || !strings.Contains(f.Problem, "192.0.2.0/24 may give") {
		t.Errorf("%v", f)
	}
	d := dial(t, port, 15*time.Second)
	d.reply()
	d.verbs("EHLO client.test", "STARTTLS")
	if err := d.encrypt(); err != nil {
		t.Fatal(err)
	}
	if got := d.verbs("EHLO client.test", "XCLIENT ADDR=192.0.2.9 PORT=77", "EHLO client.test", "MAIL FROM:<alice@woodgrovebank.test>", "RCPT TO:<a@contoso.test>", "DATA"); got != refused {
		t.Errorf("%s\n%s", got, in.logged())
	}
	asked := p.take()
	if len(asked) != 1 || asked[0]["client_address"] != "192.0.2.9" || len(asked[0]["ccert_fingerprint"]) != 32*3-1 {
		t.Errorf("asked with %v", asked)
	}
}
