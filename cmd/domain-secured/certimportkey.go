package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"domain-secured/internal/trust"
)

// hintKeyOut is what to do with a file that is not a partner's.
const hintKeyOut = "if the certificate is our own, say where key and chain go: --key-out FILE"

// readPartner reads a file that a partner sent, which may be PKCS #12.
func readPartner(name string, p *passwords) ([]*trust.Certificate, error) {
	data, err := trust.ReadFile(name)
	if err != nil {
		return nil, inputError(err)
	}
	if trust.IsPKCS12(data) {
		bundle, err := trust.ReadPKCS12(data, p.of(name))
		if err != nil {
			return nil, bundleError(name, err)
		}
		if len(bundle.Keys) > 0 {
			return nil, exitf(exitInput, "%s: it holds a private key, which does not go into the store\n%s", name, hintKeyOut)
		}
		data = trust.MarshalCertificates(bundle.Certificates...)
	}
	certificates, err := trust.Read(data)
	if errors.Is(err, trust.ErrPrivateKey) {
		return nil, exitf(exitInput, "%s: %w\n%s", name, err, hintKeyOut)
	}
	if err != nil {
		return nil, exitf(exitInput, "%s: %w", name, err)
	}
	return certificates, nil
}

// bundleError gives an error about a file's contents its exit code, unless it is
// about the password and has one.
func bundleError(name string, err error) error {
	var e *exit
	if errors.As(err, &e) {
		return err
	}
	return exitf(exitInput, "%s: %w", name, err)
}

// importOwn puts the key and the certificates of all files together as Postfix
// wants them. Nothing of it goes into the store.
func importOwn(c *call, keyOut string, p *passwords) error {
	var all trust.Bundle
	for _, name := range c.args {
		data, err := trust.ReadFile(name)
		if err != nil {
			return inputError(err)
		}
		bundle, err := trust.ReadBundle(data, p.of(name))
		if err != nil {
			return bundleError(name, err)
		}
		all.Keys = append(all.Keys, bundle.Keys...)
		all.Certificates = append(all.Certificates, bundle.Certificates...)
	}
	own, err := all.Own()
	if err != nil {
		if len(c.args) == 1 {
			return exitf(exitInput, "%s: %w", c.args[0], err)
		}
		return exitf(exitInput, "in these %d files: %w", len(c.args), err)
	}
	text, err := own.Marshal()
	if err != nil {
		return err
	}
	if err := writeNew(keyOut, text, 0o600); err != nil {
		return err
	}
	sayOwn(c, own, keyOut)
	return nil
}

// sayOwn says what was written, what was not, and what to do with it.
func sayOwn(c *call, own *trust.Own, file string) {
	leaf := own.Chain[0]
	fmt.Fprintf(c.err, "written: %s: the private key, %s, %d intermediate certificates\n",
		file, describe(&trust.Certificate{X509: leaf}, time.Now()), len(own.Chain)-1)
	for _, root := range own.Roots {
		fmt.Fprintf(c.err, "left out: %s, a root: it is not presented\n", trust.Describe(root))
	}
	for _, stranger := range own.Strangers {
		fmt.Fprintf(c.err, "warning: left out: %s is not of the chain\n", trust.Describe(stranger))
	}
	if gap := own.Gap(); gap != nil && len(own.Strangers)+len(own.Roots) > 0 {
		fmt.Fprintf(c.err, "warning: the chain does not connect: none of the certificates issued %s, %q did\n", trust.Describe(gap), gap.Issuer)
	} else if gap == leaf {
		fmt.Fprintf(c.err, "warning: there is no intermediate certificate: this is complete only if %q is a root that partners trust\n", leaf.Issuer)
	}
	fmt.Fprintf(c.err, "SHA-256 of the public key, to pin: %s\n", fingerprint(trust.KeyFingerprint(leaf)))
	if absolute, err := filepath.Abs(file); err == nil {
		file = absolute
	}
	fmt.Fprintf(c.err, "in main.cf: smtpd_tls_chain_files = %s\n            smtp_tls_chain_files = %s\n", file, file)
}
