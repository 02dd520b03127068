package trust

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
)

// A KeyKind is a kind of private key that [NewKey] makes.
type KeyKind string

// The kinds of keys: what every mail server and every CA of today takes.
const (
	KeyECDSAP256 KeyKind = "ecdsa-p256"
	KeyRSA3072   KeyKind = "rsa-3072"
)

// KindOf returns the kind of key to follow a certificate's: RSA for RSA, else
// ECDSA.
func KindOf(c *x509.Certificate) KeyKind {
	if c.PublicKeyAlgorithm == x509.RSA {
		return KeyRSA3072
	}
	return KeyECDSAP256
}

// NewKey makes a private key.
func NewKey(kind KeyKind) (crypto.Signer, error) {
	switch kind {
	case KeyECDSAP256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case KeyRSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	}
	return nil, fmt.Errorf("%q is no kind of key: want %s or %s", kind, KeyECDSAP256, KeyRSA3072)
}

// blockKey is the PEM type of a key in PKCS #8 (RFC 7468 section 10).
const blockKey = "PRIVATE KEY"

// MarshalKey returns a private key in PEM, unencrypted, as mail servers read it.
func MarshalKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: blockKey, Bytes: der}), nil
}

// PublicKeyFingerprint is [KeyFingerprint] of a key that has no certificate yet.
func PublicKeyFingerprint(key crypto.PublicKey) (Fingerprint, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return Fingerprint{}, fmt.Errorf("encoding a public key: %w", err)
	}
	return sha256.Sum256(der), nil
}

// MaxNames bounds the names of one request. CAs sign 100 or so.
const MaxNames = 1000

// NewRequest returns a certificate request in PEM (PKCS #10, RFC 2986) for the
// DNS names, as subjectAltName in its extensionRequest (RFC 2985 section 5.4.2).
// The common name is left out if it is "". The caller has checked the names.
func NewRequest(key crypto.Signer, commonName string, names []string) ([]byte, error) {
	if len(names) > MaxNames {
		return nil, fmt.Errorf("%d names are too many for one certificate: want %d at most", len(names), MaxNames)
	}
	return request(key, &x509.CertificateRequest{Subject: pkix.Name{CommonName: commonName}, DNSNames: names})
}

func request(key crypto.Signer, template *x509.CertificateRequest) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, fmt.Errorf("making a certificate request: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// MarshalCertificates returns certificates in PEM, one after the other.
func MarshalCertificates(certificates ...*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range certificates {
		writePEM(&b, c.Raw)
	}
	return b.Bytes()
}
