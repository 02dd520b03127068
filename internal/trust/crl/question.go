package crl

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"domain-secured/internal/trust/dn"
)

// Skew is by how much the clock of who issues a list may be ahead of ours.
const Skew = 5 * time.Minute

// A List is what speaks of one scope: a complete list, and a delta CRL to it or
// nil. Without a complete list it says nothing.
type List struct{ Complete, Delta *Index }

// A Question is whether one certificate is revoked. It may be asked many times,
// also at the same time.
type Question struct {
	certificate, issuer *x509.Certificate
	signers             []*x509.Certificate
	points              []Point
}

// NewQuestion prepares the question whether a certificate is revoked, of which
// issuer is the next one in its chain.
//
// A list is believed if the issuer's key signed it, or that of one of the signers:
// for each of them the caller has found a valid chain that ends in the same trust
// anchor as the certificate's (RFC 5280 section 6.3.3 (f)). The error is for a
// certificate whose distribution points cannot be read.
func NewQuestion(certificate, issuer *x509.Certificate, signers ...*x509.Certificate) (*Question, error) {
	points, err := Points(certificate)
	if err != nil {
		return nil, err
	}
	// RFC 5280 section 6.3.3, at its end: a list by the issuer that no distribution
	// point names.
	own := Point{Reasons: AllReasons, Names: []Name{{Tag: tagDirectoryName, Value: certificate.RawIssuer}}}
	if names, ok := parseNames(extensionOf(certificate, oidIssuerAltName)); ok {
		own.Names = append(own.Names, names...)
	}
	return &Question{certificate: certificate, issuer: issuer, signers: signers, points: append(points, own)}, nil
}

// Points are the certificate's distribution points, in their order.
func (q *Question) Points() []Point { return q.points[:len(q.points)-1] }

// Ask asks the lists, the newest first, until those that have a say cover every
// reason: RFC 5280 section 6.3.3. It does so for each key that signed some: there are
// issuers whose lists by one key have only what that key issued. A list that has no
// say about the certificate does no harm. One whose nextUpdate has passed is believed
// for grace longer.
func (q *Question) Ask(at time.Time, grace time.Duration, lists ...List) Answer {
	var a Answer
	var space [4]hearing
	hearings := space[:0]
	for _, l := range lists {
		if l.Complete != nil {
			hearings = append(hearings, q.hear(l, at, grace))
		}
	}
	slices.SortStableFunc(hearings, func(a, b hearing) int {
		if newer := b.issued().Compare(a.issued()); newer != 0 {
			return newer
		}
		// A delta CRL that is no longer current may still have something against the
		// certificate.
		return b.deltas() - a.deltas()
	})
	for i := range hearings {
		h := &hearings[i]
		covered := h.coveredSoFar(hearings)
		for j := range q.points {
			if h.problem != nil || *covered == AllReasons {
				break
			}
			reasons, elsewhere := q.applies(h.complete.Info(), &q.points[j])
			if h.elsewhere == nil {
				h.elsewhere = elsewhere
			}
			a.take(q, h, reasons, covered)
		}
	}
	// An index that cannot be read might be the one that has it.
	if a.Status == Unknown && a.Covered == AllReasons && a.Err == nil {
		a.Status = Good
	}
	if a.Status == Unknown {
		a.By = nil
		a.explain(hearings)
	}
	return a
}

// Concerns says why a list, complete or delta, can say nothing about the
// certificate, whatever the time and the other lists.
func (q *Question) Concerns(info *Info) error {
	err := q.believes(info)
	if err != nil {
		return err
	}
	for i := range q.points {
		reasons, problem := q.applies(info, &q.points[i])
		if reasons != 0 {
			return nil
		}
		if err == nil {
			err = problem
		}
	}
	return err
}

// applies returns for which reasons a list speaks of the certificate by a
// distribution point, or why it does not: RFC 5280 section 6.3.3 (b) and (d).
func (q *Question) applies(info *Info, p *Point) (reasons Reasons, problem error) {
	idp := &info.point
	switch c := q.certificate; {
	case len(p.CRLIssuer) > 0 && !idp.indirect:
		problem = errors.New("it is no indirect CRL, which the certificate wants")
	case len(p.CRLIssuer) > 0 && !hasName(directoryNames(p.CRLIssuer), info.Issuer),
		len(p.CRLIssuer) == 0 && !dn.Same(c.RawIssuer, info.Issuer):
		problem = errors.New("it has another issuer than the certificate wants")
	case len(idp.names) > 0 && !sharesName(idp.names, p.named()):
		problem = errors.New("it is for other distribution points than the certificate's")
	case (idp.onlyUser || idp.onlyCA) && c.Version < 3: // section 5.2.5
		problem = errors.New("it is not for certificates of version 1")
	case idp.onlyUser && isCA(c):
		problem = errors.New("it is not for certificates of CAs")
	case idp.onlyCA && !isCA(c):
		problem = errors.New("it is for certificates of CAs only")
	case idp.reasons&p.Reasons == 0:
		problem = errors.New("it is for other reasons than the distribution point")
	}
	if problem != nil {
		return 0, problem
	}
	return idp.reasons & p.Reasons, nil
}

// named are the names that a list's distribution point is compared with.
func (p *Point) named() []Name {
	if len(p.Names) == 0 {
		return p.CRLIssuer
	}
	return p.Names
}

func isCA(c *x509.Certificate) bool { return c.BasicConstraintsValid && c.IsCA }

func hasName(names [][]byte, name []byte) bool {
	for _, one := range names {
		if dn.Same(one, name) {
			return true
		}
	}
	return false
}

// take looks into a list that speaks of the certificate for these reasons: RFC
// 5280 section 6.3.3 (e) and (i) to (l).
func (a *Answer) take(q *Question, h *hearing, reasons Reasons, covered *Reasons) {
	if reasons&^*covered == 0 {
		return
	}
	f := h.find(q.certificate.RawIssuer, q.certificate.SerialNumber)
	if f.err != nil {
		h.problem = f.err
		if a.Err == nil && !errors.Is(f.err, errRemoved) {
			a.Err = f.err
		}
		return
	}
	h.heard = true
	*covered |= reasons
	a.Covered |= reasons
	var status Status
	switch {
	case !f.listed:
		if a.Status == Unknown {
			a.By = append(a.By, h.complete.Info())
			if f.delta {
				a.By = append(a.By, h.delta.Info())
			}
			a.released = a.released || f.released
		}
		return
	case f.reason == CertificateHold:
		status = Hold
	default:
		status = Revoked
	}
	// Another list may say worse than that it is on hold, none says better.
	if status > a.Status {
		a.Status, a.Reason, a.stale = status, f.reason, f.stale
		a.By = []*Info{h.complete.Info()}
		if f.delta {
			a.By[0] = h.delta.Info()
		}
	}
}

// maxWhy bounds the lists that are told of: a file may have a thousand.
const maxWhy = 8

// explain says why it is unknown.
func (a *Answer) explain(hearings []hearing) {
	for i := range hearings {
		h := &hearings[i]
		if len(a.why) == maxWhy {
			a.why = append(a.why, fmt.Sprintf("and so on, %d lists in all", len(hearings)))
			break
		}
		problem := h.problem
		if problem == nil && !h.heard {
			problem = h.elsewhere
		}
		if problem != nil {
			a.why = append(a.why, fmt.Sprintf("%v: %v", h.complete.Info(), problem))
		}
	}
	if a.Covered != 0 && a.Covered != AllReasons {
		a.why = append(a.why, fmt.Sprintf("not listed for %v, but nothing is known about %v", a.Covered, AllReasons&^a.Covered))
	}
}
