// Package tlsmap is the door for outgoing mail: a server of socket maps
// (socketmap_table(5), sendmail's K socket) that a mail server asks what to insist on of
// the servers at a destination. It reads a request, asks a [policy.Insister], and
// answers in the words of postconf(5) smtp_tls_policy_maps, or in those of Sendmail's
// access map. It parses and renders; it has no rules.
package tlsmap
