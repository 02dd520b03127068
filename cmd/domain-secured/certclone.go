package main

import (
	"cmp"
	"flag"
	"fmt"
	"strings"
	"time"

	"domain-secured/internal/trust"
	"domain-secured/policy"
)

var certCloneCommand = &command{
	name:  "cert clone",
	args:  "FILE|FINGERPRINT",
	short: "make a key and a request with the names of an existing certificate",
	long: `
For a renewal: subject and names are those of the certificate, byte for byte; the
key is new, and written as by cert request. FILE may hold our private key as well,
which is not used; a FINGERPRINT is that of a stored certificate.

With --self-signed there is no request but a certificate, signed by its own key,
for client and server: for partners who pin it. Nothing that exists is overwritten.

  domain-secured cert clone /etc/postfix/mail1.pem --key new.key --out new.csr`,
	setup: func(flags *flag.FlagSet) func(*call) error {
		var f cloneFlags
		flags.StringVar(&f.kind, "key-type", "", "the `KIND` of key: ecdsa-p256 or rsa-3072 (default: as the certificate's)")
		flags.BoolVar(&f.selfSigned, "self-signed", false, "make a self-signed certificate")
		flags.IntVar(&f.days, "days", 0, "it is valid for `N` days (default 365)")
		f.output.define(flags, ".csr, NAME.pem if it is self-signed")
		return f.run
	},
}

type cloneFlags struct {
	kind       string
	selfSigned bool
	days       int
	output     keyOutput
}

// maxDays bounds the life of a self-signed certificate.
const maxDays = 3650

func (f *cloneFlags) run(c *call) error {
	if len(c.args) != 1 {
		return usagef("cert clone: name one file or fingerprint")
	}
	if f.days != 0 && !f.selfSigned {
		return usagef("cert clone: --days: a CA decides that; it is for --self-signed")
	}
	if f.days < 0 || f.days > maxDays {
		return usagef("cert clone: --days: want 1 to %d", maxDays)
	}
	of, _, err := namedCertificate(c, c.args[0])
	if err != nil {
		return err
	}
	if of.X509 == nil {
		return exitf(exitInput, "%s: it does not parse: %w", c.args[0], of.Err)
	}
	suffix := ".csr"
	if f.selfSigned {
		suffix = ".pem"
	}
	name := fileName(of)
	if name == "" && (f.output.key == "" || f.output.out == "") {
		return usagef("cert clone: the certificate has no DNS name to name files after: say --key and --out")
	}
	if err := f.output.settle(name, suffix); err != nil {
		return usagef("cert clone: %v", err)
	}
	key, err := newKey("cert clone", cmp.Or(f.kind, string(trust.KindOf(of.X509))))
	if err != nil {
		return err
	}
	var made []byte
	what := "request"
	if f.selfSigned {
		what = "self-signed certificate"
		made, err = trust.CloneSelfSigned(of.X509, key, time.Now().UTC().Truncate(time.Second), cmp.Or(f.days, 365))
	} else {
		made, err = trust.CloneRequest(of.X509, key)
	}
	if err != nil {
		return exitf(exitInput, "%s: %w", c.args[0], err)
	}
	if err := f.output.write(c, key, made); err != nil {
		return err
	}
	fmt.Fprintf(c.err, "%s: %s for %s\n", what, f.output.shown(), harmless(strings.Join(of.X509.DNSNames, ", ")))
	if name == "" {
		fmt.Fprintln(c.err, "warning: it has no DNS name that partners could compare (domain-secured cert request makes one with names)")
	}
	return nil
}

// fileName returns the first name of a certificate that is one, or "".
func fileName(c *trust.Certificate) string {
	for _, name := range c.X509.DNSNames {
		if name, ok := policy.CheckName(name); ok {
			return name
		}
	}
	return ""
}
