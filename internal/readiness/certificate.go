package readiness

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"domain-secured/internal/gate"
	"domain-secured/internal/partner"
	"domain-secured/policy"
)

// maxNames bounds how many names of a certificate are kept.
const maxNames = 200

// certificate judges one that was presented.
func (a *assessor) certificate(h *Host, address *Address, chain []partner.Certificate, session gate.Session, at time.Time) error {
	found, err := a.inspector.Inspect(a.ctx, a.Domain, chain, session, at)
	if err != nil {
		return err
	}
	c := a.describe(chain, &found)
	address.Certificates = append(address.Certificates, c)
	if found.Verdict.Result != policy.ResultPass {
		a.reasons(h, address, chain, c)
	}
	if leaf := chain[0].X509; leaf != nil && !at.After(leaf.NotAfter) && at.Add(soon(leaf)).After(leaf.NotAfter) {
		a.add(h, address, c, Finding{Token: ExpiresSoon, Weight: Remark, For: ForPartner,
			rest: fmt.Sprintf("presents a certificate that expires on %s: renew it.", date(leaf.NotAfter))})
	}
	return nil
}

// soon is when the end of a certificate is worth a word: two weeks before, which is
// later than where renewal is automatic; for one that does not live long a quarter
// of its life.
func soon(c *x509.Certificate) time.Duration {
	return min(14*24*time.Hour, c.NotAfter.Sub(c.NotBefore)/4)
}

func (a *assessor) describe(chain []partner.Certificate, found *gate.Inspection) *Certificate {
	first := &chain[0]
	c := &Certificate{
		Fingerprint: "sha256:" + first.SHA256.String(), Problem: first.Error, Names: []policy.PresentedName{}, Key: found.Key,
		Presented: len(chain), TLSAMatch: first.TLSAMatch, Result: found.Verdict.Result, Reason: found.Verdict.Reason,
		Auth: found.Verdict.Auth, MatchedName: found.Verdict.MatchedName, Rows: []policy.Row{},
	}
	for _, row := range found.Rows {
		row.Detail = clean(row.Detail)
		c.Rows = append(c.Rows, row)
	}
	if first.Key != nil {
		c.KeyFingerprint = "sha256:" + first.Key.String()
	}
	if x := first.X509; x != nil {
		c.Subject, c.Issuer = clean(x.Subject.String()), clean(x.Issuer.String())
		c.NotBefore, c.NotAfter = x.NotBefore.UTC(), x.NotAfter.UTC()
		c.Names = a.partner.PresentedNames(a.Entry, x, parsed(chain[1:]))
		c.Names = c.Names[:min(len(c.Names), maxNames)]
		for i := range c.Names {
			c.Names[i].Name = clean(c.Names[i].Name)
		}
	}
	if len(found.Chains) == 0 {
		return c
	}
	path := found.Chains[0]
	for i, link := range path {
		c.Chain = append(c.Chain, clean(link.Subject.String()))
		if i == len(path)-1 {
			break
		}
		if answer := found.Of(link, path[i+1]); answer != nil {
			c.Revocation = append(c.Revocation, revocation(answer))
		}
	}
	return c
}

func revocation(answer *gate.Revocation) Revocation {
	r := Revocation{
		Subject: clean(answer.Certificate.Subject.String()), Status: answer.Status.String(), Source: answer.Source, Detail: clean(answer.Detail),
	}
	if answer.Err != nil {
		r.Status, r.Detail = policy.RevocationUnknown.String(), clean(answer.Err.Error())
	}
	return r
}

func parsed(chain []partner.Certificate) []*x509.Certificate {
	var all []*x509.Certificate
	for _, c := range chain {
		if c.X509 != nil {
			all = append(all, c.X509)
		}
	}
	return all
}

// reasons notes every row that speaks against a certificate, not the first alone:
// the partner wants to hear it all at once.
func (a *assessor) reasons(h *Host, address *Address, chain []partner.Certificate, c *Certificate) {
	said := make(map[policy.Reason]bool)
	for _, row := range c.Rows {
		if row.Outcome != policy.OutcomeFail || said[row.Reason] {
			continue
		}
		said[row.Reason] = true
		if row.Reason == policy.CertificateMalformed && address.Problem == partner.CertificateUnreadable {
			continue // that says it
		}
		a.add(h, address, c, a.ofRow(h, address, chain, c, row))
		switch row.Reason {
		case policy.PinMismatch:
			return // nothing else would be asked
		case policy.CertificateNotTrusted:
			if a.serversOnly(chain[0].X509) {
				a.add(h, address, c, Finding{Token: ServersOnly, Weight: Remark, For: ForUs,
					rest: `presents a certificate for servers only, and usage = "client" refuses it: as a client it may present another. usage = "client-or-server" accepts it; public authorities issue no others any more.`})
			}
		case policy.CertificateHostMismatch:
			// What nobody vouches for is no provider's.
			if a.outside(h.Name) && a.partner.Names == nil && len(countable(c)) > 0 && !said[policy.CertificateNotTrusted] {
				a.add(h, address, c, Finding{Token: OutsideDomain, Weight: Remark, For: ForUs,
					rest: fmt.Sprintf("is outside %s, as at a hosting provider: names = [%s] for this partner accepts it, which proves the provider and not its customer.",
						a.Domain, strings.Join(countable(c), ", "))})
			}
		}
	}
}

func (a *assessor) outside(host string) bool {
	return host != a.Entry && !strings.HasSuffix(host, "."+a.Entry)
}

// serversOnly: the certificate allows serverAuth alone, and that is not enough.
func (a *assessor) serversOnly(c *x509.Certificate) bool {
	allows := func(usage x509.ExtKeyUsage) bool { return slices.Contains(c.ExtKeyUsage, usage) }
	return c != nil && a.partner.Usage == policy.UsageClient &&
		allows(x509.ExtKeyUsageServerAuth) && !allows(x509.ExtKeyUsageClientAuth) && !allows(x509.ExtKeyUsageAny)
}

// countable are the first names of a certificate that can be one of a partner's.
func countable(c *Certificate) []string {
	var names []string
	for _, n := range c.Names {
		if name, ok := policy.CheckName(n.Name); ok && len(names) < 3 {
			names = append(names, fmt.Sprintf("%q", name))
		}
	}
	return names
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }
