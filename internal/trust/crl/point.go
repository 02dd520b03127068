package crl

import (
	"crypto/x509"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"domain-secured/internal/trust/dn"
)

// A Point is a distribution point (RFC 5280 section 4.2.1.13): where a CRL is
// found, who issues it, and what for.
type Point struct {
	// Names all are names of the same CRL. There are none if the distributionPoint
	// is omitted. A name relative to an issuer's is already made whole.
	Names []Name
	// Reasons are those that the CRL covers, [AllReasons] if nothing is said.
	Reasons Reasons
	// CRLIssuer names who issues the CRL. There is none if it is who issued the
	// certificate.
	CRLIssuer []Name
}

// URIs are the addresses among the names, in their order, of whatever scheme and
// unchecked.
func (p Point) URIs() []string {
	var uris []string
	for _, name := range p.Names {
		if name.Tag == tagURI {
			uris = append(uris, string(name.Value))
		}
	}
	return uris
}

// Points are the distribution points of a certificate, none if it has no such
// extension. The error is for one that cannot be read.
func Points(c *x509.Certificate) ([]Point, error) {
	return pointsIn(c, oidDistributionPoints)
}

// FreshestPoints are where a certificate says that delta CRLs are (RFC 5280
// section 4.2.1.15). See also [Info.FreshestPoints].
func FreshestPoints(c *x509.Certificate) ([]Point, error) {
	return pointsIn(c, oidFreshestCRL)
}

func pointsIn(c *x509.Certificate, id oid) ([]Point, error) {
	value := extensionOf(c, id)
	if value == nil {
		return nil, nil
	}
	points, ok := parsePoints(value, c.RawIssuer)
	if !ok {
		return nil, fmt.Errorf("the certificate's extension %s (distribution points) cannot be read", id)
	}
	return points, nil
}

// Tags of context in DistributionPoint, DistributionPointName and
// IssuingDistributionPoint.
const (
	context0 = cbasn1.Tag(0x80)
	context1 = cbasn1.Tag(0x81)
	context2 = cbasn1.Tag(0x82)
	context3 = cbasn1.Tag(0x83)
	context4 = cbasn1.Tag(0x84)
	context5 = cbasn1.Tag(0x85)
)

// parsePoints reads CRLDistributionPoints. Relative names are relative to the name
// of the issuer, unless they say otherwise.
func parsePoints(b, issuer []byte) (points []Point, ok bool) {
	in := cryptobyte.String(b)
	var list cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, false
	}
	for !list.Empty() {
		var one cryptobyte.String
		if !list.ReadASN1(&one, cbasn1.SEQUENCE) || len(points) == maxCount {
			return nil, false
		}
		p, ok := parsePoint(one, issuer)
		if !ok {
			return nil, false
		}
		points = append(points, p)
	}
	return points, len(points) > 0
}

func parsePoint(in cryptobyte.String, issuer []byte) (p Point, ok bool) {
	var name, reasons, issuers cryptobyte.String
	var hasName, hasReasons, hasIssuer bool
	if !in.ReadOptionalASN1(&name, &hasName, context0.Constructed()) ||
		!in.ReadOptionalASN1(&reasons, &hasReasons, context1) ||
		!in.ReadOptionalASN1(&issuers, &hasIssuer, context2.Constructed()) || !in.Empty() {
		return p, false
	}
	// RFC 5280 section 4.2.1.13: reasons alone are nothing.
	if !hasName && !hasIssuer {
		return p, false
	}
	if p.Reasons, ok = parseReasons(reasons, hasReasons); !ok {
		return p, false
	}
	if hasIssuer {
		if p.CRLIssuer, ok = readNames(issuers); !ok {
			return p, false
		}
		switch names := directoryNames(p.CRLIssuer); len(names) {
		case 0:
			return p, false // RFC 5280: it is the issuer field of the CRL
		case 1:
			issuer = names[0]
		default:
			issuer = nil
		}
	}
	if hasName {
		p.Names, ok = parsePointName(name, issuer)
	}
	return p, ok
}

