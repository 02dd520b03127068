package milter

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestMiltertest talks to miltertest(8) of OpenDKIM's authors: each script is an
// MTA.
func TestMiltertest(t *testing.T) {
	program, err := exec.LookPath("miltertest")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("miltertest is missing: apt-get install miltertest")
		}
		t.Skip("miltertest is missing: apt-get install miltertest")
	}
	for _, c := range []struct {
		script, version string
	}{
		{"stamp.lua", "6"},
		{"replies.lua", "6"},
		{"replies.lua", "2"},
	} {
		t.Run(c.script+" version "+c.version, func(t *testing.T) {
			s := start(t, "tcp")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, program,
				"-D", fmt.Sprintf("socket=inet:%d@127.0.0.1", s.addr.(*net.TCPAddr).Port),
				"-D", "version="+c.version, "-D", "stamp="+stamp,
				"-v", "-s", filepath.Join("testdata", "miltertest", c.script))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
			if t.Failed() {
				t.Logf("the judge heard %q; log: %s", s.judge.all(), s.log)
			}
		})
	}
}
