package partner

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"fmt"

	"github.com/miekg/dns"
)

// TLSA is a TLSA record (RFC 6698 section 2.1).
type TLSA struct {
	Usage    uint8  `json:"usage"`
	Selector uint8  `json:"selector"`
	Matching uint8  `json:"matching"`
	Data     []byte `json:"data"`
}

// String returns the record's data as it stands in a zone.
func (t TLSA) String() string {
	return fmt.Sprintf("%d %d %d %x", t.Usage, t.Selector, t.Matching, t.Data)
}

// Subject is the certificate that a TLSA record may name.
type Subject struct {
	Certificate Fingerprint // none if unknown
	Key         Fingerprint // none if unknown
	// X509 is the certificate itself, for records with a SHA-512. It is used only if
	// it has the SHA-256 above. nil: such records do not match.
	X509 *x509.Certificate
}

const usageDANEEE = 3 // RFC 7218 section 2.1

// Matches reports whether the record is of usage 3, DANE-EE, and names the
// certificate or its public key. Names and dates then do not matter (RFC 7672
// section 3.1.1). Records of another usage, selector or matching type match
// nothing (RFC 6698 section 4.1).
func (t TLSA) Matches(s Subject) bool {
	if t.Usage != usageDANEEE {
		return false
	}
	var known Fingerprint
	var whole []byte
	given := s.X509 != nil && sha256.Sum256(s.X509.Raw) == s.Certificate
	switch t.Selector {
	case 0:
		known = s.Certificate
		if given {
			whole = s.X509.Raw
		}
	case 1:
		known = s.Key
		if given && sha256.Sum256(s.X509.RawSubjectPublicKeyInfo) == s.Key {
			whole = s.X509.RawSubjectPublicKeyInfo
		}
	default:
		return false
	}
	if known.IsZero() {
		return false
	}
	switch t.Matching {
	case 0: // all of it, and what has its SHA-256 is it
		return sha256.Sum256(t.Data) == known
	case 1:
		return string(t.Data) == string(known[:])
	case 2:
		sum := sha512.Sum512(whole)
		return whole != nil && string(t.Data) == string(sum[:])
	}
	return false
}

// TLSA returns the TLSA records of a name such as _25._tcp.mx.example. CNAMEs are
// followed. secure says that DNSSEC proves it, and also holds for the errors
// [ErrNoSuchName] and [ErrNoData].
func (r *Resolver) TLSA(ctx context.Context, name string) (records []TLSA, secure bool, err error) {
	records, a, err := r.tlsa(ctx, name)
	return records, a.secure, err
}

// tlsa is TLSA with all that is known of the answer.
func (r *Resolver) tlsa(ctx context.Context, name string) ([]TLSA, answer, error) {
	clean, err := cleanName(name)
	if err != nil {
		return nil, answer{}, err
	}
	a, err := r.ask(ctx, clean, dns.TypeTLSA)
	if err != nil {
		return nil, a, err
	}
	return tlsaOf(a.records), a, nil
}

// tlsaOf reads records as they are over the wire.
func tlsaOf(records []dns.RR) []TLSA {
	var all []TLSA
	for _, rr := range records {
		tlsa, ok := rr.(*dns.TLSA)
		if !ok {
			continue
		}
		// The library made the digits from octets.
		data, err := hex.DecodeString(tlsa.Certificate)
		if err != nil || len(data) == 0 {
			continue
		}
		all = append(all, TLSA{Usage: tlsa.Usage, Selector: tlsa.Selector, Matching: tlsa.MatchingType, Data: data})
	}
	return all
}
