package ocsp

import (
	"bytes"
	"crypto"
	_ "crypto/sha1" // what responders know certificates by
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/url"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/ocsp"
)

// RequestType is the media type of a request that is posted (RFC 6960 appendix C).
const RequestType = "application/ocsp-request"

// Request encodes the question about cert, which issuer signed. hash is what the
// issuer is named by: 0 for SHA-1, which every responder knows, or SHA-256. No
// nonce is asked for: what an authority makes beforehand has none, and how long an
// answer can be replayed is bounded by what it says of its age.
func Request(cert, issuer *x509.Certificate, hash crypto.Hash) ([]byte, error) {
	if hash == 0 {
		hash = crypto.SHA1
	}
	if hash != crypto.SHA1 && hash != crypto.SHA256 {
		return nil, fmt.Errorf("making an OCSP request: hash %v is not for that", hash)
	}
	name, key, err := issuerHashes(cert, issuer, hash)
	if err != nil {
		return nil, fmt.Errorf("making an OCSP request: %w", err)
	}
	request := ocsp.Request{HashAlgorithm: hash, IssuerNameHash: name, IssuerKeyHash: key, SerialNumber: cert.SerialNumber}
	return request.Marshal()
}

// GetURL returns the URL by which request is asked with GET, which caches can
// answer. It is false if it would have more than 255 octets, or if server cannot
// be added to: then request is posted (RFC 5019 section 5, RFC 6960 appendix A.1).
func GetURL(server string, request []byte) (string, bool) {
	if strings.ContainsAny(server, "?#") {
		return "", false
	}
	u := strings.TrimSuffix(server, "/") + "/" + url.QueryEscape(base64.StdEncoding.EncodeToString(request))
	return u, len(u) <= 255
}

// certID is what an answer is about (RFC 6960 section 4.1.1).
type certID struct {
	hash                  crypto.Hash
	issuerName, issuerKey []byte
	serial                *big.Int
}

// is reports whether id is cert of issuer.
func (id *certID) is(cert, issuer *x509.Certificate) bool {
	if id.serial.Cmp(cert.SerialNumber) != 0 || id.hash == 0 {
		return false
	}
	name, key, err := issuerHashes(cert, issuer, id.hash)
	return err == nil && bytes.Equal(id.issuerName, name) && bytes.Equal(id.issuerKey, key)
}

// issuerHashes names an issuer: the hash of its name as cert has it, and that of
// its key (RFC 6960 section 4.1.1).
func issuerHashes(cert, issuer *x509.Certificate, hash crypto.Hash) (name, key []byte, err error) {
	bits, err := publicKeyBits(issuer)
	if err != nil {
		return nil, nil, err
	}
	return sum(hash, cert.RawIssuer), sum(hash, bits), nil
}

func sum(hash crypto.Hash, data []byte) []byte {
	h := hash.New()
	h.Write(data)
	return h.Sum(nil)
}

// publicKeyBits returns the value of subjectPublicKey: without tag, length and the
// number of unused bits.
func publicKeyBits(c *x509.Certificate) ([]byte, error) {
	der := cryptobyte.String(c.RawSubjectPublicKeyInfo)
	var info cryptobyte.String
	var bits []byte
	if !der.ReadASN1(&info, asn1.SEQUENCE) || !info.SkipASN1(asn1.SEQUENCE) || !info.ReadASN1BitStringAsBytes(&bits) {
		return nil, fmt.Errorf("the public key of %q does not parse", c.Subject)
	}
	return bits, nil
}
