package gate

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"domain-secured/internal/partner"
	"domain-secured/internal/trust"
	"domain-secured/internal/trust/revocation"
	"domain-secured/policy"
)

// evidence answers what the rules ask about certificates.
type evidence struct {
	store  *trust.Store
	chains *trust.Chains
	// loading bounds the look-ups that wait for a disk at the same time.
	loading chan struct{}

	dane    *atomic.Pointer[partner.DANE]       // nil in it: the DNS is not asked
	checker *atomic.Pointer[revocation.Checker] // nil in it: nobody is asked about revocation

	deadline  time.Time           // for the verdict that this is asked for
	presented *policy.Certificate // taken as stored, if not nil
	explains  bool                // somebody wants to know what would be decided
}

var _ policy.Evidence = (*evidence)(nil)

const maxLoading = 8

func newEvidence(store *trust.Store) evidence {
	return evidence{store: store, chains: trust.NewChains(store), loading: make(chan struct{}, maxLoading)}
}

// until returns the evidence for one verdict, which must be there by then.
func (e *evidence) until(deadline time.Time) *evidence {
	one := *e
	one.deadline = deadline
	return &one
}

// Certificate looks in memory, then for a file: an import acts at once.
func (e *evidence) Certificate(ctx context.Context, h policy.Hash) (*policy.Certificate, error) {
	if e.presented != nil && e.presented.Fingerprint == h {
		return e.presented, nil
	}
	c := e.store.Get(trust.Fingerprint(h))
	if c == nil {
		var err error
		if c, err = e.load(ctx, h); err != nil || c == nil {
			return nil, err
		}
	}
	return &policy.Certificate{Fingerprint: h, X509: c.X509, Err: c.Err, Presented: c.Presented}, nil
}

// errSlowStore: what is asked of a disk that hangs goes on waiting for it, but
// no message does.
var errSlowStore = errors.New("the certificate store did not answer in time: is its disk well?")

// load reads a certificate from the store's folder, if it is there, in time.
func (e *evidence) load(ctx context.Context, h policy.Hash) (*trust.Certificate, error) {
	ctx, cancel := context.WithDeadline(ctx, e.deadline)
	defer cancel()
	select {
	case e.loading <- struct{}{}:
	case <-ctx.Done():
		return nil, errSlowStore
	}
	type answer struct {
		c   *trust.Certificate
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		defer func() { <-e.loading }()
		c, err := e.store.Load(trust.Fingerprint(h))
		answered <- answer{c, err}
	}()
	select {
	case a := <-answered:
		return a.c, a.err
	case <-ctx.Done():
		return nil, errSlowStore
	}
}

// usages are what a partner's usage allows: any of them is enough.
var usages = map[policy.Usage][]x509.ExtKeyUsage{
	policy.UsageAny:            {x509.ExtKeyUsageAny},
	policy.UsageClientOrServer: {x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	policy.UsageClient:         {x509.ExtKeyUsageClientAuth},
}

// Chains never asks for no usage at all: crypto/x509 would take that for serverAuth.
func (e *evidence) Chains(_ context.Context, c *policy.Certificate, roots *policy.Roots, usage policy.Usage, at time.Time) ([]policy.Chain, string, error) {
	if roots == nil {
		return nil, "the partner has no roots", nil
	}
	allowed := usages[usage]
	if allowed == nil {
		return nil, "", fmt.Errorf("unknown usage %q", usage)
	}
	chains, err := e.chains.Build(
		&trust.Certificate{Fingerprint: trust.Fingerprint(c.Fingerprint), X509: c.X509, Err: c.Err, Presented: c.Presented},
		trust.Roots{Pool: roots.Pool, ID: roots.ID, Turns: roots.Turns}, allowed, at)
	if err != nil {
		return nil, err.Error(), nil
	}
	return chains, "", nil
}

// TLSA asks the DNS. Who does not look at partners cannot say.
func (e *evidence) TLSA(ctx context.Context, domain string, certificate, key policy.Hash) (bool, error) {
	dane := e.dane.Load()
	switch {
	case dane == nil && e.explains:
		return false, policy.ErrNotAsked
	case dane == nil:
		return false, errors.New("the DNS cannot be asked: see dns.resolver")
	}
	ctx, cancel := context.WithDeadline(ctx, e.deadline)
	defer cancel()
	subject := partner.Subject{Certificate: partner.Fingerprint(certificate), Key: partner.Fingerprint(key)}
	if c := e.store.Get(trust.Fingerprint(certificate)); c != nil {
		subject.X509 = c.X509
	} else if c := e.presented; c != nil && c.Fingerprint == certificate {
		subject.X509 = c.X509
	}
	return dane.Match(ctx, domain, subject)
}

// asImported adds what a certificate is stored with already, as an import keeps it.
func (g *Gate) asImported(c *policy.Certificate) *policy.Certificate {
	if c == nil {
		return nil
	}
	stored := g.evidence.store.Get(trust.Fingerprint(c.Fingerprint))
	if stored == nil {
		return c
	}
	kept := trust.Certificate{Presented: c.Presented}
	kept.Keep(stored)
	whole := *c
	whole.Presented = kept.Presented
	return &whole
}
