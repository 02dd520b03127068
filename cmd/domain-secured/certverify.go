package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"domain-secured/internal/config"
	"domain-secured/internal/gate"
	"domain-secured/internal/trust"
	"domain-secured/internal/trust/crl"
	"domain-secured/internal/trust/revocation"
	"domain-secured/policy"
)

var certVerifyCommand = &command{
	name:  "cert verify",
	args:  "FILE",
	short: "judge a certificate: chain, names, revocation",
	long: `
FILE holds a certificate, with or without its intermediates. It is the daemon's own
code: rows 11 to 18 of explain, then every chain with every certificate in it and
what is known about its revocation. What a --domain is configured with holds, as far
as the flags do not say otherwise; without a --domain no name is asked for. Without
a configuration file the defaults hold.

CRLs and OCSP answers that the daemon has are used, and others are fetched. With
--crl only these CRLs are used and nothing is fetched.

The exit code is 0 for good, 1 for refused, 75 if that cannot be told now
(revocation), 65 for a file that cannot be read.

  domain-secured cert verify --domain woodgrovebank.com woodgrove.pem`,
	setup: func(flags *flag.FlagSet) func(*call) error {
		var q verifyFlags
		repeated(flags, &q.roots, "roots", "chains end in the certificates of `FILE`, or in \"system\"; may be repeated")
		repeated(flags, &q.untrusted, "untrusted", "chains may lead over the certificates of `FILE`; may be repeated")
		repeated(flags, &q.crls, "crl", "use the CRLs in `FILE`, DER or PEM; may be repeated")
		flags.StringVar(&q.at, "at", "", "judge as of this `TIME`, as in 2026-11-22T12:00:00Z (default now)")
		flags.StringVar(&q.domain, "domain", "", "ask for a name that speaks for `DOMAIN`")
		flags.StringVar(&q.nameMatch, "name-match", "", "by this `RULE`: exchange or strict")
		flags.StringVar(&q.usage, "usage", "", "made for this `USAGE`: client, client-or-server or any")
		flags.StringVar(&q.revocation, "revocation", "", "how much is wanted of `REVOCATION`: require, if-available or off")
		flags.BoolVar(&q.json, "json", false, "print JSON")
		return q.run
	},
}

// repeated defines a flag that may be given more than once.
func repeated(flags *flag.FlagSet, values *[]string, name, usage string) {
	flags.Func(name, usage, func(s string) error {
		*values = append(*values, s)
		return nil
	})
}

type verifyFlags struct {
	roots, untrusted, crls                   []string
	at, domain, nameMatch, usage, revocation string
	json                                     bool
}

func (q *verifyFlags) run(c *call) error {
	if len(c.args) != 1 {
		return usagef("cert verify: name one file")
	}
	at, err := parseAt("cert verify", q.at)
	if err != nil {
		return err
	}
	subject, err := q.subject(c)
	if err != nil {
		return err
	}
	cfg, err := configOrDefault(c)
	if err != nil {
		return err
	}
	p, err := q.partner(cfg)
	if err != nil {
		return err
	}
	checker, end, err := q.checker(c, cfg, at)
	if err != nil {
		return err
	}
	defer end()
	store := trust.NewStore(storeDir(cfg))
	if _, err := store.Refresh(); err != nil {
		fmt.Fprintln(c.err, "domain-secured:", err)
	}
	g := gate.New(cfg.Snapshot, store, time.Now, slog.New(slog.DiscardHandler))
	g.CheckRevocation(checker)
	found := g.Verify(c.ctx, p, q.domain, subject, at)
	if err := c.interrupted(); err != nil {
		return err
	}
	verified := newVerified(subject, &found, at)
	if q.json {
		err = c.printJSON(verified)
	} else {
		err = verified.print(c)
	}
	return cmp.Or(err, silently(verified.exit()))
}

// checker asks what was named, or everybody.
func (q *verifyFlags) checker(c *call, cfg *config.Config, at time.Time) (*revocation.Checker, func(), error) {
	s, err := revocationSettings(cfg)
	if err != nil {
		return nil, nil, err
	}
	if len(q.crls) == 0 {
		checker, end := newReader(c, s, revocationDir(cfg), time.Now)
		return checker, end, nil
	}
	for _, name := range q.crls {
		if err := readableList(name); err != nil {
			return nil, nil, err
		}
	}
	s.Fetch, s.Order, s.Files = nil, []string{revocation.CRL}, q.crls
	// A list that is of our future is none of the future at that time.
	checker, end := newReader(c, s, "", func() time.Time { return at })
	return checker, end, nil
}

