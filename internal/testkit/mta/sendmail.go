package mta

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ErrNoSendmail is what FindSendmail and StartSendmail fail with where no private Sendmail can run.
var ErrNoSendmail = errors.New("no private Sendmail can run here")

// SendmailOptions describe a private Sendmail.
type SendmailOptions struct {
	Common

	// Dir is its folder, made if missing. Empty is a new temporary folder, which Close removes.
	Dir string

	// Config are lines of its .mc file, after those that an instance gets otherwise.
	Config []string
	// Rulesets are lines at the end of that file, after the mailers.
	Rulesets []string
}

// Sendmail is a private instance: its own folder, its own port on 127.0.0.1. It is Debian's, unpacked by sendmail.sh,
// and not installed. What it takes it hands on to a mailbox of ours by SMTP.
type Sendmail struct {
	dir, name, addr string
	temporary       bool
	files           sendmailFiles
	mailbox         *Fake

	mu      sync.Mutex
	command *exec.Cmd
	exited  chan struct{}
	closed  bool
}

var _ MTA = (*Sendmail)(nil)

// FindSendmail fails with ErrNoSendmail where StartSendmail would: Sendmail is not unpacked, or without root.
func FindSendmail() error {
	_, err := findSendmail()
	return err
}

// StartSendmail starts an instance and waits until it answers.
func StartSendmail(ctx context.Context, o SendmailOptions) (*Sendmail, error) {
	files, err := findSendmail()
	if err != nil {
		return nil, err
	}
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("start Sendmail: %w", err)
	}
	s := &Sendmail{temporary: o.Dir == "", files: files}
	if s.temporary {
		s.dir, err = os.MkdirTemp("", "sendmail-")
	} else {
		s.dir, err = filepath.Abs(o.Dir)
	}
	if err != nil {
		return nil, fmt.Errorf("start Sendmail: %w", err)
	}
	if err := s.start(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("start Sendmail in %s: %w", s.dir, err), s.Close())
	}
	return s, nil
}

func (s *Sendmail) start(ctx context.Context, o SendmailOptions) (err error) {
	if s.mailbox, err = startMailbox(ctx); err != nil {
		return err
	}
	if err := s.prepare(o); err != nil {
		return err
	}
	if s.addr, err = chooseAddress(); err != nil {
		return err
	}
	if err := s.configure(ctx, o); err != nil {
		return err
	}
	if err := s.run(o.Hostname); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	return await(ctx, "its greeting", func() (bool, error) {
		select {
		case <-s.exited:
			return false, fmt.Errorf("it has ended: %v\n%s", s.command.ProcessState, s.Log())
		default:
		}
		var ok bool
		s.name, ok = sendmailGreets(s.addr)
		return ok, nil
	})
}

// prepare makes the folders and files of the instance.
func (s *Sendmail) prepare(o SendmailOptions) error {
	for _, name := range []string{"", "mqueue", "tls", "tls/authorities"} {
		dir := filepath.Join(s.dir, name)
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755)); err != nil {
			return err
		}
	}
	if err := errors.Join(
		os.Chmod(filepath.Join(s.dir, "mqueue"), 0o700),
		// No DNS, and no other directory service.
		os.WriteFile(filepath.Join(s.dir, "service.switch"), []byte("hosts files\naliases files\npasswd files\n"), 0o644),
	); err != nil {
		return err
	}
	return s.writeTLS(o.Common)
}

// run starts the daemon. Sendmail waits a minute for a host name with a dot before it reads any configuration,
// so it gets one, in a namespace of its own (uts_namespaces(7)).
func (s *Sendmail) run(hostname string) error {
	out, err := os.Create(filepath.Join(s.dir, "output"))
	if err != nil {
		return err
	}
	defer out.Close()
	c := exec.Command("/bin/sh", "-c", `hostname "$1" && shift && exec "$@"`, "sh", hostname,
		s.files.program, "-C"+s.ConfigFile(), "-bD", "-q1s", "-X", s.TrafficFile())
	c.Dir = s.dir
	c.Stdout, c.Stderr = out, out
	c.Env = s.files.environment()
	// Its own process group: a Ctrl-C at the terminal is for the program that started this one.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Cloneflags: syscall.CLONE_NEWUTS}
	if err := c.Start(); err != nil {
		return err
	}
	s.command, s.exited = c, make(chan struct{})
	go func() {
		_ = c.Wait() // ProcessState tells
		close(s.exited)
	}()
	return nil
}

