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
