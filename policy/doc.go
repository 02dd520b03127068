// Package policy decides whether a message from a listed domain is proven by
// mutual TLS.
//
// It is pure: [Facts] from a mail server and a [Snapshot] of what the operator
// asked for go in, a [Verdict] comes out. It does no I/O, keeps no clock and
// writes no log; the time and the [Evidence] (stored certificates, chains,
// revocation, TLSA records) are handed in, and the evidence is asked only when
// a rule needs it.
//
// # Where what stands
//
//   - table.go: the rules for a transaction, in the order in which they are asked
//   - vet.go: the part of them that is about one certificate and one partner ([Vet])
//   - reason.go: every reason, its meaning and its replies
//   - name.go: which names of a certificate count, and which of them match
//   - domain.go, sender.go: what a domain is, and which domain a sender is of
//   - content.go: what the end of a message decides; stamp.go: what the stamp says
//   - from.go: From headers by a strict grammar; fromscan.go, encodedword.go: what
//     some client may take a broken one for
//   - list.go: the lists of domains; partner.go, connector.go: settings
package policy
