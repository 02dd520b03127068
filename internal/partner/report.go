package partner

import (
	"crypto/sha256"
	"crypto/x509"
	"net/netip"
	"slices"
	"time"
)

// Problem is why a look at a partner, or at one of its hosts or addresses, came to
// an end: one of a closed set of words, "" for none. What was found before stands
// beside it.
type Problem string

// The problems: of a domain, a host, an address.
const (
	NoSuchName Problem = "no-such-name" // the DNS says so
	NoMail     Problem = "no-mail"      // a null MX, RFC 7505
	NoMX       Problem = "no-mx"        // neither MX nor address
	DNSFailed  Problem = "dns-failed"   // no answer, or none that can be used
	DNSBogus   Problem = "dns-bogus"    // the DNS server failed, as for bogus signatures
	BadName    Problem = "bad-name"     // not the name of a domain or host

	NoAddress Problem = "no-address" // the host has none

	RefusedAddress Problem = "refused-address" // not global unicast, and not allowed
	NotTried       Problem = "not-tried"       // there were too many, or no time was left
	ConnectFailed  Problem = "connect-failed"  // refused, unreachable, or no answer
	TimedOut       Problem = "timed-out"       // connected, and then too slow
	ConnectionLost Problem = "connection-lost" // closed in the middle
	NoGreeting     Problem = "no-greeting"     // what came first is not SMTP
	Refused        Problem = "refused"         // the greeting or the reply to EHLO says no
	BadReply       Problem = "bad-reply"       // not a reply as RFC 5321 section 4.2 has them, or too long
	OutOfTurn      Problem = "out-of-turn"     // it speaks without having been asked
	NoSTARTTLS     Problem = "no-starttls"     // EHLO does not list it
	STARTTLSFailed Problem = "starttls-failed" // listed, but refused
	// PlaintextAfterSTARTTLS: there was more in plaintext behind the reply to
	// STARTTLS, as somebody in between would put there (RFC 3207 section 5).
	PlaintextAfterSTARTTLS Problem = "plaintext-after-starttls"
	HandshakeFailed        Problem = "handshake-failed"       // no TLS came about
	CertificateUnreadable  Problem = "certificate-unreadable" // TLS failed, and a certificate presented cannot be parsed
	// RefusedAfterTLS: TLS came about, and the server would not go on: as a rule it
	// wants another client certificate.
	RefusedAfterTLS Problem = "refused-after-tls"
	Fault           Problem = "internal-error" // of our own, which what it sent led to
)

// Source says why a host is looked at.
type Source string

// The sources of hosts.
const (
	SourceMX     Source = "mx"
	SourceProbe  Source = "probe-host" // named by the operator
	SourceClient Source = "client"     // a client that connected
)

// Report is what a partner looks like from outside. Its JSON is what people and
// programs are given.
type Report struct {
	Domain    string    `json:"domain"`
	Time      time.Time `json:"time"`
	Problem   Problem   `json:"problem,omitempty"` // with its MX records
	Detail    string    `json:"detail,omitempty"`
	MXSecure  bool      `json:"mx_secure"` // DNSSEC proves the MX records
	Hosts     []*Host   `json:"hosts"`     // by MX preference; then probe hosts, then clients
	TookMilli int64     `json:"took_ms"`
}

// Host is one of a partner's hosts.
type Host struct {
	Name       string     `json:"name,omitempty"` // "" for a client
	Source     Source     `json:"source"`
	Preference uint16     `json:"preference,omitempty"` // of an MX host
	Problem    Problem    `json:"problem,omitempty"`    // with its addresses
	Detail     string     `json:"detail,omitempty"`
	Addresses  []*Address `json:"addresses"`

	// TLSAStatus and TLSA are empty if they were not asked for.
	TLSAStatus TLSAStatus `json:"tlsa_status,omitempty"`
	TLSADetail string     `json:"tlsa_detail,omitempty"`
	TLSA       []TLSA     `json:"tlsa,omitempty"`
}

