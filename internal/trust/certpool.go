package trust

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"slices"

	"domain-secured/internal/trust/dn"
)

// A certPool is certificates to build chains of: as crypto/x509 is to see them, and as they
// are.
type certPool struct {
	prepared *x509.CertPool
	original map[*x509.Certificate]*x509.Certificate // by the prepared one
}

func newCertPool(certificates ...*x509.Certificate) *certPool {
	p := &certPool{prepared: x509.NewCertPool(), original: make(map[*x509.Certificate]*x509.Certificate)}
	for _, c := range certificates {
		p.add(c)
	}
	return p
}

func (p *certPool) add(c *x509.Certificate) {
	prepared := prepare(c)
	p.prepared.AddCert(prepared)
	p.original[prepared] = c
}

// maxModulus is what OpenSSL takes, too; one signature by a key of a certificate
// as long as a file may be takes a minute.
const maxModulus = 16384 // bits

func (p *certPool) addIntermediate(c *x509.Certificate) {
	if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxModulus {
		return
	}
	p.add(c)
}

// prepare returns a copy of c that crypto/x509 judges by RFC 5280 where it would be
// stricter:
//
//   - Names are the same by section 7.1, not octet by octet.
//   - Path lengths are left to [checkPath], for certificates that an authority issued to
//     itself do not count (section 6.1.4 l).
//   - So are critical name constraints of kinds that it does not know.
func prepare(c *x509.Certificate) *x509.Certificate {
	p := *c
	p.RawSubject, p.RawIssuer = nameOctets(c.RawSubject), nameOctets(c.RawIssuer)
	p.MaxPathLen, p.MaxPathLenZero = -1, false
	p.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(c.UnhandledCriticalExtensions),
		func(id asn1.ObjectIdentifier) bool { return id.Equal(oidNameConstraints) })
	return &p
}

// nameOctets are equal for names that are the same.
func nameOctets(name []byte) []byte {
	if key, ok := dn.Key(name); ok {
		return []byte(key)
	}
	return name
}