// Name returns "Sendmail" and its version.
func (s *Sendmail) Name() string { return s.name }

// Addr returns where it speaks SMTP.
func (s *Sendmail) Addr() string { return s.addr }

// ConfigFile returns its .cf file.
func (s *Sendmail) ConfigFile() string { return filepath.Join(s.dir, "sendmail.cf") }

// TrafficFile returns the file with what it and those it talks to by SMTP have said.
func (s *Sendmail) TrafficFile() string { return filepath.Join(s.dir, "traffic.log") }

// Log returns what it and its clients have said to each other, and what it printed: its log goes to syslog only.
func (s *Sendmail) Log() string {
	var text []byte
	for _, name := range []string{filepath.Join(s.dir, "output"), s.TrafficFile()} {
		part, err := os.ReadFile(name)
		if err != nil {
			continue // not begun yet
		}
		text = append(text, part...)
	}
	return string(text)
}

// Messages returns everything delivered so far.
func (s *Sendmail) Messages() ([]Message, error) { return s.mailbox.Messages() }

// Delivered waits for a message that match likes.
func (s *Sendmail) Delivered(ctx context.Context, match func(Message) bool) (Message, error) {
	return s.mailbox.Delivered(ctx, match)
}

// Idle waits until no message is in the queue.
func (s *Sendmail) Idle(ctx context.Context) error {
	return await(ctx, "Sendmail's queue to be empty", func() (bool, error) {
		return holdsNoFile(filepath.Join(s.dir, "mqueue"))
	})
}

// Close stops the instance, makes sure that none of its processes is left, and removes its folder if it is a
// temporary one.
func (s *Sendmail) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	if s.command != nil {
		errs = append(errs, s.end())
	}
	if s.mailbox != nil {
		errs = append(errs, s.mailbox.Close())
	}
	if s.temporary {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop Sendmail: %w", err)
	}
	return nil
}

// end ends the daemon and its children, which all work in its queue's folder.
func (s *Sendmail) end() error {
	queue := filepath.Join(s.dir, "mqueue")
	signal := func(how syscall.Signal) {
		for _, pid := range processesIn(queue) {
			_ = syscall.Kill(pid, how) // one that has gone meanwhile is as good
		}
	}
	_ = s.command.Process.Signal(syscall.SIGTERM) // also if it has not come to its folder yet
	signal(syscall.SIGTERM)
	ended := func(limit time.Duration) error {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		return await(ctx, "Sendmail to end", func() (bool, error) {
			select {
			case <-s.exited:
				return len(processesIn(queue)) == 0, nil
			default:
				return false, nil
			}
		})
	}
	if ended(2*time.Second) == nil {
		return nil
	}
	_ = s.command.Process.Kill()
	signal(syscall.SIGKILL)
	return ended(5 * time.Second)
}

var sendmailGreeting = regexp.MustCompile(`^(?:220 \S+ ESMTP Sendmail ([^/; ]+)|[45]\d\d )`)

// sendmailGreets returns who greets at addr, without a version if it is not at home to anybody, as for want of a
// milter with F=R.
func sendmailGreets(addr string) (name string, ok bool) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return "", false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Second))
	greeting := make([]byte, 512)
	n, _ := conn.Read(greeting)
	version := sendmailGreeting.FindSubmatch(greeting[:n])
	if version == nil {
		return "", false
	}
	return strings.TrimSpace("Sendmail " + string(version[1])), true
}
