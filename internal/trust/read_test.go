package trust

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/pki"
)

func sum(der []byte) Fingerprint { return sha256.Sum256(der) }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestRead(t *testing.T) {
	w := newWorld(t)
	other := leaf(t, w.root, "other.example")
	inner, root := w.intermediate.Certificate.Leaf, w.root.Certificate.Leaf
	for _, c := range []struct {
		what      string
		data      []byte
		want      []*x509.Certificate
		presented []*x509.Certificate
	}{
		{"PEM with its intermediate", w.leaf.PEM(), []*x509.Certificate{w.leaf.Leaf}, []*x509.Certificate{inner}},
		{"PEM alone", block("CERTIFICATE", w.leaf.DER), []*x509.Certificate{w.leaf.Leaf}, nil},
		{"DER", w.leaf.DER, []*x509.Certificate{w.leaf.Leaf}, nil},
		{"a CA in DER", w.root.DER, []*x509.Certificate{root}, nil},
		{"the chain before the leaf", join(w.root.PEM(), w.leaf.PEM()), []*x509.Certificate{w.leaf.Leaf}, []*x509.Certificate{root, inner}},
		{"two leaves", join(other.PEM(), w.leaf.PEM()), []*x509.Certificate{other.Leaf, w.leaf.Leaf}, []*x509.Certificate{inner}},
		{"CAs alone", w.intermediate.PEM(), []*x509.Certificate{inner}, nil},
		{"two CAs", join(block("CERTIFICATE", w.intermediate.DER), w.root.PEM()), []*x509.Certificate{inner, root}, nil},
		{"text around", join([]byte("subject=CN = x\r\n\r\n"), w.leaf.PEM(), []byte("\nthe end")), []*x509.Certificate{w.leaf.Leaf}, []*x509.Certificate{inner}},
		{"CRLF", bytes.ReplaceAll(w.leaf.PEM(), []byte("\n"), []byte("\r\n")), []*x509.Certificate{w.leaf.Leaf}, []*x509.Certificate{inner}},
		{"no line feed at the end", bytes.TrimSpace(w.leaf.PEM()), []*x509.Certificate{w.leaf.Leaf}, []*x509.Certificate{inner}},
	} {
		t.Run(c.what, func(t *testing.T) {
			got, err := Read(c.data)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(c.want) {
				t.Fatalf("%d certificates, not %d", len(got), len(c.want))
			}
			for i, g := range got {
				if !g.X509.Equal(c.want[i]) || g.Fingerprint != sum(c.want[i].Raw) || !bytes.Equal(g.DER, c.want[i].Raw) || g.Err != nil {
					t.Errorf("%d is %v", i, g.X509.Subject)
				}
				if len(g.Presented) != len(c.presented) {
					t.Fatalf("%d came with %d, not %d", i, len(g.Presented), len(c.presented))
				}
				for j, p := range g.Presented {
					if !p.Equal(c.presented[j]) {
						t.Errorf("%d came with %v", i, p.Subject)
					}
				}
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	w := newWorld(t)
	good := w.leaf.PEM()
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "x"}}, w.leaf.Key)
	if err != nil {
		t.Fatal(err)
	}
	crl, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), NextUpdate: time.Now().Add(time.Hour)}, w.root.Certificate.Leaf, w.root.Key)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		data []byte
		want string
	}{
		{"empty", nil, "it is empty"},
		{"garbage", []byte("garbage"), "it is neither PEM nor a certificate in DER: "},
		{"a CSR", block("CERTIFICATE REQUEST", csr), `it holds a "CERTIFICATE REQUEST", not only certificates`},
		{"a CSR beside it", join(good, block("CERTIFICATE REQUEST", csr)), `it holds a "CERTIFICATE REQUEST", not only certificates`},
		{"a CSR in DER", csr, "it is neither PEM nor a certificate in DER: "},
		{"a CRL", block("X509 CRL", crl), `it holds a "X509 CRL", not only certificates`},
		{"a CRL in DER", crl, "it is neither PEM nor a certificate in DER: "},
		{"PKCS #7", block("PKCS7", []byte("x")), `it holds a "PKCS7", not only certificates`},
		{"cut off", good[:len(good)-100], "a PEM block in it is damaged or cut off"},
		{"cut off at once", good[:300], "a PEM block in it is damaged or cut off"},
		{"the head alone", []byte("-----BEGIN CERTIFICATE-----\n"), "a PEM block in it is damaged or cut off"},
		{"a letter changed", bytes.Replace(good, []byte("\nM"), []byte("\n!"), 1), "a PEM block in it is damaged or cut off"},
		{"the second damaged", bytes.Replace(good, []byte("-----END CERTIFICATE-----\n-----BEGIN"), []byte("-----END CERTIFICATE-----\n----BEGIN"), 1), ""},
		{"DER and more", join(w.leaf.DER, []byte("x")), "it is neither PEM nor a certificate in DER: "},
		{"DER cut off", w.leaf.DER[:len(w.leaf.DER)-1], "it is neither PEM nor a certificate in DER: "},
		{"PEM of DER and more", block("CERTIFICATE", join(w.leaf.DER, []byte("x"))), "its certificate 1 does not parse: "},
		{"the second is garbage", join(good, block("CERTIFICATE", []byte("x"))), "its certificate 3 does not parse: "},
		{"an empty block", block("CERTIFICATE", nil), "its certificate 1 does not parse: "},
		{"very many", bytes.Repeat(block("CERTIFICATE", nil), maxCertificates+1), "it holds more than 1000 certificates"},
	} {
		got, err := Read(c.data)
		if c.want == "" { // the mark of the second is no mark any more: it is text
			if err != nil || len(got) != 1 || len(got[0].Presented) != 0 {
				t.Errorf("%s: %v, %v", c.what, got, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || got != nil {
			t.Errorf("%s: %v, %v", c.what, got, err)
		}
	}
}

// TestReadRefusesKeys: a private key is refused as such, in every form and beside
// whatever else.
func TestReadRefusesKeys(t *testing.T) {
	w := newWorld(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ed, err := w.root.Leaf(pki.LeafOptions{Key: pki.Ed25519})
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	sec1, err := x509.MarshalECPrivateKey(w.leaf.Key.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	// EncryptedPrivateKeyInfo, RFC 5958 section 3; what encrypts it does not matter.
	encrypted, err := asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}{pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}}, []byte("secret")})
	if err != nil {
		t.Fatal(err)
	}
	parameters, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7})
	if err != nil {
		t.Fatal(err)
	}
	for what, data := range map[string][]byte{
		"PKCS #8":                      block("PRIVATE KEY", pkcs8(rsaKey)),
		"PKCS #8, P-256":               w.leaf.KeyPEM(),
		"PKCS #8, Ed25519":             ed.KeyPEM(),
		"PKCS #1":                      block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)),
		"SEC 1":                        block("EC PRIVATE KEY", sec1),
		"SEC 1 after its parameters":   join(block("EC PARAMETERS", parameters), block("EC PRIVATE KEY", sec1)),
		"encrypted":                    block("ENCRYPTED PRIVATE KEY", encrypted),
		"of OpenSSH":                   block("OPENSSH PRIVATE KEY", []byte("x")),
		"after the certificate":        join(w.leaf.PEM(), w.leaf.KeyPEM()),
		"before the certificate":       join(w.leaf.KeyPEM(), w.leaf.PEM()),
		"after something else":         join(block("CERTIFICATE REQUEST", []byte("x")), w.leaf.KeyPEM()),
		"PKCS #8 in DER":               pkcs8(rsaKey),
		"PKCS #8, P-256, in DER":       pkcs8(w.leaf.Key),
		"PKCS #8, Ed25519, in DER":     pkcs8(ed.Key),
		"PKCS #1 in DER":               x509.MarshalPKCS1PrivateKey(rsaKey),
		"SEC 1 in DER":                 sec1,
		"encrypted, in DER":            encrypted,
		"with CRLF":                    bytes.ReplaceAll(w.leaf.KeyPEM(), []byte("\n"), []byte("\r\n")),
		"with a heading":               bytes.Replace(block("RSA PRIVATE KEY", []byte("x")), []byte("\n"), []byte("\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n"), 1),
		"cut off, and beside the leaf": join(w.leaf.PEM(), w.leaf.KeyPEM()[:80]),
	} {
		got, err := Read(data)
		if err == nil || got != nil {
			t.Errorf("%s: taken", what)
		} else if !errors.Is(err, ErrPrivateKey) {
			t.Errorf("%s: refused, but as %q", what, err)
		}
	}
}

