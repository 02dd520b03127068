package trust

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// A generalName is a name or the base of a constraint on names (GeneralName, RFC
// 5280 section 4.2.1.6).
type generalName struct {
	kind  nameKind
	value []byte // of a directory name the DER, else the text or octets
}

// nameKind is the tag of a GeneralName.
type nameKind uint8

const (
	kindMail      nameKind = 1
	kindDNS       nameKind = 2
	kindDirectory nameKind = 4
	kindURI       nameKind = 6
	kindIP        nameKind = 7
)

var kindNames = [...]string{"otherName", "rfc822Name", "dNSName", "x400Address", "directoryName",
	"ediPartyName", "uniformResourceIdentifier", "iPAddress", "registeredID"}

// comparable reports whether names of the kind can be compared with constraints.
func (k nameKind) comparable() bool {
	switch k {
	case kindMail, kindDNS, kindDirectory, kindURI, kindIP:
		return true
	}
	return false
}

// cost is what comparing the name with constraints takes, in the simplest comparisons.
func (n generalName) cost(trees []subtree) (cost int) {
	for _, tree := range trees {
		octets := len(n.value) + len(tree.base.value)
		switch {
		case tree.base.kind != n.kind:
			cost++
		case n.kind == kindDirectory:
			cost += max(20, octets/5) // their text is prepared each time
		default:
			cost += 1 + octets/64
		}
	}
	return cost
}

// String shows a name to a person.
func (n generalName) String() string {
	switch n.kind {
	case kindMail, kindDNS, kindURI:
		return fmt.Sprintf("%s %.100q", kindNames[n.kind], n.value)
	}
	return kindNames[n.kind]
}

// read takes one GeneralName from the beginning of in.
func (n *generalName) read(in *cryptobyte.String) bool {
	var value cryptobyte.String
	var tag cbasn1.Tag
	if !in.ReadAnyASN1(&value, &tag) || tag&0xc0 != 0x80 || int(tag&0x1f) >= len(kindNames) {
		return false
	}
	n.kind = nameKind(tag & 0x1f)
	if n.kind == kindDirectory { // [4] is explicit: Name is a CHOICE
		var name cryptobyte.String
		if !value.ReadASN1Element(&name, cbasn1.SEQUENCE) || !value.Empty() {
			return false
		}
		value = name
	}
	n.value = value
	return true
}

var oidMailAddress = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

var errAltNames = errors.New("its alternative names do not parse")

// namesOf returns the names of a certificate that constraints apply to. A common
// name is not among them: who uses it must not do so under constraints.
func namesOf(c *x509.Certificate) ([]generalName, error) {
	var names []generalName
	if !emptySequence(c.RawSubject) {
		names = append(names, generalName{kindDirectory, c.RawSubject})
	}
	value, ok := extension(c, oidSubjectAltName)
	if !ok {
		// RFC 5280 section 4.2.1.10: a mailbox in the subject counts where no
		// alternative name says better.
		for _, attribute := range c.Subject.Names {
			if address, ok := attribute.Value.(string); ok && attribute.Type.Equal(oidMailAddress) {
				names = append(names, generalName{kindMail, []byte(address)})
			}
		}
		return names, nil
	}
	in := cryptobyte.String(value)
	if !in.ReadASN1(&in, cbasn1.SEQUENCE) {
		return nil, errAltNames
	}
	for !in.Empty() {
		var name generalName
		if !name.read(&in) {
			return nil, errAltNames
		}
		names = append(names, name)
	}
	return names, nil
}

// relativeNames splits a Name into its RelativeDistinguishedNames.
func relativeNames(name []byte) (rdns [][]byte, ok bool) {
	in := cryptobyte.String(name)
	if !in.ReadASN1(&in, cbasn1.SEQUENCE) {
		return nil, false
	}
	for !in.Empty() {
		var rdn cryptobyte.String
		if !in.ReadASN1Element(&rdn, cbasn1.SET) {
			return nil, false
		}
		rdns = append(rdns, rdn)
	}
	return rdns, true
}

// oddText reports whether a Name has values of a kind that RFC 5280 section 7.1
// compares octet by octet.
func oddText(name []byte) bool {
	rdns, ok := relativeNames(name)
	if !ok {
		return true
	}
	for _, rdn := range rdns {
		in := cryptobyte.String(rdn)
		if !in.ReadASN1(&in, cbasn1.SET) {
			return true
		}
		for !in.Empty() {
			var attribute, value cryptobyte.String
			var tag cbasn1.Tag
			if !in.ReadASN1(&attribute, cbasn1.SEQUENCE) || !attribute.SkipASN1(cbasn1.OBJECT_IDENTIFIER) ||
				!attribute.ReadAnyASN1(&value, &tag) {
				return true
			}
			switch tag {
			case cbasn1.UTF8String, cbasn1.PrintableString, cbasn1.IA5String:
			default:
				return true
			}
		}
	}
	return false
}
