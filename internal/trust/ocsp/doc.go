// Package ocsp asks OCSP responders (RFC 6960) and judges what they answer.
//
// golang.org/x/crypto/ocsp takes an answer by serial number alone, from any
// certificate of the same authority, of any age. Here an answer counts only if it
// is about this certificate of this issuer, from one whom the issuer authorised,
// and current. Fetching is the caller's.
package ocsp
