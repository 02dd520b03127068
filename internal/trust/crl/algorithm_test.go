package crl

import (
	"bytes"
	"crypto/x509"
	"errors"
	"testing"

	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/pki"
)

// TestSigned: every way of signing that is accepted, by the right key and by
// another one of its kind.
func TestSigned(t *testing.T) {
	cas := map[pki.KeyKind][2]*pki.CA{}
	for _, kind := range []pki.KeyKind{pki.RSA2048, pki.RSA1024, pki.ECDSAP224, pki.ECDSAP256, pki.ECDSAP384, pki.Ed25519} {
		cas[kind] = [2]*pki.CA{newCA(t, pki.CAOptions{Key: kind}), newCA(t, pki.CAOptions{Key: kind})}
	}
	for _, c := range []struct {
		kind      pki.KeyKind
		algorithm x509.SignatureAlgorithm
		want      error
	}{
		{pki.RSA2048, x509.SHA256WithRSA, nil},
		{pki.RSA2048, x509.SHA384WithRSA, nil},
		{pki.RSA2048, x509.SHA512WithRSA, nil},
		{pki.RSA2048, x509.SHA256WithRSAPSS, nil},
		{pki.RSA2048, x509.SHA384WithRSAPSS, nil},
		{pki.RSA2048, x509.SHA512WithRSAPSS, nil},
		{pki.ECDSAP256, x509.ECDSAWithSHA256, nil},
		{pki.ECDSAP256, x509.ECDSAWithSHA512, nil},
		{pki.ECDSAP384, x509.ECDSAWithSHA384, nil},
		{pki.Ed25519, x509.PureEd25519, nil},
		{pki.RSA2048, x509.SHA1WithRSA, ErrAlgorithm},
		{pki.ECDSAP256, x509.ECDSAWithSHA1, ErrAlgorithm},
		{pki.RSA1024, x509.SHA256WithRSA, ErrAlgorithm},
		{pki.ECDSAP224, x509.ECDSAWithSHA256, ErrAlgorithm},
	} {
		t.Run(string(c.kind)+" "+c.algorithm.String(), func(t *testing.T) {
			ca, other := cas[c.kind][0], cas[c.kind][1]
			o := by(ca, crlmaker.Number(1))
			o.Algorithm, o.Entries = c.algorithm, many(100)
			data := der1(t, o)
			if err := sign(t, data, ca); !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			if c.want != nil {
				return
			}
			if list, err := x509.ParseRevocationList(data); err != nil || list.CheckSignatureFrom(ca.Certificate.Leaf) != nil {
				t.Errorf("crypto/x509 thinks otherwise: %v", err)
			}
			if err := sign(t, data, other); !errors.Is(err, ErrSignature) {
				t.Errorf("signed by another: %v", err)
			}
			if err := sign(t, data, other, ca); err != nil {
				t.Errorf("one of two: %v", err)
			}
			// Of each other kind of key.
			for kind, pair := range cas {
				if err := sign(t, data, pair[1]); err == nil {
					t.Errorf("verified by %s", kind)
				}
			}
			o.BadSig = true
			if err := sign(t, der1(t, o), ca); !errors.Is(err, ErrSignature) {
				t.Errorf("something else was signed: %v", err)
			}
			bad := bytes.Clone(data)
			bad[len(bad)/2] ^= 1
			if err := sign(t, bad, ca); !errors.Is(err, ErrSignature) {
				t.Errorf("changed after it was signed: %v", err)
			}
		})
	}
}

// sign builds an index with these candidates.
func sign(t *testing.T, data []byte, cas ...*pki.CA) error {
	t.Helper()
	var all []*x509.Certificate
	for _, ca := range cas {
		all = append(all, ca.Certificate.Leaf)
	}
	x, err := Build(bytes.NewReader(data), t.TempDir()+"/index", signers(all...))
	if err == nil {
		if !bytes.Equal(x.Info().Signer, all[len(all)-1].Raw) {
			t.Error("another one is named as the signer")
		}
		x.Close()
	}
	return err
}

