package trust

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"

	"software.sslmate.com/src/go-pkcs12"
)

// What is wrong with a PKCS #12 file.
var (
	ErrPassword      = errors.New("the password is wrong")
	ErrNoCertificate = errors.New("it holds no certificate")

	errRounds = fmt.Errorf("it wants more than %d rounds to make a key of a password", maxRounds)
	errBER    = errors.New("it is PKCS #12 in BER, and only DER is read: write it anew (openssl pkcs12 -in FILE -out all.pem, openssl pkcs12 -export -in all.pem -out NEWFILE)")
	errNoMAC  = errors.New("it is PKCS #12 without a MAC, which would tell whether the password is right, and encrypted or damaged: export it with one")
)

// maxRounds bounds how often a password is hashed, a second or so of work.
// OpenSSL does it 2048 times, Java 10,000, others up to 1,000,000.
const maxRounds = 2_000_000

// pfx is a PKCS #12 file (RFC 7292 section 4) that a password protects.
type pfx struct {
	Version  int
	AuthSafe pfxContent
	MAC      asn1.RawValue `asn1:"optional"`
}

type pfxContent struct {
	Type asn1.ObjectIdentifier
	Data []byte `asn1:"explicit,tag:0"`
}

var (
	oidData   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}          // RFC 7292 section 4
	oidKeyBag = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}  // RFC 7292 section 4.2.1
	oidPBMAC1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}         // RFC 8018 section 7.1
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}         // RFC 8018 section 5.2
	oidHMAC   = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{ // RFC 8018 appendix B.1.2
		1, 2, 840, 113549, 2, 9}, Parameters: asn1.NullRawValue}
)

// pfxBER begins a file of indefinite length: that much of X.690 section 8.1.3.6
// and version 3.
var pfxBER = []byte{0x30, 0x80, 2, 1, 3}

// IsPKCS12 tells a PKCS #12 file from other files, by how it begins.
func IsPKCS12(data []byte) bool {
	var file pfx
	_, err := asn1.Unmarshal(data, &file)
	return err == nil && file.Version == 3 && file.AuthSafe.Type.Equal(oidData) || bytes.HasPrefix(data, pfxBER)
}

// ReadPKCS12 reads a PKCS #12 file: its private key, if there is one, and its
// certificates. password is asked unless the empty one fits. The error is
// [ErrPassword], [ErrNoCertificate], or says what else is wrong.
func ReadPKCS12(data []byte, password func() (string, error)) (*Bundle, error) {
	var file pfx
	if bytes.HasPrefix(data, pfxBER) {
		return nil, errBER
	}
	if _, err := asn1.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("it is not PKCS #12: %w", err)
	}
	if !fewRounds(data, maxRounds, 0) {
		return nil, errRounds
	}
	b, err := decodePKCS12(data, "")
	if err == nil || errors.Is(err, ErrNoCertificate) {
		return b, err
	}
	if len(file.MAC.FullBytes) == 0 {
		return nil, errNoMAC
	}
	if !errors.Is(err, ErrPassword) {
		return nil, err
	}
	word, err := password()
	if err != nil {
		return nil, err
	}
	return decodePKCS12(data, word)
}

// What go-pkcs12 says when there is no error value for it.
const (
	saysNoKey         = "pkcs12: private key missing"
	saysNoCertificate = "pkcs12: certificate missing"
)

func decodePKCS12(data []byte, password string) (*Bundle, error) {
	key, first, others, err := pkcs12.DecodeChain(data, password)
	if err != nil && err.Error() == saysNoKey {
		// It does not give the certificates alone.
		if data, err = addKey(data, password); err == nil {
			_, first, others, err = pkcs12.DecodeChain(data, password)
		}
	}
	var not pkcs12.NotImplementedError
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return nil, ErrPassword
	case err != nil && err.Error() == saysNoCertificate:
		return nil, ErrNoCertificate
	case errors.As(err, &not):
		return nil, fmt.Errorf("reading PKCS #12: %w: openssl pkcs12 may be able to turn it into PEM", err)
	case err != nil:
		return nil, fmt.Errorf("reading PKCS #12: %w", err)
	}
	b := &Bundle{Certificates: append([]*x509.Certificate{first}, others...)}
	if key == nil {
		return b, nil
	}
	s, err := signer(key)
	if err != nil {
		return nil, fmt.Errorf("the private key in it cannot be used: %w", err)
	}
	b.Keys = append(b.Keys, s)
	return b, nil
}

