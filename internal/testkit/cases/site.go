package cases

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"domain-secured/internal/testkit/daemon"
	"domain-secured/internal/testkit/mta"
)

// SetupOptions say how contoso.com is set up.
type SetupOptions struct {
	Binary string // domain-secured
	Dir    string // its folder; a new temporary one, which Close removes, when empty
	Server Server // Postfix when empty

	Services []mta.Service // of Postfix, beside the one that mail is sent to
}

// A Server is a kind of mail server.
type Server string

// The servers there are.
const (
	Postfix  Server = "postfix"
	Sendmail Server = "sendmail"
	Fake     Server = "fake" // behaves as Postfix does
)

// Find says why a server cannot run here: [mta.ErrNoPostfix], [mta.ErrNoSendmail], or that there is no such kind.
func (s Server) Find() error {
	switch s {
	case Postfix, "":
		_, err := mta.FindPostfix()
		return err
	case Sendmail:
		return mta.FindSendmail()
	case Fake:
		return nil
	}
	return fmt.Errorf("no kind of mail server is called %q", string(s))
}

// A Site is contoso.com's mail server, running: the MTA, domain-secured beside it, both in one folder.
type Site struct {
	World  *World
	MTA    mta.MTA
	Daemon *daemon.Daemon
	Dir    string
	Config string // the configuration file

	binary    string
	temporary bool
	log       *os.File
}

// startTimeout bounds each program's start, and each run of a verb.
const startTimeout = 30 * time.Second

// policyDefault is what the MTA tells senders while domain-secured does not answer. Nothing else says it.
const policyDefault = "451 4.3.0 domain-secured does not answer"

// Setup makes a world and writes contoso.com's configuration, imports what the cases want imported, and starts
// domain-secured and the MTA. A server that cannot run here is the error of Find.
func Setup(ctx context.Context, o SetupOptions) (*Site, error) {
	if err := o.Server.Find(); err != nil {
		return nil, err
	}
	s := &Site{Dir: o.Dir, temporary: o.Dir == "", binary: o.Binary}
	var err error
	if s.temporary {
		s.Dir, err = os.MkdirTemp("", "domain-secured-")
	} else {
		s.Dir, err = filepath.Abs(o.Dir)
	}
	if err == nil {
		err = s.start(ctx, o)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set up contoso.com: %w", err), s.Close())
	}
	return s, nil
}

func (s *Site) start(ctx context.Context, o SetupOptions) (err error) {
	if s.World, err = NewWorld(); err != nil {
		return err
	}
	// Postfix's user goes through it to its files and to domain-secured.
	if err := errors.Join(os.MkdirAll(s.Dir, 0o755), os.Chmod(s.Dir, 0o755)); err != nil {
		return err
	}
	for name, content := range s.World.Files(s.endpoint("milter"), s.endpoint("policy")) {
		if err := os.WriteFile(filepath.Join(s.Dir, name), content, 0o644); err != nil {
			return err
		}
	}
	s.Config = filepath.Join(s.Dir, "domain-secured.toml")
	if s.log, err = os.Create(s.LogFile()); err != nil {
		return err
	}
	if err := s.importCertificates(ctx); err != nil {
		return err
	}
	if err := s.startDaemon(ctx); err != nil {
		return err
	}

	common := mta.Common{Hostname: Hostname, Domains: []string{"contoso.com"}, Certificate: s.World.Server}
	s.MTA, err = s.startMTA(ctx, common, o)
	return err
}

// endpoint returns where a door of domain-secured listens.
func (s *Site) endpoint(door string) string { return "unix:" + filepath.Join(s.Dir, door+".sock") }

