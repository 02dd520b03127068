package crl

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"domain-secured/internal/trust/dn"
)

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
		if name.Tag == tagDirectoryName && !dn.Valid(value) {
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
		return dn.Same(n.Value, other.Value)
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
