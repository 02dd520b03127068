package trust

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Fingerprint is the SHA-256 of a certificate's DER.
type Fingerprint = [sha256.Size]byte

// Certificate is one partner certificate, or a CA certificate that the operator
// imported to complete chains.
type Certificate struct {
	Fingerprint Fingerprint
	DER         []byte
	X509        *x509.Certificate // nil if it does not parse
	Err         error             // why it does not parse
	// Presented are the certificates it came with, to build its chains from.
	Presented []*x509.Certificate

	Source string    // how it came here: "import"
	Added  time.Time // when; in UTC, to the second
	Domain string    // whose it is, if that was said; proves nothing
}

// SourceImport is the source of what an operator imported.
const SourceImport = "import"

// SourceProbe is the source of what was learned by looking at a partner's servers.
const SourceProbe = "probe"

// isImportedCA: it may complete any partner's chain.
func (c *Certificate) isImportedCA() bool {
	return c.Source == SourceImport && c.X509 != nil && c.X509.IsCA
}

// Keep takes over from an earlier file of the same certificate what c lacks: whose
// it is, and what it was presented with.
func (c *Certificate) Keep(earlier *Certificate) {
	if c.Domain == "" {
		c.Domain = earlier.Domain
	}
	for _, presented := range earlier.Presented {
		if !slices.ContainsFunc(c.Presented, presented.Equal) {
			c.Presented = append(slices.Clip(c.Presented), presented)
		}
	}
}

// KeyFingerprint is the SHA-256 of the public key as the certificate holds it
// (SubjectPublicKeyInfo), which is what Postfix reports as
// ccert_pubkey_fingerprint and a TLSA record 3 1 1 holds.
func KeyFingerprint(c *x509.Certificate) Fingerprint {
	return sha256.Sum256(c.RawSubjectPublicKeyInfo)
}

const (
	maxFile         = 1 << 20 // octets of one certificate file
	maxCertificates = 1000    // in one file
)

// blockCertificate is the PEM type of a certificate (RFC 7468 section 5).
const blockCertificate = "CERTIFICATE"

// Marshal returns the text of a store file: lines for people first, which
// openssl skips, then the certificate, then those it was presented with.
func (c *Certificate) Marshal() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "source: %s\nadded: %s\n", c.Source, c.Added.UTC().Format(time.RFC3339))
	if c.Domain != "" {
		fmt.Fprintf(&b, "domain: %s\n", c.Domain)
	}
	writePEM(&b, c.DER)
	for _, presented := range c.Presented {
		writePEM(&b, presented.Raw)
	}
	return b.Bytes()
}

func writePEM(b *bytes.Buffer, der []byte) {
	// Encode fails only if the writer does, and a bytes.Buffer never does.
	_ = pem.Encode(b, &pem.Block{Type: blockCertificate, Bytes: der})
}

// unmarshal reads a store file whose name says that the certificate in it has
// this fingerprint.
func unmarshal(data []byte, want Fingerprint) (*Certificate, error) {
	head, _, _ := bytes.Cut(data, []byte("-----BEGIN "))
	ders, err := decodePEM(data, maxCertificates)
	if err != nil {
		return nil, err
	}
	c := &Certificate{Fingerprint: sha256.Sum256(ders[0]), DER: ders[0]}
	if c.Fingerprint != want {
		return nil, fmt.Errorf("its first certificate has the SHA-256 %s, not the one in its name", hex.EncodeToString(c.Fingerprint[:]))
	}
	c.X509, c.Err = x509.ParseCertificate(c.DER)
	for _, der := range ders[1:] {
		// What a leaf came with is only a help in building chains: what cannot be
		// parsed cannot help.
		if presented, err := x509.ParseCertificate(der); err == nil {
			c.Presented = append(c.Presented, presented)
		}
	}
	for line := range strings.Lines(string(head)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch name {
		case "source":
			c.Source = value
		case "added":
			c.Added, _ = time.Parse(time.RFC3339, value)
		case "domain":
			c.Domain = value
		}
	}
	return c, nil
}

// decodePEM returns the contents of the certificate blocks, at least one and at most
// so many.
func decodePEM(data []byte, most int) ([][]byte, error) {
	// Looked for first, for whatever else is wrong: this must not be sent on.
	if bytes.Contains(data, []byte("PRIVATE KEY-----")) {
		return nil, ErrPrivateKey
	}
	var ders [][]byte
	begun := bytes.Count(data, []byte("-----BEGIN "))
	blocks := 0
	for rest := data; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		blocks++
		switch {
		case block.Type != blockCertificate:
			return nil, fmt.Errorf("it holds a %q, not only certificates", block.Type)
		case len(ders) == most:
			return nil, fmt.Errorf("it holds more than %d certificates", most)
		}
		ders = append(ders, block.Bytes)
	}
	switch {
	// pem.Decode passes over a block that is cut off or damaged.
	case blocks != begun:
		return nil, errors.New("a PEM block in it is damaged or cut off")
	case len(ders) == 0:
		return nil, errors.New("it holds no certificate")
	}
	return ders, nil
}
