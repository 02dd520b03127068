package crl

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.Hash.New
	_ "crypto/sha512"
	"fmt"
	"hash"
	"io"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxAlgorithm is the octets of an AlgorithmIdentifier.
const maxAlgorithm = 1 << 10

// An algorithm is how a list is signed.
type algorithm struct {
	kind scheme
	hash crypto.Hash // 0 for Ed25519
	salt int         // octets, for RSA-PSS
}

type scheme int

const (
	schemeRSA scheme = iota + 1 // PKCS #1 v1.5
	schemePSS
	schemeECDSA
	schemeEd25519
)

const (
	oidPSS  oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"
	oidMGF1 oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"
)

// RFC 4055 section 5, RFC 5758 section 3.2, RFC 8410 section 3. What is not here
// is refused: SHA-1 and MD5 because they are broken.
var algorithms = map[oid]algorithm{
	"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b": {kind: schemeRSA, hash: crypto.SHA256},
	"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c": {kind: schemeRSA, hash: crypto.SHA384},
	"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d": {kind: schemeRSA, hash: crypto.SHA512},
	"\x2a\x86\x48\xce\x3d\x04\x03\x02":     {kind: schemeECDSA, hash: crypto.SHA256},
	"\x2a\x86\x48\xce\x3d\x04\x03\x03":     {kind: schemeECDSA, hash: crypto.SHA384},
	"\x2a\x86\x48\xce\x3d\x04\x03\x04":     {kind: schemeECDSA, hash: crypto.SHA512},
	"\x2b\x65\x70":                         {kind: schemeEd25519},
}

// broken are named in the error, for they are met.
var broken = map[oid]string{
	"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04": "RSA with MD5",
	"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05": "RSA with SHA-1",
	"\x2a\x86\x48\xce\x3d\x04\x01":         "ECDSA with SHA-1",
	"\x2a\x86\x48\xce\x38\x04\x03":         "DSA with SHA-1",
}

var pssHashes = map[oid]crypto.Hash{
	"\x60\x86\x48\x01\x65\x03\x04\x02\x01": crypto.SHA256,
	"\x60\x86\x48\x01\x65\x03\x04\x02\x02": crypto.SHA384,
	"\x60\x86\x48\x01\x65\x03\x04\x02\x03": crypto.SHA512,
}

// parseAlgorithm reads an AlgorithmIdentifier.
func parseAlgorithm(b []byte) (a algorithm, err error) {
	id, parameters, ok := readAlgorithm(cryptobyte.String(b))
	if !ok {
		return a, fmt.Errorf("%w: its signature algorithm cannot be read", ErrMalformed)
	}
	if id == oidPSS {
		return parsePSS(parameters)
	}
	a, known := algorithms[id]
	if !known {
		name := broken[id]
		if name == "" {
			name = id.String()
		}
		return a, fmt.Errorf("%w: %s", ErrAlgorithm, name)
	}
	null := bytes.Equal(parameters, []byte{0x05, 0x00})
	if len(parameters) > 0 && !(a.kind == schemeRSA && null) {
		return a, fmt.Errorf("%w: its signature algorithm has parameters that it cannot have", ErrMalformed)
	}
	return a, nil
}

func readAlgorithm(in cryptobyte.String) (id oid, parameters cryptobyte.String, ok bool) {
	var list, content cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() || !list.ReadASN1(&content, cbasn1.OBJECT_IDENTIFIER) {
		return "", nil, false
	}
	return oid(content), list, true
}

// parsePSS reads RSASSA-PSS-params (RFC 4055 section 3.1). Each default in them
// stands for SHA-1.
func parsePSS(in cryptobyte.String) (algorithm, error) {
	refuse := func(what string) (algorithm, error) {
		return algorithm{}, fmt.Errorf("%w: RSA-PSS %s", ErrAlgorithm, what)
	}
	var list, hashed, mask cryptobyte.String
	var salt, trailer int
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() ||
		!list.ReadOptionalASN1(&hashed, nil, context0.Constructed()) ||
		!list.ReadOptionalASN1(&mask, nil, context1.Constructed()) ||
		!list.ReadOptionalASN1Integer(&salt, context2.Constructed(), 20) ||
		!list.ReadOptionalASN1Integer(&trailer, context3.Constructed(), 1) || !list.Empty() {
		return refuse("with parameters that cannot be read")
	}
	id, _, ok := readAlgorithm(hashed)
	h, known := pssHashes[id]
	if !ok || !known {
		return refuse("with another hash than SHA-256, 384 or 512")
	}
	generator, inner, ok := readAlgorithm(mask)
	if !ok || generator != oidMGF1 {
		return refuse("with another mask generation than MGF1")
	}
	if of, _, ok := readAlgorithm(inner); !ok || of != id {
		return refuse("with two hashes")
	}
	if salt < 0 || salt > 512 || trailer != 1 {
		return refuse("with an odd salt or trailer")
	}
	return algorithm{kind: schemePSS, hash: h, salt: salt}, nil
}

// sink returns what takes so many octets of the signed part.
func (a algorithm) sink(size int64) (io.Writer, error) {
	if a.kind != schemeEd25519 {
		return a.hash.New(), nil
	}
	// RFC 8032 section 5.1: it is signed whole, and hashed twice.
	if size > maxInMemory {
		return nil, fmt.Errorf("%w: signed with Ed25519, which takes all of its %d octets into memory, %d at most", ErrTooLarge, size, maxInMemory)
	}
	return bytes.NewBuffer(make([]byte, 0, size)), nil
}

// digest returns what the sink has taken, as verify wants it.
func (a algorithm) digest(sink io.Writer) []byte {
	switch sink := sink.(type) {
	case hash.Hash:
		return sink.Sum(nil)
	case *bytes.Buffer:
		return sink.Bytes()
	}
	return nil
}

// verify reports whether the key made the signature. Keys too weak to sign a
// certificate (NIST SP 800-57 part 1 section 5.6.1) are too weak for a CRL.
func (a algorithm) verify(key crypto.PublicKey, digest, signature []byte) error {
	good := false
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < 2048 {
			return fmt.Errorf("%w: an RSA key of %d bits", ErrAlgorithm, bits)
		}
		switch a.kind {
		case schemeRSA:
			good = rsa.VerifyPKCS1v15(key, a.hash, digest, signature) == nil
		case schemePSS:
			good = rsa.VerifyPSS(key, a.hash, digest, signature, &rsa.PSSOptions{SaltLength: a.salt, Hash: a.hash}) == nil
		}
	case *ecdsa.PublicKey:
		if key.Curve.Params().BitSize < 256 {
			return fmt.Errorf("%w: a key on %s", ErrAlgorithm, key.Curve.Params().Name)
		}
		good = a.kind == schemeECDSA && ecdsa.VerifyASN1(key, digest, signature)
	case ed25519.PublicKey:
		good = a.kind == schemeEd25519 && len(key) == ed25519.PublicKeySize && ed25519.Verify(key, digest, signature)
	}
	if !good {
		return ErrSignature
	}
	return nil
}
