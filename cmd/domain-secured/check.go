package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"domain-secured/internal/config"
	"domain-secured/internal/finding"
	"domain-secured/internal/gate"
	"domain-secured/internal/postconf"
	"domain-secured/internal/sendmailcf"
	"domain-secured/internal/trust"
	"domain-secured/policy"
)

var checkCommand = &command{
	name:  "check",
	short: "check the configuration, and Postfix's or Sendmail's",
	long: `
It loads exactly what serve would, and says everything that is wrong with it. Our
own certificates, if own.certificates names some, are judged as partners will:
their CRLs are fetched for that.

With --postfix it also reads the live settings of Postfix (of /etc/postfix, or of
another directory with --postfix=DIR) with postconf(1), and says what would let
listed mail through unjudged or refuse it all, each with the line to put into
main.cf. As root it also tries, as Postfix's user and in its chroot, to open the files
with partners' roots. With --sendmail it reads Sendmail's (/etc/mail/sendmail.cf, or another file
with --sendmail=FILE), and looks at the files for TLS that are named there.

The exit code is 78 if the configuration cannot be used, 1 if the mail server needs
a change, 75 if its settings could not be read.`,
	setup: func(flags *flag.FlagSet) func(*call) error {
		var postfix, sendmail optional
		flags.Var(&postfix, "postfix", "also check Postfix's settings; `DIR` is its configuration directory")
		flags.Var(&sendmail, "sendmail", "also check Sendmail's settings; `FILE` is its sendmail.cf")
		asJSON := flags.Bool("json", false, "print JSON")
		return func(c *call) error { return check(c, postfix, sendmail, *asJSON) }
	},
}

// optional is a flag with an optional value.
type optional struct {
	set   bool
	value string
}

func (o *optional) String() string   { return o.value }
func (o *optional) IsBoolFlag() bool { return true }
func (o *optional) Set(s string) error {
	o.set = s != "false"
	if s != "true" && s != "false" {
		o.value = s
	}
	return nil
}

// checked is what check --json prints.
type checked struct {
	Config   string            `json:"config"`
	Receive  int               `json:"receive"`
	Send     int               `json:"send"`
	Stored   int               `json:"certificates"`
	Fetch    string            `json:"fetch"` // the way to CRLs and OCSP responders
	Warnings []string          `json:"warnings"`
	Postfix  []finding.Finding `json:"postfix,omitempty"`
	Sendmail []finding.Finding `json:"sendmail,omitempty"`
}

// postconfTime bounds the reading of Postfix's settings.
const postconfTime = 20 * time.Second

func check(c *call, postfix, sendmail optional, asJSON bool) error {
	if len(c.args) > 0 {
		return usagef("check: takes no arguments (a directory goes after --postfix=, a file after --sendmail=)")
	}
	cfg, err := config.Load(c.config, gate.ReadRoots)
	if err != nil {
		return err
	}
	if err := haveDoor(cfg); err != nil {
		return err
	}
	store := trust.NewStore(storeDir(cfg))
	result := checked{
		Config:   cfg.File,
		Receive:  cfg.Snapshot.Receive.Len(),
		Send:     cfg.Snapshot.Send.Len(),
		Warnings: append([]string{}, cfg.Warnings...),
	}
	if _, err := store.Refresh(); err != nil { // the daemon runs on with the others
		for line := range strings.Lines(err.Error()) {
			result.Warnings = append(result.Warnings, strings.TrimSuffix(line, "\n"))
		}
	}
	result.Stored = len(store.All())
	result.Fetch = route(cfg)
	for _, name := range cfg.CRLFiles { // as with those, the daemon runs on
		if err := readableList(name); err != nil {
			result.Warnings = append(result.Warnings, fmt.Sprintf("revocation.crl_files: %v", err))
		}
	}
	problems, err := checkOwn(c, cfg, store)
	if err != nil {
		return err
	}
	result.Warnings = append(result.Warnings, problems...)
	result.Warnings = append(result.Warnings, outsideWarnings(c.ctx, cfg)...)
	code := exitOK
	if postfix.set {
		if result.Postfix, err = checkPostfix(c.ctx, cfg, postfix.value); err != nil {
			return err
		}
	}
	if sendmail.set {
		if result.Sendmail, err = checkSendmail(cfg, sendmail.value); err != nil {
			return err
		}
	}
	for _, found := range slices.Concat(result.Postfix, result.Sendmail) {
		if found.Severity == finding.Error {
			code = exitNo
		}
	}
	if asJSON {
		err = c.printJSON(result)
	} else {
		result.print(c, postfix, sendmail)
	}
	return cmp.Or(err, silently(code))
}

// ownTime bounds the looking at our own certificates, which may take the network.
const ownTime = 20 * time.Second

