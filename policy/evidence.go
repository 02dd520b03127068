package policy

import (
	"context"
	"crypto/x509"
	"errors"
	"time"
)

// Evidence is what can be found out about a certificate. It is asked only for
// listed domains, and only when a rule needs the answer. An error means that the
// question could not be answered, which is never held against or in favour of
// the partner: it is [InternalError], a refusal for now.
type Evidence interface {
	// Certificate returns the stored certificate with this SHA-256, nil if none
	// is stored.
	Certificate(ctx context.Context, h Hash) (*Certificate, error)
	// Chains returns every chain from c to one of the roots that allows the
	// usage and is valid at that time: the leaf first, the root last. Without
	// any, reason says why.
	Chains(ctx context.Context, c *Certificate, roots *Roots, usage Usage, at time.Time) (chains []Chain, reason string, err error)
	// Revocation says what is known of the first certificate of a chain, which is
	// what is left of one of c's from there on to the root.
	Revocation(ctx context.Context, c *Certificate, chain Chain, at time.Time) (Revocation, error)
	// TLSA reports whether a TLSA record of the partner's hosts names the
	// certificate or its key, either of which may be none (RFC 7672 section 3.1.1).
	// The error is for DNS that failed or was bogus, or [ErrNotAsked].
	TLSA(ctx context.Context, domain string, certificate, key Hash) (bool, error)
}

// ErrNotAsked is for a question that was not put, since nothing is to leave the
// machine: it is neither for nor against the partner, and [Verdict.Open] has the
// rest. Only who explains may be told so.
var ErrNotAsked = errors.New("not looked up: that would leave this machine")

// Certificate is a partner's certificate.
type Certificate struct {
	Fingerprint Hash
	X509        *x509.Certificate // nil if it does not parse
	Err         error             // why it does not parse
	// Presented are the certificates that it came with, to build chains from.
	Presented []*x509.Certificate
}

// Chain is a path from a certificate to a root, both included.
type Chain = []*x509.Certificate

// Revocation is what is known about one certificate being revoked.
type Revocation struct {
	Status RevocationStatus
	Source RevocationSource // where a definite answer is from
	Detail string           // for the log: what was asked, what it said
	Open   bool             // it is unknown, and somebody was not asked: see [ErrNotAsked]
}

// RevocationStatus is the answer to "is it revoked?". The order is from good to
// bad: of two chains the one with the smaller worst status is taken.
type RevocationStatus int

const (
	RevocationGood        RevocationStatus = iota // it is not
	RevocationUnavailable                         // no source is named: nobody can be asked
	RevocationUnknown                             // a source is named but gave no usable answer
	RevocationOnHold                              // certificateHold (RFC 5280 section 5.3.1): for now
	RevocationRevoked                             // it is
)

func (s RevocationStatus) String() string {
	switch s {
	case RevocationGood:
		return "good"
	case RevocationUnavailable:
		return "unavailable"
	case RevocationOnHold:
		return "on-hold"
	case RevocationRevoked:
		return "revoked"
	}
	return "unknown"
}

// RevocationSource says how revocation was determined, in the words of the stamp.
type RevocationSource string

const (
	SourceCRL         RevocationSource = "crl"
	SourceOCSP        RevocationSource = "ocsp"
	SourceNotRequired RevocationSource = "not-required" // the leaf is short-lived
	SourceUnchecked   RevocationSource = "unchecked"
)
