package mta

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"domain-secured/internal/testkit/smtpclient"
)

func TestReload(t *testing.T) {
	t.Parallel()
	c, _ := common(t)
	postfix := startPostfix(t, c)
	busy, err := smtpclient.Dial(t.Context(), smtpclient.Options{Addr: postfix.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for _, word := range []string{"one", "two", "three"} {
		if err := postfix.SetParameter("smtpd_sender_restrictions", "check_sender_access inline:{{woodgrovebank.com = REJECT "+word+"}}"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := postfix.Reload(ctx); err != nil {
			t.Fatal(err)
		}
		if reply := send(t, postfix, smtpclient.Options{}, letter); !strings.HasSuffix(reply.Text, "rejected: "+word) {
			t.Errorf("after the reload: %s", reply)
		}
	}
	if reply, err := busy.Send(t.Context(), letter); err != nil || !reply.Accepted() {
		t.Errorf("a session from before the reloads: %v, %v", reply, err)
	}
	if err := postfix.SetParameter("two words", ""); err == nil {
		t.Error("a name of two words was taken")
	}
}

// TestCloseLeavesNothing closes an instance that has a client, twice.
func TestCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	needPostfix(t)
	c, _ := common(t)
	postfix, err := StartPostfix(t.Context(), PostfixOptions{Common: c})
	if err != nil {
		t.Fatal(err)
	}
	busy, err := smtpclient.Dial(t.Context(), smtpclient.Options{Addr: postfix.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	if len(postfix.processes()) < 3 {
		t.Errorf("processes: %v", postfix.processes())
	}
	for range 2 {
		if err := postfix.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if left := postfix.processes(); len(left) > 0 {
		t.Errorf("processes left: %v", left)
	}
	if _, err := os.Stat(postfix.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder left: %v", err)
	}
}

// TestKilledMaster has the master die without a chance to end its children.
func TestKilledMaster(t *testing.T) {
	t.Parallel()
	c, _ := common(t)
	postfix := startPostfix(t, c)
	master, err := os.FindProcess(postfix.masterPID())
	if err != nil {
		t.Fatal(err)
	}
	if err := master.Kill(); err != nil {
		t.Fatal(err)
	}
	// startPostfix closes it.
}

func TestMistakesAreReported(t *testing.T) {
	t.Parallel()
	needPostfix(t)
	c, _ := common(t)
	for _, test := range []struct {
		name string
		o    PostfixOptions
		want string
	}{
		{"no domain", PostfixOptions{}, "no domain"},
		{"not a line", PostfixOptions{Common: c, Main: []string{"nonsense"}}, `not a line for main.cf: "nonsense"`},
		{"a service without a name", PostfixOptions{Common: c, Services: []Service{{}}}, "not a name for a service"},
		{"not a setting of a service", PostfixOptions{Common: c, Services: []Service{{Name: "x", Settings: []string{"nonsense"}}}}, `"nonsense"`},
		{"what smtpd needs", PostfixOptions{Common: c, Main: []string{"mail_owner = nobody-of-that-name"}}, "nobody-of-that-name"},
		{"what postfix check needs", PostfixOptions{Common: c, Main: []string{"inet_interfaces = 192.0.2.1"}}, "192.0.2.1"},
		{"a closed folder", PostfixOptions{Common: c, Dir: filepath.Join(t.TempDir(), "instance")}, "cannot pass"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			postfix, err := StartPostfix(ctx, test.o)
			if err == nil {
				postfix.Close()
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("not a word of %q in: %v", test.want, err)
			}
		})
	}
}

// TestMainReplaces makes sure that the caller's lines replace the defaults, and that the instance's settings
// raise no warning with Postfix itself.
func TestMainReplaces(t *testing.T) {
	t.Parallel()
	c, _ := common(t)
	postfix := startPostfix(t, c, "smtpd_tls_fingerprint_digest = sha1", "smtpd_tls_fingerprint_digest = md5")
	out, err := exec.Command(filepath.Join(filepath.Dir(postfix.program), "postconf"), "-c", postfix.ConfigDir(), "-n").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "smtpd_tls_fingerprint_digest = md5\n") || strings.Contains(string(out), "warning") {
		t.Errorf("postconf -n:\n%s", out)
	}
}

// TestPortClash has another process take the port that was free a moment before. Not parallel: it changes
// chooseAddress for all.
func TestPortClash(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	tries := 0
	chooseAddress = func() (string, error) {
		if tries++; tries == 1 {
			return taken.Addr().String(), nil
		}
		return freeAddress()
	}
	defer func() { chooseAddress = freeAddress }()
	c, _ := common(t)
	startPostfix(t, c)
	if tries != 2 {
		t.Errorf("%d tries", tries)
	}
}

// TestSettingsAppearWhole reads a file that is written again and again.
func TestSettingsAppearWhole(t *testing.T) {
	t.Parallel()
	name, text := filepath.Join(t.TempDir(), "main.cf"), strings.Repeat("parameter = value\n", 1000)
	if err := writeOld(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	written := make(chan struct{})
	reading.Go(func() {
		for {
			if got, err := os.ReadFile(name); err != nil || string(got) != text {
				t.Errorf("read %d of %d octets, %v", len(got), len(text), err)
				return
			}
			select {
			case <-written:
				return
			default:
			}
		}
	})
	for range 200 {
		if err := writeOld(name, text, 0o644); err != nil {
			t.Error(err)
		}
	}
	close(written)
	reading.Wait()
}
