package maillog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	// The time before journalctl(1) is started again after it ended, from the first to
	// the most.
	firstPause = time.Second
	mostPause  = time.Minute
	// maxWords bounds what is kept of what it says about itself.
	maxWords = 1 << 10
)

// journalctl follows what the mail facility logs, in the form of syslog with a full
// time. Without --all it would write lines with other than ASCII as a number of octets.
var journalctl = []string{"journalctl", "--quiet", "--follow", "--lines=0", "--all", "--no-pager", "--output=short-iso-precise", "SYSLOG_FACILITY=2"}

// Journal follows the journal until ctx ends, by journalctl(1), which is started again
// when it ends.
func (f *Follower) Journal(ctx context.Context) {
	// The kernel's word to a child when its parent dies goes by the thread that made
	// it (prctl(2), PR_SET_PDEATHSIG).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pause := firstPause
	for ctx.Err() == nil {
		began := time.Now()
		err := f.journalctl(ctx)
		if ctx.Err() != nil {
			return
		}
		f.state(err)
		if time.Since(began) > mostPause {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, mostPause)
	}
}

// journalctl runs it once, and says why it ended.
func (f *Follower) journalctl(ctx context.Context) error {
	c := exec.CommandContext(ctx, journalctl[0], journalctl[1:]...)
	c.Env = append(os.Environ(), "LC_ALL=C")
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	c.WaitDelay = time.Second
	var words bounded
	c.Stderr = &words
	c.Stdout = &lineWriter{line: f.ledger.Line}
	if err := c.Start(); err != nil {
		return fmt.Errorf("following the journal: %w", err)
	}
	waited := make(chan error, 1)
	go func() { waited <- c.Wait() }()
	var err error
	select {
	case err = <-waited:
	case <-time.After(firstPause): // one that may not read the journal ends at once
		f.state(nil)
		err = <-waited
	}
	if err == nil {
		err = errors.New("it ended")
	}
	if said := strings.TrimSpace(words.buffer.String()); said != "" {
		return fmt.Errorf("following the journal: journalctl: %w: %s", err, quote(said))
	}
	return fmt.Errorf("following the journal: journalctl: %w", err)
}

// lineWriter makes lines of what is written to it.
type lineWriter struct {
	lines
	line func(string)
}

func (w *lineWriter) Write(text []byte) (int, error) {
	w.take(text, w.line)
	return len(text), nil
}

// bounded keeps the start of what is written to it. The buffer is not embedded: its
// ReadFrom would be taken in place of Write.
type bounded struct{ buffer bytes.Buffer }

func (b *bounded) Write(text []byte) (int, error) {
	b.buffer.Write(text[:min(len(text), maxWords-b.buffer.Len())])
	return len(text), nil
}
