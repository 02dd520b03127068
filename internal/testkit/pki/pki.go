// Package pki makes certificates in memory: authorities, and leaves with whatever is wrong with them
// that a test needs. Nothing is written to disk.
package pki

import (
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
)

// A Certificate is a certificate with its key and what its owner presents beside it.
type Certificate struct {
	Leaf  *x509.Certificate
	DER   []byte
	Chain []*x509.Certificate // the authorities above Leaf, nearest first, without the root
	Key   crypto.Signer

	keyDER []byte // PKCS #8
}

// A CA is an authority: a certificate that signs others. Since Leaf is also its method for that, its own
// certificate is Certificate.Leaf.
type CA struct {
	Certificate
	root bool
}

// TLSCertificate returns c as crypto/tls wants it: the leaf, its intermediates, the key.
func (c *Certificate) TLSCertificate() tls.Certificate {
	t := tls.Certificate{Certificate: [][]byte{c.DER}, PrivateKey: c.Key, Leaf: c.Leaf}
	for _, above := range c.Chain {
		t.Certificate = append(t.Certificate, above.Raw)
	}
	return t
}

// PEM returns the leaf and its intermediates, the way a server presents them.
func (c *Certificate) PEM() []byte {
	text := block("CERTIFICATE", c.DER)
	for _, above := range c.Chain {
		text = append(text, block("CERTIFICATE", above.Raw)...)
	}
	return text
}

// KeyPEM returns the private key as PKCS #8. Whoever writes it to a file gives that mode 0600.
func (c *Certificate) KeyPEM() []byte { return block("PRIVATE KEY", c.keyDER) }

// Fingerprint returns the SHA-256 of the certificate as Postfix writes it: upper-case hex with colons,
// see smtpd_tls_fingerprint_digest in postconf(5).
func (c *Certificate) Fingerprint() string { return Fingerprint(c.DER) }

// KeyFingerprint returns the SHA-256 of the public key (SubjectPublicKeyInfo), written like Fingerprint.
func (c *Certificate) KeyFingerprint() string { return Fingerprint(c.Leaf.RawSubjectPublicKeyInfo) }

// Pool returns a pool with c alone in it.
func (c *Certificate) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.Leaf)
	return pool
}

// Fingerprint returns the SHA-256 of der the way Postfix writes it.
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	var b strings.Builder
	for i, octet := range sum {
		if i > 0 {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%02X", octet)
	}
	return b.String()
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
