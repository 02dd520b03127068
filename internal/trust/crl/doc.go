// Package crl knows everything about one certificate revocation list that needs
// no network (RFC 5280 sections 5 and 6.3.3).
//
// [Build] reads a list as a stream, verifies who signed it, and leaves an index of
// it on disk: a list of 100 MB costs a few megabytes of memory, once, and a look
// into the index costs one small read. [Question] holds the rules: what indexes,
// complete and delta, say of one certificate.
//
// [Blocks] finds the lists in a file that holds several.
//
// Every doubt is an error or [Unknown]. Nothing but a current, fitting, rightly
// signed list that covers every reason makes a certificate [Good].
package crl

import "errors"

// What can be wrong with a list. Errors of [Build] and [Open] wrap one of these,
// or are those of the reader or the disk.
var (
	// ErrMalformed: it is not a CRL, or not one that means one thing only.
	ErrMalformed = errors.New("not a well-formed CRL")
	// ErrTruncated: it ends before its end.
	ErrTruncated = errors.New("the CRL is cut off")
	// ErrTooLarge: a limit is exceeded.
	ErrTooLarge = errors.New("the CRL is too large")
	// ErrNoNextUpdate: it does not say until when it may be used, which RFC 5280
	// section 5.1.2.5 demands of every issuer.
	ErrNoNextUpdate = errors.New("the CRL has no nextUpdate")
	// ErrAlgorithm: it is signed in a way that is broken (SHA-1, MD5, too small a
	// key) or unknown here.
	ErrAlgorithm = errors.New("the CRL's signature algorithm is not accepted")
	// ErrSigner: no certificate is known that may have signed it.
	ErrSigner = errors.New("no certificate may sign this CRL")
	// ErrSignature: none of those that may have signed it did.
	ErrSignature = errors.New("the CRL's signature does not verify")
	// ErrIndex: an index is damaged. Build it anew from the list.
	ErrIndex = errors.New("the CRL's index is damaged")
)

// Limits. A list beyond one of them is refused, never used in part.
const (
	// MaxSize is the octets of a list, as DER.
	MaxSize = 128 << 20

	maxElement    = 64 << 10  // octets of an entry, a name, or one extension
	maxExtensions = 128 << 10 // octets of all extensions of the list
	maxCount      = 64        // extensions of a list, of an entry; names, points in one extension
	maxSerial     = 32        // octets: RFC 5280 section 4.1.2.2 allows 20
	maxNumber     = 20        // octets of a CRL number, RFC 5280 section 5.2.3
	maxSignature  = 4 << 10
	maxInMemory   = 1 << 20 // octets of a list whose algorithm needs all of it at once
	maxIssuers    = 4096    // in an indirect list
	maxIssuersLen = 1 << 20 // octets of their names
)