// parsePointName reads a DistributionPointName.
func parsePointName(in cryptobyte.String, issuer []byte) (names []Name, ok bool) {
	var value cryptobyte.String
	var tag cbasn1.Tag
	if !in.ReadAnyASN1(&value, &tag) || !in.Empty() {
		return nil, false
	}
	switch tag {
	case context0.Constructed(): // fullName
		return readNames(value)
	case context1.Constructed(): // nameRelativeToCRLIssuer
		name, ok := below(issuer, value)
		return []Name{{Tag: tagDirectoryName, Value: name}}, ok
	}
	return nil, false
}

// below returns the name with one more relative name at its end.
func below(name, rdn []byte) ([]byte, bool) {
	in := cryptobyte.String(name)
	var rdns cryptobyte.String
	if !in.ReadASN1(&rdns, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, false
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(rdns)
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(rdn) })
	})
	whole, err := b.Bytes()
	return whole, err == nil && dn.Valid(whole)
}

// parseReasons reads what ReasonFlags consist of. Bits beyond those that have a
// meaning are left out: they cover nothing.
func parseReasons(b []byte, present bool) (r Reasons, ok bool) {
	if !present {
		return AllReasons, true
	}
	if len(b) == 0 || b[0] > 7 || len(b) == 1 && b[0] != 0 || len(b) > 1 && b[len(b)-1]&(1<<b[0]-1) != 0 {
		return 0, false
	}
	for i, octet := range b[1:] {
		for bit := range 8 {
			if n := 8*i + bit; n < 16 && octet&(0x80>>bit) != 0 {
				r |= 1 << n
			}
		}
	}
	return r & AllReasons, true
}

// An issuingPoint is an IssuingDistributionPoint (RFC 5280 section 5.2.5): what a
// list is for.
type issuingPoint struct {
	names                      []Name
	onlyUser, onlyCA, onlyAttr bool
	onlySome                   bool // reasons are limited
	reasons                    Reasons
	indirect                   bool
}

func parseIssuingPoint(b, issuer []byte) (p issuingPoint, ok bool) {
	in := cryptobyte.String(b)
	var list, name, reasons cryptobyte.String
	var hasName bool
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() ||
		!list.ReadOptionalASN1(&name, &hasName, context0.Constructed()) ||
		!readFlag(&list, context1, &p.onlyUser) || !readFlag(&list, context2, &p.onlyCA) ||
		!list.ReadOptionalASN1(&reasons, &p.onlySome, context3) ||
		!readFlag(&list, context4, &p.indirect) || !readFlag(&list, context5, &p.onlyAttr) || !list.Empty() {
		return p, false
	}
	if p.reasons, ok = parseReasons(reasons, p.onlySome); !ok {
		return p, false
	}
	if hasName {
		if p.names, ok = parsePointName(name, issuer); !ok {
			return p, false
		}
	}
	// "at most one of" them, by the comment in its ASN.1.
	return p, !(p.onlyUser && p.onlyCA || p.onlyUser && p.onlyAttr || p.onlyCA && p.onlyAttr)
}

// readFlag reads a BOOLEAN DEFAULT FALSE with an implicit tag.
func readFlag(in *cryptobyte.String, tag cbasn1.Tag, flag *bool) bool {
	var value cryptobyte.String
	var present bool
	if !in.ReadOptionalASN1(&value, &present, tag) {
		return false
	}
	if !present {
		return true
	}
	// X.690 section 11.1.
	if len(value) != 1 || value[0] != 0 && value[0] != 0xff {
		return false
	}
	*flag = value[0] != 0
	return true
}

// IssuedBy reports whether a point wants a list that somebody of this name (DER of
// Name), other than who issued the certificate, signed.
func (p Point) IssuedBy(name []byte) bool { return hasName(directoryNames(p.CRLIssuer), name) }
