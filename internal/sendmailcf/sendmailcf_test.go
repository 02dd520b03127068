package sendmailcf

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/finding"
)

const someCF = `V10/Berkeley
# O Commented=yes
O TrustedUser = root
O DontBlameSendmail=GroupReadableKeyFile,
	TrustStickyBit
O dontprobeinterfaces=True
O InputMailFilters=one,two
O TLSSrvOptions=V
O TLSSrvOptions=
O DaemonPortOptions=Name=MTA, Addr=127.0.0.1, M=Ea, InputMailFilters=one;two
O DaemonPortOptions=Name=MSA
Xone, S=local:/run/one, F=T, T=C:5m;S:10s; R:1m30s
Xtwo
Stwo
R$*	$@ OK
`

func TestParse(t *testing.T) {
	s, err := parse(strings.NewReader(someCF))
	if err != nil {
		t.Fatal(err)
	}
	if !s.forgives("truststickybit") || !s.forgives("GroupReadableKeyFile") || s.forgives("GroupReadable") {
		t.Errorf("it forgives %q", s.option("DontBlameSendmail"))
	}
	for name, want := range map[string]string{"trusteduser": "root", "DontProbeInterfaces": "True", "TLSSrvOptions": "", "Commented": "", "none": ""} {
		if got := s.option(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if want := []Filter{
		{"one", "local:/run/one", "T", map[string]string{"C": "5m", "S": "10s", "R": "1m30s"}}, {"two", "", "", map[string]string{}},
	}; !reflect.DeepEqual(s.Filters, want) {
		t.Errorf("filters %+v, want %+v", s.Filters, want)
	}
	if want := []Daemon{{"MTA", "Ea", []string{"one", "two"}, true}, {Name: "MSA"}}; !reflect.DeepEqual(s.Daemons, want) {
		t.Errorf("daemons %+v, want %+v", s.Daemons, want)
	}
}

func TestReadFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sendmail.mc")
	if _, err := Read(file); !os.IsNotExist(err) && !strings.Contains(err.Error(), file) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(file, []byte("divert(0)dnl\nOSTYPE(`linux')dnl\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(file); err == nil || !strings.Contains(err.Error(), "no sendmail.cf") {
		t.Errorf("an .mc file: %v", err)
	}
}

func TestReaches(t *testing.T) {
	for _, c := range []struct {
		socket, listen string
		want           bool
	}{
		{"local:/run/m.sock", "unix:/run/m.sock", true},
		{"unix:/run/m.sock", "unix:/run/m.sock", true},
		{"/run/m.sock", "unix:/run/m.sock", true},
		{"local:/run/n.sock", "unix:/run/m.sock", false},
		{"inet:18890@127.0.0.1", "inet:127.0.0.1:18890", true},
		{"inet:18890@localhost", "inet:127.0.0.1:18890", true},
		{"inet:18890", "inet:127.0.0.1:18890", true},
		{"inet:18890@127.0.0.2", "inet:127.0.0.1:18890", false},
		{"inet:18890@192.0.2.1", "inet:0.0.0.0:18890", true},
		{"inet6:18890@::1", "inet:[::1]:18890", true},
		{"inet:18891@127.0.0.1", "inet:127.0.0.1:18890", false},
		{"inet:18890@127.0.0.1", "unix:/run/m.sock", false},
		{"local:/run/m.sock", "inet:127.0.0.1:18890", false},
		{"", "inet:127.0.0.1:18890", false},
	} {
		if got := reaches(c.socket, c.listen); got != c.want {
			t.Errorf("%q reaches %q is %v", c.socket, c.listen, got)
		}
	}
	for listen, want := range map[string]string{
		"unix:/run/m.sock": "`S=local:/run/m.sock, F=T, ", "inet:127.0.0.1:1": "`S=inet:1@127.0.0.1, F=T, ", "inet:[::1]:1": "`S=inet6:1@::1, F=T, ",
	} {
		if got := filterLine("x", listen); !strings.Contains(got, want) {
			t.Errorf("the line for %s is %s", listen, got)
		}
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{"5": 5 * time.Second, "10s": 10 * time.Second, "1m30s": 90 * time.Second, "2h": 2 * time.Hour, "1d": 24 * time.Hour, "1w": 168 * time.Hour} {
		if got, ok := duration(text); got != want || !ok {
			t.Errorf("%s is %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "s", "5x", "-1", "9999999999"} {
		if got, ok := duration(text); ok {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// TestSending: an operator who fills the send list believes that it is heeded.
func TestSending(t *testing.T) {
	s := &Settings{Filters: []Filter{{Name: "x", Socket: "local:/m", Failure: "T"}}}
	for _, sending := range []bool{false, true} {
		warned := false
		for _, f := range Check(s, Want{MilterListen: "unix:/m", Sending: sending}) {
			warned = warned || strings.Contains(f.Problem, "send list")
		}
		if warned != sending {
			t.Errorf("a send list is %v, and warned is %v", sending, warned)
		}
	}
}

// TestSendingAsks: who has Sendmail ask about mail going out hears where that leads
// nowhere.
func TestSendingAsks(t *testing.T) {
	const version, hook, rule = "V10/Berkeley\n", "R$*\t$: $1 $| $>\"Local_tls_rcpt\" $1\n", "R<ASK> $+\t$: $(sendmail $1 $: ? $)\n"
	for _, c := range []struct{ cf, listen, want string }{
		{"Ksendmail socket -T<TMPF> inet:18892@127.0.0.1\n" + hook + rule, "inet:127.0.0.1:18892", ""},
		{"Ksendmail socket -T<TMPF> inet:18892@127.0.0.1\n" + hook + rule, "inet:127.0.0.1:18899", "all of it waits"},
		{"Ksendmail socket -T<TMPF> inet:18892@127.0.0.1\n" + hook + rule, "", "that door is off"},
		{"Ksendmail socket -T<TMPF> inet:18892@127.0.0.1\n" + rule, "inet:127.0.0.1:18892", "does not ask"},
		{"Ksendmail socket -T<TMPF> inet:18892@127.0.0.1\n" + hook, "inet:127.0.0.1:18892", "does not ask"},
		// What is behind the first word without a dash does not count (map_parseargs).
		{"Ksendmail socket inet:18892@127.0.0.1 -T<TMPF>\n" + hook + rule, "inet:127.0.0.1:18892", ""},
		{"Ksendmail socket -T <TMPF> inet:18892@127.0.0.1\n" + hook + rule, "inet:127.0.0.1:18892", "all of it waits"},
		{"Ksendmail hash /etc/mail/sendmail\n" + hook + rule, "inet:127.0.0.1:18892", "does not ask"},
	} {
		s, err := parse(strings.NewReader(version + c.cf))
		if err != nil {
			t.Fatal(err)
		}
		said := ""
		for _, f := range Check(s, Want{MilterListen: "unix:/m", Sending: true, TLSMapListen: c.listen}) {
			if strings.Contains(f.Problem, "going out") {
				said += f.Problem
			}
		}
		if (said == "") != (c.want == "") || !strings.Contains(said, c.want) {
			t.Errorf("%q at %q: %q, want %q", c.cf, c.listen, said, c.want)
		}
	}
}

// TestKeptSessions: what makes mail wait for the next run is worth a warning, and what sending.mc sets is not.
func TestKeptSessions(t *testing.T) {
	const asks = "V10/Berkeley\nKsendmail socket -T<TMPF> inet:18892@127.0.0.1\nR$*\t$: $1 $| $>\"Local_tls_rcpt\" $1\nR<ASK> $+\t$: $(sendmail $1 $: ? $)\nO ConnectionCacheSize=0\n"
	for options, want := range map[string]bool{"": false, "#O ConnectionCacheSize=2\n": false, "O ConnectionCacheSize=4\n": true} {
		s, err := parse(strings.NewReader(asks + options))
		if err != nil {
			t.Fatal(err)
		}
		warned := false
		for _, f := range Check(s, Want{MilterListen: "unix:/m", Sending: true, TLSMapListen: "inet:127.0.0.1:18892"}) {
			warned = warned || f.Parameter == "ConnectionCacheSize" && f.Severity == finding.Warning
		}
		if warned != want {
			t.Errorf("%q: warned is %v", options, warned)
		}
	}
}

// TestTimes: a filter that is given too little time is worth a warning.
func TestTimes(t *testing.T) {
	for times, want := range map[string]bool{
		"": false, ", T=C:1s;S:10s;R:10s;E:1m": false, ", T=R:4s": true, ", T=S:1s": true, ", T=R:1m;E:3": true, ", T=R:5s": false,
	} {
		s, err := parse(strings.NewReader("V10\nO InputMailFilters=x\nXx, S=local:/m, F=T" + times + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		warned := false
		for _, f := range Check(s, Want{MilterListen: "unix:/m"}) {
			warned = warned || f.Severity == finding.Warning && f.Parameter == "InputMailFilters" && strings.Contains(f.Line, "`S=local:/m, F=T, T=")
		}
		if warned != want {
			t.Errorf("T%s: warned is %v", times, warned)
		}
	}
}
