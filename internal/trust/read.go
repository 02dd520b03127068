package trust

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// ErrPrivateKey is returned for a file with a private key in it, which has no
// business here.
var ErrPrivateKey = errors.New("it holds a private key: only certificates are wanted, keep the key where it is")

// Read reads what a partner sent: certificates in PEM or one in DER, a leaf with
// or without its intermediates. Each certificate that is no CA is returned with
// the CA certificates of the file as what it is presented with; a file of CA
// certificates alone returns each of them. Source, Added and Domain are left for
// the caller. Errors say what is wrong with the contents.
func Read(data []byte) ([]*Certificate, error) {
	parsed, err := parse(data)
	if err != nil {
		return nil, err
	}
	var leaves []*Certificate
	var cas []*x509.Certificate
	for _, c := range parsed {
		switch {
		case !c.IsCA:
			leaves = append(leaves, of(c))
		case !slices.ContainsFunc(cas, c.Equal):
			cas = append(cas, c)
		}
	}
	if len(leaves) == 0 {
		for _, ca := range cas {
			leaves = append(leaves, of(ca))
		}
		return leaves, nil
	}
	for _, leaf := range leaves {
		leaf.Presented = cas
	}
	return leaves, nil
}

func of(c *x509.Certificate) *Certificate {
	return &Certificate{Fingerprint: sha256.Sum256(c.Raw), DER: c.Raw, X509: c}
}

// parse reads every certificate in PEM, or one in DER.
func parse(data []byte) ([]*x509.Certificate, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // as some editors begin a file
	if len(data) == 0 {
		return nil, errors.New("it is empty")
	}
	if !bytes.Contains(data, []byte("-----BEGIN ")) {
		c, err := x509.ParseCertificate(data)
		if err == nil {
			return []*x509.Certificate{c}, nil
		}
		switch {
		case isPrivateKey(data):
			return nil, ErrPrivateKey
		case IsPKCS12(data):
			return nil, ErrPKCS12
		}
		return nil, fmt.Errorf("it is neither PEM nor a certificate in DER: %w", err)
	}
	ders, err := decodePEM(data, maxCertificates)
	if err != nil {
		return nil, err
	}
	var parsed []*x509.Certificate
	for i, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("its certificate %d does not parse: %w", i+1, err)
		}
		parsed = append(parsed, c)
	}
	return parsed, nil
}

func isPrivateKey(der []byte) bool {
	if _, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return true
	}
	if _, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return true
	}
	if _, err := x509.ParseECPrivateKey(der); err == nil {
		return true
	}
	// EncryptedPrivateKeyInfo (RFC 5958 section 3), by a password (RFC 8018).
	var encrypted struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	_, err := asn1.Unmarshal(der, &encrypted)
	return err == nil && strings.HasPrefix(encrypted.Algorithm.Algorithm.String(), "1.2.840.113549.1.")
}

// Bounds of a file of certificates that may be anybody's.
const (
	maxUntrustedFile = 16 << 20 // octets
	maxUntrusted     = 10_000
)

// ReadUntrusted reads a file of certificates that somebody has for others to build
// chains from, whatever they are: in PEM or one in DER. Those that do not parse are
// of no use, and passed over; the error is for a file with none that does.
func ReadUntrusted(name string) (certificates []*x509.Certificate, passed []error, err error) {
	data, err := readLimited(name, maxUntrustedFile)
	if err != nil {
		return nil, nil, err
	}
	if certificates, passed, err = parseSome(data); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return certificates, passed, nil
}

func parseSome(data []byte) (certificates []*x509.Certificate, passed []error, err error) {
	if !bytes.Contains(data, []byte("-----BEGIN ")) {
		certificates, err = parse(data)
		return certificates, nil, err
	}
	ders, err := decodePEM(data, maxUntrusted)
	if err != nil {
		return nil, nil, err
	}
	for i, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			passed = append(passed, fmt.Errorf("its certificate %d does not parse: %w", i+1, err))
			continue
		}
		certificates = append(certificates, c)
	}
	if len(certificates) == 0 {
		return nil, nil, passed[0]
	}
	return certificates, passed, nil
}

// ReadFile returns a certificate file's contents, up to the size that one may
// have.
func ReadFile(name string) ([]byte, error) { return readLimited(name, maxFile) }

func readLimited(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("%s is larger than %d bytes", name, limit)
	}
	return data, nil
}
