package companies

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"domain-secured/internal/testkit/apart"
	"domain-secured/internal/testkit/cases"
	"domain-secured/internal/testkit/dnsserver"
	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/pki"
)

// A Pair is the two companies, and the world between them.
type Pair struct {
	Contoso, Bank *Company
	DNS           *dnsserver.Server

	impostor            *mta.Fake
	impostorCertificate *pki.Certificate
}

// impostorAddress is where somebody waits for mail that is not his.
const impostorAddress = "127.0.66.1"

// Setup starts everything below a folder, whose parents let Postfix's user through. It has to be called in a namespace, see package apart. The pair must be closed.
func Setup(ctx context.Context, binary, dir string) (*Pair, error) {
	p := &Pair{
		Contoso: &Company{Name: "Contoso", Domain: "contoso.com", Host: "mx1.contoso.com", Address: "127.0.1.1", Person: "bob"},
		Bank:    &Company{Name: "Woodgrove Bank", Domain: "woodgrovebank.com", Host: "mail1.woodgrovebank.com", Address: "127.0.2.1", Person: "alice"},
	}
	if err := p.start(ctx, binary, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("set up the two companies: %w", err), p.Close())
	}
	return p, nil
}

func (p *Pair) start(ctx context.Context, binary, dir string) (err error) {
	// Postfix's user goes through it.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	if p.DNS, err = dnsserver.StartAt(apart.Nameserver+":53", ""); err != nil {
		return err
	}
	for _, c := range []*Company{p.Contoso, p.Bank} {
		c.Dir, c.binary = filepath.Join(dir, c.Domain), binary
		if c.Authority, err = cases.NewAuthority(c.Name); err != nil {
			return err
		}
		if err := p.DNS.Add(fmt.Sprintf("%s MX 10 %s\n", c.Domain, c.Host)); err != nil {
			return err
		}
		if err := p.move(c, c.Address); err != nil {
			return err
		}
	}
	for c, partner := range map[*Company]*Company{p.Contoso: p.Bank, p.Bank: p.Contoso} {
		if err := c.start(ctx, partner); err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	if p.impostorCertificate, err = pki.SelfSigned(pki.LeafOptions{DNSNames: []string{p.Bank.Host}}); err != nil {
		return err
	}
	p.impostor, err = mta.StartFake(ctx, mta.FakeOptions{
		Common: mta.Common{Hostname: p.Bank.Host, Domains: []string{p.Bank.Domain}, Certificate: p.impostorCertificate},
		Listen: impostorAddress + ":25",
	})
	return err
}

// move has the DNS say that a company's mail server is at an address.
func (p *Pair) move(c *Company, address string) error {
	p.DNS.Remove(c.Host, "A")
	return p.DNS.Add(fmt.Sprintf("%s A %s\n", c.Host, address))
}

// Close ends everything.
func (p *Pair) Close() error {
	var errs []error
	// Both Postfix first: none is to meet a partner that is going.
	for _, c := range []*Company{p.Contoso, p.Bank} {
		if c.Postfix != nil {
			errs = append(errs, c.Postfix.Close())
		}
	}
	errs = append(errs, p.Contoso.close(), p.Bank.close())
	if p.impostor != nil {
		errs = append(errs, p.impostor.Close())
	}
	if p.DNS != nil {
		errs = append(errs, p.DNS.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close the two companies: %w", err)
	}
	return nil
}
