package crl

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/trust/dn"
)

// FuzzRead: whatever is taken for a list means the same to crypto/x509, if that
// takes it.
func FuzzRead(f *testing.F) {
	ca := newCA(f, pki.CAOptions{})
	for _, change := range []func(*crlmaker.Options){
		func(o *crlmaker.Options) {},
		func(o *crlmaker.Options) { o.Version1, o.Extensions = true, nil },
		func(o *crlmaker.Options) { o.Entries, o.Generalized = many(5), true },
		func(o *crlmaker.Options) { o.NoNextUpdate = true },
		func(o *crlmaker.Options) {
			o.Extensions = append(o.Extensions, crlmaker.IssuingPoint{Indirect: true, OnlyUser: true, OnlyReasons: 6, Names: []crlmaker.Name{crlmaker.URI("u")}}.Extension())
			o.Entries = crlmaker.Of(crlmaker.Entry{Serial: big.NewInt(-129), Issuer: otherName, Reason: 6},
				crlmaker.Entry{RawSerial: []byte{0, 0, 1}, Extensions: []crlmaker.Extension{{ID: "1.2.3", Critical: true, Value: []byte{5, 0}}}})
		},
		func(o *crlmaker.Options) {
			o.Extensions = append(o.Extensions, crlmaker.Delta(1), crlmaker.Freshest(crlmaker.Point{Relative: below1("x"), Reasons: 2}))
		},
	} {
		o := by(ca, crlmaker.Number(1), crlmaker.KeyID([]byte("key")))
		change(&o)
		data := der1(f, o)
		f.Add(data)
		text, err := crlmaker.PEM(o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, entries, err := readAll(bytes.NewReader(data))
		if err != nil {
			for _, known := range []error{ErrMalformed, ErrTruncated, ErrTooLarge, ErrNoNextUpdate, ErrAlgorithm} {
				if errors.Is(err, known) {
					return
				}
			}
			t.Fatalf("an error of no kind: %v", err)
		}
		list, err := x509.ParseRevocationList(data)
		if err != nil {
			return
		}
		compare(t, list, l, entries)
		if sum := sha256.Sum256(list.RawTBSRevocationList); l.algorithm.hash.Size() == len(sum) && !bytes.Equal(l.digest, sum[:]) {
			t.Error("something else is signed")
		}
	})
}

// FuzzDistributionPoints: what is read is what encoding/asn1 reads, if that can.
func FuzzDistributionPoints(f *testing.F) {
	for _, p := range []crlmaker.Point{
		{Names: []crlmaker.Name{crlmaker.URI("http://a/1"), crlmaker.Directory(otherName), crlmaker.DNS("a")}, Reasons: 0x1fe},
		{Relative: below1("CRL1"), CRLIssuer: []crlmaker.Name{crlmaker.Directory(otherName)}},
	} {
		f.Add(crlmaker.Points(p, p).Value)
	}
	f.Add(crlmaker.IssuingPoint{Names: []crlmaker.Name{crlmaker.URI("u")}, OnlyCA: true, OnlyReasons: 2, Indirect: true}.Extension().Value)
	f.Add(crlmaker.IssuingPoint{Relative: below1("x"), OnlyAttributes: true}.Extension().Value)
	f.Add(otherName)
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, ok := parseIssuingPoint(data, issuerName); ok && p.reasons&^AllReasons != 0 {
			t.Errorf("reasons %x", p.reasons)
		}
		if key, ok := dn.Key(data); ok && (key[0] != 0 || !dn.Same(data, append([]byte{}, data...))) {
			t.Error("a name is not itself")
		}
		_ = dn.Same(data, issuerName)
		points, ok := parsePoints(data, issuerName)
		if !ok {
			return
		}
		var want []struct {
			Name    asn1.RawValue  `asn1:"optional,tag:0"`
			Reasons asn1.BitString `asn1:"optional,tag:1"`
			Issuer  asn1.RawValue  `asn1:"optional,tag:2"`
		}
		if rest, err := asn1.Unmarshal(data, &want); err != nil || len(rest) > 0 {
			return
		}
		if len(points) != len(want) {
			t.Fatalf("%d points, want %d", len(points), len(want))
		}
		for i, p := range points {
			for bit := range 9 {
				// Without the field it is all of them.
				has := want[i].Reasons.At(bit) == 1 || want[i].Reasons.BitLength == 0 && len(want[i].Reasons.Bytes) == 0 && p.Reasons == AllReasons
				if got := p.Reasons&(1<<bit) != 0; bit > 0 && got != has {
					t.Errorf("point %d, reason %d: %t", i, bit, got)
				}
			}
			if (len(p.CRLIssuer) > 0) != (len(want[i].Issuer.FullBytes) > 0) || (len(p.Names) > 0) != (len(want[i].Name.FullBytes) > 0) {
				t.Errorf("point %d: %+v", i, p)
			}
			for _, uri := range p.URIs() {
				if !bytes.Contains(want[i].Name.Bytes, []byte(uri)) {
					t.Errorf("point %d: URI %q out of nothing", i, uri)
				}
			}
		}
	})
}

// FuzzOpen: a damaged index never says that a certificate is not listed that is.
func FuzzOpen(f *testing.F) {
	ca := newCA(f, pki.CAOptions{})
	o := by(ca, crlmaker.Number(1))
	const n = 40
	o.Entries = many(n)
	for range 2 { // two of the same list, with other keys: parts of one do not fit into the other
		x := build(f, der1(f, o), ca.Certificate.Leaf)
		data, err := os.ReadFile(filepath.Join(filepath.Dir(x.file.Name()), "index"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)-1])
		f.Add(append(make([]byte, 100), data[100:]...))
	}
	path := filepath.Join(f.TempDir(), "index")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		x, err := Open(path)
		if err != nil {
			if !errors.Is(err, ErrIndex) {
				t.Fatal(err)
			}
			return
		}
		defer x.Close()
		for range 2 { // mapped, and read
			for i := range n {
				_, listed, err := x.Lookup(ca.Certificate.Leaf.RawSubject, serial(i))
				if err != nil && !errors.Is(err, ErrIndex) || err == nil && !listed {
					t.Fatalf("%d: %t, %v", i, listed, err)
				}
			}
			x.unmap()
		}
	})
}
