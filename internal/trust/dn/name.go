// Package dn compares the names of the directory that certificates and lists carry.
package dn

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/text/unicode/norm"
)

// Same reports whether two names (DER of Name) are the same: RFC 5280 section
// 7.1. crypto/x509 compares octets, which issuers that change the encoding,
// the case or the spaces of their name do not survive.
func Same(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	one, ok := Key(a)
	if !ok {
		return false
	}
	other, ok := Key(b)
	return ok && one == other
}

// Key returns what all names that are the same as this one (DER of Name) have in
// common, and no other has. It is no DER. ok is false for what is not a Name.
func Key(name []byte) (key string, ok bool) {
	rdns, ok := read(name)
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

// read takes a Name apart.
func read(b []byte) (rdns [][]attribute, ok bool) {
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

// Valid reports whether b is a Name that says something.
func Valid(b []byte) bool {
	rdns, ok := read(b)
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
