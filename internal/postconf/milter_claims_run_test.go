package postconf

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMilterClaims sets up an smtpd for every claim, and looks whether Postfix does with a forged stamp what Check says;
// then puts the lines of all findings into master.cf, starts again, and looks whether all is well.
func TestMilterClaims(t *testing.T) {
	needPostconf(t)
	needRoot(t)
	in := newInstance(t)
	mailbox := in.mailbox()
	root := filepath.Dir(in.dir)
	type target struct{ address, port string }
	targets := map[string]target{}
	ports := freePorts(t, len(milterClaims)+1)
	down := ports[len(milterClaims)]
	targets["down"] = target{"inet:127.0.0.1:" + down, down}
	for name, slow := range map[string]string{"": "", "slow T": "T", "slow E": "E"} {
		m := newMilterServer(t, "tcp", "127.0.0.1:0", slow)
		_, port, _ := strings.Cut(m.listener.Addr().String(), ":")
		targets[name] = target{"inet:127.0.0.1:" + port, port}
	}
	for name, dir := range map[string]string{"inside": "spool/ds", "outside": "ds"} {
		dir = filepath.Join(root, dir)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		newMilterServer(t, "unix", dir+"/milter", "")
		if err := os.Chmod(dir+"/milter", 0o666); err != nil {
			t.Fatal(err)
		}
		targets[name] = target{"unix:" + dir + "/milter", ""}
	}
	in.main = append(in.main, "smtpd_forbid_bare_newline = normalize", "smtpd_milters = "+targets[""].address)
	// A service named by its port alone is not taken for one that only this machine reaches.
	entries, overrides := make([]string, len(milterClaims)), make([][]string, len(milterClaims))
	for i, c := range milterClaims {
		chroot := "n"
		if c.chroot {
			chroot = "y"
		}
		entries[i] = ports[i] + " inet n - " + chroot + " - - smtpd"
		tg := targets[c.service]
		for _, o := range c.override {
			overrides[i] = append(overrides[i], "  -o "+strings.NewReplacer("%A", tg.address, "%P", tg.port).Replace(o))
		}
	}
	configure := func() *Settings {
		in.smtpd = nil
		for i := range milterClaims {
			in.smtpd = append(in.smtpd, entries[i], fmt.Sprintf("  -o syslog_name=claim%d", i))
			in.smtpd = append(in.smtpd, overrides[i]...)
		}
		in.start()
		return in.read()
	}
	findings := func(s *Settings, i int) (mine []Finding) {
		for _, f := range Check(s, Want{MilterListen: targets[milterClaims[i].service].address}) {
			if f.Service == ports[i]+" inet" {
				mine = append(mine, f)
			}
		}
		return mine
	}
	try := func(t *testing.T, i int, id, want string) {
		t.Helper()
		if want == stopped {
			forge(t, ports[i], id, 100*time.Millisecond) // nothing will come
			in.awaitLog(t, fmt.Sprintf(`claim%d/smtpd\[\d+\]: fatal: `, i))
			return
		}
		got := forge(t, ports[i], id, 15*time.Second)
		if _, queued, ok := strings.Cut(got, "250 2.0.0 Ok: queued as "); ok {
			if want == onHold {
				if _, err := os.Stat(filepath.Join(root, "spool", "hold", queued)); err != nil {
					t.Error(err)
				}
				return
			}
			got = stamps(t, mailbox, id)
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("it ended with %q, want %q, with %q", got, want, overrides[i])
		}
	}

	s := configure()
	for i, c := range milterClaims {
		t.Run(c.name, func(t *testing.T) {
			mine := findings(s, i)
			if c.says == "" && len(mine) > 0 || c.says != "" && len(mine) != 1 {
				t.Errorf("findings: %+v", mine)
			}
			for _, f := range mine {
				if f.Severity != c.severity || !strings.Contains(f.Problem, c.says) {
					t.Errorf("finding %+v, want %v %q", f, c.severity, c.says)
				}
				for line := range strings.Lines(f.Line) {
					line = strings.TrimRight(line, "\n")
					if name := lineName(line); name != "" {
						overrides[i] = append(without(overrides[i], name), line)
					} else {
						entries[i], overrides[i] = line, nil // a whole entry
					}
				}
			}
			try(t, i, strconv.Itoa(i), c.ends)
		})
	}
	if t.Failed() {
		t.Log(in.logged())
		return
	}

	in.stop()
	s = configure()
	for i, c := range milterClaims {
		t.Run(c.name+", put right", func(t *testing.T) {
			// Where there is no line that the finding could give, it stays.
			if mine := findings(s, i); c.says != "" && (c.fixed == "" || c.fixed == busy) && !strings.Contains(c.says, "has an entry") && len(mine) > 0 {
				t.Errorf("findings: %+v", mine)
			}
			want := c.fixed
			if want == "" {
				want = ownStamp
			}
			try(t, i, strconv.Itoa(i)+"-again", want)
		})
	}
	if t.Failed() {
		t.Log(in.logged())
	}
}

// awaitLog waits for a line of the instance's log.
func (in *instance) awaitLog(t *testing.T, line string) {
	t.Helper()
	pattern := regexp.MustCompile(line)
	for deadline := time.Now().Add(10 * time.Second); !pattern.MatchString(in.logged()); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log has no %s", line)
		}
	}
}
