package trust

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"domain-secured/internal/testkit/pki"
)

func pemBytes(t testing.TB, text []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("no PEM: %s", text)
	}
	return block.Bytes
}

// noPassword fails a test in which a password is asked for.
func noPassword(t testing.TB) func() (string, error) {
	return func() (string, error) {
		t.Error("a password is asked for")
		return "", errors.New("none")
	}
}

func TestReadBundle(t *testing.T) {
	w := newWorld(t)
	key := w.leaf.KeyPEM()
	sec1, err := x509.MarshalECPrivateKey(w.leaf.Key.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	rsaKey := aKey(t, KeyRSA3072).(*rsa.PrivateKey)
	pkcs1 := x509.MarshalPKCS1PrivateKey(rsaKey)
	ed, err := w.root.Leaf(pki.LeafOptions{Key: pki.Ed25519})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what         string
		data         []byte
		key          any // public
		certificates int
	}{
		{"key, then chain", join(key, w.leaf.PEM()), w.leaf.Key.Public(), 2},
		{"chain, then key", join(w.leaf.PEM(), key), w.leaf.Key.Public(), 2},
		{"key alone", key, w.leaf.Key.Public(), 0},
		{"chain alone", w.leaf.PEM(), nil, 2},
		{"SEC 1 after its parameters", join(block("EC PARAMETERS", []byte{6, 0}), block("EC PRIVATE KEY", sec1)), w.leaf.Key.Public(), 0},
		{"PKCS #1", block("RSA PRIVATE KEY", pkcs1), rsaKey.Public(), 0},
		{"Ed25519", ed.KeyPEM(), ed.Key.Public(), 0},
		{"with CRLF and text", join([]byte("Bag Attributes\r\n"), bytes.ReplaceAll(join(key, w.leaf.PEM()), []byte("\n"), []byte("\r\n"))), w.leaf.Key.Public(), 2},
		{"a byte order mark", join([]byte("\ufeff"), key), w.leaf.Key.Public(), 0},
		{"a certificate in DER", w.leaf.DER, nil, 1},
		{"PKCS #8 in DER", pemBytes(t, key), w.leaf.Key.Public(), 0},
		{"PKCS #1 in DER", pkcs1, rsaKey.Public(), 0},
		{"SEC 1 in DER", sec1, w.leaf.Key.Public(), 0},
	} {
		b, err := ReadBundle(c.data, noPassword(t))
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		if len(b.Certificates) != c.certificates {
			t.Errorf("%s: %d certificates", c.what, len(b.Certificates))
		}
		if c.key == nil && len(b.Keys) > 0 || c.key != nil && (len(b.Keys) != 1 || !sameKey(b.Keys[0].Public(), c.key)) {
			t.Errorf("%s: keys %v", c.what, b.Keys)
		}
	}
}

