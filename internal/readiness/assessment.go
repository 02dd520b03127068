package readiness

import (
	"time"

	"domain-secured/internal/partner"
	"domain-secured/policy"
)

// Answer says whether a partner is ready.
type Answer string

// The answers.
const (
	Ready    Answer = "ready"
	NotReady Answer = "not-ready"
	Unknown  Answer = "unknown" // cannot be told now
)

// Assessment is what a look at a partner comes to. Its JSON is what programs are
// given; keys are added, never changed.
type Assessment struct {
	Domain        string          `json:"domain"`
	Entry         string          `json:"entry"` // whose settings held
	OnReceiveList bool            `json:"on_receive_list"`
	OnSendList    bool            `json:"on_send_list"`
	Time          time.Time       `json:"time"`
	Answer        Answer          `json:"answer"`
	Problem       partner.Problem `json:"problem,omitempty"` // with its MX records
	Detail        string          `json:"detail,omitempty"`
	MXSecure      bool            `json:"mx_secure"` // DNSSEC proves the MX records
	Hosts         []*Host         `json:"hosts"`     // by MX preference; then probe hosts
	Findings      []*Finding      `json:"findings"`  // in the order of the hosts
	Learned       []string        `json:"learned,omitempty"`
	TookMilli     int64           `json:"took_ms"`
}

// Host is one of the partner's hosts.
type Host struct {
	*partner.Host
	Addresses []*Address `json:"addresses"`
	TLSA      []string   `json:"tlsa,omitempty"` // as in a zone; they take the place of the octets
}

// Address is one address of a host.
type Address struct {
	*partner.Address
	TLS          *TLS           `json:"tls,omitempty"` // takes the place of the certificates' octets
	Certificates []*Certificate `json:"certificates"`  // those that stand first in a chain; two if there are two kinds of keys
}

// TLS is the session that came about.
type TLS struct {
	Version                    string   `json:"version,omitempty"` // as in min_tls; "" if the handshake failed
	Cipher                     string   `json:"cipher,omitempty"`
	ClientCertificateRequested bool     `json:"client_certificate_requested"`
	AcceptableCAs              []string `json:"acceptable_cas,omitempty"` // that the request names
}

// Certificate is one that a server presented, judged as if a client had.
type Certificate struct {
	Fingerprint    string                 `json:"fingerprint"`
	KeyFingerprint string                 `json:"key_fingerprint,omitempty"`
	Problem        string                 `json:"problem,omitempty"` // why it does not parse
	Subject        string                 `json:"subject,omitempty"`
	Issuer         string                 `json:"issuer,omitempty"`
	Names          []policy.PresentedName `json:"names"`
	NotBefore      time.Time              `json:"not_before,omitzero"`
	NotAfter       time.Time              `json:"not_after,omitzero"`
	Key            string                 `json:"key,omitempty"`
	Presented      int                    `json:"presented"`       // certificates, with this one
	Chain          []string               `json:"chain,omitempty"` // subjects, up to a root
	Revocation     []Revocation           `json:"revocation,omitempty"`
	TLSAMatch      bool                   `json:"tlsa_match"` // a TLSA record of the host names it
	Result         policy.Result          `json:"result"`
	Reason         policy.Reason          `json:"reason,omitempty"`
	Auth           policy.Auth            `json:"auth,omitempty"`
	MatchedName    string                 `json:"matched_name,omitempty"`
	Rows           []policy.Row           `json:"rows"` // 3 to 18 of the table
}

// Revocation is what is known of one certificate of the chain.
type Revocation struct {
	Subject string                  `json:"subject"`
	Status  string                  `json:"status"` // good, unavailable, unknown, on-hold, revoked
	Source  policy.RevocationSource `json:"source,omitempty"`
	Detail  string                  `json:"detail,omitempty"`
}
