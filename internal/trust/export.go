package trust

import (
	"bytes"
	"errors"
)

// ErrPKCS12 is returned where PKCS #12 is not read, for it takes a password.
var ErrPKCS12 = errors.New("it is PKCS #12: take it apart first (domain-secured cert import --key-out)")

// ReadPublic is [Read] for files of our own: a private key in PEM is passed over,
// as if it were not there, and hadKey reports it.
func ReadPublic(data []byte) (certificates []*Certificate, hadKey bool, err error) {
	if !bytes.Contains(data, []byte("PRIVATE KEY-----")) {
		certificates, err = Read(data)
		return certificates, false, err
	}
	_, ders, err := splitPEM(data)
	if err != nil {
		return nil, true, err
	}
	if len(ders) == 0 {
		return nil, true, ErrPrivateKey
	}
	var public bytes.Buffer
	for _, der := range ders {
		writePEM(&public, der)
	}
	certificates, err = Read(public.Bytes())
	return certificates, true, err
}

// Public returns what may be given away of a certificate in PEM, with the chain
// it was presented with or without. The error is [ErrPrivateKey] if it turns out
// to be a private key.
func (c *Certificate) Public(chain bool) ([]byte, error) {
	der, err := c.PublicDER()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	writePEM(&b, der)
	if chain {
		b.Write(MarshalCertificates(c.Presented...))
	}
	return b.Bytes(), nil
}

// PublicDER is [Certificate.Public] in DER, without the chain.
func (c *Certificate) PublicDER() ([]byte, error) {
	// A stored certificate that does not parse is kept as it came.
	if c.X509 == nil && isPrivateKey(c.DER) {
		return nil, ErrPrivateKey
	}
	return c.DER, nil
}
