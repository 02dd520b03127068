package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
)

// A KeyKind is an algorithm with its size.
type KeyKind string

// The kinds of keys. The empty kind is ECDSAP256. Making an RSA key takes a tenth of a second to a second.
const (
	ECDSAP256 KeyKind = "ecdsa-p256"
	ECDSAP224 KeyKind = "ecdsa-p224"
	ECDSAP384 KeyKind = "ecdsa-p384"
	RSA1024   KeyKind = "rsa1024"
	RSA2048   KeyKind = "rsa2048"
	RSA3072   KeyKind = "rsa3072"
	Ed25519   KeyKind = "ed25519"
)

func newKey(kind KeyKind) (crypto.Signer, error) {
	switch kind {
	case "", ECDSAP256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ECDSAP224:
		return ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	case ECDSAP384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case RSA1024:
		return rsa.GenerateKey(rand.Reader, 1024)
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("unknown kind of key %q", kind)
}