// checkOwn judges our own certificates, and has the settings of revocation checked.
func checkOwn(c *call, cfg *config.Config, store *trust.Store) ([]string, error) {
	g, end, err := newJudge(c, cfg, store, true)
	if err != nil {
		return nil, err
	}
	defer end()
	ctx, cancel := context.WithTimeout(c.ctx, ownTime)
	defer cancel()
	return g.CheckOwn(ctx, cfg.OwnCertificates, time.Now()), c.interrupted()
}

func checkPostfix(ctx context.Context, cfg *config.Config, dir string) ([]finding.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, postconfTime)
	defer cancel()
	settings, err := postconf.Read(ctx, dir)
	if errors.Is(err, postconf.ErrNoPostconf) {
		return nil, exitf(exitNotNow, "check --postfix: %w", err)
	}
	if err != nil {
		return nil, exitf(exitNotNow, "check --postfix: reading Postfix's settings: %w", err)
	}
	want := postconf.Want{
		PolicyListen: cfg.Policy.Listen.String(), MilterListen: cfg.Milter.Listen.String(),
		Sends: cfg.Snapshot.Send.Len() > 0, TLSMapListen: cfg.TLSMap.Listen.String(), PostfixVersion: cfg.PostfixVersion,
	}
	var trust []postconf.TrustFile
	bundles := sendingSettings(cfg, nil).Bundles
	for entry := range cfg.Snapshot.Send.All() {
		p := cfg.Snapshot.Partner(entry)
		if p.Mode != policy.ModeEnforce {
			continue
		}
		want.Send = append(want.Send, postconf.Destination{Domain: entry, Subdomains: p.Subdomains})
		if path, told := bundles.For(p); path != "" {
			i := slices.IndexFunc(trust, func(f postconf.TrustFile) bool { return f.Path == path })
			if i < 0 {
				i = len(trust)
				trust = append(trust, postconf.TrustFile{Path: path, Told: told, Text: p.Roots.PEM})
			}
			trust[i].Domains = append(trust[i].Domains, entry)
		}
	}
	settings.OpenTrustFiles(ctx, trust)
	if err := settings.LookUp(ctx, want.Send, want.TLSMapListen); err != nil {
		return nil, exitf(exitNotNow, "check --postfix: asking Postfix's tables: %w", err)
	}
	for _, c := range cfg.Snapshot.Connectors {
		want.Connectors = append(want.Connectors, postconf.Connector{
			Name: c.Name, ClientAddresses: c.ClientAddresses, Ports: c.Ports, Listeners: c.Listeners, Treat: string(c.Treat),
		})
	}
	return postconf.Check(settings, want), nil
}

func checkSendmail(cfg *config.Config, file string) ([]finding.Finding, error) {
	settings, err := sendmailcf.Read(cmp.Or(file, sendmailcf.DefaultFile))
	if err != nil {
		return nil, exitf(exitNotNow, "check --sendmail: %w", err)
	}
	want := sendmailcf.Want{MilterListen: cfg.Milter.Listen.String(), Sending: cfg.Snapshot.Send.Len() > 0, TLSMapListen: cfg.TLSMap.Listen.String()}
	want.Send = func(yield func(string) bool) {
		for entry := range cfg.Snapshot.Send.All() {
			if cfg.Snapshot.Partner(entry).Mode == policy.ModeEnforce && !yield(entry) {
				return
			}
		}
	}
	want.Held = func(domain string) bool {
		_, entry := cfg.Snapshot.SendingTo(domain)
		return entry != "" && cfg.Snapshot.Partner(entry).Mode == policy.ModeEnforce
	}
	for entry := range cfg.Snapshot.Receive.All() {
		want.MTAEvidence = want.MTAEvidence || cfg.Snapshot.Partner(entry).Evidence == policy.EvidenceMTA
	}
	return sendmailcf.Check(settings, want), nil
}

func (r *checked) print(c *call, postfix, sendmail optional) {
	for _, warning := range r.Warnings {
		fmt.Fprintf(c.out, "warning: %s\n", warning)
	}
	for _, found := range slices.Concat(r.Postfix, r.Sendmail) {
		fmt.Fprintln(c.out, found)
	}
	fmt.Fprintf(c.out, "CRLs and OCSP answers are fetched %s\n", r.Fetch)
	fmt.Fprintf(c.out, "%s: ok, %d domains to receive from, %d to send to, %d certificates stored\n", r.Config, r.Receive, r.Send, r.Stored)
	if postfix.set && len(r.Postfix) == 0 {
		fmt.Fprintln(c.out, "postfix: ok")
	}
	if sendmail.set && len(r.Sendmail) == 0 {
		fmt.Fprintln(c.out, "sendmail: ok")
	}
}
