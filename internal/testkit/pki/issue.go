package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// A Usage is what the extended key usage extension says.
type Usage int

// The usages. UsageDefault is client and server for a leaf, and no extension for an authority.
const (
	UsageDefault Usage = iota
	UsageBoth
	UsageClient
	UsageServer
	UsageAny
	UsageNone // no extension at all
)

// CAOptions describe an authority. The zero value is a P-256 one named "Test CA" that was made an hour ago
// and lives for a year.
type CAOptions struct {
	Name                string // common name
	RawSubject          []byte // DER, in place of what Name gives
	Key                 KeyKind
	NotBefore, NotAfter time.Time
	Usage               Usage

	// PermittedDNS and ExcludedDNS are name constraints, critical as RFC 5280 wants them.
	PermittedDNS, ExcludedDNS []string

	CRL       []string // CRL distribution points, URLs
	Serial    *big.Int // random when nil
	Signature x509.SignatureAlgorithm
	Extra     []pkix.Extension
}

// LeafOptions describe a certificate of a mail server. The zero value is a P-256 one without any name,
// for client and server, made an hour ago, living for 30 days.
type LeafOptions struct {
	CommonNames         []string // none, one, or several
	Organization        string
	RawSubject          []byte // DER, in place of what the names above give
	DNSNames            []string
	Names               []Name // further subjectAltNames, unchecked
	Key                 KeyKind
	NotBefore, NotAfter time.Time
	Usage               Usage
	CRL                 []string // CRL distribution points, URLs
	OCSP                []string // responders, URLs
	Serial              *big.Int // random when nil

	// Signature is chosen by the signing key when zero. SHA-1 works (crypto/x509 signs, but does not
	// verify it), MD5 does not.
	Signature x509.SignatureAlgorithm
	Extra     []pkix.Extension
}

// NewCA makes a root.
func NewCA(o CAOptions) (*CA, error) { return newCA(nil, o) }

// Intermediate makes an authority below ca.
func (ca *CA) Intermediate(o CAOptions) (*CA, error) { return newCA(ca, o) }

// Leaf makes a certificate signed by ca. Its Chain leads up to, but not including, the root.
func (ca *CA) Leaf(o LeafOptions) (*Certificate, error) { return newLeaf(ca, o) }

// SelfSigned makes a certificate that signs itself and is no authority.
func SelfSigned(o LeafOptions) (*Certificate, error) { return newLeaf(nil, o) }

func newCA(parent *CA, o CAOptions) (*CA, error) {
	if o.Name == "" {
		o.Name = "Test CA"
	}
	if o.Usage == UsageDefault {
		o.Usage = UsageNone
	}
	template := &x509.Certificate{
		Subject:                     pkix.Name{CommonName: o.Name},
		RawSubject:                  o.RawSubject,
		NotBefore:                   o.NotBefore,
		NotAfter:                    orIn(o.NotAfter, 365*24*time.Hour),
		SerialNumber:                o.Serial,
		SignatureAlgorithm:          o.Signature,
		BasicConstraintsValid:       true,
		IsCA:                        true,
		KeyUsage:                    x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         o.PermittedDNS,
		ExcludedDNSDomains:          o.ExcludedDNS,
		CRLDistributionPoints:       o.CRL,
		ExtraExtensions:             o.Extra,
	}
	c, err := issue(parent, template, o.Key, o.Usage)
	if err != nil {
		return nil, fmt.Errorf("make authority %q: %w", o.Name, err)
	}
	return &CA{Certificate: *c, root: parent == nil}, nil
}

var (
	oidCommonName   = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidOrganization = asn1.ObjectIdentifier{2, 5, 4, 10}
)

func newLeaf(parent *CA, o LeafOptions) (*Certificate, error) {
	if o.Usage == UsageDefault {
		o.Usage = UsageBoth
	}
	// pkix.Name holds one common name; ExtraNames hold any number.
	var subject pkix.Name
	if o.Organization != "" {
		subject.ExtraNames = append(subject.ExtraNames, pkix.AttributeTypeAndValue{Type: oidOrganization, Value: o.Organization})
	}
	for _, name := range o.CommonNames {
		subject.ExtraNames = append(subject.ExtraNames, pkix.AttributeTypeAndValue{Type: oidCommonName, Value: name})
	}
	template := &x509.Certificate{
		Subject:               subject,
		RawSubject:            o.RawSubject,
		NotBefore:             o.NotBefore,
		NotAfter:              orIn(o.NotAfter, 30*24*time.Hour),
		SerialNumber:          o.Serial,
		SignatureAlgorithm:    o.Signature,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		DNSNames:              o.DNSNames,
		CRLDistributionPoints: o.CRL,
		OCSPServer:            o.OCSP,
		ExtraExtensions:       o.Extra,
	}
	if len(o.Names) > 0 {
		var names []Name
		for _, name := range o.DNSNames {
			names = append(names, DNS(name))
		}
		extension, err := subjectAltName(append(names, o.Names...))
		if err != nil {
			return nil, err
		}
		// Takes the place of what the template's DNSNames would give.
		template.ExtraExtensions = append([]pkix.Extension{extension}, o.Extra...)
	}
	c, err := issue(parent, template, o.Key, o.Usage)
	if err != nil {
		return nil, fmt.Errorf("make certificate for %q %q: %w", o.CommonNames, o.DNSNames, err)
	}
	return c, nil
}

// issue makes a key and has parent, or that key itself, sign the template.
func issue(parent *CA, template *x509.Certificate, kind KeyKind, usage Usage) (*Certificate, error) {
	key, err := newKey(kind)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	if template.SerialNumber == nil {
		if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
			return nil, fmt.Errorf("serial number: %w", err)
		}
	}
	if template.ExtKeyUsage, err = usage.extended(); err != nil {
		return nil, err
	}

	issuer, signer := template, crypto.Signer(key)
	var chain []*x509.Certificate
	if parent != nil {
		issuer, signer = parent.Certificate.Leaf, parent.Key
		if !parent.root {
			chain = append([]*x509.Certificate{parent.Certificate.Leaf}, parent.Chain...)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read back: %w", err)
	}
	return &Certificate{Leaf: leaf, DER: der, Chain: chain, Key: key, keyDER: keyDER}, nil
}

func (u Usage) extended() ([]x509.ExtKeyUsage, error) {
	switch u {
	case UsageBoth:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, nil
	case UsageClient:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, nil
	case UsageServer:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, nil
	case UsageAny:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, nil
	case UsageNone:
		return nil, nil
	}
	return nil, errors.New("unknown extended key usage")
}

// orIn returns t, or the moment d from now when t is not set.
func orIn(t time.Time, d time.Duration) time.Time {
	if t.IsZero() {
		return time.Now().Add(d)
	}
	return t
}
