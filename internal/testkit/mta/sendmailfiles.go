package mta

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// sendmailFiles are what is needed of Debian's packages of Sendmail.
type sendmailFiles struct {
	root    string // where sendmail.sh has unpacked them
	program string
	m4      string
}

// findSendmail looks for what sendmail.sh has unpacked. Sendmail wants to be root: without, it cannot put on the rights
// of others ("drop_privileges: setgroups failed").
func findSendmail() (sendmailFiles, error) {
	if os.Geteuid() != 0 {
		return sendmailFiles{}, fmt.Errorf("%w: not root", ErrNoSendmail)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return sendmailFiles{}, fmt.Errorf("%w: %w", ErrNoSendmail, err)
	}
	f := sendmailFiles{root: filepath.Join(cache, "domain-secured", "sendmail")}
	f.program = filepath.Join(f.root, "usr/libexec/sendmail/sendmail")
	if _, err := os.Stat(f.program); err != nil {
		return sendmailFiles{}, fmt.Errorf("%w: it is not unpacked in %s: run internal/testkit/sendmail.sh", ErrNoSendmail, f.root)
	}
	f.m4 = filepath.Join(f.root, "usr/bin/m4")
	if _, err := os.Stat(f.m4); err != nil {
		if f.m4, err = exec.LookPath("m4"); err != nil {
			return sendmailFiles{}, fmt.Errorf("%w: %w", ErrNoSendmail, err)
		}
	}
	return f, nil
}

// environment has the loader find the libraries that were unpacked with it, and not installed.
func (f sendmailFiles) environment() []string {
	libraries, _ := filepath.Glob(filepath.Join(f.root, "usr/lib/*-linux-gnu*")) // the pattern is a good one
	return append(environment(), "LD_LIBRARY_PATH="+strings.Join(libraries, ":"))
}
