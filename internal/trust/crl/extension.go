package crl

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// An oid is the content of an OBJECT IDENTIFIER. encoding/asn1 cannot hold each.
type oid string

// id-ce is 2.5.29 (RFC 5280 appendix A.2).
const (
	oidKeyUsage           oid = "\x55\x1d\x0f"
	oidIssuerAltName      oid = "\x55\x1d\x12"
	oidCRLNumber          oid = "\x55\x1d\x14"
	oidReason             oid = "\x55\x1d\x15"
	oidInvalidityDate     oid = "\x55\x1d\x18"
	oidDeltaCRLIndicator  oid = "\x55\x1d\x1b"
	oidIssuingPoint       oid = "\x55\x1d\x1c"
	oidCertificateIssuer  oid = "\x55\x1d\x1d"
	oidDistributionPoints oid = "\x55\x1d\x1f"
	oidAuthorityKeyID     oid = "\x55\x1d\x23"
	oidFreshestCRL        oid = "\x55\x1d\x2e"
)

func (o oid) String() string {
	var parsed x509.OID
	if parsed.UnmarshalBinary([]byte(o)) != nil {
		return fmt.Sprintf("%x", string(o))
	}
	return parsed.String()
}

// extensionOf returns the value of a certificate's extension, nil if it has none.
func extensionOf(c *x509.Certificate, id oid) []byte {
	for _, x := range c.Extensions {
		// All that are looked for are in id-ce.
		if len(x.Id) == 4 && x.Id[0] == 2 && x.Id[1] == 5 && x.Id[2] == 29 && x.Id[3] == int(id[2]) {
			return x.Value
		}
	}
	return nil
}

type extension struct {
	id       oid
	critical bool
	value    []byte
}

// readExtensions reads Extensions (RFC 5280 section 4.1.2.9), and returns what is
// wrong with them, or "".
func readExtensions(b []byte) (all []extension, wrong string) {
	in := cryptobyte.String(b)
	var list cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() || list.Empty() {
		return nil, "no sequence of extensions"
	}
	for !list.Empty() {
		var one, id, value cryptobyte.String
		var x extension
		if !list.ReadASN1(&one, cbasn1.SEQUENCE) || !one.ReadASN1(&id, cbasn1.OBJECT_IDENTIFIER) ||
			one.PeekASN1Tag(cbasn1.BOOLEAN) && !one.ReadASN1Boolean(&x.critical) ||
			!one.ReadASN1(&value, cbasn1.OCTET_STRING) || !one.Empty() {
			return nil, "what is not an extension"
		}
		x.id, x.value = oid(id), value
		switch {
		case len(all) == maxCount:
			return nil, fmt.Sprintf("more than %d extensions", maxCount)
		case len(x.value) > maxElement:
			return nil, fmt.Sprintf("extension %s of %d octets", x.id, len(x.value))
		}
		// RFC 5280 section 4.2: no more than one of a kind.
		for _, other := range all {
			if other.id == x.id {
				return nil, fmt.Sprintf("extension %s twice", x.id)
			}
		}
		all = append(all, x)
	}
	return all, ""
}

// extensions are those of a list (RFC 5280 section 5.2).
type extensions struct {
	number  *big.Int
	base    *big.Int // of a delta CRL: the number that it builds on
	keyID   []byte   // the keyIdentifier in authority
	unknown []string // critical ones that are not known here

	// The values as they are, nil if there are none.
	authority, issuingPoint, freshest []byte
}

func parseExtensions(b, issuer []byte) (e extensions, err error) {
	all, wrong := readExtensions(b)
	if wrong != "" {
		return e, fmt.Errorf("%w: in place of its extensions: %s", ErrMalformed, wrong)
	}
	for _, x := range all {
		good, value := true, bytes.Clone(x.value)
		switch x.id {
		case oidCRLNumber:
			// Section 5.2.3 has it not critical.
			e.number, good = parseNumber(value)
			good = good && !x.critical
		case oidDeltaCRLIndicator:
			e.base, good = parseNumber(value)
		case oidAuthorityKeyID:
			e.authority = value
			e.keyID, good = parseKeyID(value)
		case oidIssuingPoint:
			e.issuingPoint = value
			_, good = parseIssuingPoint(value, issuer)
		case oidFreshestCRL:
			e.freshest = value
			_, good = parsePoints(value, issuer)
		default:
			if x.critical {
				e.unknown = append(e.unknown, x.id.String())
			}
		}
		if !good {
			return e, fmt.Errorf("%w: its extension %s cannot be read", ErrMalformed, x.id)
		}
	}
	return e, nil
}

// parseNumber reads a CRLNumber (RFC 5280 section 5.2.3).
func parseNumber(b []byte) (*big.Int, bool) {
	in, n := cryptobyte.String(b), new(big.Int)
	ok := in.ReadASN1Integer(n) && in.Empty() && n.Sign() >= 0 && n.BitLen() <= 8*maxNumber
	return n, ok
}

// parseKeyID reads an AuthorityKeyIdentifier (RFC 5280 section 4.2.1.1), which may
// name the key in other ways than by an identifier.
func parseKeyID(b []byte) (id []byte, ok bool) {
	in := cryptobyte.String(b)
	var list, value cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() ||
		!list.ReadOptionalASN1(&value, nil, cbasn1.Tag(0).ContextSpecific()) {
		return nil, false
	}
	return value, true
}
