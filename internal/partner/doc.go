// Package partner looks at a partner from outside: the hosts that take its mail
// ([Resolver]), what they present over STARTTLS ([Prober]), what its TLSA
// records name ([DANE]). [Learner] does so when a certificate is met that nobody
// knows, and [Pending] lists those that could not be learned.
//
// Nothing here judges a certificate, and nothing that is found here is to be
// believed for having been found: a certificate is the one that a client
// presented because its SHA-256 is the same. Only TLSA records prove something by
// themselves, if DNSSEC does.
package partner
