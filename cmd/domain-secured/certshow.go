package main

import (
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"domain-secured/internal/trust"
)

var certShowCommand = &command{
	name:  "cert show",
	args:  "FILE|FINGERPRINT...",
	short: "show certificates: names, dates, fingerprints to pin",
	long:  `A FINGERPRINT is that of a stored certificate: its SHA-256, or the first 8 digits or more.`,
	setup: func(flags *flag.FlagSet) func(*call) error {
		asJSON := flags.Bool("json", false, "print JSON")
		return func(c *call) error { return certShow(c, *asJSON) }
	},
}

func certShow(c *call, asJSON bool) error {
	if len(c.args) == 0 {
		return usagef("cert show: name a file or a fingerprint")
	}
	var all []shownCertificate
	for _, arg := range c.args {
		certificates, err := readCertificates(arg)
		if errors.Is(err, fs.ErrNotExist) {
			var store *trust.Store
			if store, err = openStore(c); err != nil {
				return err
			}
			var stored *trust.Certificate
			stored, err = findStored(store, arg)
			certificates = []*trust.Certificate{stored}
		}
		if err != nil {
			return err
		}
		for _, certificate := range certificates {
			all = append(all, show(certificate))
		}
	}
	if asJSON {
		return c.printJSON(all)
	}
	for i, shown := range all {
		if i > 0 {
			fmt.Fprintln(c.out)
		}
		if err := shown.print(c); err != nil {
			return err
		}
	}
	return nil
}

// shownCertificate is what a person or a script may want to know of one.
type shownCertificate struct {
	Fingerprint    string    `json:"fingerprint"`
	KeyFingerprint string    `json:"key_fingerprint,omitempty"`
	Problem        string    `json:"problem,omitempty"`
	Subject        string    `json:"subject,omitempty"`
	Issuer         string    `json:"issuer,omitempty"`
	DNSNames       []string  `json:"dns_names,omitempty"`
	NotBefore      time.Time `json:"not_before,omitzero"`
	NotAfter       time.Time `json:"not_after,omitzero"`
	Key            string    `json:"key,omitempty"`
	Signature      string    `json:"signature,omitempty"`
	CA             bool      `json:"ca"`
	Usage          []string  `json:"usage,omitempty"`
	Presented      []string  `json:"presented_with,omitempty"`
	Source         string    `json:"source,omitempty"`
	Added          time.Time `json:"added,omitzero"`
	Domain         string    `json:"domain,omitempty"`
}

func show(c *trust.Certificate) shownCertificate {
	s := shownCertificate{Fingerprint: fingerprint(c.Fingerprint), Source: c.Source, Added: c.Added, Domain: c.Domain}
	if c.X509 == nil {
		s.Problem = c.Err.Error()
		return s
	}
	s.KeyFingerprint = fingerprint(trust.KeyFingerprint(c.X509))
	s.Subject, s.Issuer, s.DNSNames = c.X509.Subject.String(), c.X509.Issuer.String(), c.X509.DNSNames
	s.NotBefore, s.NotAfter = c.X509.NotBefore.UTC(), c.X509.NotAfter.UTC()
	s.Key, s.Signature, s.CA = trust.DescribeKey(c.X509), c.X509.SignatureAlgorithm.String(), c.X509.IsCA
	s.Usage = usages(c.X509)
	for _, presented := range c.Presented {
		s.Presented = append(s.Presented, presented.Subject.String())
	}
	return s
}

func usages(c *x509.Certificate) []string {
	var names []string
	for _, usage := range c.ExtKeyUsage {
		names = append(names, usage.String())
	}
	for _, oid := range c.UnknownExtKeyUsage {
		names = append(names, oid.String())
	}
	return names
}

func (s shownCertificate) print(c *call) error {
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s:\t%s\n", name, harmless(value))
		}
	}
	row("fingerprint", s.Fingerprint)
	row("key fingerprint", s.KeyFingerprint)
	row("problem", s.Problem)
	if s.Problem == "" {
		row("subject", s.Subject)
		row("issuer", s.Issuer)
		row("DNS names", strings.Join(s.DNSNames, ", "))
		row("valid", fmt.Sprintf("%s to %s", s.NotBefore.Format(time.RFC3339), s.NotAfter.Format(time.RFC3339)))
		row("key", s.Key)
		row("signature", s.Signature)
		row("usage", strings.Join(s.Usage, ", "))
		if s.CA {
			row("CA", "yes")
		}
		row("presented with", strings.Join(s.Presented, "; "))
	}
	row("source", s.Source)
	if !s.Added.IsZero() {
		row("added", s.Added.Format(time.RFC3339))
	}
	row("domain", s.Domain)
	return w.Flush()
}

// harmless escapes what a certificate may hold to trick a terminal.
func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}
