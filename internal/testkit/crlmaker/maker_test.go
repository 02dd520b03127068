package crlmaker

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/pki"
)

func newCA(t *testing.T, kind pki.KeyKind) *pki.CA {
	t.Helper()
	ca, err := pki.NewCA(pki.CAOptions{Key: kind})
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// TestAsX509: what it makes is what crypto/x509 makes of the same, for lists whose
// lengths take one to three octets.
func TestAsX509(t *testing.T) {
	ca := newCA(t, pki.Ed25519) // the same signature every time
	for _, n := range []int{0, 1, 2, 5, 50, 2000} {
		o := Options{Issuer: ca.Certificate.Leaf.RawSubject, Key: ca.Key, ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
			Extensions: []Extension{KeyID(ca.Certificate.Leaf.SubjectKeyId), Number(7)}}
		template := &x509.RevocationList{Number: big.NewInt(7), ThisUpdate: o.ThisUpdate, NextUpdate: o.NextUpdate}
		var entries []Entry
		for i := range n {
			serial := new(big.Int).Lsh(big.NewInt(int64(i+1)), uint(i%150))
			entries = append(entries, Entry{Serial: serial, Reason: i % 7})
			template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{
				SerialNumber: serial, RevocationTime: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), ReasonCode: i % 7})
		}
		if n > 0 {
			o.Entries = Of(entries...)
		}
		got, err := Bytes(o)
		if err != nil {
			t.Fatal(err)
		}
		want, err := x509.CreateRevocationList(rand.Reader, template, ca.Certificate.Leaf, ca.Key)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%d entries:\n%x\nwant\n%x", n, got, want)
		}
	}
}

// TestSigned: crypto/x509 verifies what it signs, unless that is to be wrong.
func TestSigned(t *testing.T) {
	for kind, all := range map[pki.KeyKind][]x509.SignatureAlgorithm{
		pki.RSA2048:   {0, x509.SHA384WithRSA, x509.SHA512WithRSA, x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS},
		pki.ECDSAP256: {0, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512},
		pki.Ed25519:   {0},
	} {
		ca := newCA(t, kind)
		for _, algorithm := range all {
			for _, bad := range []bool{false, true} {
				o := Options{Issuer: ca.Certificate.Leaf.RawSubject, Key: ca.Key, Algorithm: algorithm, BadSig: bad, Entries: Entries(big.NewInt(5)),
					Extensions: []Extension{Number(1)}}
				data, err := Bytes(o)
				if err != nil {
					t.Fatal(err)
				}
				list, err := x509.ParseRevocationList(data)
				if err != nil {
					t.Fatal(err)
				}
				if err := list.CheckSignatureFrom(ca.Certificate.Leaf); (err != nil) != bad {
					t.Errorf("%s, %v, bad %t: %v", kind, algorithm, bad, err)
				}
			}
		}
	}
}

func TestErrors(t *testing.T) {
	ca := newCA(t, pki.ECDSAP256)
	good := Options{Issuer: ca.Certificate.Leaf.RawSubject, Key: ca.Key}
	broken := errors.New("broken")
	for name, change := range map[string]func(*Options){
		"no issuer":     func(o *Options) { o.Issuer = nil },
		"no key":        func(o *Options) { o.Key = nil },
		"algorithm":     func(o *Options) { o.Algorithm = x509.DSAWithSHA1 },
		"extension":     func(o *Options) { o.Extensions = []Extension{{ID: "no dots"}} },
		"an entry's ID": func(o *Options) { o.Entries = Of(Entry{Serial: big.NewInt(1), Extensions: []Extension{{ID: "x"}}}) },
	} {
		o := good
		change(&o)
		if _, err := Bytes(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := Write(writer(func([]byte) (int, error) { return 0, broken }), good); !errors.Is(err, broken) {
		t.Errorf("a writer that fails: %v", err)
	}
	if err := Write(io.Discard, good); err != nil {
		t.Error(err)
	}
	text, err := PEM(good)
	if err != nil || !strings.HasPrefix(string(text), "-----BEGIN X509 CRL-----\n") {
		t.Errorf("%s, %v", text, err)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }
