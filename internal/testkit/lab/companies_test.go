package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"domain-secured/internal/testkit/cases"
	"domain-secured/internal/testkit/companies"
	"domain-secured/internal/testkit/mta"
)

// asLab has this test program be the lab.
const asLab = "DOMAIN_SECURED_TEST_LAB"

// missing skips a test for want of something, except on CI, which must have everything.
func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// TestCompanies runs the lab as "make lab" does with KEEP=1: the two companies, what strangers try, then the commands
// that it prints, then Ctrl-C.
func TestCompanies(t *testing.T) {
	if _, err := mta.FindPostfix(); err != nil {
		missing(t, err.Error())
	}
	dir, err := os.MkdirTemp("", "lab-") // Postfix's user goes through it, which it may not through t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	temporary := filepath.Join(dir, "tmp")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(temporary, 0o755)); err != nil {
		t.Fatal(err)
	}
	binary, err := cases.Build(t.Context(), dir, "-race")
	if err != nil {
		t.Fatal(err)
	}

	out := &output{text: "  its mailbox", written: make(chan struct{})}
	lab := exec.CommandContext(t.Context(), os.Args[0], "-binary", binary)
	lab.Env = append(os.Environ(), asLab+"=1", "KEEP=1", "TMPDIR="+temporary)
	lab.Stdout, lab.Stderr = out, out
	lab.Cancel = func() error { return lab.Process.Signal(syscall.SIGTERM) }
	lab.WaitDelay = time.Minute
	if err := lab.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- lab.Wait() }()
	select {
	case err := <-ended:
		t.Fatalf("the lab has ended: %v\n%s", err, out)
	case <-out.written:
	}
	text := out.String()
	if strings.Contains(text, "that is left out") {
		interrupt(t, lab, ended)
		missing(t, text)
	}
	for _, scene := range companies.Scenes() {
		if !strings.Contains(text, scene.Words) {
			t.Errorf("not a word of %q", scene.Words)
		}
	}
	for _, want := range []string{"\n22 as expected, 0 not\n", " passed, 0 failed\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("not a word of %q", want)
		}
	}
	tryPrinted(t, text)
	interrupt(t, lab, ended)
	if t.Failed() {
		t.Logf("the lab:\n%s", out)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// output has written closed when a text is in it.
type output struct {
	text    string
	written chan struct{}

	mu  sync.Mutex
	all []byte
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := bytes.Contains(o.all, []byte(o.text))
	if o.all = append(o.all, p...); !before && bytes.Contains(o.all, []byte(o.text)) {
		close(o.written)
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.all)
}

func interrupt(t *testing.T, lab *exec.Cmd, ended <-chan error) {
	t.Helper()
	if err := lab.Process.Signal(syscall.SIGINT); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("interrupted: %v", err)
	}
}

var printed = regexp.MustCompile(`(?ms)^  nsenter (.*?)$(.*)^What the strangers talked to:$`)

// tryPrinted does what KEEP's text says of the two companies, line by line.
func tryPrinted(t *testing.T, text string) {
	m := printed.FindStringSubmatch(text)
	if m == nil {
		t.Errorf("no commands:\n%s", text)
		return
	}
	commands := 0
	for line := range strings.Lines(m[2]) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line == "Contoso and Woodgrove Bank:" {
			continue
		}
		commands++
		c := exec.CommandContext(t.Context(), "nsenter", append(strings.Fields(m[1]), "sh", "-c", line)...)
		c.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin")
		if said, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, said)
		}
	}
	if commands < 10 {
		t.Errorf("only %d commands:\n%s", commands, m[2])
	}
}

// TestLetter has a row for what differs, as the tests of package companies have for what is compared.
func TestLetter(t *testing.T) {
	var out strings.Builder
	table := newTable(io.Writer(&out), column{"mail", 20}, column{"sender", 20}, column{"receiver", 30}, column{"queue", 7}, column{"expected", 8})
	contoso, bank := &companies.Company{Name: "Contoso", Domain: "contoso.com", Person: "bob", Postfix: new(mta.Postfix)}, &companies.Company{Name: "Woodgrove Bank"}
	table.letter(companies.Outcome{
		Letter: companies.Letter{From: contoso, To: bank}, Status: "deferred", Said: "no", Waits: "certificate-expired", Queue: []mta.Queued{{Sender: "bob@contoso.com"}, {Sender: "bob@contoso.com"}, {Sender: "alice@woodgrovebank.com"}},
	}, errors.New("it differs"))
	for _, want := range []string{"Contoso to Woodgrove", "deferred (no);", "it was not offered", "2 wait", "NOT\n", "NOT as expected: it differs\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("not a word of %q:\n%s", want, &out)
		}
	}
}