// addKey adds a private key, made for this and thrown away, to a file without
// one. Its contents have been verified by their MAC, so they may be given a new
// one, of the kind that needs no key derivation of PKCS #12's own (RFC 9579).
func addKey(data []byte, password string) ([]byte, error) {
	var file pfx
	var contents []asn1.RawValue
	if _, err := asn1.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	if _, err := asn1.Unmarshal(file.AuthSafe.Data, &contents); err != nil {
		return nil, err
	}
	key, err := NewKey(KeyECDSAP256)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	type bag struct {
		ID    asn1.ObjectIdentifier
		Value asn1.RawValue // [0] EXPLICIT
	}
	bags, err := asn1.Marshal([]bag{{oidKeyBag, asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: der}}})
	if err != nil {
		return nil, err
	}
	added, err := asn1.Marshal(pfxContent{oidData, bags})
	if err != nil {
		return nil, err
	}
	contents = append(contents, asn1.RawValue{FullBytes: added})
	if file.AuthSafe.Data, err = asn1.Marshal(contents); err != nil {
		return nil, err
	}
	if len(file.MAC.FullBytes) > 0 {
		if file.MAC.FullBytes, err = newMAC(file.AuthSafe.Data, password); err != nil {
			return nil, err
		}
	}
	return asn1.Marshal(file)
}

// newMAC returns the MacData of a file with these contents.
func newMAC(contents []byte, password string) ([]byte, error) {
	type derivation struct { // PBKDF2-params, RFC 8018 appendix A.2
		Salt           []byte
		Rounds, Length int
		PRF            pkix.AlgorithmIdentifier
	}
	type parameters struct{ KDF, MAC pkix.AlgorithmIdentifier } // PBMAC1-params, RFC 8018 appendix A.5
	type digest struct {
		Algorithm pkix.AlgorithmIdentifier
		Value     []byte
	}
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return nil, err
	}
	const rounds = 1 // nobody keeps it
	key, err := pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(contents)

	algorithm := func(oid asn1.ObjectIdentifier, parameters any) (pkix.AlgorithmIdentifier, error) {
		der, err := asn1.Marshal(parameters)
		return pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.RawValue{FullBytes: der}}, err
	}
	kdf, err := algorithm(oidPBKDF2, derivation{salt, rounds, sha256.Size, oidHMAC})
	if err != nil {
		return nil, err
	}
	pbmac, err := algorithm(oidPBMAC1, parameters{kdf, oidHMAC})
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(struct {
		MAC  digest
		Salt []byte
	}{digest{pbmac, mac.Sum(nil)}, salt})
}

// maxNesting is how deep fewRounds looks. What it wants to see is at most 16 deep.
const maxNesting = 30

// fewRounds reports whether no count of rounds that can be seen in DER is above a
// limit. In all that makes keys of passwords here it is the INTEGER after the
// salt, an OCTET STRING: MacData (RFC 7292 section 4), pkcs-12PbeParams (appendix
// C), PBKDF2-params (RFC 8018 appendix A.2). What is encrypted cannot be seen; it
// is looked at only after the MAC was found to be by someone with the password.
func fewRounds(der []byte, limit, depth int) bool {
	if depth > maxNesting {
		return true
	}
	afterSalt := false
	for len(der) > 0 {
		var value asn1.RawValue
		rest, err := asn1.Unmarshal(der, &value)
		if err != nil {
			return true
		}
		der = rest
		number := value.Class == asn1.ClassUniversal && value.Tag == asn1.TagInteger
		octets := value.Class == asn1.ClassUniversal && value.Tag == asn1.TagOctetString
		if number && afterSalt {
			var rounds int
			if _, err := asn1.Unmarshal(value.FullBytes, &rounds); err != nil || rounds > limit {
				return false
			}
		}
		if (value.IsCompound || octets) && !fewRounds(value.Bytes, limit, depth+1) {
			return false
		}
		afterSalt = octets
	}
	return true
}
