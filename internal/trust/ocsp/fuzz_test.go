package ocsp

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"

	lib "golang.org/x/crypto/ocsp"

	"domain-secured/internal/testkit/pki"
)

// fixedWorld is the same in every process, as a corpus needs it.
func fixedWorld(t testing.TB) (w *world, at time.Time) {
	t.Helper()
	at = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	make := func(name string, serial int64, isCA bool, parent *x509.Certificate) *pki.Certificate {
		template := &x509.Certificate{
			Subject: pkix.Name{CommonName: name}, SerialNumber: big.NewInt(serial), NotBefore: at.Add(-time.Hour), NotAfter: at.Add(time.Hour),
			IsCA: isCA, BasicConstraintsValid: true,
		}
		if parent == nil {
			parent = template
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return &pki.Certificate{Leaf: c, DER: der, Key: key}
	}
	ca := make("CA", 1, true, nil)
	return &world{ca: &pki.CA{Certificate: *ca}, leaf: make("leaf", 42, false, ca.Leaf)}, at
}

// FuzzCheck signs whatever ResponseData it is given, and looks for one that
// panics, or that is taken for something else than what it says.
func FuzzCheck(f *testing.F) {
	w, at := fixedWorld(f)
	r := w.good()
	for _, status := range []Status{Good, Revoked, Unknown} {
		s := &r.said[0]
		s.status, s.reason, s.this, s.next = status, 6, at.Add(-time.Hour), at.Add(time.Hour)
		f.Add(r.data(f))
		s.extensions = []pkix.Extension{noCheck}
		f.Add(r.data(f))
		r.byKey, s.next = true, time.Time{}
		r.extensions = []pkix.Extension{noCheck}
		f.Add(r.data(f))
	}
	r.said = append(r.said, r.said[0])
	f.Add(r.data(f))
	r = reply{by: &w.ca.Certificate}
	f.Fuzz(func(t *testing.T, tbs []byte) {
		response := r.wrap(t, tbs)
		answer, err := Check(response, w.leaf.Leaf, w.ca.Certificate.Leaf, at, Options{})
		if err != nil {
			if !errors.Is(err, ErrUnusable) || answer != (Answer{}) {
				t.Errorf("%+v, %v", answer, err)
			}
			return
		}
		if answer.ThisUpdate.After(at.Add(5*time.Minute)) || answer.Until.Before(at.Add(-5*time.Minute)) || answer.Hold && answer.Status != Revoked {
			t.Errorf("%+v", answer)
		}
		other, err := lib.ParseResponse(response, nil)
		if err != nil {
			return // the library reads no more than one that is about several
		}
		want := map[int]Status{lib.Good: Good, lib.Revoked: Revoked, lib.Unknown: Unknown}[other.Status]
		if answer.Status != want || other.SerialNumber.Cmp(w.leaf.Leaf.SerialNumber) != 0 || !other.ThisUpdate.Equal(answer.ThisUpdate) || !other.NextUpdate.Equal(answer.NextUpdate) {
			t.Errorf("%+v, the library reads %+v", answer, other)
		}
	})
}

// FuzzParse looks for a response that panics.
func FuzzParse(f *testing.F) {
	w, _ := fixedWorld(f)
	r := w.good()
	f.Add(r.der(f))
	r.with = []*pki.Certificate{&w.ca.Certificate, w.leaf}
	f.Add(r.der(f))
	f.Add(lib.TryLaterErrorResponse)
	f.Fuzz(func(t *testing.T, response []byte) {
		b, err := parse(response)
		if (b == nil) == (err == nil) {
			t.Errorf("%+v, %v", b, err)
		}
	})
}
