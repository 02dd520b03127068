package main

import (
	"cmp"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"domain-secured/internal/config"
	"domain-secured/internal/gate"
	"domain-secured/internal/trust"
	"domain-secured/policy"
)

var certImportCommand = &command{
	name:  "cert import",
	args:  "FILE...",
	short: "store partners' certificates, so that they are recognised",
	long: `
FILE holds the certificate that a partner's server presents, in PEM, DER or
PKCS #12, with or without the intermediate certificates it comes with. A CA
certificate by itself is kept to complete chains. Storing a certificate does not
trust it: roots and pins do. A running daemon knows it at once. Private keys are
refused.

With --key-out nothing is stored: the FILEs hold a certificate of our own, its
private key, and its intermediate certificates, in any order. They are checked to
belong together and written to one file of mode 0600 as smtpd_tls_chain_files and
smtp_tls_chain_files want it: the key, the certificate, the chain without the root.
An existing file is not overwritten.

  domain-secured cert import --key-out /etc/postfix/mail1.pem mail1.p12

A password is asked for at the terminal if --password-file does not have it.`,
	setup: func(flags *flag.FlagSet) func(*call) error {
		var f importFlags
		flags.StringVar(&f.domain, "domain", "", "note whose it is: `DOMAIN`")
		flags.StringVar(&f.keyOut, "key-out", "", "it is our own: write key and chain to `FILE`, for Postfix")
		flags.StringVar(&f.password, "password-file", "", "the first line of `FILE` is the password of PKCS #12; - for standard input")
		return f.run
	},
}

var certListCommand = &command{
	name:  "cert list",
	short: "list the stored certificates",
	long: `
With --pending those that are not stored: they came with mail of listed domains,
and were not found with the partner's own servers. Ask the partner for the file,
and import it.`,
	setup: func(flags *flag.FlagSet) func(*call) error {
		asJSON := flags.Bool("json", false, "print JSON")
		pending := flags.Bool("pending", false, "list what is unknown instead")
		return func(c *call) error {
			if *pending && len(c.args) == 0 {
				return certPending(c, *asJSON)
			}
			return certList(c, *asJSON)
		}
	},
}

var certForgetCommand = &command{
	name:  "cert forget",
	args:  "FINGERPRINT...",
	short: "remove certificates from the store",
	long:  `A FINGERPRINT is the SHA-256 of a stored certificate, or the first 8 digits or more.`,
	setup: func(*flag.FlagSet) func(*call) error { return certForget },
}

// openStore returns the store of the configuration, with what is in it.
func openStore(c *call) (*trust.Store, error) {
	cfg, err := config.Read(c.config, gate.ReadRoots)
	if err != nil {
		return nil, err
	}
	return readStore(c, cfg)
}

// readStore returns a store for who must know all that is in it. Files that cannot be
// used are said, as the daemon does.
func readStore(c *call, cfg *config.Config) (*trust.Store, error) {
	store := trust.NewStore(storeDir(cfg))
	if _, err := store.Refresh(); err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return nil, exitf(exitPermission, "%w", err)
		}
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintln(c.err, "domain-secured:", strings.TrimSuffix(line, "\n"))
		}
	}
	return store, nil
}

type importFlags struct{ domain, keyOut, password string }

func (f *importFlags) run(c *call) error {
	p := &passwords{c: c, file: f.password}
	switch {
	case len(c.args) == 0:
		return usagef("cert import: name a file")
	case f.keyOut == "-":
		return usagef("cert import: --key-out: a private key is not written to standard output")
	case f.keyOut != "" && f.domain != "":
		return usagef("cert import: --domain is for partners' certificates, --key-out for our own")
	case f.keyOut != "":
		return importOwn(c, f.keyOut, p)
	}
	return certImport(c, f.domain, p)
}

func certImport(c *call, domain string, p *passwords) error {
	if domain != "" {
		d, err := policy.ParseDomain(domain)
		if err != nil {
			return usagef("cert import: --domain: %v", err)
		}
		domain = d
	}
	// All are read before any is stored: a mistake in one leaves everything as it was.
	var imports []*trust.Certificate
	for _, name := range c.args {
		certificates, err := readPartner(name, p)
		if err != nil {
			return err
		}
		imports = append(imports, certificates...)
	}
	store, err := openStore(c)
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Second)
	for _, certificate := range imports {
		certificate.Source, certificate.Added, certificate.Domain = trust.SourceImport, now, domain
		word := "imported"
		if stored := store.Get(certificate.Fingerprint); stored != nil {
			word = "already stored, imported anew"
			certificate.Keep(stored)
		}
		if err := store.Write(certificate); err != nil {
			return inputError(err)
		}
		fmt.Fprintf(c.err, "%s: %s %s\n", word, fingerprint(certificate.Fingerprint), describe(certificate, time.Now()))
	}
	return nil
}

