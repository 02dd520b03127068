package pki

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// authorities makes a root and an intermediate for a test.
func authorities(t *testing.T) (root, intermediate *CA) {
	t.Helper()
	root, err := NewCA(CAOptions{Name: "Woodgrove Bank Root CA"})
	if err != nil {
		t.Fatal(err)
	}
	intermediate, err = root.Intermediate(CAOptions{Name: "Woodgrove Bank Issuing CA"})
	if err != nil {
		t.Fatal(err)
	}
	return root, intermediate
}

func TestChainVerifies(t *testing.T) {
	root, intermediate := authorities(t)
	for _, kind := range []KeyKind{ECDSAP256, ECDSAP224, ECDSAP384, RSA2048, RSA3072, Ed25519} {
		t.Run(string(kind), func(t *testing.T) {
			leaf, err := intermediate.Leaf(LeafOptions{Key: kind, DNSNames: []string{"mail1.woodgrovebank.com"}})
			if err != nil {
				t.Fatal(err)
			}
			if len(leaf.Chain) != 1 || !leaf.Chain[0].Equal(intermediate.Certificate.Leaf) {
				t.Fatalf("chain is not the intermediate alone: %d", len(leaf.Chain))
			}
			pool := x509.NewCertPool()
			pool.AddCert(leaf.Chain[0])
			if _, err := leaf.Leaf.Verify(x509.VerifyOptions{
				Roots: root.Pool(), Intermediates: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
			}); err != nil {
				t.Fatal(err)
			}
			if err := opensslVerify(t, root, leaf, "sslclient"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOpenSSLSeesWhatIsWrong(t *testing.T) {
	root, intermediate := authorities(t)
	constrained, err := root.Intermediate(CAOptions{Name: "Contoso only", PermittedDNS: []string{"contoso.com"}})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := asn1.Marshal(pkix.Name{Organization: []string{"Contoso"}}.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	limits, err := NameConstraints(true, []Name{Directory(elsewhere)}, []Name{DNS("fabrikam.com")})
	if err != nil {
		t.Fatal(err)
	}
	limited, err := root.Intermediate(CAOptions{Name: "Names of Contoso only", Extra: []pkix.Extension{limits}})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"mail1.woodgrovebank.com"}
	for _, c := range []struct {
		name string
		ca   *CA // nil: self-signed
		o    LeafOptions
		want string
	}{
		{"expired", intermediate, LeafOptions{DNSNames: names, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)}, "certificate has expired"},
		{"not yet valid", intermediate, LeafOptions{DNSNames: names, NotBefore: time.Now().Add(24 * time.Hour)}, "not yet valid"},
		{"server only", intermediate, LeafOptions{DNSNames: names, Usage: UsageServer}, "purpose"},
		{"self-signed", nil, LeafOptions{DNSNames: names}, "self-signed certificate"},
		{"name constraint", constrained, LeafOptions{DNSNames: names}, "permitted subtree violation"},
		{"directory name permitted", limited, LeafOptions{DNSNames: names, Organization: "Woodgrove Bank"}, "permitted subtree violation"},
		{"DNS name excluded", limited, LeafOptions{DNSNames: []string{"fabrikam.com"}, RawSubject: elsewhere}, "excluded subtree violation"},
	} {
		t.Run(c.name, func(t *testing.T) {
			sign := SelfSigned
			if c.ca != nil {
				sign = c.ca.Leaf
			}
			leaf, err := sign(c.o)
			if err != nil {
				t.Fatal(err)
			}
			if err := opensslVerify(t, root, leaf, "sslclient"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("openssl verify: %v, want %q", err, c.want)
			}
		})
	}
}

func TestNames(t *testing.T) {
	root, _ := authorities(t)
	leaf, err := root.Leaf(LeafOptions{
		CommonNames: []string{"one.example", "two.example"}, Organization: "Example",
		DNSNames: []string{"mail.example"},
		Names:    []Name{Email("postmaster@example.com"), IP(netip.MustParseAddr("192.0.2.1")), URI("https://example.com/"), DNS("evil.example\x00.com")},
		CRL:      []string{"http://crl.example/1.crl"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var commonNames []string
	for _, name := range leaf.Leaf.Subject.Names {
		if name.Type.Equal(oidCommonName) {
			commonNames = append(commonNames, name.Value.(string))
		}
	}
	if !slices.Equal(commonNames, []string{"one.example", "two.example"}) {
		t.Errorf("common names %q", commonNames)
	}
	if !slices.Equal(leaf.Leaf.DNSNames, []string{"mail.example", "evil.example\x00.com"}) {
		t.Errorf("DNS names %q", leaf.Leaf.DNSNames)
	}
	if len(leaf.Leaf.EmailAddresses) != 1 || len(leaf.Leaf.IPAddresses) != 1 || len(leaf.Leaf.URIs) != 1 {
		t.Errorf("names %v %v %v", leaf.Leaf.EmailAddresses, leaf.Leaf.IPAddresses, leaf.Leaf.URIs)
	}
	if !slices.Equal(leaf.Leaf.CRLDistributionPoints, []string{"http://crl.example/1.crl"}) {
		t.Errorf("distribution points %q", leaf.Leaf.CRLDistributionPoints)
	}

	bare, err := root.Leaf(LeafOptions{Usage: UsageNone})
	if err != nil {
		t.Fatal(err)
	}
	if len(bare.Leaf.Subject.Names) != 0 || len(bare.Leaf.DNSNames) != 0 || len(bare.Leaf.ExtKeyUsage) != 0 {
		t.Errorf("a bare certificate says %v", bare.Leaf.Subject)
	}
}

func TestWeak(t *testing.T) {
	root, err := NewCA(CAOptions{Key: RSA2048})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := root.Leaf(LeafOptions{Key: RSA1024, Signature: x509.SHA1WithRSA})
	if err != nil {
		t.Fatal(err)
	}
	if leaf.Leaf.SignatureAlgorithm != x509.SHA1WithRSA {
		t.Errorf("signed with %v", leaf.Leaf.SignatureAlgorithm)
	}
}

// TestFingerprints has openssl compute both fingerprints.
func TestFingerprints(t *testing.T) {
	_, intermediate := authorities(t)
	leaf, err := intermediate.Leaf(LeafOptions{})
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, "leaf.pem", leaf.PEM())
	if got := openssl(t, "x509", "-in", file, "-noout", "-fingerprint", "-sha256"); !strings.HasSuffix(strings.TrimSpace(got), "="+leaf.Fingerprint()) {
		t.Errorf("openssl says %s, not %s", got, leaf.Fingerprint())
	}
	// What openssl calls the public key of the private key is the SubjectPublicKeyInfo.
	spki := openssl(t, "pkey", "-in", write(t, "leaf.key", leaf.KeyPEM()), "-pubout", "-outform", "DER")
	if got := Fingerprint([]byte(spki)); got != leaf.KeyFingerprint() {
		t.Errorf("openssl says %s, not %s", got, leaf.KeyFingerprint())
	}
}

// TestResign: what is changed is changed, and the signature is good.
func TestResign(t *testing.T) {
	root, _ := authorities(t)
	leaf, err := root.Leaf(LeafOptions{CommonNames: []string{"mail1.woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	changed, err := root.Resign(leaf, func(tbs []byte) []byte {
		return bytes.Replace(tbs, []byte("mail1."), []byte("mail2."), 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	if cn := changed.Leaf.Subject.CommonName; cn != "mail2.woodgrovebank.com" {
		t.Errorf("its common name is %q", cn)
	}
	if err := changed.Leaf.CheckSignatureFrom(root.Certificate.Leaf); err != nil {
		t.Error(err)
	}
	if _, err := root.Resign(leaf, func([]byte) []byte { return nil }); err == nil {
		t.Error("nothing was signed")
	}
}

func TestErrors(t *testing.T) {
	if _, err := NewCA(CAOptions{Key: "dsa"}); err == nil {
		t.Error("a key nobody can make was made")
	}
	if _, err := SelfSigned(LeafOptions{Usage: 99}); err == nil {
		t.Error("a usage nobody knows was taken")
	}
	if _, err := subjectAltName([]Name{{Tag: 2, Value: nil}}); err != nil {
		t.Errorf("an empty name: %v", err)
	}
}

func openssl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(program(t), args...).Output()
	if err != nil {
		t.Fatalf("openssl %q: %v", args, err)
	}
	return string(out)
}

func program(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return path
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func opensslVerify(t *testing.T, root *CA, leaf *Certificate, purpose string) error {
	t.Helper()
	out, err := exec.Command(program(t), "verify", "-purpose", purpose,
		"-CAfile", write(t, "root.pem", root.PEM()), "-untrusted", write(t, "leaf.pem", leaf.PEM()), write(t, "leaf.pem", leaf.PEM())).CombinedOutput()
	if err != nil {
		return errors.New(string(out))
	}
	return nil
}
