package partner

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Fingerprint is the SHA-256 of a certificate's DER, or of its public key
// (SubjectPublicKeyInfo). The zero value is none. As text it is 64 hexadecimal
// digits.
type Fingerprint [sha256.Size]byte

// IsZero reports whether f is none.
func (f Fingerprint) IsZero() bool { return f == Fingerprint{} }

// String returns the hexadecimal digits in lower case.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// MarshalText implements [encoding.TextMarshaler].
func (f Fingerprint) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *Fingerprint) UnmarshalText(text []byte) error {
	var read Fingerprint
	if len(text) != hex.EncodedLen(len(read)) {
		return fmt.Errorf("%.100q is not a SHA-256 in hexadecimal", text)
	}
	if _, err := hex.Decode(read[:], text); err != nil {
		return fmt.Errorf("%.100q is not a SHA-256 in hexadecimal", text)
	}
	*f = read
	return nil
}
