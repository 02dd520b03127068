package postconf

import (
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// findOne returns the one finding about a service ("" is main.cf) and a parameter, or nil.
func findOne(t *testing.T, found []Finding, service, parameter string) *Finding {
	t.Helper()
	var one *Finding
	for i, f := range found {
		if f.Service == service && f.Parameter == parameter {
			if one != nil {
				t.Errorf("two findings: %v\n%v", one, f)
			}
			one = &found[i]
		}
	}
	return one
}

// put puts the lines of a finding into main.cf, or below the last service of master.cf.
func (in *instance) put(f *Finding) {
	for line := range strings.Lines(f.Line) {
		line = strings.TrimRight(line, "\n")
		if f.Service != "" {
			in.smtpd = append(without(in.smtpd, lineName(line)), line)
			continue
		}
		name, _, _ := strings.Cut(line, " =")
		in.main = append(slices.DeleteFunc(in.main, func(l string) bool { return strings.HasPrefix(l, name+" =") }), line)
	}
}

// heard says whether the milter was told of an event.
func heard(told []string, event string) bool { return slices.Contains(told, event) }

// TestContentFilter has mail come back from a content filter: its stamp is then one among others, and its client is
// loopback without TLS. A connector would keep the stamp; so does a way back without the milter.
func TestContentFilter(t *testing.T) {
	in := newInstance(t)
	mailbox := in.mailbox()
	m := newMilterServer(t, "tcp", "127.0.0.1:0", "")
	want := Want{MilterListen: "inet:" + m.listener.Addr().String()}
	ports := freePorts(t, 2)
	in.main = append(in.main, "smtpd_milters = "+want.MilterListen, "smtpd_forbid_bare_newline = normalize")
	in.smtpd = []string{
		ports[0] + " inet n - n - - smtpd",
		"  -o content_filter=scan:[127.0.0.1]:" + ports[1],
		"scan unix - - n - - smtp",
		"127.0.0.1:" + ports[1] + " inet n - n - - smtpd",
		"  -o mynetworks=127.0.0.0/8",
	}
	in.start()
	back := "127.0.0.1:" + ports[1] + " inet"
	f := findOne(t, Check(in.read(), want), back, milterList)
	if f == nil || f.Severity != Error || f.File != tomlFile || !strings.Contains(f.Line, "ports = ["+ports[1]+"]\n") || !strings.Contains(f.Line, `treat = "internal"`) {
		t.Errorf("%v", f)
	}
	if got := forge(t, ports[0], "once", 15*time.Second); !strings.HasPrefix(got, "250") {
		t.Fatal(got)
	}
	if got := stamps(t, mailbox, "once"); got != ownStamp {
		t.Errorf("stamped %q", got)
	}
	told := m.take()
	// The milter takes out what it has put in, and hears of a client on loopback that has no TLS.
	if !heard(told, "L Domain-Secured "+ownStamp) {
		t.Errorf("the stamp of the first pass did not come back: %q", told)
	}
	again := slices.IndexFunc(told, func(s string) bool {
		return strings.HasPrefix(s, "D M{client_addr} 127.0.0.1 ") && strings.Contains(s, " {daemon_port} "+ports[1]) && !strings.Contains(s, "{tls_version}")
	})
	if again < 0 {
		t.Errorf("%q", told)
	}

	port, _ := (&checker{s: &Settings{}, svc: &Service{Name: back[:len(back)-5]}}).port()
	want.Connectors = []Connector{{Name: "filter", ClientAddresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Ports: []uint16{uint16(port)}, Treat: treatInternal}}
	if f := findOne(t, Check(in.read(), want), back, milterList); f != nil {
		t.Errorf("with a connector: %v", f)
	}

	in.stop()
	in.smtpd = append(in.smtpd, "  -o smtpd_milters=")
	in.start()
	want.Connectors = nil
	if f := findOne(t, Check(in.read(), want), back, milterList); f != nil {
		t.Errorf("without the milter: %v", f)
	}
	forge(t, ports[0], "twice", 15*time.Second)
	if got := stamps(t, mailbox, "twice"); got != ownStamp {
		t.Errorf("stamped %q", got)
	}
	if told := m.take(); heard(told, "L Domain-Secured "+ownStamp) {
		t.Errorf("the milter met it again: %q", told)
	}
	if t.Failed() {
		t.Log(in.logged())
	}
}

// TestProxyFilter has mail go through a filter before it is queued: no header gets to the milter in front.
func TestProxyFilter(t *testing.T) {
	in := newInstance(t)
	mailbox := in.mailbox()
	m := newMilterServer(t, "tcp", "127.0.0.1:0", "")
	want := Want{MilterListen: "inet:" + m.listener.Addr().String()}
	ports := freePorts(t, 2)
	in.main = append(in.main, "smtpd_milters = "+want.MilterListen, "smtpd_forbid_bare_newline = normalize")
	in.smtpd = []string{
		ports[0] + " inet n - n - - smtpd",
		"  -o smtpd_proxy_filter=127.0.0.1:" + ports[1],
		"127.0.0.1:" + ports[1] + " inet n - n - - smtpd",
		"  -o smtpd_milters=",
	}
	in.start()
	front, back := ports[0]+" inet", "127.0.0.1:"+ports[1]+" inet"
	found := Check(in.read(), want)
	if f := findOne(t, found, front, "smtpd_proxy_filter"); f == nil || f.Severity != Warning {
		t.Errorf("%v", f)
	}
	f := findOne(t, found, back, milterList)
	if f == nil || f.Severity != Error || !strings.Contains(f.Problem, "no milter removes forged") {
		t.Fatalf("%v", f)
	}
	forge(t, ports[0], "once", 15*time.Second)
	if got := stamps(t, mailbox, "once"); got != kept {
		t.Errorf("stamped %q", got)
	}
	if told := m.take(); !heard(told, "T") || heard(told, "L Domain-Secured forged") || heard(told, "E") {
		t.Errorf("the milter in front heard %q", told)
	}

	in.stop()
	in.put(f)
	in.start()
	f = findOne(t, Check(in.read(), want), back, milterList)
	if f == nil || f.Severity != Error || !strings.Contains(f.Line, `treat = "off"`) {
		t.Errorf("%v", f)
	}
	forge(t, ports[0], "twice", 15*time.Second)
	if got := stamps(t, mailbox, "twice"); got != ownStamp {
		t.Errorf("stamped %q", got)
	}
	if told := m.take(); !heard(told, "L Domain-Secured forged") {
		t.Errorf("the milter behind heard %q", told)
	}
	if t.Failed() {
		t.Log(in.logged())
	}
}

// TestLocalMail hands mail to sendmail(1): only non_smtpd_milters sees it.
func TestLocalMail(t *testing.T) {
	in := newInstance(t)
	mailbox := in.mailbox()
	m := newMilterServer(t, "tcp", "127.0.0.1:0", "")
	want := Want{MilterListen: "inet:" + m.listener.Addr().String(), Connectors: []Connector{local}}
	in.main = append(in.main, "smtpd_milters = "+want.MilterListen, "smtpd_forbid_bare_newline = normalize")
	in.smtpd = []string{freePorts(t, 1)[0] + " inet n - n - - smtpd"}
	in.start()
	send := func(id string) string {
		t.Helper()
		cmd := exec.Command("/usr/sbin/sendmail", "-C", in.dir, "-f", "alice@woodgrovebank.test", "a@box.test")
		cmd.Stdin = strings.NewReader(strings.ReplaceAll(forged(id), "\r\n", "\n"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("sendmail: %v\n%s", err, out)
		}
		return stamps(t, mailbox, id)
	}
	f := findOne(t, Check(in.read(), want), "", localList)
	if f == nil || f.Severity != Warning {
		t.Fatalf("%v", f)
	}
	if got := send("once"); got != kept {
		t.Errorf("stamped %q", got)
	}

	in.stop()
	in.put(f)
	in.start()
	if f := findOne(t, Check(in.read(), want), "", localList); f != nil {
		t.Errorf("%v", f)
	}
	if got := send("twice"); got != ownStamp {
		t.Errorf("stamped %q", got)
	}
	if told := m.take(); !heard(told, "D M{client_addr} 127.0.0.1 {client_port} 0 {daemon_port} 0") {
		t.Errorf("the milter heard %q", told)
	}

	// A mistake in there stops cleanup, and with it all mail.
	in.stop()
	in.main = append(slices.DeleteFunc(in.main, func(l string) bool { return strings.HasPrefix(l, localList) }), localList+" = { "+want.MilterListen+", foo=bar }")
	in.start()
	if f := findOne(t, Check(in.read(), want), "", localList); f == nil || f.Severity != Error || !strings.Contains(f.Problem, "cleanup stops") {
		t.Errorf("%v", f)
	}
	go forge(t, strings.Fields(in.smtpd[0])[0], "never", 2*time.Second)
	in.awaitLog(t, `/cleanup\[\d+\]: fatal: `)
	if t.Failed() {
		t.Log(in.logged())
	}
}
