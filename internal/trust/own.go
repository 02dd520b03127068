package trust

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"domain-secured/internal/trust/dn"
)

// Own is a certificate of ours with its private key, in the order in which a
// mail server presents it.
type Own struct {
	Key crypto.Signer
	// Chain is the leaf, then the certificate that issued it, and so on, without the
	// root, which nobody believes because it was presented (RFC 8446 section 4.4.2).
	Chain []*x509.Certificate
	// Roots are self-signed certificates and Strangers others that are not in Chain.
	Roots, Strangers []*x509.Certificate
}

// What is missing in a [Bundle].
var (
	ErrNoKey       = errors.New("there is no private key")
	ErrSeveralKeys = errors.New("there are several private keys: only one can be a certificate's")
)

// maxOwnChain bounds a chain, leaf included. Real ones have two or three.
const maxOwnChain = 20

// Own puts a bundle in order: the certificate that the key is of, then its chain,
// whatever the order was. A chain that does not connect is no error: see
// [Own.Gap].
func (b *Bundle) Own() (*Own, error) {
	switch {
	case len(b.Keys) == 0:
		return nil, ErrNoKey
	case slices.ContainsFunc(b.Keys, func(k crypto.Signer) bool { return !sameKey(k.Public(), b.Keys[0].Public()) }):
		return nil, ErrSeveralKeys
	case len(b.Certificates) == 0:
		return nil, ErrNoCertificate
	}
	own := &Own{Key: b.Keys[0]}
	leaf := newest(b.Certificates, func(c *x509.Certificate) bool { return sameKey(c.PublicKey, own.Key.Public()) })
	if leaf == nil {
		return nil, fmt.Errorf("the private key belongs to none of the certificates (%d)", len(b.Certificates))
	}
	own.Chain = []*x509.Certificate{leaf}
	for top := leaf; top != nil && !selfSigned(top) && len(own.Chain) < maxOwnChain; {
		top = newest(b.Certificates, func(c *x509.Certificate) bool {
			return issued(c, top) && !selfSigned(c) && !slices.ContainsFunc(own.Chain, c.Equal)
		})
		if top != nil {
			own.Chain = append(own.Chain, top)
		}
	}
	for _, c := range b.Certificates {
		others := &own.Strangers
		if selfSigned(c) {
			others = &own.Roots
		}
		if !slices.ContainsFunc(own.Chain, c.Equal) && !slices.ContainsFunc(*others, c.Equal) {
			*others = append(*others, c)
		}
	}
	return own, nil
}

// Gap returns the last certificate of the chain if nothing that was there issued
// it: a root that partners have must have, or the chain does not connect. Else it
// is nil.
func (o *Own) Gap() *x509.Certificate {
	top := o.Chain[len(o.Chain)-1]
	if selfSigned(top) || slices.ContainsFunc(o.Roots, func(root *x509.Certificate) bool { return issued(root, top) }) {
		return nil
	}
	return top
}

// Marshal returns the text of a file as smtpd_tls_chain_files and
// smtp_tls_chain_files of postconf(5) want it: the key, the leaf, the rest.
func (o *Own) Marshal() ([]byte, error) {
	key, err := MarshalKey(o.Key)
	if err != nil {
		return nil, err
	}
	return append(key, MarshalCertificates(o.Chain...)...), nil
}

// newest returns that of the certificates that fits and was made last, or nil.
func newest(certificates []*x509.Certificate, fits func(*x509.Certificate) bool) (found *x509.Certificate) {
	for _, c := range certificates {
		if fits(c) && (found == nil || c.NotBefore.After(found.NotBefore)) {
			found = c
		}
	}
	return found
}

// issued reports whether issuer signed c.
func issued(issuer, c *x509.Certificate) bool {
	return dn.Same(issuer.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(issuer) == nil
}

// selfSigned reports whether c is signed by its own key. It need not be a CA's.
func selfSigned(c *x509.Certificate) bool {
	return dn.Same(c.RawSubject, c.RawIssuer) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

func sameKey(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b)
}
