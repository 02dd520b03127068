package crlmaker

import (
	"crypto/x509"
	"crypto/x509/pkix"
	stdasn1 "encoding/asn1"
	"math/big"
	"strconv"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// An Extension is one of a list, of an entry, or of a certificate.
type Extension struct {
	ID       string // in dots
	Critical bool
	Value    []byte
}

// PKIX returns the extension as crypto/x509 and internal/testkit/pki want it.
func (x Extension) PKIX() pkix.Extension {
	var id stdasn1.ObjectIdentifier
	for number := range strings.SplitSeq(x.ID, ".") {
		n, _ := strconv.Atoi(number)
		id = append(id, n)
	}
	return pkix.Extension{Id: id, Critical: x.Critical, Value: x.Value}
}

// Number is the CRL number (RFC 5280 section 5.2.3).
func Number(n int64) Extension { return BigNumber(big.NewInt(n)) }

// BigNumber is a CRL number of any size.
func BigNumber(n *big.Int) Extension {
	return Extension{ID: "2.5.29.20", Value: build(func(b *cryptobyte.Builder) { b.AddASN1BigInt(n) })}
}

// Delta makes a delta CRL of a list, which builds on the list with that number
// (section 5.2.4).
func Delta(base int64) Extension {
	return Extension{ID: "2.5.29.27", Critical: true, Value: Number(base).Value}
}

// KeyID is the authority key identifier (section 5.2.1).
func KeyID(id []byte) Extension {
	return Extension{ID: "2.5.29.35", Value: build(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(id) })
		})
	})}
}

// KeyUsage is a certificate's key usage, of the bits of [x509.KeyUsage].
func KeyUsage(usage x509.KeyUsage) Extension {
	return Extension{ID: "2.5.29.15", Critical: true, Value: build(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.BIT_STRING, func(b *cryptobyte.Builder) { addBits(b, uint16(usage)) })
	})}
}

// A Name is a GeneralName, encoded.
type Name []byte

// URI is a uniformResourceIdentifier.
func URI(uri string) Name { return name(asn1.Tag(6).ContextSpecific(), []byte(uri)) }

// DNS is a dNSName.
func DNS(host string) Name { return name(asn1.Tag(2).ContextSpecific(), []byte(host)) }

// Directory is a directoryName: der is a Name.
func Directory(der []byte) Name { return name(asn1.Tag(4).ContextSpecific().Constructed(), der) }

func name(tag asn1.Tag, value []byte) Name {
	return build(func(b *cryptobyte.Builder) { b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(value) }) })
}

// CertificateIssuer says whose certificate an entry is (section 5.3.3).
func CertificateIssuer(issuer []byte) Extension {
	return Extension{ID: "2.5.29.29", Critical: true, Value: build(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(Directory(issuer)) })
	})}
}

// A Point is a distribution point (section 4.2.1.13).
type Point struct {
	Names    []Name // fullName
	Relative []byte // nameRelativeToCRLIssuer: what the RDN consists of
	// Reasons are flags as in ReasonFlags: 1<<1 is keyCompromise. Without any there
	// are none in the point.
	Reasons   uint16
	CRLIssuer []Name
}

// Points are a certificate's distribution points.
func Points(points ...Point) Extension {
	return Extension{ID: "2.5.29.31", Value: build(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, p := range points {
				b.AddASN1(asn1.SEQUENCE, p.add)
			}
		})
	})}
}

// Freshest are where delta CRLs are, of a certificate or of a list (section
// 5.2.6).
func Freshest(points ...Point) Extension {
	return Extension{ID: "2.5.29.46", Value: Points(points...).Value}
}

func (p Point) add(b *cryptobyte.Builder) {
	addPointName(b, p.Names, p.Relative)
	if p.Reasons != 0 {
		b.AddASN1(asn1.Tag(1).ContextSpecific(), func(b *cryptobyte.Builder) { addBits(b, p.Reasons) })
	}
	if p.CRLIssuer != nil {
		b.AddASN1(asn1.Tag(2).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			for _, name := range p.CRLIssuer {
				b.AddBytes(name)
			}
		})
	}
}

// An IssuingPoint says what a list is for (section 5.2.5).
type IssuingPoint struct {
	Names                    []Name
	Relative                 []byte
	OnlyUser, OnlyCA         bool
	OnlyReasons              uint16 // flags, as in Point
	Indirect, OnlyAttributes bool
}

// Extension encodes it.
func (p IssuingPoint) Extension() Extension {
	return Extension{ID: "2.5.29.28", Critical: true, Value: build(func(b *cryptobyte.Builder) {
		flag := func(b *cryptobyte.Builder, n uint8, set bool) {
			if set {
				b.AddASN1(asn1.Tag(n).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddUint8(0xff) })
			}
		}
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addPointName(b, p.Names, p.Relative)
			flag(b, 1, p.OnlyUser)
			flag(b, 2, p.OnlyCA)
			if p.OnlyReasons != 0 {
				b.AddASN1(asn1.Tag(3).ContextSpecific(), func(b *cryptobyte.Builder) { addBits(b, p.OnlyReasons) })
			}
			flag(b, 4, p.Indirect)
			flag(b, 5, p.OnlyAttributes)
		})
	})}
}

func addPointName(b *cryptobyte.Builder, names []Name, relative []byte) {
	if names == nil && relative == nil {
		return
	}
	b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
		if relative != nil {
			b.AddASN1(asn1.Tag(1).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(relative) })
			return
		}
		b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			for _, name := range names {
				b.AddBytes(name)
			}
		})
	})
}

// addBits adds what a named BIT STRING consists of: bit n is 1<<n (X.690 section
// 11.2.2: without zeros at its end).
func addBits(b *cryptobyte.Builder, bits uint16) {
	var octets [2]byte
	last := 0
	for n := range 16 {
		if bits&(1<<n) != 0 {
			octets[n/8] |= 0x80 >> (n % 8)
			last = n + 1
		}
	}
	whole := (last + 7) / 8
	b.AddUint8(uint8(8*whole - last))
	b.AddBytes(octets[:whole])
}

func addExtensions(b *cryptobyte.Builder, all []Extension) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, x := range all {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addOID(b, x.ID)
				if x.Critical {
					b.AddASN1Boolean(true)
				}
				b.AddASN1OctetString(x.Value)
			})
		}
	})
}

func addOID(b *cryptobyte.Builder, dots string) {
	parsed, err := x509.ParseOID(dots)
	if err != nil {
		b.SetError(err)
		return
	}
	octets, err := parsed.MarshalBinary()
	if err != nil {
		b.SetError(err)
		return
	}
	b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes(octets) })
}

// build returns what f adds. All that it may add here fits.
func build(f func(*cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	f(&b)
	return b.BytesOrPanic()
}
