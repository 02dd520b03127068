package readiness

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"unicode"
)

// Weight is what a finding counts for.
type Weight string

// The weights. One fault makes the answer [NotReady]; else one doubt, or that no
// server could be looked at, makes it [Unknown].
const (
	Fault  Weight = "fault"
	Doubt  Weight = "doubt"
	Unseen Weight = "unseen" // a server could not be looked at: others may do
	Remark Weight = "remark" // counts for nothing
)

// Audience is who can do something about a finding.
type Audience string

// The audiences.
const (
	ForPartner Audience = "partner"
	ForUs      Audience = "us"
)

// Finding is one thing to be said of a partner.
type Finding struct {
	// Token is a word of a closed set: a [partner.Problem], a [policy.Reason], or one
	// of those below.
	Token       string       `json:"finding"`
	Weight      Weight       `json:"weight"`
	For         Audience     `json:"for"`
	Host        string       `json:"host,omitempty"`
	Addresses   []netip.Addr `json:"addresses,omitempty"`   // of the host, where it was found
	Certificate string       `json:"certificate,omitempty"` // fingerprint
	Sentence    string       `json:"sentence"`

	rest string // of the sentence, behind its subject
}

// Findings that are neither a problem of the look nor a reason of the rules.
const (
	NotRequested   = "client-certificate-not-requested"
	ExpiresSoon    = "certificate-expires-soon"
	TLSAMismatch   = "tlsa-mismatch"     // records of usage 3, and none names the certificate
	TLSAFailed     = "tlsa-failed"       // the DNS failed, or its signatures are bogus
	OutsideDomain  = "mx-outside-domain" // and the partner has no names of its own
	ServersOnly    = "usage-server-only" // where usage = "client"
	JudgedByMTA    = "judged-by-mta"     // evidence = "mta"
	BitsNotCertain = "bits-not-certain"  // min_bits is above what came about, which may be our choice
)

// add notes what was found at an address, once for all addresses of a host.
func (a *assessor) add(host *Host, address *Address, certificate *Certificate, f Finding) {
	f.rest = clip(f.rest, maxSentence)
	if host != nil {
		f.Host = host.Name
	}
	if certificate != nil {
		f.Certificate = certificate.Fingerprint
	}
	i := slices.IndexFunc(a.Findings, func(g *Finding) bool {
		return g.Token == f.Token && g.Host == f.Host && g.Certificate == f.Certificate && g.rest == f.rest
	})
	if i < 0 {
		i = len(a.Findings)
		a.Findings = append(a.Findings, &f)
	}
	if g := a.Findings[i]; address != nil && !slices.Contains(g.Addresses, address.Address.Address) {
		g.Addresses = append(g.Addresses, address.Address.Address)
	}
}

// finish writes the sentences and draws the conclusion.
func (a *assessor) finish() {
	weights := make(map[Weight]bool)
	for _, f := range a.Findings {
		weights[f.Weight] = true
		f.Sentence = a.subject(f) + " " + f.rest
	}
	switch {
	case weights[Fault]:
		a.Answer = NotReady
	case weights[Doubt] || !a.seen:
		a.Answer = Unknown
	default:
		a.Answer = Ready
	}
}

// subject names a host, with addresses only if it is not about all that it has.
func (a *assessor) subject(f *Finding) string {
	i := slices.IndexFunc(a.Hosts, func(h *Host) bool { return h.Name == f.Host })
	if i < 0 || len(f.Addresses) == 0 || len(f.Addresses) == len(a.Hosts[i].Addresses) {
		return cmp.Or(f.Host, a.Domain)
	}
	var addresses []string
	for _, address := range f.Addresses {
		addresses = append(addresses, address.String())
	}
	return f.Host + " (" + strings.Join(addresses, ", ") + ")"
}

const (
	maxQuoted   = 300 // characters of a stranger's words
	maxInline   = 100 // of those in the middle of a sentence
	maxSentence = 1500
)

// clean makes a stranger's words fit for a terminal and a mail.
func clean(s string) string { return clip(s, maxQuoted) }

// quote is clean for a sentence, which goes on.
func quote(s string) string { return clip(s, maxInline) }

func clip(s string, most int) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > most {
			return b.String() + "..."
		}
		if !unicode.IsPrint(r) {
			r = unicode.ReplacementChar
		}
		b.WriteRune(r)
	}
	return b.String()
}
