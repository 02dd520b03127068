package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"time"

	"domain-secured/internal/trust"
)

var certExportCommand = &command{
	name:  "cert export",
	args:  "FILE|FINGERPRINT",
	short: "write the public part of a certificate, to give away",
	long: `
It is what a partner needs to import or to pin. FILE may hold our private key as
well, as Postfix wants it: only certificates are written, never a key. A
FINGERPRINT is that of a stored certificate. The result is PEM on standard output
unless said otherwise; an existing file is not overwritten.

  domain-secured cert export --chain /etc/postfix/mail1.pem --out for-partners.pem`,
	setup: func(flags *flag.FlagSet) func(*call) error {
		out := flags.String("out", "-", "the `FILE` to write, - for standard output")
		chain := flags.Bool("chain", false, "with the chain that it is presented with")
		der := flags.Bool("der", false, "write DER")
		return func(c *call) error { return certExport(c, *out, *chain, *der) }
	},
}

func certExport(c *call, out string, chain, der bool) error {
	switch {
	case len(c.args) != 1:
		return usagef("cert export: name one file or fingerprint")
	case chain && der:
		return usagef("cert export: --der holds one certificate: leave --chain out")
	}
	certificate, hadKey, err := namedCertificate(c, c.args[0])
	if err != nil {
		return err
	}
	data, err := certificate.Public(chain)
	if der {
		data, err = certificate.PublicDER()
	}
	if err != nil {
		return exitf(exitInput, "%s: %w", c.args[0], err)
	}
	if out == "-" {
		_, err = c.out.Write(data)
	} else {
		err = writeNew(out, data, 0o644)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.err, "exported: %s %s\n", fingerprint(certificate.Fingerprint), describe(certificate, time.Now()))
	if hadKey {
		fmt.Fprintf(c.err, "the private key in %s stays there\n", c.args[0])
	}
	if chain && len(certificate.Presented) == 0 {
		fmt.Fprintln(c.err, "warning: there is no chain that it is presented with")
	}
	return nil
}

// namedCertificate returns the one certificate that arg names: the one in a file,
// which may hold our private key as well, or a stored one.
func namedCertificate(c *call, arg string) (certificate *trust.Certificate, hadKey bool, err error) {
	data, err := trust.ReadFile(arg)
	if errors.Is(err, fs.ErrNotExist) {
		store, err := openStore(c)
		if err != nil {
			return nil, false, err
		}
		certificate, err = findStored(store, arg)
		return certificate, false, err
	}
	if err != nil {
		return nil, false, inputError(err)
	}
	all, hadKey, err := trust.ReadPublic(data)
	if err != nil {
		return nil, false, exitf(exitInput, "%s: %w", arg, err)
	}
	if len(all) != 1 {
		return nil, false, exitf(exitInput, "%s: it holds %d certificates: which one is not known (domain-secured cert show)", arg, len(all))
	}
	return all[0], hadKey, nil
}
