package crl

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/text/unicode/norm"
)

// SameName reports whether two names (DER of Name) are the same: RFC 5280 section
// 7.1. crypto/x509 compares octets, which issuers that change the encoding,
// the case or the spaces of their name do not survive.
func SameName(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	one, ok := NameKey(a)
	if !ok {
		return false
	}
	other, ok := NameKey(b)
	return ok && one == other
}

// NameKey returns what all names that are the same as this one (DER of Name) have in
// common, and no other has. It is no DER. ok is false for what is not a Name.
func NameKey(name []byte) (key string, ok bool) {
	rdns, ok := readName(name)
	if !ok {
		return "", false
	}
	b := []byte{0}
	for _, rdn := range rdns {
		attributes := make([]string, len(rdn))
		for i, a := range rdn {
			attributes[i] = a.key()
		}
		slices.Sort(attributes) // it is a set
		b = binary.AppendUvarint(b, uint64(len(attributes)))
		for _, a := range attributes {
			b = append(binary.AppendUvarint(b, uint64(len(a))), a...)
		}
	}
	return string(b), true
}

// An attribute is one AttributeTypeAndValue.
type attribute struct {
	id    cryptobyte.String
	tag   cbasn1.Tag
	value cryptobyte.String
}

const maxAttributes = 256 // of one name

// readName takes a Name apart.
func readName(b []byte) (rdns [][]attribute, ok bool) {
	in, n := cryptobyte.String(b), 0
	var list cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, false
	}
	for !list.Empty() {
		var set cryptobyte.String
		if !list.ReadASN1(&set, cbasn1.SET) || set.Empty() {
			return nil, false
		}
		var rdn []attribute
		for !set.Empty() {
			var one cryptobyte.String
			var a attribute
			if n++; n > maxAttributes || !set.ReadASN1(&one, cbasn1.SEQUENCE) ||
				!one.ReadASN1(&a.id, cbasn1.OBJECT_IDENTIFIER) || !one.ReadAnyASN1(&a.value, &a.tag) || !one.Empty() {
				return nil, false
			}
			rdn = append(rdn, a)
		}
		rdns = append(rdns, rdn)
	}
	return rdns, true
}

// validName reports whether b is a Name that says something.
func validName(b []byte) bool {
	rdns, ok := readName(b)
	return ok && len(rdns) > 0
}

// textTag stands for that of every text. No value has it: longer tags begin so, which
// are not read (X.690 section 8.1.2.4.1).
const textTag = 0x1f

// key is the same for attributes that are.
func (a attribute) key() string {
	b := append(binary.AppendUvarint(nil, uint64(len(a.id))), a.id...)
	if a.isText() {
		return string(append(append(b, textTag), fold(a.value)...))
	}
	return string(append(append(b, byte(a.tag)), a.value...))
}

// isText reports whether the value is compared as text: RFC 5280 sections 7.1 and,
// for domain components in IA5String, 7.3.
func (a attribute) isText() bool {
	switch a.tag {
	case cbasn1.UTF8String:
		return utf8.Valid(a.value)
	case cbasn1.PrintableString, cbasn1.IA5String:
		return !slices.ContainsFunc(a.value, func(octet byte) bool { return octet >= utf8.RuneSelf })
	}
	return false
}

// fold prepares text as RFC 4518 section 2 wants it.
func fold(text []byte) string {
	return strings.Map(foldCase, strings.Join(strings.Fields(norm.NFKC.String(string(text))), " "))
}

// foldCase returns the first of the runes that differ from r in case alone, as
// strings.EqualFold has it.
func foldCase(r rune) rune {
	for {
		next := unicode.SimpleFold(r)
		if next <= r {
			return next
		}
		r = next
	}
}

// A Name is one GeneralName (RFC 5280 section 4.2.1.6).
type Name struct {
	Tag   int    // 4 directoryName, 6 URI, ...
	Value []byte // for a directoryName the DER of Name, else what the tag says
}

// The kinds of names that lead to a CRL.
const (
	tagDirectoryName = 4
	tagURI           = 6
)

// parseNames reads what GeneralNames consist of.
func parseNames(b []byte) ([]Name, bool) {
	in := cryptobyte.String(b)
	var list cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, false
	}
	return readNames(list)
}

func readNames(list cryptobyte.String) (names []Name, ok bool) {
	for !list.Empty() {
		var value cryptobyte.String
		var tag cbasn1.Tag
		if !list.ReadAnyASN1(&value, &tag) || tag&0xc0 != 0x80 || len(names) == maxCount {
			return nil, false
		}
		name := Name{Tag: int(tag & 0x1f), Value: value}
		if name.Tag == tagDirectoryName && !validName(value) {
			return nil, false
		}
		names = append(names, name)
	}
	return names, len(names) > 0
}

// directoryNames are those of the names that are names of the directory.
func directoryNames(names []Name) (found [][]byte) {
	for _, name := range names {
		if name.Tag == tagDirectoryName {
			found = append(found, name.Value)
		}
	}
	return found
}

// same compares two names: directory names by RFC 5280 section 7.1, URIs without
// regard to case in scheme and host by section 7.4, all others by octets. Where a
// CA differs in more than that from itself, its CRL is not used.
func (n Name) same(other Name) bool {
	switch {
	case n.Tag != other.Tag:
		return false
	case bytes.Equal(n.Value, other.Value):
		return true
	case n.Tag == tagDirectoryName:
		return SameName(n.Value, other.Value)
	case n.Tag == tagURI:
		return sameURI(string(n.Value), string(other.Value))
	}
	return false
}

func sameURI(a, b string) bool {
	i := endOfHost(a)
	return i > 0 && i == endOfHost(b) && a[i:] == b[i:] && strings.EqualFold(a[:i], b[:i])
}

// endOfHost is how many octets of a URI are its scheme and host, 0 if it has none
// or says who logs in, whose case counts.
func endOfHost(uri string) int {
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok || strings.ContainsAny(scheme, "/?#") {
		return 0
	}
	host := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host = rest[:i]
	}
	if strings.Contains(host, "@") {
		return 0
	}
	return len(scheme) + len("://") + len(host)
}

// sharesName reports whether one of the names is among the others.
func sharesName(names, others []Name) bool {
	return slices.ContainsFunc(names, func(name Name) bool { return slices.ContainsFunc(others, name.same) })
}

// nameText shows a name to a person.
func nameText(name []byte) string {
	const most = 200
	var rdns pkix.RDNSequence
	if rest, err := asn1.Unmarshal(name, &rdns); err != nil || len(rest) > 0 {
		return "a name that cannot be shown"
	}
	text := rdns.String()
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
