package maillog_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"domain-secured/internal/maillog"
)

// faultless fails a test in which something panics.
func faultless(t *testing.T) func(error) { return func(err error) { t.Error(err) } }

// TestFollowerOutlivesPanics: a line that makes it panic is counted as one that cannot
// be read, and those behind it are read. It is said once.
func TestFollowerOutlivesPanics(t *testing.T) {
	var text strings.Builder
	for i, domain := range []string{"a", "breaks", "b", "breaks", "c"} {
		fmt.Fprintf(&text, "2026-11-22T09:49:09.123456+01:00 mx1 postfix/smtp[1]: 8569198E27%d: to=<a@%s.example>, relay=none, delay=1, delays=1/0/0/0, dsn=4.4.1, status=deferred (x)\n", i, domain)
	}
	entry := func(domain string) string {
		if domain == "breaks.example" {
			panic("as asked")
		}
		return listed(domain)
	}
	for name, run := range map[string]func(ctx context.Context, f *maillog.Follower, dir string){
		"file": func(ctx context.Context, f *maillog.Follower, dir string) {
			f.File(ctx, filepath.Join(dir, "later.log"))
		},
		"journal": func(ctx context.Context, f *maillog.Follower, _ string) {
			f.Journal(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			log := filepath.Join(dir, "mail.log")
			check(t, os.WriteFile(log, []byte(text.String()), 0o644))
			check(t, os.WriteFile(filepath.Join(dir, "journalctl"), fmt.Appendf(nil, "#!/bin/sh\n/bin/cat %s\nexec /bin/sleep 1000\n", log), 0o755))
			t.Setenv("PATH", dir)

			var mu sync.Mutex
			var complaints []string
			ledger := maillog.NewLedger(entry, time.Now, func(err error) {
				mu.Lock()
				defer mu.Unlock()
				complaints = append(complaints, err.Error())
			})
			ctx, cancel := context.WithCancel(t.Context())
			done, missing := make(chan struct{}), make(chan struct{}, 10)
			go func() {
				defer close(done)
				run(ctx, maillog.NewFollower(ledger, func(error) { missing <- struct{}{} }), dir)
			}()
			defer func() { cancel(); <-done }()
			if name == "file" { // a file that comes into being is read from its start
				<-missing
				check(t, os.Rename(log, filepath.Join(dir, "later.log")))
			}
			await(t, "all lines", func() bool { return ledger.Summary().Lines == 5 })
			got := ledger.Summary()
			if got.Unparsed != 2 || len(got.Partners) != 3 || got.Partners["c.example"].Deferred != 1 {
				t.Errorf("%+v", got)
			}
			mu.Lock()
			defer mu.Unlock()
			if len(complaints) != 1 || !strings.HasPrefix(complaints[0], "reading a line of the mail log: panic: as asked\n") || !strings.Contains(complaints[0], "fault_test.go") {
				t.Errorf("%q", complaints)
			}
		})
	}
}
