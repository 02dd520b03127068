package policy

import (
	"net/netip"
	"strings"
)

// Facts are what a mail server told about one transaction: the doors fill them
// in, and judge nothing.
type Facts struct {
	// ToEnd: whoever asks hears the message to its end, and will ask about its
	// content.
	ToEnd bool
	// Stamps is the number of [StampName] fields that the message came with, once
	// its header was heard.
	Stamps int
	// Server is what the MTA calls itself, macro j; "" if not told.
	Server string

	// QueueID is the MTA's name for the message, "" before it has one.
	QueueID string
	// Instance is the same for all requests about one message (policy attribute
	// "instance"), "" if the door has none.
	Instance string

	Sender   string // the MAIL argument or policy attribute, as the client wrote it
	MailAddr string // macro {mail_addr}, the MTA's canonical form; "" if not told

	Client       netip.AddrPort // the peer; the zero value if unknown
	Listener     string         // policy_context, {daemon_name}
	ListenerPort uint16         // 0 if unknown

	TLSVersion string // as OpenSSL calls it; "" for a session without TLS
	Cipher     string
	Bits       int // of the session's key

	Certificate Reported
}

// Clone returns facts that share no memory with what f was read from.
func (f Facts) Clone() Facts {
	for _, s := range []*string{
		&f.Server, &f.QueueID, &f.Instance, &f.Sender, &f.MailAddr, &f.Listener, &f.TLSVersion, &f.Cipher,
		&f.Certificate.CN, &f.Certificate.IssuerCN, &f.Certificate.AltName, &f.Certificate.Complaint,
	} {
		*s = strings.Clone(*s)
	}
	return f
}

// Reported is what a mail server says of the client's certificate.
type Reported struct {
	Presence Presence
	// Fingerprint and Key are SHA-256 of the certificate and of its public key,
	// the zero value if the server did not give them.
	Fingerprint Hash
	Key         Hash
	// Trusted: the server itself verified the chain. CN and IssuerCN are common
	// names of subject and issuer, given only then.
	Trusted  bool
	CN       string
	IssuerCN string
	// AltName is one of its other names, which suits the sender; "" if the server
	// does not tell. Given only then, too.
	AltName string
	// Complaint says why a fingerprint that was given cannot be used, in words
	// for the operator's log.
	Complaint string
}

// fingerprinted: there is something to recognise the certificate by.
func (r *Reported) fingerprinted() bool { return !r.Fingerprint.IsZero() || !r.Key.IsZero() }

// names are what the server told of the certificate's.
func (r *Reported) names() []string {
	if r.AltName == "" {
		return []string{r.CN}
	}
	return []string{r.AltName, r.CN}
}

// Presence says whether the client presented a certificate at all.
type Presence int

const (
	PresenceUnknown Presence = iota // the server did not say
	PresenceNo
	PresenceYes
)
