// Package revocation finds out whether the certificates of a chain are revoked:
// it fetches CRLs and OCSP answers, keeps them on disk, refreshes them before
// they end, and asks them.
//
// How lists are read and what they mean is crl's, how answers of responders are
// judged is ocsp's, and getting octets from a hostile world is fetch's.
package revocation
