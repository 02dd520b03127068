package trust

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// checkPath holds a chain that crypto/x509 accepts to what it passes over: rules
// of RFC 5280 that carry security, and those that no authority in use breaks.
// What an anchor says about itself binds nobody (section 6.1.1 d), except whom it
// may sign for.
//
// Not here, for real authorities live without: key identifiers, criticality of
// constraints and of alternative names, a serial number that is not zero.
//
// selfIssued are the certificates that an authority issued to itself; the first of the
// chain is not among them. comparisons counts those of names, over all chains of a
// certificate.
func checkPath(chain []*x509.Certificate, selfIssued []bool, comparisons *int) error {
	for i, c := range chain {
		if err := checkCertificate(chain, i); err != nil {
			return fmt.Errorf("in the chain, %.200q: %w", c.Subject, err)
		}
	}
	if err := checkLengths(chain, selfIssued); err != nil {
		return err
	}
	return checkNames(chain, selfIssued, comparisons)
}

// checkLengths: RFC 5280 section 6.1.4 (l) and (m). What an authority issued to itself
// does not count, nor does the last certificate.
func checkLengths(chain []*x509.Certificate, selfIssued []bool) error {
	below := 0
	for i, c := range chain[1:] {
		if c.BasicConstraintsValid && c.MaxPathLen >= 0 && below > c.MaxPathLen {
			return fmt.Errorf("in the chain, %.200q: it may have %d authorities below it and has %d", c.Subject, c.MaxPathLen, below)
		}
		if !selfIssued[i+1] {
			below++
		}
	}
	return nil
}

func checkCertificate(chain []*x509.Certificate, i int) error {
	c, signs := chain[i], i > 0
	if signs {
		// RFC 5280 section 6.1.4 (n); crypto/x509 takes a key usage without any bit
		// for none.
		if _, ok := extension(c, oidKeyUsage); ok && c.KeyUsage&x509.KeyUsageCertSign == 0 {
			return errors.New("its key usage does not let it sign certificates")
		}
	}
	if i == len(chain)-1 {
		return nil
	}
	// RFC 5280 section 4.1.2.4.
	if emptySequence(c.RawIssuer) {
		return errors.New("its issuer has no name")
	}
	// RFC 5280 section 4.1.2.2 allows 20 octets. Authorities that fill all of them
	// with random bits need one more for the sign, and are let.
	if bits := c.SerialNumber.BitLen(); bits > 160 {
		return fmt.Errorf("its serial number has %d bits, more than 160", bits)
	}
	if err := checkEncoding(c); err != nil {
		return err
	}
	if err := checkPolicies(c); err != nil {
		return err
	}
	if !signs && !c.IsCA {
		return checkEndEntity(c)
	}
	return nil
}

func checkEndEntity(c *x509.Certificate) error {
	// RFC 5280 section 4.2.1.10.
	if _, ok := extension(c, oidNameConstraints); ok {
		return errors.New("it has name constraints, and is no authority")
	}
	// RFC 5280 section 4.2.1.9.
	if c.BasicConstraintsValid && c.KeyUsage&x509.KeyUsageCertSign != 0 {
		return errors.New("its key usage lets it sign certificates, and it is no authority")
	}
	return nil
}

// tlsUsages are the bits of key usage one of which a certificate for TLS needs:
// RFC 8446 section 4.4.2.2 and RFC 5246 section 7.4.2.
const tlsUsages = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement

// checkTLS is about the certificate of a mail server.
func checkTLS(leaf *x509.Certificate) error {
	// RFC 5280 section 4.2.1.3.
	if _, ok := extension(leaf, oidKeyUsage); ok && !leaf.IsCA && leaf.KeyUsage&tlsUsages == 0 {
		return fmt.Errorf("in the chain, %.200q: its key usage does not allow TLS", leaf.Subject)
	}
	return nil
}

// checkPolicies is what crypto/x509 leaves out of RFC 5280 sections 6.1.4 (a) and
// 4.2.1.11: it looks at mappings only while there is something to map, and takes
// a negative number of certificates for none.
func checkPolicies(c *x509.Certificate) error {
	for _, mapping := range c.PolicyMappings {
		if mapping.IssuerDomainPolicy.EqualASN1OID(oidAnyPolicy) || mapping.SubjectDomainPolicy.EqualASN1OID(oidAnyPolicy) {
			return errors.New("it maps the policy that stands for any")
		}
	}
	if c.RequireExplicitPolicy < 0 || c.InhibitPolicyMapping < 0 || c.InhibitAnyPolicy < 0 {
		return errors.New("its policy constraints count below zero")
	}
	return nil
}