// Address is one address of a host, and what answered there.
type Address struct {
	Address   netip.Addr `json:"address"`
	Port      uint16     `json:"port"`
	Reachable bool       `json:"reachable"` // something accepted a connection
	Problem   Problem    `json:"problem,omitempty"`
	Detail    string     `json:"detail,omitempty"`
	Greeting  string     `json:"greeting,omitempty"`  // first line, as far as it is printable
	HelloName string     `json:"ehlo_name,omitempty"` // what it calls itself
	STARTTLS  bool       `json:"starttls"`            // EHLO lists it
	TLS       *TLS       `json:"tls,omitempty"`       // nil if there is nothing of a handshake
	TookMilli int64      `json:"took_ms"`
}

// TLS is what a handshake showed, be it to the end or not.
type TLS struct {
	Version string `json:"version,omitempty"` // "TLS 1.3", of a complete handshake
	Cipher  string `json:"cipher,omitempty"`
	// Chain is as presented, the server's own certificate first, at most 20.
	Chain     []Certificate `json:"chain,omitempty"`
	Presented int           `json:"presented"` // how many there were
	// Other is the chain for those who know only another kind of key, if it was
	// asked for and there is one.
	Other []Certificate `json:"other_chain,omitempty"`

	ClientCertificateRequested bool `json:"client_certificate_requested"`
	ClientCertificateSent      bool `json:"client_certificate_sent"`
	// AcceptableCAs are the authorities that the request names, at most 100.
	AcceptableCAs []string `json:"acceptable_cas,omitempty"`
}

// unreadable reports whether something in the chain does not parse.
func (t *TLS) unreadable() bool {
	return t != nil && slices.ContainsFunc(t.Chain, func(c Certificate) bool { return c.X509 == nil })
}

// Certificate is one that was presented, parsed if it can be.
type Certificate struct {
	SHA256 Fingerprint       `json:"sha256"`
	Key    *Fingerprint      `json:"key_sha256,omitempty"` // nil if it does not parse
	DER    []byte            `json:"der"`
	X509   *x509.Certificate `json:"-"`
	Error  string            `json:"error,omitempty"` // why it does not parse
	// TLSAMatch: a TLSA record of the host names it, and DNSSEC proves that record. It
	// is looked at only for the first of a chain, and says nothing about the records
	// of another host.
	TLSAMatch bool `json:"tlsa_match,omitempty"`
}

func newCertificate(der []byte) Certificate {
	c := Certificate{SHA256: sha256.Sum256(der), DER: der}
	var err error
	if c.X509, err = x509.ParseCertificate(der); err != nil {
		c.Error = printable(err.Error())
		return c
	}
	key := Fingerprint(sha256.Sum256(c.X509.RawSubjectPublicKeyInfo))
	c.Key = &key
	return c
}

// subject is the certificate as a TLSA record may name it.
func (c *Certificate) subject() Subject {
	s := Subject{Certificate: c.SHA256, X509: c.X509}
	if c.Key != nil {
		s.Key = *c.Key
	}
	return s
}

// Presented returns every chain that was presented, in the order of the report, each
// once. TLS shows a chain before the server proves that it has the key: anybody on
// the way, or at the address of a client, may show a partner's certificate with
// other certificates behind it than the partner does.
func (r *Report) Presented() [][]Certificate {
	var chains [][]Certificate
	for _, host := range r.Hosts {
		for _, a := range host.Addresses {
			if a.TLS == nil {
				continue
			}
			for _, chain := range [][]Certificate{a.TLS.Chain, a.TLS.Other} {
				if len(chain) > 0 && !slices.ContainsFunc(chains, func(c []Certificate) bool { return sameChain(c, chain) }) {
					chains = append(chains, chain)
				}
			}
		}
	}
	return chains
}

func sameChain(a, b []Certificate) bool {
	return slices.EqualFunc(a, b, func(a, b Certificate) bool { return a.SHA256 == b.SHA256 })
}

// Chains returns the first chain of each certificate that stands first in one.
func (r *Report) Chains() [][]Certificate {
	var chains [][]Certificate
	for _, chain := range r.Presented() {
		if !slices.ContainsFunc(chains, func(c []Certificate) bool { return c[0].SHA256 == chain[0].SHA256 }) {
			chains = append(chains, chain)
		}
	}
	return chains
}

// Chain returns the first chain whose first certificate has this SHA-256, nil if none
// was presented.
func (r *Report) Chain(certificate Fingerprint) []Certificate {
	for _, chain := range r.Chains() {
		if chain[0].SHA256 == certificate {
			return chain
		}
	}
	return nil
}
