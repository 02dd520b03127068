package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"domain-secured/internal/testkit/pki"
)

// word answers with a password and counts how often it is asked.
func word(password string, asked *int) func() (string, error) {
	return func() (string, error) {
		*asked++
		return password, nil
	}
}

// TestReadPKCS12OpenSSL reads what openssl writes, with every algorithm that it
// offers for it.
func TestReadPKCS12OpenSSL(t *testing.T) {
	w := newWorld(t)
	chain := w.leaf.PEM()
	rsaLeaf, err := w.intermediate.Leaf(pki.LeafOptions{Key: pki.RSA2048, DNSNames: []string{"mail1.woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		args string
	}{
		{"default", ""},
		{"legacy", "-legacy"},
		{"3DES", "-descert"},
		{"AES-128", "-keypbe AES-128-CBC -certpbe AES-128-CBC -macalg sha512"},
		{"nothing encrypted", "-keypbe NONE -certpbe NONE"},
		{"key encrypted alone", "-certpbe NONE"},
		{"a name", "-name mail1 -caname issuer"},
		{"many rounds", "-iter 20000"},
	} {
		t.Run(c.what, func(t *testing.T) {
			for _, password := range []string{"secret", "", "pässwörd €"} {
				args := append([]string{"pkcs12", "-export", "-passout", "pass:" + password}, strings.Fields(c.args)...)
				for _, leaf := range []*pki.Certificate{w.leaf, rsaLeaf} {
					whole, _ := runOpenSSL(t, join(leaf.KeyPEM(), leaf.PEM()), args...)
					var asked int
					b, err := ReadPKCS12([]byte(whole), word(password, &asked))
					if err != nil {
						t.Fatalf("%q: %v", password, err)
					}
					if len(b.Keys) != 1 || !sameKey(b.Keys[0].Public(), leaf.Key.Public()) {
						t.Errorf("%q: keys %v", password, b.Keys)
					}
					own, err := b.Own()
					if err != nil || !slices.EqualFunc(own.Chain, append([]*x509.Certificate{leaf.Leaf}, leaf.Chain...), (*x509.Certificate).Equal) {
						t.Errorf("%q: %v, %v", password, own, err)
					}
					if (password != "") != (asked == 1) {
						t.Errorf("%q: asked %d times", password, asked)
					}
					if _, err := ReadPKCS12([]byte(whole), word("wrong", &asked)); password != "" && !errors.Is(err, ErrPassword) {
						t.Errorf("%q: with a wrong password: %v", password, err)
					}
				}
				// What a partner sends: certificates alone.
				certificates, _ := runOpenSSL(t, chain, append(args, "-nokeys")...)
				b, err := ReadPKCS12([]byte(certificates), word(password, new(int)))
				if err != nil || len(b.Keys) != 0 || len(b.Certificates) != 2 {
					t.Fatalf("%q, no keys: %v, %v", password, b, err)
				}
				read, err := Read(MarshalCertificates(b.Certificates...))
				if err != nil || len(read) != 1 || !read[0].X509.Equal(w.leaf.Leaf) || len(read[0].Presented) != 1 {
					t.Errorf("%q, no keys: %v, %v", password, read, err)
				}
				// A key without a certificate.
				key, _ := runOpenSSL(t, w.leaf.KeyPEM(), append(args, "-nocerts")...)
				if b, err := ReadPKCS12([]byte(key), word(password, new(int))); b != nil || !errors.Is(err, ErrNoCertificate) {
					t.Errorf("%q, no certificates: %v, %v", password, b, err)
				}
			}
		})
	}
}

func encodePKCS12(t testing.TB, w *world, encoder *pkcs12.Encoder, password string) []byte {
	t.Helper()
	data, err := encoder.Encode(w.leaf.Key, w.leaf.Leaf, w.leaf.Chain, password)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestReadPKCS12Others reads what others than openssl write.
func TestReadPKCS12Others(t *testing.T) {
	w := newWorld(t)
	for what, encoder := range map[string]*pkcs12.Encoder{
		"RC2": pkcs12.LegacyRC2, "3DES": pkcs12.LegacyDES, "AES": pkcs12.Modern2023, "PBMAC1": pkcs12.Modern2026, "no password": pkcs12.Passwordless,
	} {
		password := "secret"
		if encoder == pkcs12.Passwordless {
			password = ""
		}
		whole := encodePKCS12(t, w, encoder, password)
		if b, err := ReadPKCS12(whole, word(password, new(int))); err != nil || len(b.Keys) != 1 || len(b.Certificates) != 2 {
			t.Errorf("%s: %v, %v", what, b, err)
		}
		// As Java's keytool writes the certificates that it trusts.
		store, err := encoder.EncodeTrustStore([]*x509.Certificate{w.leaf.Leaf, w.root.Certificate.Leaf}, password)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ReadPKCS12(store, word(password, new(int)))
		if err != nil || len(b.Keys) != 0 || !slices.EqualFunc(b.Certificates, []*x509.Certificate{w.leaf.Leaf, w.root.Certificate.Leaf}, (*x509.Certificate).Equal) {
			t.Errorf("%s, certificates: %v, %v", what, b, err)
		}
	}
}

func TestIsPKCS12(t *testing.T) {
	w := newWorld(t)
	whole := encodePKCS12(t, w, pkcs12.Modern, "secret")
	if !IsPKCS12(whole) || !IsPKCS12([]byte{0x30, 0x80, 2, 1, 3, 0x30}) {
		t.Error("it is")
	}
	for what, data := range map[string][]byte{
		"empty": nil, "PEM": w.leaf.PEM(), "DER": w.leaf.DER, "a key in DER": pemBytes(t, w.leaf.KeyPEM()), "cut off": whole[:len(whole)-1],
	} {
		if IsPKCS12(data) {
			t.Errorf("%s: it is not", what)
		}
	}
}

func TestReadPKCS12Refuses(t *testing.T) {
	w := newWorld(t)
	secret := encodePKCS12(t, w, pkcs12.Modern, "secret")
	args := []string{"pkcs12", "-export", "-passout", "pass:wrong"}
	odd, _ := runOpenSSL(t, join(w.leaf.KeyPEM(), w.leaf.PEM()), append(args, "-macalg", "sha384")...)
	without, _ := runOpenSSL(t, join(w.leaf.KeyPEM(), w.leaf.PEM()), append(args, "-nomac")...)
	bare := encodePKCS12(t, w, pkcs12.Passwordless, "")
	for _, c := range []struct {
		what string
		data []byte
		want string
	}{
		{"a wrong password", secret, ErrPassword.Error()},
		{"in BER", []byte{0x30, 0x80, 2, 1, 3, 0x30}, "it is PKCS #12 in BER, and only DER is read: "},
		{"no PKCS #12", w.leaf.DER, "it is not PKCS #12: "},
		{"something after it", join(secret, []byte("x")), "reading PKCS #12: "},
		{"another kind of MAC", []byte(odd), "reading PKCS #12: pkcs12: MAC digest algorithm not supported: 2.16.840.1.101.3.4.2.2: openssl pkcs12 may"},
		{"no MAC", []byte(without), "it is PKCS #12 without a MAC"},
		{"no MAC, no password, damaged", replaceOnce(t, bare, w.leaf.DER[:40], make([]byte, 40)), "it is PKCS #12 without a MAC"},
	} {
		if b, err := ReadPKCS12(c.data, word("wrong", new(int))); b != nil || err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, %v", c.what, b, err)
		}
	}
	no := errors.New("no terminal")
	if _, err := ReadPKCS12(secret, func() (string, error) { return "", no }); !errors.Is(err, no) {
		t.Errorf("without a password: %v", err)
	}
	if _, err := ReadPKCS12(secret, word("\U0001F511", new(int))); err == nil || strings.Contains(err.Error(), "\U0001F511") {
		t.Errorf("a password that PKCS #12 cannot have: %v", err)
	}
}

func replaceOnce(t *testing.T, data, before, after []byte) []byte {
	t.Helper()
	if !bytes.Contains(data, before) {
		t.Fatalf("%x is not in it", before)
	}
	return bytes.Replace(data, before, after, 1)
}

// TestReadPKCS12Damaged: a file that is cut off or changed anywhere is refused:
// the MAC is over everything that is used.
func TestReadPKCS12Damaged(t *testing.T) {
	w := newWorld(t)
	good := encodePKCS12(t, w, pkcs12.Modern.WithIterations(1), "secret")
	for i := range good {
		if b, err := ReadBundle(good[:i], word("secret", new(int))); b != nil || err == nil {
			t.Fatalf("cut off after %d: %v", i, b)
		}
	}
	for i := 0; i < len(good); i += 3 {
		bad := bytes.Clone(good)
		bad[i] ^= 0x55
		b, err := ReadBundle(bad, word("secret", new(int)))
		if err == nil && (len(b.Keys) != 1 || len(b.Certificates) != 2) {
			t.Errorf("changed at %d: %v", i, b)
		}
	}
}

// TestRounds: a file that would keep us busy for years is refused at once, where-
// ever it says so.
func TestRounds(t *testing.T) {
	w := newWorld(t)
	for what, encoder := range map[string]*pkcs12.Encoder{"3DES": pkcs12.LegacyDES, "AES": pkcs12.Modern2023, "PBMAC1": pkcs12.Modern2026} {
		const odd = 0x4d2d // 19757, to be found again
		good := encodePKCS12(t, w, encoder.WithIterations(odd), "secret")
		mark := []byte{2, 2, 0x4d, 0x2d}
		if n := bytes.Count(good, mark); n != 3 { // MAC, certificates, key
			t.Fatalf("%s: the rounds are in it %d times", what, n)
		}
		if b, err := ReadPKCS12(good, word("secret", new(int))); err != nil || len(b.Keys) != 1 {
			t.Errorf("%s: %v, %v", what, b, err)
		}
		if fewRounds(good, odd-1, 0) || !fewRounds(good, odd, 0) {
			t.Errorf("%s: the limit is not where it should be", what)
		}
		// One of them, as large as fits in its octets, and the limit to match.
		for i := range 3 {
			bad := bytes.Clone(good)
			at := 0
			for range i {
				at += bytes.Index(bad[at:], mark) + len(mark)
			}
			at += bytes.Index(bad[at:], mark)
			copy(bad[at:], []byte{2, 2, 0x7f, 0xff})
			if fewRounds(bad, 0x7ffe, 0) {
				t.Errorf("%s: %d is passed over", what, i)
			}
		}
	}
	start := time.Now()
	for _, rounds := range []int64{maxRounds + 1, 1 << 31, 1 << 62} {
		data, err := asn1.Marshal(struct {
			Version int
			Safe    pfxContent
			MAC     struct {
				Digest struct{ Value []byte }
				Salt   []byte
				Rounds int64
			}
		}{Version: 3, Safe: pfxContent{oidData, []byte{0x30, 0}}, MAC: struct {
			Digest struct{ Value []byte }
			Salt   []byte
			Rounds int64
		}{Salt: []byte("salt"), Rounds: rounds}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ReadPKCS12(data, noPassword(t)); !errors.Is(err, errRounds) {
			t.Errorf("%d rounds: %v", rounds, err)
		}
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}