// readCertificates reads a file that a partner sent.
func readCertificates(name string) ([]*trust.Certificate, error) {
	data, err := trust.ReadFile(name)
	if err != nil {
		return nil, inputError(err)
	}
	certificates, err := trust.Read(data)
	if err != nil {
		return nil, exitf(exitInput, "%s: %w", name, err)
	}
	return certificates, nil
}

// inputError gives an error about a file that was named its exit code.
func inputError(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return exitf(exitPermission, "%w", err)
	}
	return exitf(exitInput, "%w", err)
}

func fingerprint(f trust.Fingerprint) string { return "sha256:" + hex.EncodeToString(f[:]) }

// describe is a stored certificate in half a line.
func describe(c *trust.Certificate, now time.Time) string {
	if c.X509 == nil {
		return "does not parse"
	}
	word := "valid until"
	if now.After(c.X509.NotAfter) {
		word = "EXPIRED on"
	}
	kind := ""
	if c.X509.IsCA {
		kind = "CA, "
	}
	return fmt.Sprintf("%s (%s%s %s)", trust.Describe(c.X509), kind, word, c.X509.NotAfter.UTC().Format(time.DateOnly))
}

func certList(c *call, asJSON bool) error {
	if len(c.args) > 0 {
		return usagef("cert list: takes no arguments")
	}
	store, err := openStore(c)
	if err != nil {
		return err
	}
	all := store.All()
	slices.SortFunc(all, func(a, b *trust.Certificate) int {
		return cmp.Or(strings.Compare(a.Domain, b.Domain), a.Added.Compare(b.Added), strings.Compare(string(a.Fingerprint[:]), string(b.Fingerprint[:])))
	})
	if asJSON {
		shown := make([]shownCertificate, 0, len(all))
		for _, certificate := range all {
			shown = append(shown, show(certificate))
		}
		return c.printJSON(shown)
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for _, certificate := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", hex.EncodeToString(certificate.Fingerprint[:8]),
			harmless(cmp.Or(certificate.Domain, "-")), harmless(certificate.Source), describe(certificate, time.Now()))
	}
	return w.Flush()
}

// findStored returns the one stored certificate whose fingerprint begins so.
func findStored(store *trust.Store, prefix string) (*trust.Certificate, error) {
	digits := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(prefix, "sha256:"), ":", ""))
	if len(digits) < 8 || strings.Trim(digits, "0123456789abcdef") != "" {
		return nil, usagef("%q is neither a file nor a fingerprint: give 8 hexadecimal digits or more", prefix)
	}
	var found *trust.Certificate
	for _, c := range store.All() {
		if strings.HasPrefix(hex.EncodeToString(c.Fingerprint[:]), digits) {
			if found != nil {
				return nil, usagef("%q fits several stored certificates: give more digits", prefix)
			}
			found = c
		}
	}
	if found == nil {
		return nil, exitf(exitNo, "%s: no such certificate in the store %s", prefix, store.Dir())
	}
	return found, nil
}

func certForget(c *call) error {
	if len(c.args) == 0 {
		return usagef("cert forget: name a fingerprint (domain-secured cert list)")
	}
	store, err := openStore(c)
	if err != nil {
		return err
	}
	var doomed []*trust.Certificate
	for _, arg := range c.args {
		certificate, err := findStored(store, arg)
		if whole, wrong := policy.ParseHash(arg); err != nil && wrong == nil && store.Has(trust.Fingerprint(whole)) {
			// Its file cannot be used, but it can be removed.
			certificate, err = &trust.Certificate{Fingerprint: trust.Fingerprint(whole)}, nil
		}
		if err != nil {
			return err
		}
		if !slices.Contains(doomed, certificate) {
			doomed = append(doomed, certificate)
		}
	}
	for _, certificate := range doomed {
		if err := store.Remove(certificate.Fingerprint); err != nil {
			return inputError(err)
		}
		fmt.Fprintf(c.err, "forgotten: %s %s\n", fingerprint(certificate.Fingerprint), describe(certificate, time.Now()))
	}
	return nil
}
