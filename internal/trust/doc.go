// Package trust keeps partners' certificates and builds chains from them.
//
// No mail server hands over the certificate that a client presented, only its
// SHA-256. So certificates are kept in a [Store] under that hash: one whose hash
// equals what the mail server reported is the one that was presented, whatever
// way it came here. Being in the store proves nothing: a chain or a pin does.
package trust