func TestReadBundleRefuses(t *testing.T) {
	w := newWorld(t)
	key := w.leaf.KeyPEM()
	encrypted := askOpenSSL(t, key, "pkcs8", "-topk8", "-passout", "pass:x")
	encryptedDER := askOpenSSL(t, key, "pkcs8", "-topk8", "-passout", "pass:x", "-outform", "DER")
	traditional := askOpenSSL(t, key, "ec", "-aes128", "-passout", "pass:x")
	traditional = traditional[strings.Index(traditional, "-----BEGIN"):]
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	exchange, err := x509.MarshalPKCS8PrivateKey(x25519)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		data []byte
		want string
	}{
		{"empty", nil, "it is empty"},
		{"garbage", []byte("garbage"), "it is neither PEM nor PKCS #12, nor a certificate or key in DER"},
		{"DER cut off", w.leaf.DER[:100], "it is neither PEM nor PKCS #12, nor a certificate or key in DER"},
		{"an encrypted key", []byte(encrypted), ErrEncryptedKey.Error()},
		{"an encrypted key after a chain", join(w.leaf.PEM(), []byte(encrypted)), ErrEncryptedKey.Error()},
		{"an encrypted key of the old form", []byte(traditional), ErrEncryptedKey.Error()},
		{"an encrypted key in DER", []byte(encryptedDER), ErrEncryptedKey.Error()},
		{"a key that is garbage", block("PRIVATE KEY", []byte("x")), `the "PRIVATE KEY" in it cannot be used: `},
		{"a key of OpenSSH", block("OPENSSH PRIVATE KEY", []byte("x")), `the "OPENSSH PRIVATE KEY" in it cannot be used: `},
		{"a key that does not sign", block("PRIVATE KEY", exchange), `the "PRIVATE KEY" in it cannot be used: a key of the kind *ecdh.PrivateKey does not sign`},
		{"a certificate that is garbage", join(key, w.leaf.PEM(), block("CERTIFICATE", []byte("x"))), "its certificate 3 does not parse: "},
		{"a request", join(key, block("CERTIFICATE REQUEST", []byte("x"))), `it holds a "CERTIFICATE REQUEST", not only certificates and a private key`},
		{"cut off", join(w.leaf.PEM(), key[:len(key)-30]), "a PEM block in it is damaged or cut off"},
		{"parameters alone", block("EC PARAMETERS", []byte{6, 0}), "it holds neither a certificate nor a private key"},
		{"very many keys", bytes.Repeat(key, maxKeys+1), "it holds more than 1000 certificates or 10 private keys"},
		{"very many certificates", bytes.Repeat(block("CERTIFICATE", nil), maxCertificates+1), "it holds more than 1000 certificates or 10 private keys"},
	} {
		b, err := ReadBundle(c.data, noPassword(t))
		if b != nil || err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, %v", c.what, b, err)
		}
	}
}

// FuzzReadBundle looks for a file, PEM or PKCS #12, that panics, takes long, or is
// taken for more than it holds.
func FuzzReadBundle(f *testing.F) {
	w := newWorld(f)
	key := w.leaf.KeyPEM()
	f.Add(join(key, w.leaf.PEM()), "")
	f.Add(join(w.leaf.PEM(), key[:80]), "")
	f.Add(pemBytes(f, key), "")
	f.Add(w.leaf.DER, "")
	for _, encoder := range []*pkcs12.Encoder{pkcs12.LegacyRC2, pkcs12.Modern, pkcs12.Modern2026} {
		for _, password := range []string{"", "secret"} {
			data, err := encoder.WithIterations(2).Encode(w.leaf.Key, w.leaf.Leaf, w.leaf.Chain, password)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data, password)
			if data, err = encoder.WithIterations(2).EncodeTrustStore(w.leaf.Chain, password); err != nil {
				f.Fatal(err)
			}
			f.Add(data, password)
		}
	}
	bare, err := pkcs12.Passwordless.Encode(w.leaf.Key, w.leaf.Leaf, w.leaf.Chain, "")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bare, "")
	f.Fuzz(func(t *testing.T, data []byte, password string) {
		if IsPKCS12(data) && !fewRounds(data, 1000, 0) {
			t.Skip("time is better spent")
		}
		b, err := ReadBundle(data, func() (string, error) { return password, nil })
		if err != nil {
			if b != nil || err.Error() == "" {
				t.Errorf("%v with %v", err, b)
			}
			return
		}
		if len(b.Keys)+len(b.Certificates) == 0 {
			t.Error("nothing, and no error")
		}
		own, err := b.Own()
		if err != nil {
			return
		}
		if !sameKey(own.Key.Public(), own.Chain[0].PublicKey) {
			t.Error("key and certificate do not belong together")
		}
		text, err := own.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ReadBundle(text, nil)
		if err != nil || len(again.Keys) != 1 || len(again.Certificates) != len(own.Chain) {
			t.Errorf("written and read: %v, %v", again, err)
		}
		public, _, err := ReadPublic(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range public {
			if text, err := c.Public(true); err != nil || bytes.Contains(text, []byte("PRIVATE")) {
				t.Errorf("given away: %v, %s", err, text)
			}
		}
	})
}
