package gate

import (
	"context"
	"time"

	"domain-secured/policy"
)

// Verification is everything that is found out about a certificate that nobody's
// mail came with.
type Verification struct {
	policy.Vetted
	Answers
}

// verifyTime bounds one verification: nobody's mail waits for it.
const verifyTime = time.Minute

// Verify judges a certificate as rows 11 to 18 would, with settings p, and goes on
// after the first row that fails. Without a domain no name is asked for.
func (g *Gate) Verify(ctx context.Context, p *policy.Partner, domain string, c *policy.Certificate, at time.Time) Verification {
	var found Verification
	e := &noting{g.evidence.until(time.Now().Add(verifyTime)), &found.Answers}
	found.Vetted = policy.Vet(ctx, e, p, domain, c, &policy.Reported{Presence: policy.PresenceYes}, at, true)
	if p.Revocation == policy.RevocationOff {
		return found
	}
	// Also of the chains that another row took out.
	for _, chain := range found.Chains {
		for i := range chain[:len(chain)-1] {
			_, _ = e.Revocation(ctx, c, chain[i:], at) // noted with its error
		}
	}
	return found
}
