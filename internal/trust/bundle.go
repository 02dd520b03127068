package trust

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Bundle is what a file of our own holds, in no order: private keys and
// certificates.
type Bundle struct {
	Keys         []crypto.Signer
	Certificates []*x509.Certificate
}

// ErrEncryptedKey is returned for a private key in PEM that needs a password.
var ErrEncryptedKey = errors.New("the private key in it is encrypted, and a mail server has nobody to ask for its password: decrypt it first (openssl pkey -in FILE -out NEWFILE)")

// maxKeys bounds the private keys of one file: parsing an RSA key takes a while.
const maxKeys = 10

// ReadBundle reads a file of our own: keys and certificates in PEM, one of them
// in DER, or PKCS #12, for which password is asked if it needs one. Either may be
// missing, not both. Errors say what is wrong with the contents.
func ReadBundle(data []byte, password func() (string, error)) (*Bundle, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	switch {
	case len(data) == 0:
		return nil, errors.New("it is empty")
	case IsPKCS12(data):
		return ReadPKCS12(data, password)
	case bytes.Contains(data, []byte("-----BEGIN ")):
		return readPEM(data)
	}
	if c, err := x509.ParseCertificate(data); err == nil {
		return &Bundle{Certificates: []*x509.Certificate{c}}, nil
	}
	if key, err := parseKey(data); err == nil {
		return &Bundle{Keys: []crypto.Signer{key}}, nil
	}
	if isPrivateKey(data) {
		return nil, ErrEncryptedKey
	}
	return nil, errors.New("it is neither PEM nor PKCS #12, nor a certificate or key in DER; or it is cut off")
}

func readPEM(data []byte) (*Bundle, error) {
	keys, ders, err := splitPEM(data)
	if err != nil {
		return nil, err
	}
	var b Bundle
	for _, block := range keys {
		// RFC 7468 section 11; RFC 1421 section 4.6.1.1 as OpenSSL writes it.
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return nil, ErrEncryptedKey
		}
		key, err := parseKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("the %q in it cannot be used: %w", block.Type, err)
		}
		b.Keys = append(b.Keys, key)
	}
	for i, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("its certificate %d does not parse: %w", i+1, err)
		}
		b.Certificates = append(b.Certificates, c)
	}
	return &b, nil
}

// splitPEM returns the private keys and the contents of the certificates in a
// PEM file that has nothing else in it.
func splitPEM(data []byte) (keys []*pem.Block, ders [][]byte, err error) {
	begun := bytes.Count(data, []byte("-----BEGIN "))
	blocks := 0
	for rest := data; ; blocks++ {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		switch {
		case block.Type == blockCertificate:
			ders = append(ders, block.Bytes)
		case strings.HasSuffix(block.Type, blockKey):
			keys = append(keys, block)
		case block.Type == "EC PARAMETERS": // which openssl ecparam -genkey puts before the key
		default:
			return nil, nil, fmt.Errorf("it holds a %q, not only certificates and a private key", block.Type)
		}
		if len(ders) > maxCertificates || len(keys) > maxKeys {
			return nil, nil, fmt.Errorf("it holds more than %d certificates or %d private keys", maxCertificates, maxKeys)
		}
	}
	switch {
	// pem.Decode passes over a block that is cut off or damaged.
	case blocks != begun:
		return nil, nil, errors.New("a PEM block in it is damaged or cut off")
	case len(keys)+len(ders) == 0:
		return nil, nil, errors.New("it holds neither a certificate nor a private key")
	}
	return keys, ders, nil
}

// parseKey reads a private key in PKCS #8, PKCS #1 or SEC 1.
func parseKey(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		if rsa, err := x509.ParsePKCS1PrivateKey(der); err == nil {
			return rsa, nil
		}
		if ec, err := x509.ParseECPrivateKey(der); err == nil {
			return ec, nil
		}
		return nil, err
	}
	return signer(key)
}

// signer refuses keys that cannot be a mail server's.
func signer(key any) (crypto.Signer, error) {
	s, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of the kind %T does not sign", key)
	}
	return s, nil
}
