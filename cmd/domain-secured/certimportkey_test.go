package main

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/testkit/smtpclient"
	"domain-secured/internal/trust"
)

// TestOwnChainInPostfix: a real Postfix takes what cert import --key-out wrote, and
// presents the chain in order.
func TestOwnChainInPostfix(t *testing.T) {
	if _, err := mta.FindPostfix(); err != nil {
		missing(t, err)
	}
	root, err := pki.NewCA(pki.CAOptions{Name: "Root"})
	if err != nil {
		t.Fatal(err)
	}
	upper, err := root.Intermediate(pki.CAOptions{Name: "Upper"})
	if err != nil {
		t.Fatal(err)
	}
	lower, err := upper.Intermediate(pki.CAOptions{Name: "Lower"})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, kind := range []pki.KeyKind{pki.ECDSAP256, pki.RSA3072} {
		leaf, err := lower.Leaf(pki.LeafOptions{Key: kind, DNSNames: []string{"mx1.contoso.com"}})
		if err != nil {
			t.Fatal(err)
		}
		given, chain := filepath.Join(dir, "given-"+string(kind)), filepath.Join(dir, "chain-"+string(kind))
		text := slices.Concat(root.PEM(), trust.MarshalCertificates(upper.Certificate.Leaf, leaf.Leaf), leaf.KeyPEM(), trust.MarshalCertificates(lower.Certificate.Leaf))
		if err := os.WriteFile(given, text, 0o600); err != nil {
			t.Fatal(err)
		}
		var words bytes.Buffer
		if code := run(t.Context(), []string{"cert", "import", given, "--key-out", chain}, streams{nil, &words, &words}); code != exitOK {
			t.Fatalf("exit code %d: %s", code, &words)
		}
		postfix, err := mta.StartPostfix(t.Context(), mta.PostfixOptions{
			Common: mta.Common{Domains: []string{"contoso.com"}},
			Main:   []string{"smtpd_tls_security_level = may", "smtpd_tls_chain_files = " + chain},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := postfix.Close(); err != nil {
				t.Error(err)
			}
		})
		session, err := smtpclient.Dial(t.Context(), smtpclient.Options{Addr: postfix.Addr(), TLS: true})
		if err != nil {
			t.Fatalf("%v\n%s", err, postfix.Log())
		}
		defer session.Close()
		presented := session.TLS().PeerCertificates
		want := []*x509.Certificate{leaf.Leaf, lower.Certificate.Leaf, upper.Certificate.Leaf}
		if !slices.EqualFunc(presented, want, (*x509.Certificate).Equal) {
			t.Errorf("%s: it presents %d certificates", kind, len(presented))
		}
	}
}
