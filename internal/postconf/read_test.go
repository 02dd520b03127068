package postconf

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRead(t *testing.T) {
	in := newInstance(t)
	in.main = append(in.main,
		"my_list = check_policy_service { inet:127.0.0.1:18891, { default_action = 450 4.7.5 costs $$5 } },",
		"  reject_unauth_pipelining",
		"smtpd_data_restrictions = ${my_list}",
		"mua_client_restrictions = permit_sasl_authenticated, reject",
		"smtpd_tls_ask_cert = yes",
		"smtpd_client_restrictions = permit_mynetworks",
		"smtpd_client_restrictions =",
	)
	in.smtpd = []string{
		"smtp inet n - y - - smtpd",
		"10025 inet n - - - - smtpd",
		"  -o my_list=",
		"  -o smtpd_client_restrictions=$mua_client_restrictions",
		"  -o { smtpd_helo_restrictions = permit_mynetworks, reject }",
		"  -o smtpd_restriction_classes=onlyhere -o onlyhere=permit",
		"smtpd pass - - n - - smtpd",
		"smtp unix - - y - - smtp",
		"pre unix n - y - 0 cleanup",
		"  -o non_smtpd_milters=inet:localhost:18890",
	}
	in.config()
	s, err := Read(context.Background(), in.dir)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.Version, ".") || s.QueueDirectory != filepath.Join(filepath.Dir(in.dir), "spool") || s.Dir != in.dir {
		t.Errorf("%q %q %q", s.Version, s.QueueDirectory, s.Dir)
	}
	if got, want := s.Main[dataList], "check_policy_service { inet:127.0.0.1:18891, { default_action = 450 4.7.5 costs $5 } }, reject_unauth_pipelining"; got != want {
		t.Errorf("%q", got)
	}
	if got := s.Main["smtpd_tls_fingerprint_digest"]; got != "sha256" {
		t.Errorf("an expression is not expanded: %q", got)
	}
	var names []string
	for _, svc := range s.Services {
		names = append(names, svc.String())
	}
	if !slices.Equal(names, []string{"smtp inet", "10025 inet", "smtpd pass"}) {
		t.Fatalf("%q", names)
	}
	if !s.Services[0].Chroot || s.Services[1].Chroot || s.Services[2].Chroot {
		t.Errorf("chroot: %+v", s.Services)
	}
	svc := s.Services[1]
	for name, want := range map[string]string{
		dataList:                    "", // by way of my_list
		"smtpd_client_restrictions": "permit_sasl_authenticated, reject",
		"smtpd_helo_restrictions":   "permit_mynetworks, reject",
		"onlyhere":                  "permit",
	} {
		if got, ok := svc.Params[name]; !ok || got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if len(s.Pickup) != 1 || s.Pickup[0].String() != "pickup unix" || s.Pickup[0].Params["cleanup_service_name"] != "cleanup" {
		t.Errorf("%+v", s.Pickup)
	}
	if len(s.Cleanup) != 2 || s.Cleanup[0].String() != "pre unix" || !s.Cleanup[0].Chroot || s.Cleanup[0].Params[localList] != "inet:localhost:18890" || s.Cleanup[1].Chroot || s.Cleanup[1].Params[localList] != "" {
		t.Errorf("%+v", s.Cleanup)
	}
	if !slices.Contains(s.Addresses, netip.AddrFrom4([4]byte{127, 0, 0, 1})) {
		t.Errorf("%v", s.Addresses)
	}
	for _, want := range []string{"unused parameter: smtpd_tls_ask_cert=yes", "overriding earlier entry: smtpd_client_restrictions="} {
		n := 0
		for _, w := range s.Warnings {
			if strings.Contains(w, want) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d warnings with %q: %q", n, want, s.Warnings)
		}
	}
	found := Check(s, Want{PolicyListen: "inet:127.0.0.1:18891"})
	i := slices.IndexFunc(found, func(f Finding) bool { return f.Parameter == "smtpd_tls_ask_cert" })
	if i < 0 || found[i].Severity != Warning || !strings.Contains(found[i].Problem, "unused parameter") {
		t.Errorf("a mistyped parameter is not found: %+v", found)
	}
}

func TestReadFails(t *testing.T) {
	ctx := context.Background()
	t.Run("no directory", func(t *testing.T) {
		needPostconf(t)
		_, err := Read(ctx, filepath.Join(t.TempDir(), "none"))
		if err == nil || !strings.Contains(err.Error(), "No such file") || !strings.HasPrefix(err.Error(), "reading main.cf: postconf: ") {
			t.Error(err)
		}
	})
	t.Run("no master.cf", func(t *testing.T) {
		in := newInstance(t)
		in.config()
		if err := os.Remove(filepath.Join(in.dir, "master.cf")); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(ctx, in.dir); err == nil || !strings.HasPrefix(err.Error(), "reading master.cf: ") {
			t.Error(err)
		}
	})
	fake := func(t *testing.T, script string) {
		t.Helper()
		bin := filepath.Join(t.TempDir(), "postconf")
		if err := os.WriteFile(bin, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
		saved := places
		places = []string{filepath.Dir(bin) + "/"}
		t.Cleanup(func() { places = saved })
	}
	t.Run("no postconf", func(t *testing.T) {
		fake(t, "")
		places = []string{places[0] + "not-"}
		if _, err := Read(ctx, ""); !errors.Is(err, ErrNoPostconf) {
			t.Error(err)
		}
	})
	t.Run("hangs", func(t *testing.T) {
		fake(t, "exec sleep 60")
		ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		if _, err := Read(ctx, ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("took %v", d)
		}
	})
	t.Run("floods", func(t *testing.T) {
		fake(t, "exec head -c 20000000 /dev/zero")
		if _, err := Read(ctx, ""); err == nil || !strings.Contains(err.Error(), "more than") {
			t.Error(err)
		}
	})
	t.Run("something else", func(t *testing.T) {
		fake(t, "echo hello = world")
		if _, err := Read(ctx, ""); err == nil || !strings.Contains(err.Error(), "no mail_version") {
			t.Error(err)
		}
	})
	t.Run("too old for -M", func(t *testing.T) {
		fake(t, `case "$1" in -x) echo mail_version = 2.6; echo queue_directory = /q;; *) echo "postconf: invalid option -- M" >&2; exit 1;; esac`)
		if _, err := Read(ctx, ""); err == nil || !strings.Contains(err.Error(), "invalid option") {
			t.Error(err)
		}
	})
}
