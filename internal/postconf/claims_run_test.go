package postconf

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestClaims sets up an smtpd for every claim, and looks whether Postfix does what Check says; then puts the lines
// of all findings into master.cf, starts again, and looks whether all is well.
func TestClaims(t *testing.T) {
	needPostconf(t)
	needRoot(t)
	in := newInstance(t)
	root := filepath.Dir(in.dir)
	type target struct{ address, port string }
	targets := map[string]target{}
	servers := map[string]*policyServer{}
	up := newPolicyServer(t, "tcp", "127.0.0.1:0", policyWord)
	_, port, _ := strings.Cut(up.listener.Addr().String(), ":")
	servers[""], targets[""] = up, target{"inet:127.0.0.1:" + port, port}
	ports := freePorts(t, len(claims)+1)
	port = ports[len(claims)]
	targets["down"] = target{"inet:127.0.0.1:" + port, port}
	for name, dir := range map[string]string{"inside": "spool/ds", "outside": "ds"} {
		dir = filepath.Join(root, dir)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		servers[name] = newPolicyServer(t, "unix", dir+"/policy", policyWord)
		if err := os.Chmod(dir+"/policy", 0o666); err != nil {
			t.Fatal(err)
		}
		targets[name] = target{"unix:" + dir + "/policy", ""}
	}
	in.main = append(in.main,
		"smtpd_tls_chain_files = $config_directory/server.key, $config_directory/server.pem",
		"smtpd_tls_security_level = may",
		"smtpd_tls_ask_ccert = yes",
		"smtpd_policy_service_try_limit = 1",
		"smtpd_restriction_classes = Mixed, warned, okclass, endwarn, deferclass",
		"Mixed = check_policy_service "+targets[""].address,
		"warned = warn_if_reject, reject_unauth_pipelining, check_policy_service "+targets[""].address,
		"okclass = permit",
		"endwarn = reject_unauth_pipelining, warn_if_reject",
		"deferclass = defer",
	)
	// A service named by its port alone is not taken for one that only this machine reaches.
	entries, overrides := make([]string, len(claims)), make([][]string, len(claims))
	for i, c := range claims {
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
		for i := range claims {
			in.smtpd = append(in.smtpd, entries[i], fmt.Sprintf("  -o syslog_name=claim%d", i))
			in.smtpd = append(in.smtpd, overrides[i]...)
		}
		in.start()
		s, err := Read(context.Background(), in.dir)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	findings := func(s *Settings, i int) (mine []Finding) {
		for _, f := range Check(s, Want{PolicyListen: targets[claims[i].service].address}) {
			if f.Service == ports[i]+" inet" {
				mine = append(mine, f)
			}
		}
		return mine
	}
	talk := func(i int, patience time.Duration) (string, map[string]string) {
		c := claims[i]
		rcpt := c.rcpt
		if rcpt == "" {
			rcpt = "a@contoso.test"
		}
		got := session(t, ports[i], rcpt, patience, slices.Contains(c.override, "smtpd_tls_wrappermode=yes"))
		var asked map[string]string
		if p := servers[c.service]; p != nil {
			for _, asked = range p.take() {
			}
		}
		return got, asked
	}

	s := configure()
	for i, c := range claims {
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
			if c.reply == stopped {
				talk(i, 100*time.Millisecond) // nothing will come
				fatal := regexp.MustCompile(fmt.Sprintf(`claim%d/smtpd\[\d+\]: fatal: `, i))
				for deadline := time.Now().Add(10 * time.Second); !fatal.MatchString(in.logged()); time.Sleep(20 * time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatal("smtpd did not stop")
					}
				}
				return
			}
			got, asked := talk(i, 15*time.Second)
			if !strings.HasPrefix(got, c.reply) {
				t.Errorf("Postfix answered %q, want %q", got, c.reply)
			}
			if got == refused && (asked["queue_id"] == "" || (asked["ccert_fingerprint"] == "") != c.noFP) {
				t.Errorf("asked with %v", asked)
			}
		})
	}
	if t.Failed() {
		t.Log(in.logged())
		return
	}

	in.stop()
	s = configure()
	for i, c := range claims {
		t.Run(c.name+", put right", func(t *testing.T) {
			// Where the mistake is not in what the line is about, the finding stays.
			if mine := findings(s, i); c.says != "" && (c.fixed == "" || c.fixed == away) && len(mine) > 0 {
				t.Errorf("findings: %+v", mine)
			}
			want := c.fixed
			if want == "" {
				want = refused
			}
			got, asked := talk(i, 15*time.Second)
			if !strings.HasPrefix(got, want) {
				t.Errorf("Postfix answered %q, want %q, with %q", got, want, overrides[i])
			}
			if got == refused && (asked["queue_id"] == "" || len(asked["ccert_fingerprint"]) != 32*3-1) {
				t.Errorf("asked with %v", asked)
			}
		})
	}
	if t.Failed() {
		t.Log(in.logged())
	}
}

// lineName is the parameter that a line for master.cf sets.
func lineName(line string) string {
	rest, ok := strings.CutPrefix(line, "  -o ")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(rest, "{"), "=")
	return strings.TrimSpace(name)
}

func without(overrides []string, name string) (kept []string) {
	for _, o := range overrides {
		if lineName(o) != name {
			kept = append(kept, o)
		}
	}
	return kept
}
