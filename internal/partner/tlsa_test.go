package partner

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"testing"

	"domain-secured/internal/testkit/pki"

	"github.com/miekg/dns"
)

// leaf makes a self-signed certificate, for which all that matters is that it is one.
func leaf(t testing.TB) *x509.Certificate {
	t.Helper()
	c, err := pki.SelfSigned(pki.LeafOptions{DNSNames: []string{"mx.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf
}

// subjectOf is what a mail server reports of a certificate.
func subjectOf(c *x509.Certificate) Subject {
	return Subject{Certificate: sha256.Sum256(c.Raw), Key: sha256.Sum256(c.RawSubjectPublicKeyInfo)}
}

func TestTLSAMatches(t *testing.T) {
	c, other := leaf(t), leaf(t)
	s := subjectOf(c)
	whole := s
	whole.X509 = c
	wrong := s
	wrong.X509 = other
	cert256, key256 := sha256.Sum256(c.Raw), sha256.Sum256(c.RawSubjectPublicKeyInfo)
	cert512, key512 := sha512.Sum512(c.Raw), sha512.Sum512(c.RawSubjectPublicKeyInfo)
	other256 := sha256.Sum256(other.Raw)
	other512 := sha512.Sum512(other.Raw)
	otherKey512 := sha512.Sum512(other.RawSubjectPublicKeyInfo)
	for _, r := range []struct {
		name           string
		record         TLSA
		subject        Subject
		want, wantFull bool // by what the mail server reports; with the certificate
	}{
		{"3 0 0", TLSA{3, 0, 0, c.Raw}, s, true, true},
		{"3 0 1", TLSA{3, 0, 1, cert256[:]}, s, true, true},
		{"3 0 2", TLSA{3, 0, 2, cert512[:]}, s, false, true},
		{"3 1 0", TLSA{3, 1, 0, c.RawSubjectPublicKeyInfo}, s, true, true},
		{"3 1 1", TLSA{3, 1, 1, key256[:]}, s, true, true},
		{"3 1 2", TLSA{3, 1, 2, key512[:]}, s, false, true},
		{"another's", TLSA{3, 0, 1, other256[:]}, s, false, false},
		{"another's key", TLSA{3, 1, 2, otherKey512[:]}, s, false, false},
		{"another's SHA-512", TLSA{3, 0, 2, other512[:]}, s, false, false},
		{"another's certificate", TLSA{3, 0, 0, other.Raw}, s, false, false},
		{"selectors confused", TLSA{3, 1, 1, cert256[:]}, s, false, false},
		{"selectors confused", TLSA{3, 0, 1, key256[:]}, s, false, false},
		{"PKIX-TA", TLSA{0, 0, 1, cert256[:]}, s, false, false},
		{"PKIX-EE", TLSA{1, 0, 1, cert256[:]}, s, false, false},
		{"DANE-TA", TLSA{2, 0, 1, cert256[:]}, s, false, false},
		{"no usage", TLSA{255, 0, 1, cert256[:]}, s, false, false},
		{"no selector", TLSA{3, 2, 1, cert256[:]}, s, false, false},
		{"no matching type", TLSA{3, 0, 3, cert256[:]}, s, false, false},
		{"cut off", TLSA{3, 0, 1, cert256[:31]}, s, false, false},
		{"too long", TLSA{3, 0, 1, append(cert256[:], 0)}, s, false, false},
		{"empty", TLSA{3, 0, 1, nil}, s, false, false},
		{"empty", TLSA{3, 0, 0, nil}, s, false, false},
		{"empty", TLSA{3, 0, 2, nil}, s, false, false},
		{"digest as everything", TLSA{3, 0, 0, cert256[:]}, s, false, false},
	} {
		if got := r.record.Matches(r.subject); got != r.want {
			t.Errorf("%s: %v", r.name, got)
		}
		if got := r.record.Matches(whole); got != r.wantFull {
			t.Errorf("%s, with the certificate: %v", r.name, got)
		}
		if got := r.record.Matches(wrong); got != r.want {
			t.Errorf("%s, with another's certificate: %v", r.name, got)
		}
		if r.record.Matches(Subject{}) || r.record.Matches(Subject{X509: c}) {
			t.Errorf("%s: matches nothing", r.name)
		}
	}
	// What was not reported is not zeros.
	zeros := make([]byte, 32)
	if (TLSA{3, 0, 1, zeros}).Matches(Subject{Key: s.Key}) || (TLSA{3, 1, 1, zeros}).Matches(Subject{Certificate: s.Certificate}) {
		t.Error("zeros match nothing")
	}
	if !(TLSA{3, 1, 1, key256[:]}).Matches(Subject{Key: s.Key}) || !(TLSA{3, 0, 1, cert256[:]}).Matches(Subject{Certificate: s.Certificate}) {
		t.Error("one of the two is enough")
	}
	if got := (TLSA{3, 1, 1, []byte{1, 0xab}}).String(); got != "3 1 1 01ab" {
		t.Error(got)
	}
}

// FuzzTLSA takes the data of a TLSA record as it is over the wire.
func FuzzTLSA(f *testing.F) {
	c := leaf(f)
	key256 := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	key512 := sha512.Sum512(c.RawSubjectPublicKeyInfo)
	f.Add(append([]byte{3, 1, 1}, key256[:]...))
	f.Add(append([]byte{3, 1, 2}, key512[:]...))
	f.Add(append([]byte{3, 0, 0}, c.Raw...))
	f.Add(append([]byte{2, 1, 1}, key256[:]...))
	f.Add([]byte{3, 1, 1})
	f.Add([]byte{3})
	f.Add([]byte{})
	s := subjectOf(c)
	s.X509 = c
	// All that may match, and nothing else.
	cert256, cert512 := sha256.Sum256(c.Raw), sha512.Sum512(c.Raw)
	good := map[string]bool{}
	for selector, forms := range [][][]byte{
		{c.Raw, cert256[:], cert512[:]}, {c.RawSubjectPublicKeyInfo, key256[:], key512[:]},
	} {
		for matching, data := range forms {
			good[string([]byte{3, byte(selector), byte(matching)})+string(data)] = true
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 60_000 {
			return
		}
		header := dns.RR_Header{Name: ".", Rrtype: dns.TypeTLSA, Class: dns.ClassINET, Rdlength: uint16(len(data))}
		rr, off, err := dns.UnpackRRWithHeader(header, data, 0)
		if err != nil {
			return // the resolver never sees it
		}
		if off != len(data) {
			t.Fatalf("%d octets of %d", off, len(data))
		}
		records := tlsaOf([]dns.RR{rr})
		matches := false
		for _, record := range records {
			matches = matches || record.Matches(s)
			again := append([]byte{record.Usage, record.Selector, record.Matching}, record.Data...)
			if !bytes.Equal(again, data) {
				t.Errorf("%x became %x", data, again)
			}
			if fields := record.String(); fields == "" {
				t.Error("no text")
			}
		}
		if matches != good[string(data)] {
			t.Errorf("%s matches: %v", hex.EncodeToString(data), matches)
		}
	})
}
