package trust

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// askOpenSSL runs the independent judge on what is given to its standard input and
// returns all that it says.
func askOpenSSL(t testing.TB, input []byte, args ...string) string {
	t.Helper()
	out, words := runOpenSSL(t, input, args...)
	return out + words
}

func runOpenSSL(t testing.TB, input []byte, args ...string) (out, words string) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("openssl %q: %v: %s", args, err, stderr.String())
	}
	return stdout.String(), stderr.String()
}

func aKey(t testing.TB, kind KeyKind) crypto.Signer {
	t.Helper()
	key, err := NewKey(kind)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestNewKey(t *testing.T) {
	if key, ok := aKey(t, KeyECDSAP256).(*ecdsa.PrivateKey); !ok || key.Params().Name != "P-256" {
		t.Error("not P-256")
	}
	if key, ok := aKey(t, KeyRSA3072).(*rsa.PrivateKey); !ok || key.N.BitLen() != 3072 {
		t.Error("not RSA 3072")
	}
	for _, kind := range []KeyKind{"", "rsa", "rsa-1024", "ECDSA-P256"} {
		if _, err := NewKey(kind); err == nil || !strings.Contains(err.Error(), "want ecdsa-p256 or rsa-3072") {
			t.Errorf("%q: %v", kind, err)
		}
	}
}

func TestMarshalKey(t *testing.T) {
	for _, kind := range []KeyKind{KeyECDSAP256, KeyRSA3072} {
		key := aKey(t, kind)
		text, err := MarshalKey(key)
		if err != nil {
			t.Fatal(err)
		}
		block, rest := pem.Decode(text)
		if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
			t.Fatalf("%s is not one block of PKCS #8", kind)
		}
		again, err := parseKey(block.Bytes)
		if err != nil || !sameKey(again.Public(), key.Public()) {
			t.Errorf("%s: read back as %v, %v", kind, again, err)
		}
		if out := askOpenSSL(t, text, "pkey", "-check", "-noout"); !strings.Contains(out, "Key is valid") {
			t.Errorf("%s: openssl says %s", kind, out)
		}
		want := askOpenSSL(t, text, "pkey", "-pubout")
		pin, err := PublicKeyFingerprint(key.Public())
		if block, _ := pem.Decode([]byte(want)); err != nil || pin != sum(block.Bytes) {
			t.Errorf("%s: the fingerprint is that of another key: %v", kind, err)
		}
	}
}

func TestNewRequest(t *testing.T) {
	for _, c := range []struct {
		what  string
		kind  KeyKind
		cn    string
		names []string
	}{
		{"ECDSA", KeyECDSAP256, "mail1.contoso.com", []string{"mail1.contoso.com", "contoso.com"}},
		{"RSA", KeyRSA3072, "mail1.contoso.com", []string{"mail1.contoso.com"}},
		{"a wildcard", KeyECDSAP256, "*.contoso.com", []string{"*.contoso.com", "contoso.com"}},
		{"no common name", KeyECDSAP256, "", []string{strings.Repeat("a", 63) + ".contoso.com"}},
		{"A-labels", KeyECDSAP256, "xn--bcher-kva.example", []string{"xn--bcher-kva.example"}},
		{"as many as may be", KeyECDSAP256, "n0.example", manyNames(MaxNames)},
	} {
		t.Run(c.what, func(t *testing.T) {
			key := aKey(t, c.kind)
			text, err := NewRequest(key, c.cn, c.names)
			if err != nil {
				t.Fatal(err)
			}
			block, rest := pem.Decode(text)
			if block == nil || block.Type != "CERTIFICATE REQUEST" || len(rest) > 0 {
				t.Fatalf("not one block: %s", text)
			}
			got, err := x509.ParseCertificateRequest(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			if err := got.CheckSignature(); err != nil || !sameKey(got.PublicKey, key.Public()) {
				t.Errorf("signature: %v", err)
			}
			if got.Subject.CommonName != c.cn || len(got.Subject.Names) > 1 || !slices.Equal(got.DNSNames, c.names) {
				t.Errorf("for %v, %q", got.Subject, got.DNSNames)
			}
			out := askOpenSSL(t, text, "req", "-verify", "-noout", "-text")
			if !strings.Contains(out, "verify OK") || !strings.Contains(out, "DNS:"+c.names[0]) {
				t.Errorf("openssl says %s", out)
			}
		})
	}
	if _, err := NewRequest(aKey(t, KeyECDSAP256), "", manyNames(MaxNames+1)); err == nil || !strings.HasPrefix(err.Error(), "1001 names are too many") {
		t.Errorf("too many: %v", err)
	}
}

func manyNames(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("n%d.example", i))
	}
	return names
}