func (s *Site) startMTA(ctx context.Context, common mta.Common, o SetupOptions) (mta.MTA, error) {
	switch o.Server {
	case Fake:
		return started(mta.StartFake(ctx, mta.FakeOptions{
			Common: common,
			Milter: s.endpoint("milter"), MilterTimeout: 10 * time.Second,
			Policy: s.endpoint("policy"), PolicyTimeout: 10 * time.Second, PolicyDefault: policyDefault,
		}))
	case Sendmail:
		lines, err := s.SendmailLines(ctx)
		if err != nil {
			return nil, err
		}
		return started(mta.StartSendmail(ctx, mta.SendmailOptions{
			Common: common, Dir: filepath.Join(s.Dir, "sendmail"), Config: lines,
		}))
	}
	return started(mta.StartPostfix(ctx, mta.PostfixOptions{
		Common: common, Dir: filepath.Join(s.Dir, "postfix"), Services: o.Services,
		Main: []string{
			fmt.Sprintf("smtpd_milters = { %s, default_action=tempfail, connect_timeout=5s, command_timeout=10s, content_timeout=60s }", s.endpoint("milter")),
			fmt.Sprintf("smtpd_data_restrictions = check_policy_service { %s, timeout=10s, { default_action = %s } }", s.endpoint("policy"), policyDefault),
		},
	}))
}

// started makes a server that did not start no server, and not a nil of its kind.
func started[S mta.MTA](server S, err error) (mta.MTA, error) {
	if err != nil {
		return nil, err
	}
	return server, nil
}

// Where the lines for Sendmail have the milter's socket.
const contribSocket = "/run/domain-secured/milter.sock"

// SendmailLines returns the lines that an operator adds to sendmail.mc, as they are in contrib, but for the socket.
func (s *Site) SendmailLines(ctx context.Context) ([]string, error) {
	text, err := contrib(ctx, "sendmail", "domain-secured.mc")
	if err == nil && !strings.Contains(text, contribSocket) {
		err = errors.New("contrib/sendmail/domain-secured.mc does not name " + contribSocket)
	}
	text = strings.Replace(text, contribSocket, filepath.Join(s.Dir, "milter.sock"), 1)
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n"), err
}

// importCertificates does what contoso.com's administrator does with the partners' certificates.
func (s *Site) importCertificates(ctx context.Context) error {
	dir := filepath.Join(s.Dir, "certificates")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	args := []string{"cert", "import"}
	for _, kind := range s.World.Imported() {
		file := filepath.Join(dir, string(kind)+".pem")
		if err := os.WriteFile(file, s.World.Certificates[kind].PEM(), 0o644); err != nil {
			return err
		}
		args = append(args, file)
	}
	_, err := s.Command(ctx, args...)
	return err
}

// Command runs a verb of domain-secured with the site's configuration, and returns its stdout. The error of
// one that exits with another status than 0 wraps *exec.ExitError, and holds its stderr.
func (s *Site) Command(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	c := exec.CommandContext(ctx, s.binary, append(args, "--config", s.Config)...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %q: %w: %s", s.binary, args, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

func (s *Site) startDaemon(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	s.Daemon, err = daemon.Start(ctx, daemon.Options{Binary: s.binary, Args: []string{"serve", "--config", s.Config}, Copy: s.log})
	return err
}

// Restart kills domain-secured, as a crash would, and starts it again.
func (s *Site) Restart(ctx context.Context) error {
	if err := s.Daemon.Kill(); err != nil {
		return err
	}
	return s.startDaemon(ctx)
}

// LogFile returns the file with domain-secured's log.
func (s *Site) LogFile() string { return filepath.Join(s.Dir, "domain-secured.log") }

// Close stops the MTA, then domain-secured, and removes the folder if it is a temporary one.
func (s *Site) Close() error {
	var errs []error
	if s.MTA != nil {
		errs = append(errs, s.MTA.Close())
	}
	if s.Daemon != nil {
		errs = append(errs, s.Daemon.Stop(context.Background()))
	}
	if s.World != nil {
		s.World.Close()
	}
	if s.log != nil {
		s.log.Close() // what domain-secured had to say is in Daemon.Log, too
	}
	if s.temporary {
		errs = append(errs, os.RemoveAll(s.Dir))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close contoso.com: %w", err)
	}
	return nil
}
