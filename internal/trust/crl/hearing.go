package crl

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"domain-secured/internal/trust/dn"
)

// A hearing is a list being asked.
type hearing struct {
	complete, delta *Index // delta only if it goes with complete
	stale           bool   // delta is no longer current
	problem         error  // why it has no say at all
	elsewhere       error  // why it has none about the first point that was tried
	heard           bool
	covered         Reasons // by all lists of its key, if it is the first of them
}

// hear finds out whether a list is to be believed now, whatever it is about.
func (q *Question) hear(l List, at time.Time, grace time.Duration) hearing {
	h := hearing{complete: l.Complete}
	info := l.Complete.Info()
	switch {
	case info.Base != nil:
		h.problem = errors.New("it is a delta CRL, and no complete one")
	case info.ThisUpdate.After(at.Add(Skew)):
		h.problem = errors.New("it is of the future")
	default:
		h.problem = q.believes(info)
	}
	if h.problem != nil {
		return h
	}
	var without error // why the delta is left out
	if l.Delta != nil {
		if without = combines(info, l.Delta.Info(), at); without == nil {
			h.delta, h.stale = l.Delta, over(l.Delta.Info(), at, grace)
		}
	}
	// RFC 5280 section 5.2.4: what the two make together has the delta's nextUpdate.
	if over(info, at, grace) && (h.delta == nil || h.stale) {
		h.problem = fmt.Errorf("its next update was due %s", stamp(info.NextUpdate))
		if without != nil {
			h.problem = fmt.Errorf("%w, and %v is of no help: %w", h.problem, l.Delta.Info(), without)
		}
	}
	return h
}

// coveredSoFar is for which reasons lists by the key of one of the hearings were heard.
func (h *hearing) coveredSoFar(hearings []hearing) *Reasons {
	for i := range hearings {
		if hearings[i].complete.Info().SameKey(h.complete.Info()) {
			return &hearings[i].covered
		}
	}
	return &h.covered
}

// issued is when what the list says was so.
func (h *hearing) issued() time.Time {
	if h.delta != nil && !h.stale {
		return h.delta.Info().ThisUpdate
	}
	return h.complete.Info().ThisUpdate
}

// over reports whether a list is to be used no longer.
func over(info *Info, at time.Time, grace time.Duration) bool {
	return at.After(info.NextUpdate.Add(grace))
}

// RFC 5280 sections 5.2 and 5.3: such a list is not used "to determine the status
// of any certificates", not even of one that it has: who knows as what.
func unknownCritical(info *Info) error {
	return fmt.Errorf("it has a critical extension that is not known: %s", info.UnknownCritical[0])
}

// deltas counts the delta CRLs that have a say.
func (h *hearing) deltas() int {
	if h.delta != nil {
		return 1
	}
	return 0
}

// believes says why a list is not to be believed, whatever it is about.
func (q *Question) believes(info *Info) error {
	switch {
	case len(info.UnknownCritical) > 0:
		return unknownCritical(info)
	case info.point.onlyAttr:
		return errors.New("it is for attribute certificates only")
	case !q.isSigner(q.issuer, info) && !slices.ContainsFunc(q.signers, func(c *x509.Certificate) bool { return q.isSigner(c, info) }):
		return errors.New("its signer is neither who issued the certificate nor known to end in the same root")
	}
	return nil
}

func (q *Question) isSigner(c *x509.Certificate, info *Info) bool {
	return bytes.Equal(c.RawSubjectPublicKeyInfo, info.signer.RawSubjectPublicKeyInfo) &&
		dn.Same(c.RawSubject, info.Issuer) && maySign(c)
}

// combines says why a delta CRL cannot be combined with a complete list: RFC 5280
// sections 5.2.4 and 6.3.3 (c) and (h).
func combines(complete, delta *Info, at time.Time) error {
	switch {
	case delta.Base == nil:
		return errors.New("it is no delta CRL")
	case len(delta.UnknownCritical) > 0:
		return unknownCritical(delta)
	case !dn.Same(complete.Issuer, delta.Issuer):
		return errors.New("it has another issuer")
	case !bytes.Equal(complete.IssuingDistributionPoint, delta.IssuingDistributionPoint):
		return errors.New("it has another scope")
	case !sameKeyID(complete, delta):
		return errors.New("it is by another key")
	case complete.Number == nil || delta.Number == nil: // as in version 1
		return errors.New("one of them has no number")
	case complete.Number.Cmp(delta.Base) < 0:
		return fmt.Errorf("it builds on number %v", delta.Base)
	case complete.Number.Cmp(delta.Number) >= 0:
		return errors.New("it is not newer")
	case delta.ThisUpdate.After(at.Add(Skew)):
		return errors.New("it is of the future")
	}
	return nil
}

// sameKeyID reports whether two lists are by the same key, and say so.
func sameKeyID(a, b *Info) bool {
	return a.SameKey(b) && (bytes.Equal(a.AuthorityKeyID, b.AuthorityKeyID) || len(a.keyID) > 0 && bytes.Equal(a.keyID, b.keyID))
}

// finding is where a list has a certificate.
type finding struct {
	listed   bool
	reason   Reason
	delta    bool // the delta CRL decides, or for one that is not listed has part in it
	stale    bool // it is no longer current
	released bool // the delta CRL took it off hold
	err      error
}

// errRemoved: RFC 5280 section 5.3.1.
var errRemoved = errors.New("it has the certificate as removed, which only a delta CRL may")

func (h *hearing) find(issuer []byte, serial *big.Int) (f finding) {
	if h.delta != nil {
		f.reason, f.listed, f.err = h.delta.Lookup(issuer, serial)
		if f.err != nil {
			return f
		}
		if f.listed && f.reason != RemoveFromCRL {
			// What a delta CRL once said against the certificate stands until the next
			// complete list, even if there are newer ones that nobody has.
			f.delta, f.stale = true, h.stale
			return f
		}
		f.released = f.listed && !h.stale
	}
	f.reason, f.listed, f.err = h.complete.Lookup(issuer, serial)
	if f.err == nil && f.listed && f.reason == RemoveFromCRL {
		f.err = errRemoved
	}
	// RFC 5280 section 5.2.4 (b): only a hold ends.
	if f.released && f.reason == CertificateHold {
		f.listed = false
	}
	f.delta = !f.listed && h.delta != nil && !h.stale
	return f
}
