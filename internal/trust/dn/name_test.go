package dn

import (
	"bytes"
	"encoding/asn1"
	"testing"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// text is one attribute: its type's last octet in 2.5.4, its tag, its value.
type text struct {
	id    byte
	tag   cbasn1.Tag
	value string
}

// distinguished makes a Name of relative names, in this order.
func distinguished(rdns ...[]text) []byte {
	element := func(tag int, content ...[]byte) []byte {
		der, err := asn1.Marshal(asn1.RawValue{Tag: tag, IsCompound: tag == asn1.TagSequence || tag == asn1.TagSet, Bytes: bytes.Join(content, nil)})
		if err != nil {
			panic(err)
		}
		return der
	}
	var name [][]byte
	for _, rdn := range rdns {
		var set [][]byte
		for _, a := range rdn {
			set = append(set, element(asn1.TagSequence, element(asn1.TagOID, []byte{0x55, 4, a.id}), element(int(a.tag), []byte(a.value))))
		}
		name = append(name, element(asn1.TagSet, set...))
	}
	return element(asn1.TagSequence, name...)
}

func TestSame(t *testing.T) {
	const printable, utf8, ia5, t61, bmp = cbasn1.PrintableString, cbasn1.UTF8String, cbasn1.IA5String, cbasn1.T61String, cbasn1.Tag(30)
	cn := func(tag cbasn1.Tag, value string) []byte { return distinguished([]text{{3, tag, value}}) }
	o, c := text{10, utf8, "Woodgrove"}, text{3, utf8, "CA"}
	for _, x := range []struct {
		name string
		a, b []byte
		want bool
	}{
		{"the same", cn(utf8, "CA"), cn(utf8, "CA"), true},
		{"case", cn(utf8, "Woodgrove CA"), cn(utf8, "WOODGROVE ca"), true},
		{"case beyond ASCII", cn(utf8, "BÜCHER"), cn(utf8, "bücher"), true},
		{"Kelvin", cn(utf8, "\u212a"), cn(printable, "k"), true},
		{"three cases", cn(utf8, "ΣΑΣ"), cn(utf8, "σας"), true},
		{"composed", cn(utf8, "b\u00fccher"), cn(utf8, "bu\u0308cher"), true},
		{"encoding", cn(printable, "Woodgrove"), cn(utf8, "woodgrove"), true},
		{"IA5", cn(ia5, "Woodgrove"), cn(utf8, "woodgrove"), true},
		{"space between", cn(printable, "A  B"), cn(printable, "a b"), true},
		{"space around", cn(printable, "  A B "), cn(printable, "A B"), true},
		{"space inside", cn(printable, "AB"), cn(printable, "A B"), false},
		{"other text", cn(utf8, "A"), cn(utf8, "B"), false},
		{"part of it", cn(utf8, "A"), cn(utf8, "AB"), false},
		{"other type", cn(utf8, "A"), distinguished([]text{{10, utf8, "A"}}), false},
		{"T.61 the same", cn(t61, "A"), cn(t61, "A"), true},
		{"T.61 and UTF-8", cn(t61, "A"), cn(utf8, "A"), false},
		{"T.61 case", cn(t61, "A"), cn(t61, "a"), false},
		{"no type", cn(0, "CA"), cn(utf8, "CA"), false},
		{"BMP", cn(bmp, "\x00A"), cn(utf8, "A"), false},
		{"no UTF-8", cn(utf8, "\xff"), cn(utf8, "\xfe"), false},
		{"no UTF-8, same case", cn(utf8, "\xffA"), cn(utf8, "\xffa"), false},
		{"order", distinguished([]text{o}, []text{c}), distinguished([]text{c}, []text{o}), false},
		{"longer", distinguished([]text{o}, []text{c}), distinguished([]text{o}), false},
		{"order in one", distinguished([]text{o, c}), distinguished([]text{c, o}), true},
		{"one and two", distinguished([]text{o, c}), distinguished([]text{o}, []text{c}), false},
		{"one of two", distinguished([]text{o}), distinguished([]text{o, c}), false},
		{"twice the same", distinguished([]text{o, o}), distinguished([]text{o, c}), false},
		{"no name", []byte{5, 0}, []byte{5, 0, 0}, false},
		{"no name, and one", cn(utf8, "a"), []byte{0x30, 1}, false},
	} {
		if got := Same(x.a, x.b); got != x.want {
			t.Errorf("%s: %t", x.name, got)
		}
		if got := Same(x.b, x.a); got != x.want {
			t.Errorf("%s, the other way round: %t", x.name, got)
		}
	}
}

// FuzzKey: what a name says is read, or refused.
func FuzzKey(f *testing.F) {
	f.Add(distinguished([]text{{3, cbasn1.UTF8String, " Woodgrove  CA"}}, []text{{10, cbasn1.PrintableString, "Woodgrove"}, {11, cbasn1.T61String, "\xff"}}))
	f.Add([]byte{0x30, 0})
	f.Fuzz(func(t *testing.T, name []byte) {
		key, ok := Key(name)
		if ok != (key != "") || ok && key[0] != 0 || Valid(name) && !ok {
			t.Errorf("%x: %q, %t", name, key, ok)
		}
		if again, _ := Key(bytes.Clone(name)); again != key {
			t.Errorf("%x: %q, and then %q", name, key, again)
		}
	})
}
