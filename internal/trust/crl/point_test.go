package crl

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"domain-secured/internal/testkit/crlmaker"
)

func extras(all ...crlmaker.Extension) (extensions []pkix.Extension) {
	for _, x := range all {
		extensions = append(extensions, x.PKIX())
	}
	return extensions
}

var (
	issuerName = distinguished([]text{{10, cbasn1.UTF8String, "Woodgrove"}})
	otherName  = distinguished([]text{{10, cbasn1.UTF8String, "Fabrikam"}})
)

// below1 is what a name relative to an issuer's consists of.
func below1(value string) []byte {
	var b cryptobyte.Builder
	relative(&b, text{3, cbasn1.UTF8String, value})
	return b.BytesOrPanic()
}

// TestPoints: what crypto/x509 loses or refuses.
func TestPoints(t *testing.T) {
	uri := func(s string) crlmaker.Name { return crlmaker.URI(s) }
	whole := func(issuer, cn string) string {
		return string(distinguished([]text{{10, cbasn1.UTF8String, issuer}}, []text{{3, cbasn1.UTF8String, cn}}))
	}
	type points = []crlmaker.Point
	for _, c := range []struct {
		name string
		in   points
		want string // for each point its URIs, names of the directory, reasons, issuers
	}{
		{"one URI", points{{Names: []crlmaker.Name{uri("http://a/1")}}}, "[http://a/1] [] 1fe 0"},
		{"several", points{{Names: []crlmaker.Name{uri("http://a/1"), uri("ldap:///cn=a")}}, {Names: []crlmaker.Name{uri("https://b/2")}}},
			"[http://a/1 ldap:///cn=a] [] 1fe 0; [https://b/2] [] 1fe 0"},
		{"URI after a name", points{{Names: []crlmaker.Name{crlmaker.Directory(otherName), uri("http://a/1")}}},
			fmt.Sprintf("[http://a/1] [%s] 1fe 0", otherName)},
		{"other names", points{{Names: []crlmaker.Name{crlmaker.DNS("a.example"), uri("http://a/1")}}}, "[http://a/1] [] 1fe 0"},
		{"reasons", points{{Names: []crlmaker.Name{uri("http://a/1")}, Reasons: 1<<1 | 1<<6 | 1<<8}}, "[http://a/1] [] 142 0"},
		{"a reason without a meaning", points{{Names: []crlmaker.Name{uri("http://a/1")}, Reasons: 1<<0 | 1<<9}}, "[http://a/1] [] 0 0"},
		{"issuer", points{{Names: []crlmaker.Name{uri("http://a/1")}, CRLIssuer: []crlmaker.Name{crlmaker.Directory(otherName)}}}, "[http://a/1] [] 1fe 1"},
		{"issuer alone", points{{CRLIssuer: []crlmaker.Name{crlmaker.Directory(otherName)}}}, "[] [] 1fe 1"},
		{"relative", points{{Relative: below1("CRL1")}}, fmt.Sprintf("[] [%s] 1fe 0", whole("Woodgrove", "CRL1"))},
		{"relative to the issuer of the CRL", points{{Relative: below1("CRL1"), CRLIssuer: []crlmaker.Name{crlmaker.Directory(otherName)}}},
			fmt.Sprintf("[] [%s] 1fe 1", whole("Fabrikam", "CRL1"))},
		{"relative to two issuers", points{{Relative: below1("CRL1"), CRLIssuer: []crlmaker.Name{crlmaker.Directory(otherName), crlmaker.Directory(issuerName)}}}, "error"},
		{"relative to nothing", points{{Relative: []byte{}}}, "error"},
		{"reasons alone", points{{Reasons: 2}}, "error"},
		{"nothing", points{{}}, "error"},
		{"no point", points{}, "error"},
		{"no name", points{{Names: []crlmaker.Name{}}}, "error"},
		{"name of a directory that is none", points{{Names: []crlmaker.Name{crlmaker.Directory([]byte{5, 0})}}}, "error"},
		{"issuer is no name of a directory", points{{Names: []crlmaker.Name{uri("http://a/1")}, CRLIssuer: []crlmaker.Name{uri("http://a/")}}}, "error"},
		{"64 names", points{{Names: slices.Repeat([]crlmaker.Name{uri("u")}, 64)}}, "[u" + strings.Repeat(" u", 63) + "] [] 1fe 0"},
		{"65 names", points{{Names: slices.Repeat([]crlmaker.Name{uri("u")}, 65)}}, "error"},
		{"64 points", slices.Repeat(points{{Names: []crlmaker.Name{uri("u")}}}, 64), strings.TrimSuffix(strings.Repeat("[u] [] 1fe 0; ", 64), "; ")},
		{"65 points", slices.Repeat(points{{Names: []crlmaker.Name{uri("u")}}}, 65), "error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for id, f := range map[string]func(*x509.Certificate) ([]Point, error){"2.5.29.31": Points, "2.5.29.46": FreshestPoints} {
				x := crlmaker.Points(c.in...)
				x.ID = id
				certificate := &x509.Certificate{RawIssuer: issuerName, Extensions: extras(crlmaker.Number(1), x)}
				got, err := f(certificate)
				var all []string
				for _, p := range got {
					all = append(all, fmt.Sprintf("%v %s %x %d", p.URIs(), directoryNames(p.Names), uint16(p.Reasons), len(p.CRLIssuer)))
				}
				text := strings.Join(all, "; ")
				if err != nil {
					text = "error"
				}
				if text != c.want {
					t.Errorf("%s: %s, %v; want %s", id, text, err, c.want)
				}
			}
		})
	}
	if got, err := Points(&x509.Certificate{}); got != nil || err != nil {
		t.Errorf("without the extension: %v, %v", got, err)
	}
}

