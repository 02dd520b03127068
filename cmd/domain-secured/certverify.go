package main

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
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
		repeated(flags, &q.crls, "crl", "use the CRL in `FILE`; may be repeated")
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
	checker, end, err := q.checker(cfg)
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
	verified := newVerified(subject, &found, at)
	if q.json {
		err = c.printJSON(verified)
	} else {
		err = verified.print(c)
	}
	return cmp.Or(err, silently(verified.exit()))
}

// checker asks what was named, or everybody.
func (q *verifyFlags) checker(cfg *config.Config) (*revocation.Checker, func(), error) {
	s, err := revocationSettings(cfg)
	if err != nil {
		return nil, nil, err
	}
	if len(q.crls) == 0 {
		checker, end := newReader(s, revocationDir(cfg))
		return checker, end, nil
	}
	for _, name := range q.crls {
		if err := readableList(name); err != nil {
			return nil, nil, err
		}
	}
	s.Fetch, s.Order, s.Files = nil, []string{revocation.CRL}, q.crls
	checker, end := newReader(s, "")
	return checker, end, nil
}

// readableList makes sure that a file begins like a CRL.
func readableList(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return inputError(err)
	}
	defer file.Close()
	if _, err := crl.Issuer(file); err != nil {
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
		data, err := trust.ReadFile(name)
		if err != nil {
			return nil, inputError(err)
		}
		others, passed, err := trust.ReadUntrusted(data)
		if err != nil {
			return nil, exitf(exitInput, "%s: %w", name, err)
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

// verified is what cert verify --json prints.
type verified struct {
	Fingerprint string          `json:"fingerprint"`
	At          time.Time       `json:"at"`
	Result      string          `json:"result"` // good | refused | unknown
	Reason      policy.Reason   `json:"reason"`
	Detail      string          `json:"detail,omitempty"`
	MatchedName string          `json:"matched_name,omitempty"`
	Revocation  string          `json:"revocation,omitempty"` // where the answer for the certificate itself is from
	Rows        []policy.Row    `json:"rows"`
	Chains      [][]chainMember `json:"chains"`
}

// chainMember is one certificate of a chain.
type chainMember struct {
	Name        string    `json:"name"` // for a person: a DNS name, or the subject
	Subject     string    `json:"subject"`
	Fingerprint string    `json:"fingerprint"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Key         string    `json:"key"`
	Signature   string    `json:"signature"`
	Usage       []string  `json:"usage,omitempty"`
	Constraints []string  `json:"constraints,omitempty"`
	Status      string    `json:"revocation_status,omitempty"` // good | unavailable | unknown | on-hold | revoked; none for a root
	Source      string    `json:"revocation_source,omitempty"` // crl | ocsp
	Detail      string    `json:"revocation_detail,omitempty"`
}

func newVerified(c *policy.Certificate, found *gate.Verification, at time.Time) *verified {
	v := &verified{
		Fingerprint: fingerprint(trust.Fingerprint(c.Fingerprint)), At: at.UTC(), Result: "refused", Reason: found.Reason, Detail: found.Detail,
		MatchedName: found.MatchedName, Revocation: string(found.Vetted.Revocation), Rows: found.Rows, Chains: [][]chainMember{},
	}
	switch found.Reason {
	case policy.None:
		v.Result = "good"
	case policy.RevocationNotKnown, policy.InternalError:
		v.Result = "unknown"
	}
	for _, chain := range found.Chains {
		var members []chainMember
		for i, c := range chain {
			m := newMember(c)
			if i < len(chain)-1 {
				if answer := found.Of(c, chain[i+1]); answer != nil {
					m.Status, m.Source, m.Detail = answer.Status.String(), string(answer.Source), answer.Detail
				}
			}
			members = append(members, m)
		}
		v.Chains = append(v.Chains, members)
	}
	return v
}

func newMember(c *x509.Certificate) chainMember {
	return chainMember{
		Name: trust.Describe(c), Subject: c.Subject.String(), Fingerprint: fingerprint(sha256.Sum256(c.Raw)), NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(),
		Key: trust.DescribeKey(c), Signature: c.SignatureAlgorithm.String(), Usage: usages(c), Constraints: constraints(c),
	}
}

// constraints are what a certificate may sign, in words.
func constraints(c *x509.Certificate) []string {
	var all []string
	switch {
	case !c.IsCA:
		return nil
	case c.MaxPathLen > 0 || c.MaxPathLenZero:
		all = append(all, fmt.Sprintf("CA, path length %d", c.MaxPathLen))
	default:
		all = append(all, "CA")
	}
	names := func(word string, lists ...[]string) {
		for _, list := range lists {
			for _, name := range list {
				all = append(all, word+" "+name)
			}
		}
	}
	names("permits", c.PermittedDNSDomains, c.PermittedEmailAddresses, c.PermittedURIDomains)
	names("excludes", c.ExcludedDNSDomains, c.ExcludedEmailAddresses, c.ExcludedURIDomains)
	for _, n := range c.PermittedIPRanges {
		all = append(all, "permits "+n.String())
	}
	for _, n := range c.ExcludedIPRanges {
		all = append(all, "excludes "+n.String())
	}
	return all
}

func (v *verified) exit() int {
	switch v.Result {
	case "good":
		return exitOK
	case "unknown":
		return exitNotNow
	}
	return exitNo
}

func (v *verified) print(c *call) error {
	if err := printRows(c.out, v.Rows); err != nil {
		return err
	}
	for i, chain := range v.Chains {
		fmt.Fprintf(c.out, "\nchain %d\n", i+1)
		for n, m := range chain {
			fmt.Fprintf(c.out, "  %s\n", harmless(m.Name))
			line := func(what, value string) {
				if value != "" {
					fmt.Fprintf(c.out, "      %s: %s\n", what, harmless(value))
				}
			}
			if m.Subject != m.Name {
				line("subject", m.Subject)
			}
			line("sha256", strings.TrimPrefix(m.Fingerprint, "sha256:"))
			line("valid", m.NotBefore.Format(time.RFC3339)+" to "+m.NotAfter.Format(time.RFC3339))
			line("key", m.Key+", signed with "+m.Signature)
			line("usage", strings.Join(m.Usage, ", "))
			line("constraints", strings.Join(m.Constraints, ", "))
			if n == len(chain)-1 {
				line("revocation", "a root, nobody is asked")
			} else if m.Status != "" {
				line("revocation", m.Status+", "+m.Detail)
			}
		}
	}
	fmt.Fprintln(c.out)
	switch {
	case v.Result != "good":
		fmt.Fprintf(c.out, "%s: %s (%s)\n", v.Result, v.Reason, harmless(v.Detail))
	case v.MatchedName != "":
		fmt.Fprintf(c.out, "good: name=%s revocation=%s\n", v.MatchedName, v.Revocation)
	default:
		fmt.Fprintf(c.out, "good: revocation=%s\n", v.Revocation)
	}
	return nil
}
