package main

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"domain-secured/internal/gate"
	"domain-secured/internal/trust"
	"domain-secured/policy"
)

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
