package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
)

// Resign changes what c says and signs that as ca: for contents that crypto/x509 would not make. change is
// given the contents of TBSCertificate, and returns others. The key of ca must be ECDSA, and c signed with it
// and SHA-256 before.
func (ca *CA) Resign(c *Certificate, change func(tbs []byte) []byte) (*Certificate, error) {
	var whole struct {
		TBS       asn1.RawValue
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.DER, &whole); err != nil {
		return nil, fmt.Errorf("take apart: %w", err)
	}
	tbs, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: change(whole.TBS.Bytes)})
	if err != nil {
		return nil, fmt.Errorf("put together: %w", err)
	}
	whole.TBS = asn1.RawValue{FullBytes: tbs}
	sum := sha256.Sum256(tbs)
	signature, err := ca.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	whole.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	changed := *c
	if changed.DER, err = asn1.Marshal(whole); err != nil {
		return nil, fmt.Errorf("put together: %w", err)
	}
	if changed.Leaf, err = x509.ParseCertificate(changed.DER); err != nil {
		return nil, fmt.Errorf("read back: %w", err)
	}
	return &changed, nil
}
