// Package daemon runs a program, as a test wants it: it waits until the program says in its log that it is
// ready, reads that log, and ends the program gently or not.
package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Options say what to run.
type Options struct {
	Binary string
	Args   []string
	Dir    string         // working folder; this process's when empty
	Env    []string       // more environment, "NAME=value"
	Ready  *regexp.Regexp // what stands in the line that says it is ready; the word "ready" when nil
	Copy   io.Writer      // gets the log, too, if set
}

// A Daemon is a running program. Its methods may be called from several goroutines.
type Daemon struct {
	command *exec.Cmd
	exited  chan struct{}

	mu      sync.Mutex
	log     []byte
	changed chan struct{} // closed, and made anew, with each line of the log; nil when the log has ended
	err     error         // of Wait; read it after exited
}

var ready = regexp.MustCompile(`\bready\b`)

// stopTimeout bounds how long Stop waits before it takes to SIGKILL.
const stopTimeout = 15 * time.Second

// Start runs the program and waits until its stderr has the line that says it is ready. A program that ends
// before, or is not ready when ctx ends (it is killed then), is an error that holds its log. The end of ctx
// later on does nothing.
func Start(ctx context.Context, o Options) (*Daemon, error) {
	if o.Ready == nil {
		o.Ready = ready
	}
	d := &Daemon{command: exec.Command(o.Binary, o.Args...), exited: make(chan struct{}), changed: make(chan struct{})}
	d.command.Dir = o.Dir
	d.command.Env = append(os.Environ(), o.Env...)
	// A Ctrl-C at the terminal is for the program that started this one; it decides what it means here.
	d.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr, err := d.command.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Binary, err)
	}
	if err := d.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Binary, err)
	}
	if o.Copy == nil {
		o.Copy = io.Discard
	}
	go d.collect(io.TeeReader(stderr, o.Copy))
	if _, err := d.wait(ctx, 0, o.Ready.MatchString); err != nil {
		err = fmt.Errorf("%s is not ready: %w", o.Binary, err)
		return nil, errors.Join(err, d.Kill(), errors.New(d.Log()))
	}
	return d, nil
}

// collect keeps the log, then the exit.
func (d *Daemon) collect(stderr io.Reader) {
	in := bufio.NewReader(stderr)
	for {
		line, err := in.ReadBytes('\n')
		d.mu.Lock()
		d.log = append(d.log, line...)
		close(d.changed)
		d.changed = make(chan struct{})
		d.mu.Unlock()
		if err != nil {
			break
		}
	}
	err := d.command.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
	close(d.changed)
	d.changed = nil
	close(d.exited)
}

// PID returns its process id.
func (d *Daemon) PID() int { return d.command.Process.Pid }

// Exited is closed when the program has ended.
func (d *Daemon) Exited() <-chan struct{} { return d.exited }

// Log returns what it has written to stderr so far.
func (d *Daemon) Log() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return string(d.log)
}

// Mark returns the place in the log where what is to come begins, for WaitLogFrom.
func (d *Daemon) Mark() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.log)
}

// WaitLog waits for a line of the log, from its start, that contains a text, and returns it.
func (d *Daemon) WaitLog(ctx context.Context, text string) (string, error) {
	return d.WaitLogFrom(ctx, 0, text)
}

// WaitLogFrom is WaitLog for what was logged after a Mark.
func (d *Daemon) WaitLogFrom(ctx context.Context, mark int, text string) (string, error) {
	line, err := d.wait(ctx, mark, func(line string) bool { return strings.Contains(line, text) })
	if err != nil {
		return "", fmt.Errorf("waiting for %q in the log: %w", text, err)
	}
	return line, nil
}

// wait waits for a complete line, from an offset on, that match likes.
func (d *Daemon) wait(ctx context.Context, from int, match func(string) bool) (string, error) {
	for {
		d.mu.Lock()
		fresh, changed := string(d.log[from:]), d.changed
		d.mu.Unlock()
		for line := range strings.Lines(fresh) {
			if !strings.HasSuffix(line, "\n") && changed != nil {
				break
			}
			from += len(line)
			if match(line) {
				return strings.TrimSuffix(line, "\n"), nil
			}
		}
		if changed == nil {
			return "", fmt.Errorf("it has ended: %v", d.command.ProcessState)
		}
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-changed:
		}
	}
}

// Hangup sends SIGHUP.
func (d *Daemon) Hangup() error {
	if err := d.command.Process.Signal(syscall.SIGHUP); err != nil {
		return fmt.Errorf("hang up: %w", err)
	}
	return nil
}

// Kill sends SIGKILL and waits for the end. Of one that has ended it is no error.
func (d *Daemon) Kill() error {
	if err := d.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill: %w", err)
	}
	<-d.exited
	return nil
}

// Stop sends SIGTERM and waits for the end. It fails if the program does not end within 15 seconds, or before
// ctx does (it is killed then), or with another status than 0. Further calls return the same.
func (d *Daemon) Stop(ctx context.Context) error {
	if err := d.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	select {
	case <-d.exited:
	case <-ctx.Done():
		return errors.Join(errors.New("it did not stop in time"), d.Kill())
	}
	if d.err != nil {
		return fmt.Errorf("stopped: %w", d.err)
	}
	return nil
}
