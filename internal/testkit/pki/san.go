package pki

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net/netip"
)

// A Name is one entry of the subjectAltName extension (RFC 5280, section 4.2.1.6), with bytes nobody has
// checked: what a careless or hostile authority would sign.
type Name struct {
	Tag   int // 0 other, 1 e-mail, 2 dNSName, 4 directory name, 6 URI, 7 IP address
	Value []byte
}

// DNS returns a dNSName of any bytes.
func DNS(name string) Name { return Name{Tag: 2, Value: []byte(name)} }

// Email returns an rfc822Name of any bytes.
func Email(address string) Name { return Name{Tag: 1, Value: []byte(address)} }

// URI returns a uniformResourceIdentifier of any bytes.
func URI(uri string) Name { return Name{Tag: 6, Value: []byte(uri)} }

// Directory returns a directoryName, of the DER of Name.
func Directory(name []byte) Name { return Name{Tag: 4, Value: name} }

// IP returns an iPAddress.
func IP(address netip.Addr) Name { return Name{Tag: 7, Value: address.AsSlice()} }

// raw is the name as GeneralName; other and directory names are constructed.
func (n Name) raw() asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: n.Tag, IsCompound: n.Tag == 0 || n.Tag == 4, Bytes: n.Value}
}

var oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

func subjectAltName(names []Name) (pkix.Extension, error) {
	entries := make([]asn1.RawValue, 0, len(names))
	for _, name := range names {
		entries = append(entries, name.raw())
	}
	value, err := asn1.Marshal(entries)
	if err != nil {
		return pkix.Extension{}, fmt.Errorf("subjectAltName: %w", err)
	}
	return pkix.Extension{Id: oidSubjectAltName, Value: value}, nil
}