// TestReadOpenSSL reads what openssl writes.
func TestReadOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	w := newWorld(t)
	name := file(t, "leaf.pem", w.leaf.PEM())
	for _, args := range [][]string{
		{"x509", "-in", name, "-text"}, {"x509", "-in", name, "-outform", "DER"},
		{"storeutl", "-certs", "-text", name}, {"crl2pkcs7", "-nocrl", "-certfile", name},
	} {
		out, err := exec.Command("openssl", args...).Output()
		if err != nil {
			t.Fatalf("openssl %q: %v", args, err)
		}
		got, err := Read(out)
		if args[0] == "crl2pkcs7" {
			if err == nil || err.Error() != `it holds a "PKCS7", not only certificates` {
				t.Errorf("openssl %q: %v", args, err)
			}
			continue
		}
		if err != nil || len(got) != 1 || !got[0].X509.Equal(w.leaf.Leaf) {
			t.Errorf("openssl %q: %v, %v", args, got, err)
		}
	}
	key := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-out", key).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Read(data); got != nil || !errors.Is(err, ErrPrivateKey) {
		t.Errorf("openssl ecparam -genkey: %v, %v", got, err)
	}
}

func TestReadFile(t *testing.T) {
	largest := file(t, "largest", make([]byte, maxFile))
	if data, err := ReadFile(largest); err != nil || len(data) != maxFile {
		t.Errorf("%d bytes: %v", len(data), err)
	}
	larger := file(t, "larger", make([]byte, maxFile+1))
	if _, err := ReadFile(larger); err == nil || err.Error() != larger+" is larger than 1048576 bytes" {
		t.Errorf("larger: %v", err)
	}
	if _, err := ReadFile("/dev/zero"); err == nil {
		t.Error("a file without end is read")
	}
}

