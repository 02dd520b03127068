package crlmaker

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha1" // for crypto.Hash.New
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// An algorithm is how to sign, and what that is called.
type algorithm struct {
	der     []byte // AlgorithmIdentifier
	hash    crypto.Hash
	options crypto.SignerOpts
}

var identifiers = map[x509.SignatureAlgorithm]struct {
	id   string
	hash crypto.Hash
}{
	x509.SHA1WithRSA:      {"1.2.840.113549.1.1.5", crypto.SHA1},
	x509.SHA256WithRSA:    {"1.2.840.113549.1.1.11", crypto.SHA256},
	x509.SHA384WithRSA:    {"1.2.840.113549.1.1.12", crypto.SHA384},
	x509.SHA512WithRSA:    {"1.2.840.113549.1.1.13", crypto.SHA512},
	x509.SHA256WithRSAPSS: {"1.2.840.113549.1.1.10", crypto.SHA256},
	x509.SHA384WithRSAPSS: {"1.2.840.113549.1.1.10", crypto.SHA384},
	x509.SHA512WithRSAPSS: {"1.2.840.113549.1.1.10", crypto.SHA512},
	x509.ECDSAWithSHA1:    {"1.2.840.10045.4.1", crypto.SHA1},
	x509.ECDSAWithSHA256:  {"1.2.840.10045.4.3.2", crypto.SHA256},
	x509.ECDSAWithSHA384:  {"1.2.840.10045.4.3.3", crypto.SHA384},
	x509.ECDSAWithSHA512:  {"1.2.840.10045.4.3.4", crypto.SHA512},
	x509.PureEd25519:      {"1.3.101.112", 0},
}

var hashes = map[crypto.Hash]string{
	crypto.SHA256: "2.16.840.1.101.3.4.2.1",
	crypto.SHA384: "2.16.840.1.101.3.4.2.2",
	crypto.SHA512: "2.16.840.1.101.3.4.2.3",
}

func (o Options) algorithm() (a algorithm, err error) {
	chosen := o.Algorithm
	if chosen == 0 {
		switch o.Key.Public().(type) {
		case *rsa.PublicKey:
			chosen = x509.SHA256WithRSA
		case *ecdsa.PublicKey:
			chosen = x509.ECDSAWithSHA256
		case ed25519.PublicKey:
			chosen = x509.PureEd25519
		}
	}
	known, ok := identifiers[chosen]
	if !ok {
		return a, fmt.Errorf("cannot sign with %v", chosen)
	}
	a.hash, a.options = known.hash, known.hash
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addOID(b, known.id)
		switch chosen {
		case x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS:
			a.options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: known.hash}
			addPSS(b, known.hash)
		case x509.SHA1WithRSA, x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA:
			b.AddASN1NULL()
		}
	})
	a.der, err = b.Bytes()
	return a, err
}

// addPSS adds RSASSA-PSS-params (RFC 4055 section 3.1).
func addPSS(b *cryptobyte.Builder, hash crypto.Hash) {
	tag := func(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }
	hashID := func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addOID(b, hashes[hash])
			b.AddASN1NULL()
		})
	}
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(tag(0), hashID)
		b.AddASN1(tag(1), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addOID(b, "1.2.840.113549.1.1.8")
				hashID(b)
			})
		})
		b.AddASN1(tag(2), func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(hash.Size())) })
	})
}
