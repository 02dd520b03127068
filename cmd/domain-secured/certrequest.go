package main

import (
	"crypto"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"domain-secured/internal/trust"
	"domain-secured/policy"
)

var certRequestCommand = &command{
	name:  "cert request",
	short: "make a key of our own and a certificate request for a CA",
	long: `
The request (PKCS #10) asks for a certificate with these DNS names: the FQDN of
the mail server, and the domains that it receives and sends mail for, which
partners compare. They are checked as they will be compared: *.contoso.com is a
name, mail_1.contoso.com and com are none. Names cannot be added to a certificate
afterwards. The common name becomes a DNS name, too.

Key and request are named after the first name, here. The key is not encrypted,
and readable by its owner only. Nothing that exists is overwritten.

  domain-secured cert request --san mail1.contoso.com --san contoso.com

When the CA has signed it, put key and chain together for Postfix:

  domain-secured cert import --key-out mail1.pem mail1.contoso.com.key signed.pem`,
	setup: func(flags *flag.FlagSet) func(*call) error {
		var r requestFlags
		flags.StringVar(&r.cn, "cn", "", "the common `NAME`, an FQDN of 64 characters at most (default: the first --san, if it is one)")
		flags.Func("san", "a DNS `NAME` to ask for; may be repeated", func(name string) error {
			r.sans = append(r.sans, name)
			return nil
		})
		flags.StringVar(&r.domains, "accepted-domains", "", "a `FILE` of domains to ask for, one a line, as in the list files")
		flags.StringVar(&r.kind, "key-type", string(trust.KeyECDSAP256), "the `KIND` of key: ecdsa-p256 or rsa-3072")
		r.output.define(flags, ".csr")
		return r.run
	},
}

type requestFlags struct {
	cn            string
	sans          []string
	domains, kind string
	output        keyOutput
}

func (r *requestFlags) run(c *call) error {
	if len(c.args) > 0 {
		return usagef("cert request: takes no arguments, only flags: %q", c.args[0])
	}
	cn, names, err := r.names()
	if err != nil {
		return err
	}
	if err := r.output.settle(names[0], ".csr"); err != nil {
		return usagef("cert request: %v", err)
	}
	key, err := newKey("cert request", r.kind)
	if err != nil {
		return err
	}
	request, err := trust.NewRequest(key, cn, names)
	if err != nil {
		return inputError(err)
	}
	if err := r.output.write(c, key, request); err != nil {
		return err
	}
	fmt.Fprintf(c.err, "request: %s for %s\n", r.output.shown(), strings.Join(names, ", "))
	return nil
}

// names returns the common name, or "", and all names, the common one first.
func (r *requestFlags) names() (cn string, names []string, err error) {
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if r.cn != "" {
		if cn, err = certificateName(r.cn); err != nil {
			return "", nil, usagef("cert request: --cn: %v", err)
		}
		if len(cn) > maxCommonName {
			return "", nil, usagef("cert request: --cn: %q is longer than %d characters: leave --cn out and name it with --san", r.cn, maxCommonName)
		}
		add(cn)
	}
	for _, san := range r.sans {
		name, err := certificateName(san)
		if err != nil {
			return "", nil, usagef("cert request: --san: %v", err)
		}
		add(name)
	}
	if r.domains != "" {
		list, err := readDomains(r.domains)
		if err != nil {
			return "", nil, err
		}
		for domain := range list.All() {
			add(domain)
		}
	}
	if len(names) == 0 {
		return "", nil, usagef("cert request: name the mail server with --san, as in --san mail1.contoso.com")
	}
	if cn == "" && len(names[0]) <= maxCommonName {
		cn = names[0]
	}
	return cn, names, nil
}

// maxCommonName is ub-common-name of RFC 5280 appendix A.1, in characters.
const maxCommonName = 64

// certificateName reads a name for a certificate of ours and returns it in the
// form in which it is compared.
func certificateName(s string) (string, error) {
	base, wildcard := strings.CutPrefix(s, "*.")
	if strings.Contains(base, "*") {
		return "", fmt.Errorf("%q: a * stands for the whole first label, as in *.contoso.com", s)
	}
	name, err := policy.ParseDomain(base)
	if err != nil {
		return "", err
	}
	if wildcard {
		name = "*." + name
	}
	if _, ok := policy.CheckName(name); !ok {
		return "", fmt.Errorf("%q is not a name that is compared", s)
	}
	return name, nil
}

// readDomains reads a file of domains that are our own.
func readDomains(name string) (*policy.List, error) {
	data, err := trust.ReadFile(name)
	if err != nil {
		return nil, inputError(err)
	}
	list, err := policy.ParseList(string(data))
	var line *policy.LineError
	if errors.As(err, &line) {
		return nil, exitf(exitInput, "%s:%d: %w", name, line.Line, line.Err)
	}
	if err != nil {
		return nil, exitf(exitInput, "%s: %w", name, err)
	}
	return list, nil
}

// newKey makes a key for a verb.
func newKey(verb, kind string) (crypto.Signer, error) {
	key, err := trust.NewKey(trust.KeyKind(kind))
	if err != nil {
		return nil, usagef("%s: --key-type: %v", verb, err)
	}
	return key, nil
}
