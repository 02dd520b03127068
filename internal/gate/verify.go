package gate

import (
	"context"
	"crypto/x509"
	"time"

	"domain-secured/policy"
)

// Verification is everything that is found out about a certificate that nobody's
// mail came with.
type Verification struct {
	policy.Vetted
	// Chains are all that lead to a root, also those that another row took out.
	Chains []policy.Chain

	answers map[string]policy.Revocation // about certificates of the chains
}

// verifyTime bounds one verification: nobody's mail waits for it.
const verifyTime = time.Minute

// Verify judges a certificate as rows 11 to 18 would, with settings p, and goes on
// after the first row that fails. Without a domain no name is asked for.
func (g *Gate) Verify(ctx context.Context, p *policy.Partner, domain string, c *policy.Certificate, at time.Time) (Verification, error) {
	e := &verifying{evidence: g.evidence.until(time.Now().Add(verifyTime)), found: Verification{answers: make(map[string]policy.Revocation)}}
	v := policy.Vet(ctx, e, p, domain, c, &policy.Reported{Presence: policy.PresenceYes}, at, true)
	e.found.Vetted = v
	if p.Revocation == policy.RevocationOff {
		return e.found, nil
	}
	for _, chain := range e.found.Chains {
		for i := range chain[:len(chain)-1] {
			if _, err := e.Revocation(ctx, c, chain[i:], at); err != nil {
				return e.found, err
			}
		}
	}
	return e.found, nil
}

// verifying notes what is answered.
type verifying struct {
	*evidence
	found Verification
}

func (v *verifying) Chains(ctx context.Context, c *policy.Certificate, roots *policy.Roots, usage policy.Usage, at time.Time) ([]policy.Chain, string, error) {
	chains, why, err := v.evidence.Chains(ctx, c, roots, usage, at)
	v.found.Chains = chains
	return chains, why, err
}

// Revocation answers twice the same about one certificate.
func (v *verifying) Revocation(ctx context.Context, c *policy.Certificate, chain policy.Chain, at time.Time) (policy.Revocation, error) {
	key := string(chain[0].Raw) + string(chain[1].Raw)
	if known, ok := v.found.answers[key]; ok {
		return known, nil
	}
	answer, err := v.evidence.Revocation(ctx, c, chain, at)
	if err == nil {
		v.found.answers[key] = answer
	}
	return answer, err
}

// Answer is what was answered about a certificate that another one issued; about a
// root nobody is asked.
func (v *Verification) Answer(c, issuer *x509.Certificate) (policy.Revocation, bool) {
	answer, ok := v.answers[string(c.Raw)+string(issuer.Raw)]
	return answer, ok
}