// TestEd25519 is hashed twice by its signer, so all of it must be in memory.
func TestEd25519(t *testing.T) {
	ca := newCA(t, pki.CAOptions{Key: pki.Ed25519})
	o := by(ca)
	o.Entries = many(maxInMemory / 44)
	if err := sign(t, der1(t, o), ca); err != nil {
		t.Error(err)
	}
	o.Entries = many(maxInMemory / 36)
	if err := sign(t, der1(t, o), ca); !errors.Is(err, ErrTooLarge) {
		t.Errorf("over a megabyte: %v", err)
	}
}

// TestPSS: parameters of RSA-PSS that are not what they should be.
func TestPSS(t *testing.T) {
	const (
		sha1     = "\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00"
		sha256   = "\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00"
		sha512   = "\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00"
		mgf1     = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"
		salt32   = "\xa2\x03\x02\x01\x20"
		explicit = "\xa3\x03\x02\x01\x01"
	)
	seq := func(tag byte, parts ...string) string {
		all := ""
		for _, part := range parts {
			all += part
		}
		return string([]byte{tag, byte(len(all))}) + all
	}
	mask := func(hash string) string { return seq(0xa1, seq(0x30, mgf1, hash)) }
	for _, c := range []struct {
		name, parameters string
		want             error
	}{
		{"SHA-256", seq(0x30, seq(0xa0, sha256), mask(sha256), salt32), nil},
		{"trailer", seq(0x30, seq(0xa0, sha256), mask(sha256), salt32, explicit), nil},
		{"another trailer", seq(0x30, seq(0xa0, sha256), mask(sha256), salt32, "\xa3\x03\x02\x01\x02"), ErrAlgorithm},
		{"defaults, which are SHA-1", seq(0x30), ErrAlgorithm},
		{"none", "", ErrAlgorithm},
		{"SHA-1", seq(0x30, seq(0xa0, sha1), mask(sha1)), ErrAlgorithm},
		{"mask of SHA-1", seq(0x30, seq(0xa0, sha256), mask(sha1), salt32), ErrAlgorithm},
		{"mask by default", seq(0x30, seq(0xa0, sha256), salt32), ErrAlgorithm},
		{"mask of SHA-512", seq(0x30, seq(0xa0, sha256), mask(sha512), salt32), ErrAlgorithm},
		{"no MGF1", seq(0x30, seq(0xa0, sha256), seq(0xa1, seq(0x30, "\x06\x01\x2a", sha256)), salt32), ErrAlgorithm},
		{"negative salt", seq(0x30, seq(0xa0, sha256), mask(sha256), "\xa2\x03\x02\x01\xff"), ErrAlgorithm},
		{"great salt", seq(0x30, seq(0xa0, sha256), mask(sha256), "\xa2\x06\x02\x04\x7f\xff\xff\xff"), ErrAlgorithm},
		{"more", seq(0x30, seq(0xa0, sha256), mask(sha256), salt32, "\x05\x00"), ErrAlgorithm},
	} {
		a, err := parseAlgorithm([]byte(seq(0x30, "\x06\x09"+string(oidPSS), c.parameters)))
		if !errors.Is(err, c.want) || err == nil && (a.kind != schemePSS || a.salt != 32) {
			t.Errorf("%s: %+v, %v", c.name, a, err)
		}
	}
}

// TestSigners: who is asked, and who is not believed.
func TestSigners(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	noSign := newCA(t, pki.CAOptions{Extra: extras(crlmaker.KeyUsage(x509.KeyUsageCertSign))})
	renamed := newCA(t, pki.CAOptions{Name: "Another CA"})
	o := by(ca, crlmaker.KeyID([]byte("key")))
	var issuer, keyID []byte
	_, err := Build(bytes.NewReader(der1(t, o)), t.TempDir()+"/index", Options{Signers: func(i, k []byte) []*x509.Certificate {
		issuer, keyID = i, k
		return nil
	}})
	if !errors.Is(err, ErrSigner) {
		t.Errorf("without any: %v", err)
	}
	if !bytes.Equal(issuer, ca.Certificate.Leaf.RawSubject) || string(keyID) != "key" {
		t.Errorf("asked for %x, %q", issuer, keyID)
	}
	o.Key = noSign.Key
	if err := sign(t, der1(t, o), noSign); !errors.Is(err, ErrSigner) {
		t.Errorf("a key not for CRLs: %v", err)
	}
	o.Key = renamed.Key
	if err := sign(t, der1(t, o), renamed); !errors.Is(err, ErrSigner) {
		t.Errorf("an authority of another name: %v", err)
	}
}
