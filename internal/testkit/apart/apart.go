//go:build linux

package apart

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Run runs body in namespaces of its own: it has this same program run the test once
// more, in there. The error is ErrNotPossible, and body has not been run then.
func Run(t *testing.T, body func()) error {
	t.Helper()
	if Inside(t.Name()) {
		if err := Settle(t.TempDir()); err != nil {
			t.Fatal(err)
		}
		body()
		return nil
	}
	pattern := "^" + t.Name() + "$"
	if given := flag.Lookup("test.run").Value.String(); strings.Contains(given, "/") {
		pattern = given // who works on one subtest
	}
	args := []string{"-test.run=" + pattern, fmt.Sprintf("-test.v=%v", testing.Verbose())}
	if end, ok := t.Deadline(); ok {
		args = append(args, "-test.timeout="+time.Until(end).String())
	}
	c, err := Command(t.Context(), t.Name(), args...)
	if err != nil {
		return err
	}
	out, err := c.CombinedOutput()
	switch {
	case Refused(err):
		return fmt.Errorf("%w: %w", ErrNotPossible, err)
	case err != nil:
		t.Errorf("apart: %v\n%s", err, out)
	case testing.Verbose():
		t.Logf("apart:\n%s", out)
	}
	return nil
}
