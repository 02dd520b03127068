package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"domain-secured/internal/testkit/mta"
)

// TestReadmeHasTheLines: what the README tells Sendmail's operators to write is what the tests have proven.
func TestReadmeHasTheLines(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	lines, err := os.ReadFile("../../contrib/sendmail/domain-secured.mc")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(lines)) {
		if line == "\n" || strings.HasPrefix(line, "dnl") {
			continue
		}
		if n++; !strings.Contains(string(readme), "    "+line) {
			t.Errorf("the README lacks %s", line)
		}
	}
	if n != 2 {
		t.Errorf("%d lines, want 2", n)
	}
}

// testCheckSendmail: the lines in contrib are all that is needed, and what check finds in others is mended by the lines
// that it gives.
func testCheckSendmail(t *testing.T, s *mailSite) {
	checkOf := func(site *mailSite) []string {
		return []string{"check", "--sendmail=" + site.MTA.(*mta.Sendmail).ConfigFile()}
	}
	if out := s.verb(t, checkOf(s)...); !strings.HasSuffix(out, "\nsendmail: ok\n") {
		t.Errorf("it finds:\n%s", out)
	}
	bad := s.beside(t, mta.SendmailOptions{Config: []string{"define(`confTLS_SRV_OPTIONS', `V')dnl"}}, func(lines string) string {
		return replacing(t, " F=T,", "")(replacing(t, fingerprintLine, "")(lines))
	})
	out, err := s.Command(t.Context(), checkOf(bad)...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitNo {
		t.Errorf("exit %v", err)
	}
	for _, want := range []string{"error: without F=T ", "error: Sendmail tells no SHA-256 of certificates", "error: with V ", "\n  put into sendmail.mc:\n    " + fingerprintLine} {
		if !strings.Contains(out, want) {
			t.Errorf("not a word of %q:\n%s", want, out)
		}
	}
	out, _ = s.Command(t.Context(), append(checkOf(bad), "--json")...)
	var checked struct {
		Sendmail []struct{ Severity, Parameter, Line, File string }
	}
	if err := json.Unmarshal([]byte(out), &checked); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range checked.Sendmail {
		if f.File != "sendmail.mc" || f.Line == "" {
			t.Errorf("no line: %+v", f)
		}
		lines = append(lines, f.Line)
	}
	mended := s.beside(t, mta.SendmailOptions{}, func(string) string { return strings.Join(lines, "\n") })
	if out := s.verb(t, checkOf(mended)...); !strings.HasSuffix(out, "\nsendmail: ok\n") {
		t.Errorf("mended, and it finds:\n%s", out)
	}
	if _, err := s.Command(t.Context(), "check", "--sendmail="+s.Dir+"/missing.cf"); !errors.As(err, &exit) || exit.ExitCode() != exitNotNow {
		t.Errorf("a file that is not there: %v", err)
	}
}
