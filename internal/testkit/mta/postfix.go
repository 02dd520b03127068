package mta

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ErrNoPostfix is what FindPostfix and StartPostfix fail with where no private Postfix can run.
var ErrNoPostfix = errors.New("no private Postfix can run here")

// commandTimeout bounds each run of postfix(1).
const commandTimeout = 30 * time.Second

// PostfixOptions describe a private Postfix.
type PostfixOptions struct {
	Common

	// Dir is its folder, made if missing: below it queue, mail, log, etc. Its parents must let Postfix's
	// user through. Empty is a new temporary folder, which Close removes.
	Dir string

	// Listen is where it speaks SMTP, host:port; empty is a free port of 127.0.0.1.
	Listen string

	// Main are lines of main.cf ("name = value"); they replace the lines of the same name that an
	// instance gets otherwise.
	Main []string

	// Services are more smtpd(8) of the instance, each with a port of its own.
	Services []Service
}

// Postfix is a private instance: its own folder, its own port on loopback.
type Postfix struct {
	dir, name, addr string
	services        map[string]string // addresses, by name
	temporary       bool
	program         string

	mu     sync.Mutex
	main   *settings
	closed bool
}

var _ MTA = (*Postfix)(nil)

// FindPostfix returns the path of postfix(1). It fails with ErrNoPostfix if there is none, or without root:
// master(8) needs it.
func FindPostfix() (string, error) {
	if os.Geteuid() != 0 {
		return "", fmt.Errorf("%w: not root", ErrNoPostfix)
	}
	path, err := exec.LookPath("postfix")
	if err != nil {
		// sbin is in root's PATH, but not in every environment's.
		if path, err = exec.LookPath("/usr/sbin/postfix"); err != nil {
			return "", fmt.Errorf("%w: postfix is not installed", ErrNoPostfix)
		}
	}
	return path, nil
}

// StartPostfix starts an instance and waits until it answers. The error of one that does not start holds
// what it had to say.
func StartPostfix(ctx context.Context, o PostfixOptions) (*Postfix, error) {
	program, err := FindPostfix()
	if err != nil {
		return nil, err
	}
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("start Postfix: %w", err)
	}
	p := &Postfix{temporary: o.Dir == "", program: program}
	if p.temporary {
		p.dir, err = os.MkdirTemp("", "postfix-")
	} else {
		p.dir, err = filepath.Abs(o.Dir)
	}
	if err != nil {
		return nil, fmt.Errorf("start Postfix: %w", err)
	}
	if err := p.start(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("start Postfix in %s: %w", p.dir, err), p.Close())
	}
	return p, nil
}

func (p *Postfix) start(ctx context.Context, o PostfixOptions) error {
	if err := p.prepare(o); err != nil {
		return err
	}
	version, err := exec.CommandContext(ctx, filepath.Join(filepath.Dir(p.program), "postconf"), "-c", p.ConfigDir(), "-h", "mail_version").Output()
	if err != nil {
		return fmt.Errorf("ask for its version: %w", err)
	}
	p.name = "Postfix " + strings.TrimSpace(string(version))

	// Between the kernel's choice of a port and master(8)'s taking it, another process may have it.
	for try := 1; ; try++ {
		if err := p.writeMaster(o); err != nil {
			return err
		}
		err := p.command(ctx, "start")
		if err == nil {
			break
		}
		if try == 5 || !strings.Contains(p.Log(), "Address already in use") {
			return fmt.Errorf("%w\n%s", err, p.complaints(ctx))
		}
	}

	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	err = await(ctx, "its greeting", func() (bool, error) { return greets(p.addr), nil })
	if err != nil {
		return fmt.Errorf("%w\n%s", err, p.complaints(context.WithoutCancel(ctx)))
	}
	return nil
}

