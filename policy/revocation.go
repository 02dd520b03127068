package policy

import (
	"fmt"
	"time"
)

// shortLived is the lifetime up to which a certificate is not asked for
// revocation: it ends before word of it would spread. CA/Browser Forum Baseline
// Requirements section 1.6.1 ("Short-lived Subscriber Certificate").
const shortLived = 7 * 24 * time.Hour

// notRevoked is row 16, and the one place where revocation is asked: of every
// certificate of a chain below its root. One good chain is enough, so of several
// the best counts.
func (v *vetting) notRevoked() finding {
	if why, skip := v.noRevocation(); skip {
		v.source = SourceUnchecked
		return why
	}
	for i, chain := range v.chains {
		worst, source, err := v.askChain(chain)
		if err != nil {
			return fail(InternalError, "asking for revocation: %v", err)
		}
		if i == 0 || worst.Status < v.revocation.Status {
			v.revocation, v.source = worst, source
		}
	}
	v.asked = true
	if v.revocation.Status == RevocationRevoked {
		return fail(CertificateRevoked, "%s", v.revocation.Detail)
	}
	return fine
}

// askChain returns the worst answer for a certificate of the chain, and where
// the answer for the leaf is from.
func (v *vetting) askChain(chain Chain) (worst Revocation, source RevocationSource, err error) {
	source = SourceUnchecked // a leaf that is a root itself
	for i, c := range chain[:len(chain)-1] {
		if i == 0 && c.NotAfter.Sub(c.NotBefore) <= shortLived {
			source = SourceNotRequired
			continue
		}
		answer, err := v.evidence.Revocation(v.ctx, v.certificate, chain[i:], v.at)
		if err != nil {
			return Revocation{}, "", err
		}
		if i == 0 && answer.Status == RevocationGood {
			source = answer.Source
		}
		if answer.Status > worst.Status {
			worst = answer
			if i > 0 {
				worst.Detail = fmt.Sprintf("in the chain, of %q: %s", c.Subject, answer.Detail)
			}
		}
	}
	return worst, source, nil
}

func (v *vetting) sourceNamed() finding {
	if why, skip := v.noAnswer(); skip {
		return why
	}
	if v.revocation.Status != RevocationUnavailable {
		return fine
	}
	if v.partner.Revocation == RevocationIfAvailable {
		return ok(`none is named, and revocation = "if-available"`)
	}
	return fail(RevocationNotAvailable, "%s", v.revocation.Detail)
}

func (v *vetting) revocationKnown() finding {
	if why, skip := v.noAnswer(); skip {
		return why
	}
	switch v.revocation.Status {
	case RevocationUnknown:
		unknown := fail(RevocationNotKnown, "%s", v.revocation.Detail)
		unknown.open = v.revocation.Open
		return unknown
	case RevocationOnHold:
		return fail(CertificateOnHold, "%s", v.revocation.Detail)
	}
	return ok(string(v.source))
}

// noRevocation says why revocation is not asked.
func (v *vetting) noRevocation() (finding, bool) {
	switch {
	case v.partner.Revocation == RevocationOff:
		return skipped(`revocation = "off"`), true
	case len(v.chains) == 0:
		return skipped("no chain"), true
	}
	return finding{}, false
}

func (v *vetting) noAnswer() (finding, bool) {
	if why, skip := v.noRevocation(); skip {
		return why, true
	}
	if !v.asked {
		return skipped("not asked"), true
	}
	return finding{}, false
}
