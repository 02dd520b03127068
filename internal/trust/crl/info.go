package crl

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"domain-secured/internal/trust/dn"
)

// A Source is where a list came from, for whoever fetches it again.
type Source struct {
	URL          string
	ETag         string    `json:",omitempty"`
	LastModified string    `json:",omitempty"`
	Fetched      time.Time // when
}

// Info is what an index knows of its list besides the entries. It is shared and
// never to be changed.
type Info struct {
	Source Source

	Issuer     []byte // DER of Name
	ThisUpdate time.Time
	NextUpdate time.Time
	Number     *big.Int `json:",omitempty"` // nil if it has none
	// Base is the number of the list that a delta CRL builds on, nil if this is a
	// complete one.
	Base    *big.Int `json:",omitempty"`
	Entries int
	Size    int64 // octets of the list, as DER
	// Sum tells lists apart: it is the SHA-256 of the digest of what is signed and of
	// the signature.
	Sum [sha256.Size]byte

	// Signer is the certificate that verified its signature. Whoever asks must
	// have a reason of his own to trust its key: see [Question].
	Signer []byte
	// UnknownCritical are the critical extensions of the list and its entries that
	// are not known here. Such a list says nothing: RFC 5280 sections 5.2 and 5.3.
	UnknownCritical []string `json:",omitempty"`

	// Values of extensions, nil if it has none.
	AuthorityKeyID           []byte `json:",omitempty"`
	IssuingDistributionPoint []byte `json:",omitempty"`
	FreshestCRL              []byte `json:",omitempty"`

	// Issuers are those that entries of an indirect list name, GeneralNames.
	Issuers [][]byte `json:",omitempty"`

	// Read from what is above.
	signer  *x509.Certificate
	keyID   []byte
	point   issuingPoint
	issuers [][][]byte // directory names
	text    string     // for a person
	due     string     // NextUpdate, for a person
	without string     // that it does not have a certificate, for a person
}

// FreshestPoints are where the list says that its delta CRLs are (RFC 5280
// section 5.2.6).
func (i *Info) FreshestPoints() []Point {
	points, _ := parsePoints(i.FreshestCRL, i.Issuer)
	return points
}

// SameKey reports whether one key signed both lists.
func (i *Info) SameKey(other *Info) bool {
	return bytes.Equal(i.signer.RawSubjectPublicKeyInfo, other.signer.RawSubjectPublicKeyInfo)
}

// String names the list for a person, in a line.
func (i *Info) String() string { return i.text }

// describe makes the texts, which each answer has, once.
func (i *Info) describe() {
	kind, number := "CRL", ""
	if i.Base != nil {
		kind = "delta CRL"
	}
	if i.Number != nil {
		number = " " + i.Number.String()
	}
	from := ""
	if i.Source.URL != "" {
		from = fmt.Sprintf(" from %q", i.Source.URL)
	}
	i.text = fmt.Sprintf("%s%s of %q%s, issued %s", kind, number, nameText(i.Issuer), from, stamp(i.ThisUpdate))
	i.due = stamp(i.NextUpdate)
	i.without = "not on " + i.text + ", next due " + i.due
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// marshal returns what the index keeps of it.
func (i *Info) marshal() ([]byte, error) {
	b, err := json.Marshal(i)
	if err != nil {
		return nil, fmt.Errorf("writing the CRL's index: %w", err)
	}
	return b, nil
}

// unmarshal reads it back. It has been hashed, so only another version of this
// program can have written what does not fit.
func (i *Info) unmarshal(b []byte) error {
	if err := json.Unmarshal(b, i); err != nil {
		return err
	}
	return i.complete()
}

// complete reads what the fields consist of.
func (i *Info) complete() (err error) {
	if !dn.Valid(i.Issuer) || i.NextUpdate.IsZero() {
		return errors.New("no issuer, or no date")
	}
	if i.signer, err = x509.ParseCertificate(i.Signer); err != nil {
		return err
	}
	ok := true
	i.point = issuingPoint{reasons: AllReasons}
	if i.IssuingDistributionPoint != nil {
		if i.point, ok = parseIssuingPoint(i.IssuingDistributionPoint, i.Issuer); !ok {
			return errors.New("no issuing distribution point")
		}
	}
	if i.AuthorityKeyID != nil {
		if i.keyID, ok = parseKeyID(i.AuthorityKeyID); !ok {
			return errors.New("no key identifier")
		}
	}
	i.issuers = nil
	for _, names := range i.Issuers {
		all, ok := parseNames(names)
		if !ok {
			return errors.New("no issuer of entries")
		}
		i.issuers = append(i.issuers, directoryNames(all))
	}
	i.describe()
	return nil
}