// readableList makes sure that a file holds what begins like CRLs. It is read again
// later, so a pipe will not do.
func readableList(name string) error {
	stat, err := os.Stat(name)
	if err != nil {
		return inputError(err)
	}
	if !stat.Mode().IsRegular() {
		return exitf(exitInput, "%s: it is not a regular file: write the CRL into one", name)
	}
	file, err := os.Open(name)
	if err != nil {
		return inputError(err)
	}
	defer file.Close()
	if stat, err = file.Stat(); err != nil {
		return inputError(err)
	}
	if _, err := crl.Blocks(file, stat.Size()); err != nil {
		return exitf(exitInput, "%s: %w", name, err)
	}
	return nil
}

// subject reads the certificate, and what it may be chained with.
func (q *verifyFlags) subject(c *call) (*policy.Certificate, error) {
	certificates, err := readCertificates(c.args[0])
	if err != nil {
		return nil, err
	}
	leaf := certificates[0]
	if len(certificates) > 1 {
		if !leaf.X509.IsCA {
			return nil, exitf(exitInput, "%s: it holds %d certificates that could be the one to verify: give one, with its intermediates", c.args[0], len(certificates))
		}
		for _, ca := range certificates[1:] {
			leaf.Presented = append(leaf.Presented, ca.X509)
		}
	}
	subject := &policy.Certificate{Fingerprint: policy.Hash(leaf.Fingerprint), X509: leaf.X509, Presented: leaf.Presented}
	for _, name := range q.untrusted {
		others, passed, err := trust.ReadUntrusted(name)
		if err != nil {
			return nil, inputError(err)
		}
		for _, err := range passed {
			fmt.Fprintf(c.err, "domain-secured: %s: passed over: %v\n", name, err)
		}
		subject.Presented = append(subject.Presented, others...)
	}
	return subject, nil
}

// partner are the settings to judge by.
func (q *verifyFlags) partner(cfg *config.Config) (*policy.Partner, error) {
	if q.domain != "" {
		domain, err := policy.ParseDomain(q.domain)
		if err != nil {
			return nil, usagef("cert verify: --domain: %v", err)
		}
		q.domain = domain
	}
	q.domain = cfg.Snapshot.Covering(q.domain) // whose settings and name count
	p := *cfg.Snapshot.Partner(q.domain)
	p.Evidence = policy.EvidenceCertificate // a mail server's word is about somebody else's certificate
	for _, choice := range []struct {
		flag, value string
		allowed     []string
		set         func(string)
	}{
		{"name-match", q.nameMatch, []string{"exchange", "strict"}, func(s string) { p.NameMatch, p.Names = policy.NameMatch(s), nil }},
		{"usage", q.usage, []string{"client", "client-or-server", "any"}, func(s string) { p.Usage = policy.Usage(s) }},
		{"revocation", q.revocation, []string{"require", "if-available", "off"}, func(s string) { p.Revocation = policy.RevocationPolicy(s) }},
	} {
		if choice.value == "" {
			continue
		}
		if !slices.Contains(choice.allowed, choice.value) {
			return nil, usagef("cert verify: --%s: %q is not one of %s", choice.flag, choice.value, strings.Join(choice.allowed, ", "))
		}
		choice.set(choice.value)
	}
	if len(q.roots) > 0 || p.Roots == nil { // who has pins has no roots
		roots := q.roots
		if len(roots) == 0 {
			roots = []string{"system"}
		}
		var err error
		if p.Roots, _, err = gate.ReadRoots(roots); err != nil {
			return nil, inputError(err)
		}
	}
	return &p, nil
}

// configOrDefault reads the configuration. The usual file need not be there.
func configOrDefault(c *call) (*config.Config, error) {
	cfg, err := config.Read(c.config, gate.ReadRoots)
	if errors.Is(err, fs.ErrNotExist) && c.config == defaultConfig {
		return config.Default(c.config, gate.ReadRoots)
	}
	return cfg, err
}

// parseAt reads the value of --at.
func parseAt(verb, s string) (time.Time, error) {
	if s == "" {
		return time.Now(), nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, usagef("%s: --at: %q is not a time such as 2026-11-22T12:00:00Z", verb, s)
	}
	return at, nil
}
