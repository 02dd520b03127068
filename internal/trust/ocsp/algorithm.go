package ocsp

import (
	"crypto"
	"crypto/x509"
	oid "encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// algorithms are those an answer may be signed with. SHA-1 and MD5 are not among
// them: crypto/x509 would check them here, where it does not in chains.
var algorithms = map[string]x509.SignatureAlgorithm{
	"1.2.840.113549.1.1.11": x509.SHA256WithRSA,
	"1.2.840.113549.1.1.12": x509.SHA384WithRSA,
	"1.2.840.113549.1.1.13": x509.SHA512WithRSA,
	"1.2.840.10045.4.3.2":   x509.ECDSAWithSHA256,
	"1.2.840.10045.4.3.3":   x509.ECDSAWithSHA384,
	"1.2.840.10045.4.3.4":   x509.ECDSAWithSHA512,
	"1.3.101.112":           x509.PureEd25519,
}

// pss are the forms of RSASSA-PSS that crypto/x509 checks: by hash, and the salt
// as long as the hash.
var pss = map[crypto.Hash]x509.SignatureAlgorithm{
	crypto.SHA256: x509.SHA256WithRSAPSS,
	crypto.SHA384: x509.SHA384WithRSAPSS,
	crypto.SHA512: x509.SHA512WithRSAPSS,
}

const (
	oidPSS  = "1.2.840.113549.1.1.10"
	oidMGF1 = "1.2.840.113549.1.1.8"
)

// signatureAlgorithm reads the contents of an AlgorithmIdentifier. It is
// x509.UnknownSignatureAlgorithm for one that is not accepted.
func signatureAlgorithm(s cryptobyte.String) x509.SignatureAlgorithm {
	var kind oid.ObjectIdentifier
	if !s.ReadASN1ObjectIdentifier(&kind) {
		return x509.UnknownSignatureAlgorithm
	}
	if kind.String() == oidPSS {
		return pssAlgorithm(s)
	}
	return algorithms[kind.String()]
}

// pssAlgorithm reads RSASSA-PSS-params (RFC 8017 appendix A.2.3).
func pssAlgorithm(s cryptobyte.String) x509.SignatureAlgorithm {
	var parameters, hashField, maskField, mask, saltField cryptobyte.String
	var maskKind oid.ObjectIdentifier
	var salt int
	if !s.ReadASN1(&parameters, asn1.SEQUENCE) ||
		!parameters.ReadASN1(&hashField, explicit(0)) || !parameters.ReadASN1(&maskField, explicit(1)) || !parameters.ReadASN1(&saltField, explicit(2)) ||
		!maskField.ReadASN1(&mask, asn1.SEQUENCE) || !mask.ReadASN1ObjectIdentifier(&maskKind) || maskKind.String() != oidMGF1 ||
		!saltField.ReadASN1Integer(&salt) {
		return x509.UnknownSignatureAlgorithm
	}
	hash := hashAlgorithm(hashField)
	if pss[hash] == x509.UnknownSignatureAlgorithm || hashAlgorithm(mask) != hash || salt != hash.Size() {
		return x509.UnknownSignatureAlgorithm
	}
	return pss[hash]
}

// hashAlgorithm reads the AlgorithmIdentifier of a hash, 0 if it is none we know.
func hashAlgorithm(s cryptobyte.String) crypto.Hash {
	var algorithm cryptobyte.String
	var kind oid.ObjectIdentifier
	if !s.ReadASN1(&algorithm, asn1.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&kind) {
		return 0
	}
	return hashes[kind.String()]
}