func TestDescribe(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		o    pki.LeafOptions
		want string
	}{
		{pki.LeafOptions{CommonNames: []string{"a"}, DNSNames: []string{"b"}}, `"a"`},
		{pki.LeafOptions{DNSNames: []string{"b"}}, `"b"`},
		{pki.LeafOptions{Organization: "c"}, `"O=c"`},
		{pki.LeafOptions{CommonNames: []string{"a\x1b[31m\n"}}, `"a\x1b[31m\n"`},
		{pki.LeafOptions{}, `""`},
	} {
		leaf, err := w.root.Leaf(c.o)
		if err != nil {
			t.Fatal(err)
		}
		if got := Describe(leaf.Leaf); got != c.want {
			t.Errorf("%+v is %s, not %s", c.o, got, c.want)
		}
	}
	for kind, want := range map[pki.KeyKind]string{pki.ECDSAP256: "ECDSA P-256", pki.RSA2048: "RSA 2048", pki.Ed25519: "Ed25519"} {
		leaf, err := w.root.Leaf(pki.LeafOptions{Key: kind})
		if err != nil {
			t.Fatal(err)
		}
		if got := DescribeKey(leaf.Leaf); got != want {
			t.Errorf("%s is %q, not %q", kind, got, want)
		}
	}
}

// TestKeyFingerprint is that of the public key as openssl writes it.
func TestKeyFingerprint(t *testing.T) {
	w := newWorld(t)
	der, err := x509.MarshalPKIXPublicKey(w.leaf.Key.Public())
	if err != nil {
		t.Fatal(err)
	}
	if KeyFingerprint(w.leaf.Leaf) != sum(der) {
		t.Error("it is another one")
	}
}

// FuzzRead looks for a file that panics, or of which something that is no
// certificate is kept.
func FuzzRead(f *testing.F) {
	w := newWorld(f)
	f.Add(w.leaf.PEM())
	f.Add(w.leaf.DER)
	f.Add(join(w.leaf.PEM(), w.leaf.KeyPEM()))
	f.Add(join(w.root.PEM(), w.intermediate.PEM()))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := Read(data)
		if err != nil {
			if all != nil || err.Error() == "" {
				t.Errorf("%v with %v", err, all)
			}
			return
		}
		if len(all) == 0 {
			t.Error("nothing, and no error")
		}
		for _, c := range all {
			if c.X509 == nil || !bytes.Equal(c.X509.Raw, c.DER) || c.Fingerprint != sum(c.DER) {
				t.Errorf("%+v", c)
			}
			again, err := unmarshal(c.Marshal(), c.Fingerprint)
			if err != nil || !bytes.Equal(again.DER, c.DER) || len(again.Presented) != len(c.Presented) {
				t.Errorf("%+v is stored as %+v: %v", c, again, err)
			}
			for _, p := range c.Presented {
				if !p.IsCA {
					t.Errorf("%v came with %v, which is no CA", c.X509.Subject, p.Subject)
				}
			}
		}
	})
}

// TestReadByteOrderMark: as Windows' Notepad saves it.
func TestReadByteOrderMark(t *testing.T) {
	c, err := pki.SelfSigned(pki.LeafOptions{DNSNames: []string{"woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	if read, err := Read(append([]byte("\ufeff"), c.PEM()...)); err != nil || len(read) != 1 {
		t.Errorf("%d certificates, %v", len(read), err)
	}
}
