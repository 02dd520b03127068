package gate

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"domain-secured/internal/trust/revocation"
	"domain-secured/policy"
)

// CheckRevocation has c asked about revocation from now on. It is closed by
// whoever made it.
func (g *Gate) CheckRevocation(c *revocation.Checker) { g.checker.Store(c) }

// statuses translate what a checker says.
var statuses = map[revocation.Status]policy.RevocationStatus{
	revocation.Good:        policy.RevocationGood,
	revocation.Unavailable: policy.RevocationUnavailable,
	revocation.Unknown:     policy.RevocationUnknown,
	revocation.OnHold:      policy.RevocationOnHold,
	revocation.Revoked:     policy.RevocationRevoked,
}

// Revocation asks the checker. Lists may be signed by whom the certificate was
// presented with, or by a CA that the operator imported.
func (e *evidence) Revocation(ctx context.Context, c *policy.Certificate, chain policy.Chain, at time.Time) (policy.Revocation, error) {
	checker := e.checker.Load()
	if checker == nil {
		return policy.Revocation{Status: policy.RevocationUnknown, Detail: "nobody is asked about revocation here"}, nil
	}
	ctx, cancel := context.WithDeadline(ctx, e.deadline)
	defer cancel()
	others := append([]*x509.Certificate{}, c.Presented...)
	a := checker.Ask(ctx, revocation.Question{Chain: chain, Others: append(others, e.store.CAs()...), At: at})
	status, known := statuses[a.Status]
	if !known {
		return policy.Revocation{}, fmt.Errorf("an answer that means nothing: %v", a.Status)
	}
	return policy.Revocation{
		Status: status, Source: policy.RevocationSource(a.Source), Detail: a.Detail,
		Open: status == policy.RevocationUnknown && e.explains && e.dane.Load() == nil,
	}, nil
}