func TestReasons(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Reasons
		ok   bool
	}{
		{"\x00\x80", 0, true}, // bit 0 is unused
		{"\x06\x40", 1 << 1, true},
		{"\x07\x7f\x80", AllReasons, true},
		{"\x00\xff\xff", AllReasons, true},
		{"\x00\xff\xff\xff\xff", AllReasons, true},
		{"\x00", 0, true},
		{"", 0, false},
		{"\x01", 0, false},
		{"\x08\x00", 0, false},
		{"\x01\x01", 0, false}, // an unused bit is set
	} {
		if got, ok := parseReasons([]byte(c.in), true); ok != c.ok || ok && got != c.want {
			t.Errorf("%x: %x, %t", c.in, got, ok)
		}
	}
	if got := Reasons(1<<1 | 1<<6).String(); got != "keyCompromise, certificateHold" {
		t.Error(got)
	}
}

func TestIssuingPoint(t *testing.T) {
	for _, c := range []struct {
		in   string
		want string
	}{
		{"\x30\x00", "[] false false false false 1fe false"},
		{"\x30\x03\x81\x01\xff", "[] true false false false 1fe false"},
		{"\x30\x03\x82\x01\xff", "[] false true false false 1fe false"},
		{"\x30\x03\x85\x01\xff", "[] false false true false 1fe false"},
		{"\x30\x04\x83\x02\x06\x40", "[] false false false true 2 false"},
		{"\x30\x03\x84\x01\xff", "[] false false false false 1fe true"},
		{"\x30\x03\x81\x01\x00", "[] false false false false 1fe false"}, // DEFAULT, spelled out
		{"\x30\x07\xa0\x05\xa0\x03\x86\x01u", "[{6 75}] false false false false 1fe false"},
		{"\x30\x03\x81\x01\x01", "error"}, // neither true nor false in DER
		{"\x30\x02\x81\x00", "error"},     // of no octets
		{"\x30\x06\x81\x01\xff\x82\x01\xff", "error"},
		{"\x30\x06\x81\x01\xff\x85\x01\xff", "error"},
		{"\x30\x06\x82\x01\xff\x85\x01\xff", "error"},
		{"\x30\x06\x84\x01\xff\x81\x01\xff", "error"}, // order
		{"\x30\x06\x81\x01\xff\x81\x01\xff", "error"}, // twice
		{"\x30\x03\x86\x01\xff", "error"},
		{"\x30\x02\xa0\x00", "error"},
		{"\x30\x04\xa0\x02\xa2\x00", "error"},
		{"\x30\x00\x00", "error"},
	} {
		p, ok := parseIssuingPoint([]byte(c.in), issuerName)
		text := "error"
		if ok {
			var names []string
			for _, name := range p.names {
				names = append(names, fmt.Sprintf("{%d %x}", name.Tag, name.Value))
			}
			text = fmt.Sprintf("%v %t %t %t %t %x %t", names, p.onlyUser, p.onlyCA, p.onlyAttr, p.onlySome, uint16(p.reasons), p.indirect)
		}
		if text != c.want {
			t.Errorf("%x: %s, want %s", c.in, text, c.want)
		}
	}
}
