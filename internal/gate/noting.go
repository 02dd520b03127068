package gate

import (
	"context"
	"crypto/x509"
	"time"

	"domain-secured/policy"
)

// Answers are what evidence said about a certificate, for a person to read.
type Answers struct {
	// Chains are all that lead to a root, also those that another row took out.
	Chains []policy.Chain
	// Revocation is what was said of each certificate that was asked about, in that
	// order. About a root nobody is asked.
	Revocation []Revocation
}

// Revocation is what was found out about one certificate of a chain.
type Revocation struct {
	Certificate, Issuer *x509.Certificate
	policy.Revocation
	Err error
}

// Of returns what was found out about a certificate that another one issued, nil if
// nobody was asked.
func (a *Answers) Of(c, issuer *x509.Certificate) *Revocation {
	for i := range a.Revocation {
		if r := &a.Revocation[i]; r.Certificate.Equal(c) && r.Issuer.Equal(issuer) {
			return r
		}
	}
	return nil
}

// noting is evidence that notes what was answered, and asks nothing twice.
type noting struct {
	policy.Evidence
	*Answers
}

func (n *noting) Chains(ctx context.Context, c *policy.Certificate, roots *policy.Roots, usage policy.Usage, at time.Time) ([]policy.Chain, string, error) {
	chains, why, err := n.Evidence.Chains(ctx, c, roots, usage, at)
	n.Answers.Chains = chains
	return chains, why, err
}

func (n *noting) Revocation(ctx context.Context, c *policy.Certificate, chain policy.Chain, at time.Time) (policy.Revocation, error) {
	if known := n.Of(chain[0], chain[1]); known != nil {
		return known.Revocation, known.Err
	}
	answer, err := n.Evidence.Revocation(ctx, c, chain, at)
	n.Answers.Revocation = append(n.Answers.Revocation, Revocation{chain[0], chain[1], answer, err})
	return answer, err
}
