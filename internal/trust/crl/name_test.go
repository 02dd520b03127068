package crl

import (
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// text is one attribute: its type's last octet in 2.5.4, its tag, its value.
type text struct {
	id    byte
	tag   cbasn1.Tag
	value string
}

// distinguished makes a Name of relative names.
func distinguished(rdns ...[]text) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, rdn := range rdns {
			b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { relative(b, rdn...) })
		}
	})
	return b.BytesOrPanic()
}

func relative(b *cryptobyte.Builder, rdn ...text) {
	for _, a := range rdn {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes([]byte{0x55, 4, a.id}) })
			b.AddASN1(a.tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(a.value)) })
		})
	}
}

func TestSameName(t *testing.T) {
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
		if got := SameName(x.a, x.b); got != x.want {
			t.Errorf("%s: %t", x.name, got)
		}
		if got := SameName(x.b, x.a); got != x.want {
			t.Errorf("%s, the other way round: %t", x.name, got)
		}
	}
}

func TestSameGeneralName(t *testing.T) {
	name := func(value string) []byte { return distinguished([]text{{3, cbasn1.UTF8String, value}}) }
	for _, x := range []struct {
		name string
		a, b Name
		want bool
	}{
		{"URI", Name{6, []byte("http://a/b")}, Name{6, []byte("http://a/b")}, true},
		{"host and scheme", Name{6, []byte("HTTP://A.example/b")}, Name{6, []byte("http://a.EXAMPLE/b")}, true},
		{"path", Name{6, []byte("http://a/b")}, Name{6, []byte("http://a/B")}, false},
		{"query", Name{6, []byte("http://a?b")}, Name{6, []byte("http://a?B")}, false},
		{"user", Name{6, []byte("http://u@a/b")}, Name{6, []byte("http://U@a/b")}, false},
		{"LDAP without a host", Name{6, []byte("ldap:///cn=a?b")}, Name{6, []byte("LDAP:///cn=a?b")}, true},
		{"no host", Name{6, []byte("urn:a")}, Name{6, []byte("URN:a")}, false},
		{"colon in the path", Name{6, []byte("/a://b")}, Name{6, []byte("/A://b")}, false},
		{"directory", Name{4, name("a")}, Name{4, name("A")}, true},
		{"other directory", Name{4, name("a")}, Name{4, name("b")}, false},
		{"kinds", Name{2, []byte("a")}, Name{6, []byte("a")}, false},
		{"others", Name{2, []byte("a")}, Name{2, []byte("A")}, false},
	} {
		if got := x.a.same(x.b); got != x.want {
			t.Errorf("%s: %t", x.name, got)
		}
	}
}
