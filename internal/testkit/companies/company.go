// Package companies sets up the two companies of the white paper on Domain Security, Contoso and Woodgrove Bank: each
// with a Postfix and domain-secured beside it, for mail in both directions, and an authority of its own; and one DNS
// for both. Scenes has what goes wrong between them. The lab shows it to people, its test holds domain-secured to it.
//
// It takes a network namespace, see package apart: port 25 and the addresses below are not private otherwise.
package companies

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"domain-secured/internal/testkit/apart"
	"domain-secured/internal/testkit/cases"
	"domain-secured/internal/testkit/daemon"
	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/pki"
)

// A Company is one of the two. All of it lives in one folder.
type Company struct {
	Name    string // "Contoso"
	Domain  string // "contoso.com"
	Host    string // its mail server
	Address string // of that, port 25
	Person  string // who writes and is written to

	Dir       string
	Config    string // the configuration file of domain-secured
	Authority *cases.Authority
	Postfix   *mta.Postfix
	Daemon    *daemon.Daemon

	binary  string
	log     *os.File
	present *pki.Certificate // what its mail server presents
}

// Mailbox is the address of the company's person.
func (c *Company) Mailbox() string { return c.Person + "@" + c.Domain }

// LogFile returns the file with domain-secured's log.
func (c *Company) LogFile() string { return filepath.Join(c.Dir, "domain-secured.log") }

// startTimeout bounds each program's start and end.
const startTimeout = 30 * time.Second

// The doors of domain-secured, on the company's address, so that what Postfix is told is what the README says.
const (
	milterPort = "18890"
	policyPort = "18891"
	tlsmapPort = "18892"
)

// configuration of domain-secured: address, host, partner, and the partner's root certificate.
const configuration = `hostname = %[2]q
state_dir = "state"

[lists]
receive = "receive.list"
send = "send.list"

[milter]
listen = "inet:%[1]s:` + milterPort + `"

[policy]
listen = "inet:%[1]s:` + policyPort + `"

[tlsmap]
listen = "inet:%[1]s:` + tlsmapPort + `"

[http]
listen = ""

[dns]
resolver = "` + apart.Nameserver + `:53"

[probe]
allow_private = true # the partner, and its lists, are on loopback

[defaults]
contact = "postmaster@%[5]s"

[[connector]]
name = "local" # what programs on this machine hand in by sendmail(1)
client_addresses = ["127.0.0.1"]
ports = [0]
treat = "off"

[partner.%[3]q]
roots = [%[4]q]
`

// mainCF returns the lines of the README for both directions, and what the lab needs besides.
func (c *Company) mainCF() []string {
	return []string{
		"smtpd_data_restrictions = check_policy_service { inet:" + c.Address + ":" + policyPort + ", timeout=10s, { default_action = 450 4.7.5 domain security is unavailable } }",
		"smtpd_milters = { inet:" + c.Address + ":" + milterPort + ", default_action=tempfail, command_timeout=10s }",
		"non_smtpd_milters = $smtpd_milters",
		"smtp_tls_security_level = may",
		tlsPolicy + " = " + c.policyMap(),
		"smtp_tls_chain_files = " + filepath.Join(c.Dir, "postfix", "etc", "server.pem"),
		"smtp_tls_fingerprint_digest = sha256",
		"smtp_tls_loglevel = 1",
		// Mail of its own people comes from here.
		"mynetworks = 127.0.0.1/32",
		"smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination",
		"smtp_bind_address = " + c.Address,
		// Every session is held by a new process, which meets the certificate and the settings of now.
		"max_use = 1",
		// A try every other second, whatever became of the last. After one second, counted in whole ones, qmgr(8) may
		// meet a message that smtp(8) has not let go of yet; it would then lie until qmgr is woken, for minutes.
		"minimal_backoff_time = 2s", "maximal_backoff_time = 2s", "queue_run_delay = 1s", "transport_retry_time = 1s",
		"smtp_connect_timeout = 5s",
	}
}

const tlsPolicy = "smtp_tls_policy_maps"

func (c *Company) policyMap() string {
	return "socketmap:inet:" + c.Address + ":" + tlsmapPort + ":send"
}

// start has the company's programs run, partner being the other one.
func (c *Company) start(ctx context.Context, partner *Company) error {
	const root = "partner-root.pem"
	files := map[string]string{
		"domain-secured.toml": fmt.Sprintf(configuration, c.Address, c.Host, partner.Domain, root, c.Domain),
		"receive.list":        partner.Domain + "\n",
		"send.list":           partner.Domain + "\n",
		root:                  string(partner.Authority.Root.PEM()),
	}
	// Postfix's user goes through it to its files.
	if err := errors.Join(os.MkdirAll(c.Dir, 0o755), os.Chmod(c.Dir, 0o755)); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(c.Dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	c.Config = filepath.Join(c.Dir, "domain-secured.toml")
	var err error
	if c.log, err = os.Create(c.LogFile()); err != nil {
		return err
	}
	if err := c.startDaemon(ctx); err != nil {
		return err
	}
	if c.present, err = c.issue(pki.LeafOptions{}); err != nil {
		return err
	}
	c.Postfix, err = mta.StartPostfix(ctx, mta.PostfixOptions{
		Common: mta.Common{Hostname: c.Host, Domains: []string{c.Domain}, Certificate: c.present},
		Dir:    filepath.Join(c.Dir, "postfix"), Listen: c.Address + ":25", Main: c.mainCF(),
	})
	return err
}

// issue has the company's authority make a certificate for its mail server, unless o names another.
func (c *Company) issue(o pki.LeafOptions) (*pki.Certificate, error) {
	if o.DNSNames == nil {
		o.DNSNames = []string{c.Host}
	}
	return c.Authority.Issue(o)
}

// renew has the company's mail server present a new certificate, as a server and as a client.
func (c *Company) renew(o pki.LeafOptions) (err error) {
	if c.present, err = c.issue(o); err != nil {
		return err
	}
	return c.Postfix.SetCertificate(c.present)
}

func (c *Company) startDaemon(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	c.Daemon, err = daemon.Start(ctx, daemon.Options{
		Binary: c.binary, Args: []string{"serve", "--config", c.Config, "--log-format", "text"}, Copy: c.log,
	})
	return err
}

// LookAfresh has domain-secured see at once what has changed at the partner. By itself it does within minutes, or
// when half of a revocation list's life is over: a restart, and its lists forgotten, is for who will not wait.
func (c *Company) LookAfresh(ctx context.Context) error {
	if err := c.Daemon.Stop(ctx); err != nil {
		return fmt.Errorf("stop %s's domain-secured: %w", c.Name, err)
	}
	if err := os.RemoveAll(filepath.Join(c.Dir, "state", "revocation")); err != nil {
		return err
	}
	return c.startDaemon(ctx)
}

// close ends the company's programs.
func (c *Company) close() error {
	var errs []error
	if c.Postfix != nil {
		errs = append(errs, c.Postfix.Close())
	}
	if c.Daemon != nil {
		errs = append(errs, c.Daemon.Stop(context.Background()))
	}
	if c.Authority != nil {
		c.Authority.Close()
	}
	if c.log != nil {
		c.log.Close() // what domain-secured had to say is in Daemon.Log, too
	}
	return errors.Join(errs...)
}
