package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/cases"
	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/smtpclient"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(asLab) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// TestLab runs the lab with its fake MTA; the cases package's tests have the real one.
func TestLab(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	if err := os.Chmod(os.Getenv("TMPDIR"), 0o755); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"-mta", "fake"}, false, &stdout, &stderr); status != 0 {
		t.Errorf("status %d", status)
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	for _, want := range []string{"\nno stamp, 7 forged removed\n", "\nDomain-Secured: mx1.contoso.com; domain=tailspintoys.com; auth=pin;\n  fingerprint=sha256:"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("not a word of %q", want)
		}
	}
	if !strings.HasPrefix(lines[0], "fake MTA for contoso.com at 127.0.0.1:") || !strings.HasSuffix(lines[len(lines)-1], " passed, 0 failed") {
		t.Errorf("stdout:\n%s\nstderr:\n%s", &stdout, &stderr)
	}
	if left, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// TestKeep talks to a lab that stays up, and then interrupts it.
func TestKeep(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out := &watched{text: "Ctrl-C", seen: interrupt}
	if status := run(ctx, []string{"-mta", "fake"}, true, out, out); status != 0 {
		t.Errorf("status %d:\n%s", status, out)
	}
	for _, want := range []string{"swaks --server 127.0.0.1:", "explain --config ", "Cleaning up."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("not a word of %q:\n%s", want, out)
		}
	}
}

// watched calls seen as soon as a text is written.
type watched struct {
	bytes.Buffer
	text string
	seen func()
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if strings.Contains(w.String(), w.text) {
		w.seen()
	}
	return n, err
}

func TestFailures(t *testing.T) {
	var out bytes.Buffer
	if status := run(t.Context(), []string{"-mta", "fake", "-binary", "/nonexistent"}, false, &out, &out); status != 1 || !strings.Contains(out.String(), "/nonexistent") {
		t.Errorf("status %d:\n%s", status, &out)
	}
	if status := run(t.Context(), []string{"-mta", "exchange"}, false, &out, &out); status != 1 || !strings.Contains(out.String(), `"exchange"`) {
		t.Errorf("status %d:\n%s", status, &out)
	}
	if status := run(t.Context(), []string{"word"}, false, &out, &out); status != 64 {
		t.Errorf("status %d", status)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	cancel()
	if status := run(ctx, []string{"-mta", "fake"}, false, &out, &out); status != 130 {
		t.Errorf("status %d", status)
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	table := newCasesTable(&out)
	c := cases.Case{Words: strings.Repeat("word ", 20) + strings.Repeat("ü", 50)}
	refused := cases.Result{Reply: smtpclient.Reply{Stage: smtpclient.DATA, Code: 450, Text: "4.7.1 no"}}
	table.row(c, refused, nil)
	table.row(c, cases.Result{Arrived: &mta.Message{}}, errors.New("it differs"))
	forged := cases.Case{Words: "forged", Forged: make([]string, 3)}
	stamp := mta.Field{Name: "Domain-Secured", Value: " mx1;\n  fingerprint=sha256:" + strings.Repeat("0123456789abcdef", 4) + "; tls=" + strings.Repeat("ü", 100)}
	table.row(forged, cases.Result{Arrived: &mta.Message{}}, nil)
	table.row(forged, cases.Result{Arrived: &mta.Message{Fields: []mta.Field{stamp}}}, nil)
	for line := range strings.SplitSeq(out.String(), "\n") {
		if strings.HasPrefix(line, "NOT as expected: it differs") {
			continue
		}
		if cells := strings.FieldsFunc(line, func(r rune) bool { return r == '|' || r == '+' }); len(cells) > 4 || len([]rune(line)) > tableWidth {
			t.Errorf("a line out of shape: %q", line)
		}
	}
	for _, want := range []string{"450 4.7.1 no", "nothing", "the message", "yes", "NOT", "\nno stamp\n", "\nno stamp, 3 forged removed\n", "\nDomain-Secured: mx1;\n  fingerprint=sha256:0123456789ab…; tls=ü", "\n2 forged removed\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("not a word of %q:\n%s", want, &out)
		}
	}
}

// TestNobodyReads closes what the lab writes to, as "| head" does: it cleans up all the same.
func TestNobodyReads(t *testing.T) {
	temporary := t.TempDir()
	lab := exec.CommandContext(t.Context(), os.Args[0], "-mta", "fake")
	lab.Env = append(os.Environ(), asLab+"=1", "KEEP=1", "TMPDIR="+temporary)
	out, err := lab.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := lab.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	out.Close()
	if err := lab.Wait(); err == nil || lab.ProcessState.ExitCode() != 130 {
		t.Errorf("ended with %v", lab.ProcessState)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
