package trust

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/pki"
)

// originals are certificates worth cloning, by what is peculiar about them.
func originals(t testing.TB) map[string]*x509.Certificate {
	t.Helper()
	authority := ca(t, nil, "Root")
	made := make(map[string]*x509.Certificate)
	for what, o := range map[string]pki.LeafOptions{
		"plain":            {CommonNames: []string{"mail1.contoso.com"}, Organization: "Contoso", DNSNames: []string{"mail1.contoso.com", "*.contoso.com"}},
		"RSA":              {Key: pki.RSA2048, DNSNames: []string{"mail1.contoso.com"}},
		"Ed25519":          {Key: pki.Ed25519, DNSNames: []string{"mail1.contoso.com"}},
		"two common names": {CommonNames: []string{"a.contoso.com", "b.contoso.com"}, DNSNames: []string{"a.contoso.com"}},
		"odd names": {DNSNames: []string{"mail1.contoso.com"}, Names: []pki.Name{
			pki.Email("postmaster@contoso.com"), pki.URI("ldap:///x"), pki.IP(netip.MustParseAddr("192.0.2.7")), pki.DNS("mail_1.contoso.com")}},
		"no names": {CommonNames: []string{"Contoso Mail"}},
		"nothing":  {},
	} {
		c, err := authority.Leaf(o)
		if err != nil {
			t.Fatal(err)
		}
		made[what] = c.Leaf
	}
	return made
}

func TestCloneRequest(t *testing.T) {
	for what, of := range originals(t) {
		key := aKey(t, KindOf(of))
		text, err := CloneRequest(of, key)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		block, _ := pem.Decode(text)
		got, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil || got.CheckSignature() != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if !bytes.Equal(got.RawSubject, of.RawSubject) {
			t.Errorf("%s: subject %v, not %v", what, got.Subject, of.Subject)
		}
		if !slices.EqualFunc(got.Extensions, alternativeNames(of), sameExtension) {
			t.Errorf("%s: extensions %v", what, got.Extensions)
		}
		if sameKey(got.PublicKey, of.PublicKey) || !sameKey(got.PublicKey, key.Public()) {
			t.Errorf("%s: the key is not the new one", what)
		}
		if (what == "RSA") != (got.PublicKeyAlgorithm == x509.RSA) {
			t.Errorf("%s: the key is %v", what, got.PublicKeyAlgorithm)
		}
		if out := askOpenSSL(t, text, "req", "-verify", "-noout"); !strings.Contains(out, "verify OK") {
			t.Errorf("%s: openssl says %s", what, out)
		}
	}
}

func sameExtension(a, b pkix.Extension) bool {
	return a.Id.Equal(b.Id) && a.Critical == b.Critical && bytes.Equal(a.Value, b.Value)
}

func TestCloneSelfSigned(t *testing.T) {
	from := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for what, of := range originals(t) {
		key := aKey(t, KindOf(of))
		der, err := CloneSelfSigned(of, key, from, 7)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		got, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if !bytes.Equal(got.RawSubject, of.RawSubject) || !bytes.Equal(got.RawIssuer, of.RawSubject) || !selfSigned(got) {
			t.Errorf("%s: %v by %v", what, got.Subject, got.Issuer)
		}
		if !slices.EqualFunc(alternativeNames(got), alternativeNames(of), sameExtension) {
			t.Errorf("%s: names %v", what, alternativeNames(got))
		}
		if !sameKey(got.PublicKey, key.Public()) {
			t.Errorf("%s: the key is not the new one", what)
		}
		if !got.NotBefore.Equal(from) || got.NotAfter.Sub(from) != 7*24*time.Hour {
			t.Errorf("%s: valid from %s to %s", what, got.NotBefore, got.NotAfter)
		}
		if got.IsCA || !got.BasicConstraintsValid {
			t.Errorf("%s: it is a CA", what)
		}
		if !slices.Equal(got.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}) {
			t.Errorf("%s: for %v", what, got.ExtKeyUsage)
		}
		usage := x509.KeyUsageDigitalSignature
		if what == "RSA" {
			usage |= x509.KeyUsageKeyEncipherment
		}
		if got.KeyUsage != usage {
			t.Errorf("%s: key usage %b", what, got.KeyUsage)
		}
		// Two judges: who trusts it finds it good for client and server.
		pool := x509.NewCertPool()
		pool.AddCert(got)
		for purpose, usage := range map[string]x509.ExtKeyUsage{"sslserver": x509.ExtKeyUsageServerAuth, "sslclient": x509.ExtKeyUsageClientAuth} {
			if _, err := got.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{usage}, CurrentTime: from.Add(time.Hour)}); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			name := file(t, "self.pem", MarshalCertificates(got))
			out := askOpenSSL(t, nil, "verify", "-trusted", name, "-attime", "1795356000", "-check_ss_sig", "-purpose", purpose, name)
			if !strings.HasSuffix(out, ": OK\n") {
				t.Errorf("%s: openssl says %s", what, out)
			}
		}
	}
}

func TestCloneRefusesCA(t *testing.T) {
	authority := ca(t, nil, "Root").Certificate.Leaf
	if _, err := CloneRequest(authority, aKey(t, KeyECDSAP256)); !errors.Is(err, ErrCloneCA) {
		t.Errorf("a request: %v", err)
	}
	if _, err := CloneSelfSigned(authority, aKey(t, KeyECDSAP256), time.Now(), 1); !errors.Is(err, ErrCloneCA) {
		t.Errorf("self-signed: %v", err)
	}
}

// TestNewSerial: 20 octets as they stand in the certificate, positive, no two the
// same.
func TestNewSerial(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		serial, err := newSerial()
		if err != nil {
			t.Fatal(err)
		}
		if serial.Sign() <= 0 || serial.BitLen() != 159 {
			t.Fatalf("%x has %d bits", serial, serial.BitLen())
		}
		seen[serial.String()] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d of 1000 differ", len(seen))
	}
}
