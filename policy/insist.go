package policy

import (
	"slices"
	"strings"
)

// Insister is what a door for outgoing mail asks.
type Insister interface {
	// Insist says what to insist on of the servers at a destination, nil for nothing. It
	// always answers, within 4.5 seconds: of a listed domain never nil because something
	// went wrong here.
	Insist(Destination) *Demand
}

// Destination is where a mail server is about to send mail, as it asks.
type Destination struct {
	// Name is of a domain, in any case and alphabet, whose MX hosts take the mail.
	Name string
	// Host: it is of a host that takes the mail itself.
	Host bool
	Port uint16 // 0 is that of SMTP
}

// Demand is what is insisted on of a server. It is immutable. Names and Fingerprints
// are never both set, and neither is if mail is to wait.
type Demand struct {
	// Wait says why mail is to wait, "" if it may go: a word of a closed set, a [Reason]
	// or one of those that package outgoing has.
	Wait   string
	Detail string // behind Wait, for a log: may hold anything

	// Names are host names: the server's certificate must be trusted and have one of
	// them, in full or with a wildcard in place of the first label.
	Names []string
	// Fingerprints are of certificates or keys: the server's must be one of them.
	Fingerprints []Hash
	// RootsFile has the authorities that count for Names, as the mail server is to open
	// it; "" is those that it has.
	RootsFile string
	MinTLS    TLSVersion
	MinBits   int
}

// maxTrims is more than any name takes that can be delivered to.
const maxTrims = 8

// SendingTo returns the entry of the send list that covers a destination's name, ""
// if none does, and the name in the form in which domains are compared. What is no
// host name is compared by its end, too, as a sender's domain is. Of that form it returns
// the same again.
func (s *Snapshot) SendingTo(name string) (domain, entry string) {
	r := parseSenderDomain(trimDomain(name))
	// What was unquoted or turned into A-labels may have ends that do not count, again.
	for range maxTrims {
		if r.hostName {
			break
		}
		again := parseSenderDomain(trimDomain(r.domain))
		if again == r {
			break
		}
		r = again
	}
	if r.domain == "" {
		return "", ""
	}
	entry, _ = s.entryOf(s.Send, r)
	return r.domain, entry
}

// Sending returns how the partner's server proves itself, without a default.
func (p *Partner) Sending() SendVerify {
	switch {
	case p.SendVerify != SendVerifyDefault:
		return p.SendVerify
	case p.Trust == TrustPins:
		return SendVerifyPins
	case p.Revocation == RevocationRequire:
		return SendVerifyVetted
	}
	return SendVerifyNames
}

// maxNames bounds what [Partner.SendNames] makes of strangers' names.
const maxNames = 100

// SendNames returns the names of which a server's certificate must have one, for a mail
// server that compares whole names, a wildcard in a certificate standing for one label
// (postconf(5) smtp_tls_secure_cert_match): the partner's own if it has some, else the
// domain, and by the rule of Exchange those one label below it that there are: of
// hosts, and of presented, the names in certificates that were found good.
//
// No name is in it that does not speak for the domain. There may be some that do and
// are not: a wildcard over a parent that is more than one label above it.
func (p *Partner) SendNames(domain string, hosts, presented []string) []string {
	if p.Names != nil {
		return p.Names
	}
	names := []string{domain}
	if p.NameMatch == NameMatchStrict {
		return names
	}
	for _, name := range slices.Concat(hosts, presented) {
		name, ok := presentedName(name)
		if rest, wildcard := strings.CutPrefix(name, "*."); wildcard && rest == domain {
			// Any name below speaks for the domain; this one stands for the wildcard.
			name = "mail." + domain
		}
		if ok && parentOf(name) == domain && len(name) <= maxDomain && !slices.Contains(names, name) && len(names) < maxNames {
			names = append(names, name)
		}
	}
	slices.Sort(names[1:])
	return names
}