// prepare makes the folders and files of the instance.
func (p *Postfix) prepare(o PostfixOptions) error {
	for _, name := range []string{"", "etc", "queue", "data", "log", "mail"} {
		dir := filepath.Join(p.dir, name)
		// Neither MkdirTemp's mode nor a strict umask lets Postfix's user in.
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755)); err != nil {
			return err
		}
	}
	if err := reachable(p.dir); err != nil {
		return err
	}
	owner, err := user.Lookup("postfix")
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(owner.Uid)
	if err != nil {
		return err
	}
	if err := errors.Join(
		os.Chown(filepath.Join(p.dir, "data"), uid, -1), os.Chmod(filepath.Join(p.dir, "data"), 0o700),
		os.Chown(filepath.Join(p.dir, "mail"), 65534, 65534), // virtual_uid_maps
	); err != nil {
		return err
	}
	if o.Certificate != nil {
		if err := p.SetCertificate(o.Certificate); err != nil {
			return err
		}
	}
	if o.ClientCA != nil {
		ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: o.ClientCA.Raw})
		if err := writeOld(filepath.Join(p.ConfigDir(), "ca.pem"), string(ca), 0o644); err != nil {
			return err
		}
	}
	if p.main, err = defaults(p.dir, o); err != nil {
		return err
	}
	return writeOld(filepath.Join(p.ConfigDir(), "main.cf"), p.main.String(), 0o644)
}

// Name returns "Postfix" and its version.
func (p *Postfix) Name() string { return p.name }

// Addr returns where it speaks SMTP.
func (p *Postfix) Addr() string { return p.addr }

// ConfigDir returns the folder of its main.cf, as for postconf -c.
func (p *Postfix) ConfigDir() string { return filepath.Join(p.dir, "etc") }

// LogFile returns the file it logs to.
func (p *Postfix) LogFile() string { return filepath.Join(p.dir, "log", "maillog") }

// Log returns its log so far.
func (p *Postfix) Log() string {
	text, err := os.ReadFile(p.LogFile())
	if err != nil {
		return ""
	}
	return string(text)
}

// SetParameter changes a line of main.cf. It counts from the next Reload on.
func (p *Postfix) SetParameter(name, value string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.main.set(name, value); err != nil {
		return err
	}
	return writeOld(filepath.Join(p.ConfigDir(), "main.cf"), p.main.String(), 0o644)
}

// Reload has Postfix read its configuration again, and waits until no idle smtpd(8) is left that has not:
// who connects afterwards meets the new configuration. Sessions under way keep the old one.
func (p *Postfix) Reload(ctx context.Context) error {
	before := smtpds(p.masterPID())
	if err := p.command(ctx, "reload"); err != nil {
		return fmt.Errorf("reload Postfix: %w", err)
	}
	return await(ctx, "Postfix's reload", func() (bool, error) { return !p.anyIdle(before), nil })
}

// command runs postfix(1) with one verb.
func (p *Postfix) command(ctx context.Context, verb string) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	// A file and not a pipe: master(8) and its children inherit it, and a pipe would never end.
	out, err := os.Create(filepath.Join(p.dir, "log", verb+".out"))
	if err != nil {
		return err
	}
	defer out.Close()
	c := exec.CommandContext(ctx, p.program, "-c", p.ConfigDir(), verb)
	c.Stdout, c.Stderr = out, out
	c.Env = environment()
	if err := c.Run(); err != nil {
		text, _ := os.ReadFile(out.Name()) // only to say more
		return fmt.Errorf("postfix %s: %w: %s", verb, err, bytes.TrimSpace(text))
	}
	return nil
}

// complaints returns what a Postfix that does not start has logged. Without a terminal its commands report
// to the log alone, before maillog_file is known even to syslog alone, so it is asked again on a terminal.
func (p *Postfix) complaints(ctx context.Context) string {
	text := p.Log()
	script, err := exec.LookPath("script")
	if err != nil {
		return text
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	c := exec.CommandContext(ctx, script, "-qc", fmt.Sprintf("'%s' -c '%s' check", p.program, p.ConfigDir()), "/dev/null")
	c.Env = environment()
	out, _ := c.CombinedOutput() // its failing is what is expected
	return text + string(out)
}

// environment is what Postfix's commands get. MAIL_CONFIG or a user's locale would be in the way.
func environment() []string {
	return []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
}

// reachable fails if a user without rights of his own cannot get to dir, an absolute path.
func reachable(dir string) error {
	for ; dir != "/"; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("%s has mode %v: Postfix's user cannot pass", dir, info.Mode().Perm())
		}
	}
	return nil
}

// chooseAddress is freeAddress, but for the test of what happens when the address is not free any more.
var chooseAddress = freeAddress

// freeAddress has the kernel choose a port.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// greets reports whether an SMTP server greets at addr within two seconds.
func greets(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Second))
	greeting := make([]byte, 4)
	n, _ := conn.Read(greeting)
	return strings.HasPrefix(string(greeting[:n]), "220")
}
