package ocsp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	oid "encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"

	"domain-secured/internal/trust/dn"
)

// MaxResponse is how many octets an answer may have.
const MaxResponse = 20 << 10

var (
	// ErrTransient is for a responder that says that it cannot answer now.
	ErrTransient = errors.New("no OCSP answer for now")
	// ErrUnusable is for an answer that must not be believed.
	ErrUnusable = errors.New("OCSP answer not usable")
)

// A Status is what an answer says of a certificate.
type Status int

// The statuses. Good says that it is not known to be revoked, not that it was ever
// issued (RFC 6960 section 2.2). Unknown is not good.
const (
	Unknown Status = iota
	Good
	Revoked
)

func (s Status) String() string {
	switch s {
	case Good:
		return "good"
	case Revoked:
		return "revoked"
	}
	return "unknown"
}

// Options are what Check goes by.
type Options struct {
	Skew   time.Duration // by how much clocks may differ; 0 is 5 minutes
	MaxAge time.Duration // of an answer that does not say when the next comes; 0 is 24 hours
}

// An Answer is one to be believed about a certificate.
type Answer struct {
	Status    Status
	RevokedAt time.Time // if revoked
	Reason    int       // if revoked: a CRLReason (RFC 5280 section 5.3.1), 0 also when none is given
	Hold      bool      // revoked for the time being: reason certificateHold

	ProducedAt, ThisUpdate time.Time
	NextUpdate             time.Time // zero when the responder does not say
	Until                  time.Time // until when it may be believed, skew aside

	// Responder is the certificate of whom the issuer delegated answering to, nil if the issuer answered
	// itself. Unless NoCheck (id-pkix-ocsp-nocheck) is set, the caller makes sure by other means that it is
	// not revoked.
	Responder *x509.Certificate
	NoCheck   bool
}

// Check judges a response about cert as of at. issuer is the certificate above
// cert in a chain that was verified. Errors are [ErrTransient] or [ErrUnusable].
func Check(response []byte, cert, issuer *x509.Certificate, at time.Time, o Options) (Answer, error) {
	if o.Skew == 0 {
		o.Skew = 5 * time.Minute
	}
	if o.MaxAge == 0 {
		o.MaxAge = 24 * time.Hour
	}
	answer, err := check(response, cert, issuer, at, o)
	if err == nil {
		return answer, nil
	}
	class := ErrUnusable
	if status, is := err.(responderStatus); is && (status == 2 || status == 3 || status == 6) {
		class = ErrTransient
	}
	return Answer{}, fmt.Errorf("%w: %w", class, err)
}

func check(response []byte, cert, issuer *x509.Certificate, at time.Time, o Options) (Answer, error) {
	if len(response) > MaxResponse {
		return Answer{}, fmt.Errorf("it has more than %d octets", MaxResponse)
	}
	b, err := parse(response)
	if err != nil {
		return Answer{}, err
	}
	responder, err := b.signer(issuer, at)
	if err != nil {
		return Answer{}, err
	}
	s, err := b.about(cert, issuer)
	if err != nil {
		return Answer{}, err
	}
	if b.critical || s.critical { // RFC 6960 section 4.4, RFC 5280 section 4.2
		return Answer{}, errors.New("it has a critical extension")
	}
	until, err := s.current(at, o)
	if err != nil {
		return Answer{}, err
	}
	if responder != nil && responder.NotAfter.Before(until) {
		until = responder.NotAfter
	}
	return Answer{
		Status: s.status, RevokedAt: s.revokedAt, Reason: s.reason, Hold: s.status == Revoked && s.reason == certificateHold,
		ProducedAt: b.produced, ThisUpdate: s.thisUpdate, NextUpdate: s.nextUpdate, Until: until,
		Responder: responder, NoCheck: responder != nil && hasNoCheck(responder),
	}, nil
}

const certificateHold = 6 // RFC 5280 section 5.3.1

// about returns what is said about cert. Twice is as bad as not at all: nothing
// tells which is meant.
func (b *basic) about(cert, issuer *x509.Certificate) (*single, error) {
	var found *single
	for i := range b.singles {
		s := &b.singles[i]
		if !s.id.is(cert, issuer) {
			continue
		}
		if found != nil {
			return nil, errors.New("it speaks twice about the certificate")
		}
		found = s
	}
	if found == nil {
		return nil, errors.New("it is not about this certificate of this issuer")
	}
	return found, nil
}

