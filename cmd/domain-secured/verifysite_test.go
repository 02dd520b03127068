package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/crlmaker"
)

// An authority is a name with a key and a certificate, of which there may be others.
type authority struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

// A site is everything that one run of cert verify is given.
type site struct {
	t         testing.TB
	dir       string
	serial    int64
	anchor    *authority
	untrusted []byte
	lists     []string
	leaf      *x509.Certificate
	flags     []string // further ones
}

func newSite(t testing.TB) *site {
	s := &site{t: t, dir: t.TempDir(), serial: 1000}
	s.anchor = &authority{key: s.key()}
	s.anchor.Certificate = s.sign(s.authorityOf("Trust Anchor"), &s.anchor.key.PublicKey, nil, s.anchor.key)
	return s
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (s *site) key() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

// authorityOf is the template of an authority's certificate.
func (s *site) authorityOf(name string, extra ...crlmaker.Extension) *x509.Certificate {
	c := s.template(name, extra...)
	c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	return c
}

func (s *site) template(name string, extra ...crlmaker.Extension) *x509.Certificate {
	s.serial++
	c := &x509.Certificate{
		SerialNumber: big.NewInt(s.serial), Subject: pkix.Name{Country: []string{"US"}, Organization: []string{"Test Certificates"}, CommonName: name},
		NotBefore: time.Now().Add(-1000 * time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	for _, x := range extra {
		c.ExtraExtensions = append(c.ExtraExtensions, x.PKIX())
	}
	return c
}

// sign has issuer, nil for itself, sign a certificate for a key, and gives it to
// those that chains may lead over.
func (s *site) sign(template *x509.Certificate, key *ecdsa.PublicKey, issuer *x509.Certificate, by *ecdsa.PrivateKey) *x509.Certificate {
	s.t.Helper()
	if issuer == nil {
		issuer = template
	}
	serial := template.SerialNumber
	if serial.Sign() < 0 { // crypto/x509 makes none of these
		template.SerialNumber = new(big.Int).Neg(serial)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key, by)
	if err != nil {
		s.t.Fatal(err)
	}
	if serial.Sign() < 0 {
		der = negative(der, template.SerialNumber, serial, by)
	}
	s.untrusted = append(s.untrusted, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return &x509.Certificate{Raw: der, SerialNumber: serial}
	}
	return c
}

// negative gives a certificate another serial number of the same length, and signs
// it again.
func negative(der []byte, from, to *big.Int, by *ecdsa.PrivateKey) []byte {
	var whole struct {
		TBS       asn1.RawValue
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &whole); err != nil {
		panic(err)
	}
	tbs := bytes.Replace(whole.TBS.FullBytes, must(asn1.Marshal(from)), must(asn1.Marshal(to)), 1)
	sum := sha256.Sum256(tbs)
	signature := must(by.Sign(rand.Reader, sum[:], crypto.SHA256))
	whole.TBS = asn1.RawValue{FullBytes: tbs}
	whole.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	return must(asn1.Marshal(whole))
}

// ca makes an authority below another one.
func (s *site) ca(name string, above *authority, extra ...crlmaker.Extension) *authority {
	s.t.Helper()
	return s.caOf(s.authorityOf(name, extra...), s.key(), above)
}

func (s *site) caOf(template *x509.Certificate, key *ecdsa.PrivateKey, above *authority) *authority {
	s.t.Helper()
	return &authority{s.sign(template, &key.PublicKey, above.Certificate, above.key), key}
}

// user makes the certificate to verify, unless one is made after it.
func (s *site) user(by *authority, extra ...crlmaker.Extension) *x509.Certificate {
	s.t.Helper()
	return s.userOf(s.template("User", extra...), by)
}

func (s *site) userOf(template *x509.Certificate, by *authority) *x509.Certificate {
	s.t.Helper()
	s.leaf = s.sign(template, &s.key().PublicKey, by.Certificate, by.key)
	return s.leaf
}

// list gives a CRL that an authority signs.
func (s *site) list(by *authority, o crlmaker.Options) {
	s.t.Helper()
	if o.Issuer == nil {
		o.Issuer = by.RawSubject
	}
	if o.Key == nil {
		o.Key = by.key
	}
	make := crlmaker.Bytes
	if len(s.lists)%2 == 1 {
		make = crlmaker.PEM
	}
	s.lists = append(s.lists, s.file("crl", must(make(o))))
}

func (s *site) file(suffix string, data []byte) string {
	name := filepath.Join(s.dir, strconv.Itoa(len(s.lists))+"."+suffix)
	if err := os.WriteFile(name, data, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return name
}

// verify runs the verb, and returns its exit code and what it said.
func (s *site) verify() (code int, said string) {
	s.t.Helper()
	args := []string{
		"cert", "verify", s.file("leaf", s.leaf.Raw), "--roots", s.file("roots", s.anchor.Raw),
		"--untrusted", s.file("untrusted", s.untrusted), "--revocation", "require",
	}
	for _, list := range s.lists {
		args = append(args, "--crl", list)
	}
	var out bytes.Buffer
	code = run(context.Background(), append(args, s.flags...), streams{strings.NewReader(""), &out, &out})
	return code, out.String()
}

func numbered(n int64, more ...crlmaker.Extension) crlmaker.Options {
	return crlmaker.Options{Extensions: append([]crlmaker.Extension{crlmaker.Number(n)}, more...)}
}

// of is a list with certificates on it.
func of(o crlmaker.Options, revoked ...*x509.Certificate) crlmaker.Options {
	var all []crlmaker.Entry
	for _, c := range revoked {
		all = append(all, crlmaker.Entry{Serial: c.SerialNumber, Reason: 1})
	}
	o.Entries = crlmaker.Of(all...)
	return o
}

func entries(o crlmaker.Options, all ...crlmaker.Entry) crlmaker.Options {
	o.Entries = crlmaker.Of(all...)
	return o
}

var commonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// rdn is what a relative name consists of: a common name.
func rdn(name string) []byte {
	return must(asn1.Marshal(pkix.AttributeTypeAndValue{Type: commonName, Value: name}))
}

// below is a name below that of an authority.
func below(authority, name string) crlmaker.Name {
	whole := pkix.Name{Country: []string{"US"}, Organization: []string{"Test Certificates"}, CommonName: authority}.ToRDNSequence()
	whole = append(whole, pkix.RelativeDistinguishedNameSET{{Type: commonName, Value: name}})
	return crlmaker.Directory(must(asn1.Marshal(whole)))
}

// named is the name of an authority.
func named(authority string) []crlmaker.Name {
	whole := pkix.Name{Country: []string{"US"}, Organization: []string{"Test Certificates"}, CommonName: authority}.ToRDNSequence()
	return []crlmaker.Name{crlmaker.Directory(must(asn1.Marshal(whole)))}
}

// A suiteCase is one of the Public Key Interoperability Test Suite (NIST, version
// 1.0.1), made anew from its description.
type suiteCase struct {
	name  string
	valid bool // as the suite expects
	want  int  // the exit code: 0 only for what the suite accepts
	make  func(s *site)
}

func runSuite(t *testing.T, cases []suiteCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			c.make(s)
			code, said := s.verify()
			if code == exitOK && !c.valid {
				t.Errorf("wrongly accepted")
			}
			if code != c.want {
				t.Errorf("exit code %d, not %d", code, c.want)
			}
			if t.Failed() {
				t.Log(said)
			}
		})
	}
}

// good is the suite's Good CA, of which the anchor says that it is not revoked.
func (s *site) good(extra ...crlmaker.Extension) *authority {
	s.t.Helper()
	s.anchored()
	return s.ca("Good CA", s.anchor, extra...)
}

// anchored gives the list of the anchor.
func (s *site) anchored(revoked ...*x509.Certificate) { s.list(s.anchor, of(numbered(1), revoked...)) }
