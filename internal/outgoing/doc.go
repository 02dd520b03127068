// Package outgoing decides what to insist on of the servers that take a partner's mail:
// names, the fingerprints of certificates that were judged here, or pins. It looks at
// the partner ([partner.Prober]), has judged what it finds as if it came with mail
// ([gate.Inspector]), and remembers the answer until it ages.
//
// Of a domain on the send list nothing that goes wrong here makes the answer weaker: mail
// waits.
package outgoing