// The extensions of RFC 5280 section 4.2.1 that decide about a chain.
var (
	oidKeyUsage          = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidSubjectAltName    = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidBasicConstraints  = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidNameConstraints   = asn1.ObjectIdentifier{2, 5, 29, 30}
	oidPolicies          = asn1.ObjectIdentifier{2, 5, 29, 32}
	oidAnyPolicy         = asn1.ObjectIdentifier{2, 5, 29, 32, 0}
	oidPolicyMappings    = asn1.ObjectIdentifier{2, 5, 29, 33}
	oidPolicyConstraints = asn1.ObjectIdentifier{2, 5, 29, 36}
	oidExtendedKeyUsage  = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidInhibitAnyPolicy  = asn1.ObjectIdentifier{2, 5, 29, 54}
)

// wholeExtensions are those that must be one value and nothing else; true for
// the sequences that must not be empty. crypto/x509 takes an extended key usage
// without any usage for one that allows everything.
var wholeExtensions = []struct {
	id     asn1.ObjectIdentifier
	filled bool
}{
	{oidKeyUsage, false}, {oidSubjectAltName, true}, {oidBasicConstraints, false},
	{oidNameConstraints, true}, {oidPolicies, true}, {oidPolicyMappings, true},
	{oidPolicyConstraints, true}, {oidExtendedKeyUsage, true}, {oidInhibitAnyPolicy, false},
}

func checkEncoding(c *x509.Certificate) error {
	if err := checkEnd(c); err != nil {
		return err
	}
	for _, kind := range wholeExtensions {
		value, ok := extension(c, kind.id)
		if !ok {
			continue
		}
		in := cryptobyte.String(value)
		var content cryptobyte.String
		var tag cbasn1.Tag
		if !in.ReadAnyASN1(&content, &tag) || !in.Empty() {
			return fmt.Errorf("its extension %s is followed by something else", kind.id)
		}
		if kind.filled && content.Empty() {
			return fmt.Errorf("its extension %s is empty", kind.id)
		}
	}
	return nil
}

// checkEnd makes sure that nothing was passed over at the end of a certificate:
// extensions above all, which crypto/x509 does not look for before version 3
// (RFC 5280 section 4.1.2.9), be they ever so critical.
func checkEnd(c *x509.Certificate) error {
	whole, tbs := cryptobyte.String(c.Raw), cryptobyte.String(c.RawTBSCertificate)
	ok := whole.ReadASN1(&whole, cbasn1.SEQUENCE) &&
		whole.SkipASN1(cbasn1.SEQUENCE) && whole.SkipASN1(cbasn1.SEQUENCE) && whole.SkipASN1(cbasn1.BIT_STRING) &&
		whole.Empty() &&
		tbs.ReadASN1(&tbs, cbasn1.SEQUENCE) && tbs.SkipOptionalASN1(context(0).Constructed()) && tbs.SkipASN1(cbasn1.INTEGER)
	for range 5 { // signature, issuer, validity, subject, subjectPublicKeyInfo
		ok = ok && tbs.SkipASN1(cbasn1.SEQUENCE)
	}
	if c.Version > 1 {
		ok = ok && tbs.SkipOptionalASN1(context(1)) && tbs.SkipOptionalASN1(context(2))
	}
	if c.Version > 2 {
		ok = ok && tbs.SkipOptionalASN1(context(3).Constructed())
	}
	if !ok || !tbs.Empty() {
		return fmt.Errorf("it says more than version %d of certificates has room for", c.Version)
	}
	return nil
}

func context(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific() }

// extension returns the value of an extension; crypto/x509 parses no certificate
// that has one twice.
func extension(c *x509.Certificate, id asn1.ObjectIdentifier) ([]byte, bool) {
	for _, e := range c.Extensions {
		if e.Id.Equal(id) {
			return e.Value, true
		}
	}
	return nil, false
}

// emptySequence reports whether der is a SEQUENCE OF nothing.
func emptySequence(der []byte) bool { return len(der) == 2 && der[1] == 0 }