// current holds s to the clock (RFC 6960 section 4.2.2.1) and returns until when
// it may be believed.
func (s *single) current(at time.Time, o Options) (time.Time, error) {
	until := s.nextUpdate
	if until.IsZero() {
		until = s.thisUpdate.Add(o.MaxAge)
	}
	switch {
	case s.thisUpdate.After(at.Add(o.Skew)):
		return until, fmt.Errorf("it is from the future: %s", stamp(s.thisUpdate))
	case until.Before(s.thisUpdate):
		return until, errors.New("its next update is before its last")
	case until.Before(at.Add(-o.Skew)) && s.nextUpdate.IsZero():
		return until, fmt.Errorf("it is of %s, names no next update, and is older than %v", stamp(s.thisUpdate), o.MaxAge)
	case until.Before(at.Add(-o.Skew)):
		return until, fmt.Errorf("it was to be renewed at %s", stamp(s.nextUpdate))
	}
	return until, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// signer finds who signed b and whether that is anybody to answer for issuer (RFC
// 6960 section 4.2.2.2): nil is the issuer itself.
func (b *basic) signer(issuer *x509.Certificate, at time.Time) (*x509.Certificate, error) {
	if b.algorithm == x509.UnknownSignatureAlgorithm {
		return nil, errors.New("it is signed with an algorithm that is not accepted")
	}
	known := false
	if b.names(issuer) {
		known = true
		if b.signedBy(issuer) {
			return nil, nil
		}
	}
	var why error
	for _, c := range b.certificates {
		if !b.names(c) {
			continue
		}
		known = true
		if !b.signedBy(c) {
			continue
		}
		err := delegated(c, issuer, at)
		if err == nil {
			return c, nil
		}
		why = err
	}
	if why != nil {
		return nil, why
	}
	if !known {
		return nil, errors.New("its signer is neither the issuer nor in it")
	}
	return nil, errors.New("its signature is wrong")
}

// names reports whether c is whom b says it is from.
func (b *basic) names(c *x509.Certificate) bool {
	if b.responderKey == nil {
		return dn.Same(b.responderName, c.RawSubject)
	}
	bits, err := publicKeyBits(c)
	return err == nil && bytes.Equal(b.responderKey, sum(crypto.SHA1, bits))
}

func (b *basic) signedBy(c *x509.Certificate) bool {
	return c.CheckSignature(b.algorithm, b.tbs, b.signature) == nil
}

// delegated reports what keeps c from answering for issuer.
func delegated(c, issuer *x509.Certificate, at time.Time) error {
	const signing = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	switch {
	// CheckSignatureFrom asks whether issuer may sign certificates, and refuses SHA-1.
	case !dn.Same(c.RawIssuer, issuer.RawSubject) || c.CheckSignatureFrom(issuer) != nil:
		return errors.New("its signer was not certified by the issuer itself")
	case !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning): // anyExtendedKeyUsage does not do
		return errors.New("its signer is not certified for OCSP")
	case c.KeyUsage != 0 && c.KeyUsage&signing == 0: // RFC 5280 section 4.2.1.12
		return errors.New("its signer's key is not for signing")
	case at.Before(c.NotBefore):
		return fmt.Errorf("its signer's certificate is valid from %s", stamp(c.NotBefore))
	case at.After(c.NotAfter):
		return fmt.Errorf("its signer's certificate expired at %s", stamp(c.NotAfter))
	case len(c.UnhandledCriticalExtensions) > 0:
		return errors.New("its signer's certificate has an unknown critical extension")
	case weak(c):
		return errors.New("its signer's key is too weak")
	}
	return nil
}

// weak is what is weaker than 112 bits (NIST SP 800-57 part 1 section 5.6.1), of
// the keys whose signatures can be checked.
func weak(c *x509.Certificate) bool {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() < 2048
	case *ecdsa.PublicKey:
		return key.Curve.Params().BitSize < 256
	}
	return false
}

var oidNoCheck = oid.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5} // RFC 6960 section 4.2.2.2.1

func hasNoCheck(c *x509.Certificate) bool {
	for _, extension := range c.Extensions {
		if extension.Id.Equal(oidNoCheck) {
			return true
		}
	}
	return false
}
