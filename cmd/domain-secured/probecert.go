package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"domain-secured/internal/partner"
	"domain-secured/internal/readiness"
	"domain-secured/policy"
)

// certificate says everything about it once, and then only what may differ from
// host to host.
func (p *report) certificate(h *readiness.Host, c *readiness.Certificate, shown map[string]bool) {
	digits := strings.TrimPrefix(c.Fingerprint, "sha256:")
	if shown[c.Fingerprint] {
		p.row("certificate", "as above, SHA-256 "+digits[:16]+"...")
	} else {
		p.row("certificate", cmp.Or(c.Subject, firstName(c), "without a subject"))
		p.row("SHA-256", digits)
		p.row("problem", c.Problem)
		p.row("issuer", c.Issuer)
		p.row("key", c.Key)
		p.row("valid", p.validity(c))
		p.row("chain", chainWords(c))
		p.names(c)
		for i, r := range c.Revocation {
			p.row(label(i, "revocation"), revocationWords(r, i))
		}
	}
	shown[c.Fingerprint] = true
	p.row("TLSA", tlsaWords(h, c))
	p.row("verdict", verdictWords(c))
}

func firstName(c *readiness.Certificate) string {
	if len(c.Names) == 0 {
		return ""
	}
	return c.Names[0].Name
}

// label is for the first of several rows.
func label(i int, s string) string {
	if i > 0 {
		return ""
	}
	return s
}

func (p *report) validity(c *readiness.Certificate) string {
	if c.NotAfter.IsZero() {
		return ""
	}
	days := int(math.Round(c.NotAfter.Sub(p.now).Hours() / 24))
	s := c.NotBefore.Format(time.DateOnly) + " to " + c.NotAfter.Format(time.DateOnly)
	switch {
	case p.now.After(c.NotAfter):
		return s + ", EXPIRED " + daysWords(-days) + " ago"
	case p.now.Before(c.NotBefore):
		return s + ", NOT YET"
	}
	return s + ", " + daysWords(days) + " left"
}

func daysWords(n int) string {
	if n == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}

func chainWords(c *readiness.Certificate) string {
	if len(c.Chain) > 1 {
		return "by " + strings.Join(c.Chain[1:], ", by ")
	}
	for _, row := range c.Rows {
		switch {
		case row.Number != 14:
		case row.Outcome == policy.OutcomeFail:
			return fmt.Sprintf("none (%d presented): %s", c.Presented, row.Detail)
		default:
			return "not asked: " + row.Detail
		}
	}
	return ""
}

// names are those that match first, and not too many.
func (p *report) names(c *readiness.Certificate) {
	const few = 8
	names := slices.Clone(c.Names)
	slices.SortStableFunc(names, func(a, b policy.PresentedName) int { return cmp.Compare(matches(b), matches(a)) })
	word := map[bool]string{true: "yes", false: "no"}
	for i, n := range names[:min(len(names), few)] {
		s := cmp.Or(n.Name, "(empty)")
		if n.CommonName {
			s += " (common name)"
		}
		if n.Configured {
			s += ": one of names;"
		} else {
			s += ":"
		}
		p.row(label(i, "names"), fmt.Sprintf("%s exchange %s, strict %s", s, word[n.Exchange], word[n.Strict]))
	}
	if more := len(names) - few; more > 0 {
		p.row("", fmt.Sprintf("and %d more", more))
	}
	if len(names) == 0 && c.Problem == "" {
		p.row("names", "none that could match")
	}
}

// matches counts in how many ways a name speaks for the domain.
func matches(n policy.PresentedName) (count int) {
	for _, m := range []bool{n.Configured, n.Exchange, n.Strict} {
		if m {
			count++
		}
	}
	return count
}

func revocationWords(r readiness.Revocation, i int) string {
	s := r.Status
	if r.Source != "" {
		s += " by " + string(r.Source)
	}
	if r.Detail != "" {
		s += ": " + r.Detail
	}
	if i > 0 {
		s = r.Subject + " " + s
	}
	return s
}

func tlsaWords(h *readiness.Host, c *readiness.Certificate) string {
	switch h.TLSAStatus {
	case partner.TLSASecure:
		records := fmt.Sprintf("%d records", len(h.TLSA))
		if len(h.TLSA) == 1 {
			records = "1 record"
		}
		switch {
		case c == nil:
			return records
		case c.TLSAMatch:
			return records + ", matches"
		}
		return records + ", no match"
	case partner.TLSAInsecure:
		return "not proven by DNSSEC"
	case partner.TLSAFailed:
		return "failed: " + h.TLSADetail
	}
	return string(h.TLSAStatus)
}

func verdictWords(c *readiness.Certificate) string {
	if c.Result == policy.ResultPass {
		s := "pass, auth=" + string(c.Auth)
		if c.MatchedName != "" {
			s += ", name=" + c.MatchedName
		}
		return s
	}
	return "fail, " + string(c.Reason)
}
