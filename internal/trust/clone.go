package trust

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// ErrCloneCA is returned for a certificate that is not a server's.
var ErrCloneCA = errors.New("it is the certificate of a CA, not of a server")

// CloneRequest returns a certificate request in PEM with subject and names of an
// existing certificate, byte for byte, for a new key.
func CloneRequest(of *x509.Certificate, key crypto.Signer) ([]byte, error) {
	if of.IsCA {
		return nil, ErrCloneCA
	}
	return request(key, &x509.CertificateRequest{RawSubject: of.RawSubject, ExtraExtensions: alternativeNames(of)})
}

// CloneSelfSigned returns a certificate in DER with subject and names of an
// existing one that its own new key signs: for partners who pin it. It is for
// client and server and valid from that time for so many days.
func CloneSelfSigned(of *x509.Certificate, key crypto.Signer, from time.Time, days int) ([]byte, error) {
	if of.IsCA {
		return nil, ErrCloneCA
	}
	serial, err := newSerial()
	if err != nil {
		return nil, fmt.Errorf("making a serial number: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		RawSubject:            of.RawSubject,
		NotBefore:             from,
		NotAfter:              from.AddDate(0, 0, days),
		BasicConstraintsValid: true, // and no CA
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		ExtraExtensions:       alternativeNames(of),
	}
	if _, ok := key.(*rsa.PrivateKey); ok {
		// For the RSA key exchange of TLS 1.2 (RFC 5246 section 7.4.2).
		template.KeyUsage |= x509.KeyUsageKeyEncipherment
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making a self-signed certificate: %w", err)
	}
	return der, nil
}

var oidSubjectAltNames = asn1.ObjectIdentifier{2, 5, 29, 17}

// alternativeNames returns the subject alternative names of a certificate as they stand in
// it, those of kinds that crypto/x509 does not know included.
func alternativeNames(of *x509.Certificate) []pkix.Extension {
	for _, extension := range of.Extensions {
		if extension.Id.Equal(oidSubjectAltNames) {
			return []pkix.Extension{extension}
		}
	}
	return nil
}

// newSerial returns a random positive number of 20 octets, the most that RFC
// 5280 section 4.1.2.2 allows.
func newSerial() (*big.Int, error) {
	var octets [20]byte
	if _, err := rand.Read(octets[:]); err != nil {
		return nil, err
	}
	octets[0] = octets[0]&0x7f | 0x40 // positive, and of full length
	return new(big.Int).SetBytes(octets[:]), nil
}
