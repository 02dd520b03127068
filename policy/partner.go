package policy

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Mode says what becomes of a verdict.
type Mode string

const (
	ModeOff     Mode = "off"     // the domain is treated as if it were not listed
	ModeTesting Mode = "testing" // judged, logged and counted, but never refused and never stamped
	ModeEnforce Mode = "enforce" // refused unless proven
)

// EvidenceKind says whose view of the certificate counts.
type EvidenceKind string

const (
	EvidenceCertificate EvidenceKind = "certificate" // the stored certificate, judged here
	EvidenceMTA         EvidenceKind = "mta"         // what the mail server says of it
)

// Trust says what makes a certificate trusted.
type Trust string

const (
	TrustChain Trust = "chain" // a pin, or a chain to one of the partner's roots
	TrustPins  Trust = "pins"  // a pin only
)

// Usage says which extended key usage a certificate must allow (RFC 5280
// section 4.2.1.12). One without that extension allows every usage.
type Usage string

const (
	UsageClient         Usage = "client"           // clientAuth
	UsageClientOrServer Usage = "client-or-server" // clientAuth or serverAuth: public CAs no longer issue clientAuth
	UsageAny            Usage = "any"              // whatever it is made for
)

// RevocationPolicy says what must be known about revocation.
type RevocationPolicy string

const (
	RevocationRequire     RevocationPolicy = "require"      // that the certificate is not revoked
	RevocationIfAvailable RevocationPolicy = "if-available" // the same, unless it names no source
	RevocationOff         RevocationPolicy = "off"          // nothing
)

// OnFailure says which column of the reasons holds.
type OnFailure string

const (
	OnFailureTempfail OnFailure = "tempfail" // the reason's default, nearly always temporary
	OnFailureReject   OnFailure = "reject"   // permanent, where the reason has a permanent reply
)

// FromAlignment says what the From header has to do with the stamp.
type FromAlignment string

const (
	FromAlignmentOff     FromAlignment = "off"     // nothing
	FromAlignmentStamp   FromAlignment = "stamp"   // stamped only if From is of the domain
	FromAlignmentEnforce FromAlignment = "enforce" // From of a listed domain must be proven too
)

// SendVerify says how a partner's server proves itself for outgoing mail.
type SendVerify string

const (
	SendVerifyDefault SendVerify = ""       // pins, vetted or names, by trust and revocation
	SendVerifyNames   SendVerify = "names"  // by its names
	SendVerifyVetted  SendVerify = "vetted" // by the fingerprint of a certificate judged here
	SendVerifyPins    SendVerify = "pins"   // by the partner's pins
)

// Partner is what holds for one domain of a list, or for all that have no
// settings of their own. It is immutable once it is part of a [Snapshot].
type Partner struct {
	// Domain is the list entry that these settings are of, "" for the defaults.
	Domain string

	Mode          Mode
	NameMatch     NameMatch
	Evidence      EvidenceKind
	Trust         Trust
	Roots         *Roots
	Usage         Usage
	MinTLS        TLSVersion
	MinBits       int // of the session's key
	Revocation    RevocationPolicy
	OnFailure     OnFailure
	EscalateAfter time.Duration // 0: never
	FromAlignment FromAlignment
	SendVerify    SendVerify
	Contact       string // printable ASCII, shown in replies

	Pins            []Hash         // of certificates or public keys
	Names           []string       // in place of the name rule, as [CheckName] returns them
	Subdomains      bool           // covers what is below Domain too
	ClientAddresses []netip.Prefix // nil: any
	ProbeHosts      []string       // looked at besides the MX hosts
	DANE            bool           // a TLSA record proves a certificate too
	MTAIssuer       string         // the issuer's common name, for [EvidenceMTA]
}

// pinned reports whether h is one of the partner's pins.
func (p *Partner) pinned(h Hash) bool { return !h.IsZero() && slices.Contains(p.Pins, h) }

// Roots are the certificates that a partner's chains may end in.
type Roots struct {
	Pool *x509.CertPool
	// ID is equal for equal sets of certificates: chains are remembered by it.
	ID Hash
	// Turns are when one of them begins to be valid or has ceased to be. Nil is not known.
	Turns []time.Time
	// PEM are the certificates for a mail server that is to build chains itself; nil if
	// they are the system's alone, which it has.
	PEM []byte
}

// Hash is a SHA-256, of a certificate or of a public key (its DER
// SubjectPublicKeyInfo). The zero value is none: nothing has that SHA-256.
type Hash [sha256.Size]byte

// IsZero reports whether h is none.
func (h Hash) IsZero() bool { return h == Hash{} }

// ErrNotSHA256 is returned for a fingerprint that is well formed but was made
// with another digest.
var ErrNotSHA256 = errors.New("not a SHA-256")

// ParseHash reads a fingerprint in hexadecimal, with a colon between every two
// octets or with none, with or without "sha256:" before it, in any case. The
// error is [ErrNotSHA256] for a fingerprint of another length.
func ParseHash(s string) (Hash, error) {
	if len(s) > 7 && strings.EqualFold(s[:7], "sha256:") {
		s = s[7:]
	}
	step := 2
	if len(s) > 2 && s[2] == ':' {
		step = 3
	}
	octets := (len(s) + step - 2) / step
	if s == "" || octets*step-(step-2) != len(s) {
		return Hash{}, fmt.Errorf("%.100q is not a fingerprint in hexadecimal", s)
	}
	var h Hash
	var digits, between byte // what is wrong with any of them
	for i := range octets {
		at := i * step
		high, low := hexDigits[s[at]], hexDigits[s[at+1]]
		digits |= high | low
		if step == 3 && at+2 < len(s) {
			between |= s[at+2] ^ ':'
		}
		if i < len(h) {
			h[i] = high<<4 | low
		}
	}
	switch {
	case digits > 0xf || between != 0:
		return Hash{}, fmt.Errorf("%.100q is not a fingerprint in hexadecimal", s)
	case octets != len(h):
		return Hash{}, fmt.Errorf("%.100q has %d octets and is %w, which has %d", s, octets, ErrNotSHA256, len(h))
	}
	return h, nil
}

// hexDigits holds the value of each hexadecimal digit, and 0xff for what is none.
var hexDigits = func() (values [256]byte) {
	for i := range values {
		values[i] = 0xff
	}
	for i := range byte(16) {
		values["0123456789abcdef"[i]], values["0123456789ABCDEF"[i]] = i, i
	}
	return values
}()

// String returns the 64 hexadecimal digits in lower case.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// TLSVersion is a version of TLS as it goes over the wire: 0x0303 is TLS 1.2,
// RFC 8446 section 4.1.2. 0 is none or unknown, which is below every minimum.
type TLSVersion uint16

// ParseTLSVersion reads what OpenSSL, and so every MTA, calls a version: TLSv1,
// TLSv1.1, TLSv1.2, TLSv1.3, SSLv3. It returns 0 for anything else.
func ParseTLSVersion(s string) TLSVersion {
	switch s {
	case "TLSv1.3":
		return 0x0304
	case "TLSv1.2":
		return 0x0303
	case "TLSv1.1":
		return 0x0302
	case "TLSv1", "TLSv1.0":
		return 0x0301
	case "SSLv3":
		return 0x0300
	}
	return 0
}
