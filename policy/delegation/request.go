package delegation

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"domain-secured/policy"
)

// The attributes of a request that are looked at, out of those that Postfix
// sends (SMTPD_POLICY_README; all of these since 3.2). Others are passed over,
// whatever later versions add.
const (
	attrRequest = iota
	attrInstance
	attrQueueID
	attrSender
	attrClientAddress
	attrClientPort
	attrServerPort
	attrPolicyContext
	attrProtocol
	attrCipher
	attrKeySize
	attrSubject
	attrIssuer
	attrFingerprint
	attrKeyFingerprint
	attrCount
)

func attribute(name string) int {
	switch name {
	case "request":
		return attrRequest
	case "instance":
		return attrInstance
	case "queue_id":
		return attrQueueID
	case "sender":
		return attrSender
	case "client_address":
		return attrClientAddress
	case "client_port":
		return attrClientPort
	case "server_port":
		return attrServerPort
	case "policy_context":
		return attrPolicyContext
	case "encryption_protocol":
		return attrProtocol
	case "encryption_cipher":
		return attrCipher
	case "encryption_keysize":
		return attrKeySize
	case "ccert_subject":
		return attrSubject
	case "ccert_issuer":
		return attrIssuer
	case "ccert_fingerprint":
		return attrFingerprint
	case "ccert_pubkey_fingerprint":
		return attrKeyFingerprint
	}
	return -1
}

// What can be wrong with a request. Postfix sends none of these.
var (
	errNoEnd    = errors.New("there is no empty line at the end")
	errNoValue  = errors.New("a line is not name=value")
	errRequest  = errors.New(`request is not "smtpd_access_policy"`)
	errRepeated = errors.New("an attribute is there twice, with different values")
	errNUL      = errors.New("there is a NUL in it")
	errSender   = errors.New("there is no sender attribute")
)

// attributes are the values of a request. One that was not sent is "", and not
// among those seen.
type attributes struct {
	values [attrCount]string
	seen   uint32
}

func (a *attributes) sent(attr int) bool { return a.seen&(1<<attr) != 0 }

// parseRequest reads the first request in text: lines "name=value" up to an
// empty line, which must be there. It returns what comes behind it. The facts
// share the memory of text.
func parseRequest(text string) (f policy.Facts, rest string, err error) {
	if strings.IndexByte(text, 0) >= 0 {
		return f, "", errNUL
	}
	var a attributes
	for {
		end := strings.IndexByte(text, '\n')
		if end < 0 {
			return f, "", errNoEnd
		}
		line := text[:end]
		text = text[end+1:]
		if line == "" {
			break
		}
		equals := strings.IndexByte(line, '=')
		if equals <= 0 {
			return f, "", fmt.Errorf("%w: %.60q", errNoValue, line)
		}
		attr := attribute(line[:equals])
		if attr < 0 {
			continue
		}
		value := line[equals+1:]
		if a.sent(attr) && a.values[attr] != value {
			return f, "", fmt.Errorf("%w: %s", errRepeated, line[:equals])
		}
		a.values[attr] = value
		a.seen |= 1 << attr
	}
	switch {
	case a.values[attrRequest] != "smtpd_access_policy":
		return f, "", fmt.Errorf("%w: %.60q", errRequest, a.values[attrRequest])
	case !a.sent(attrSender):
		return f, "", errSender
	}
	return a.facts(), text, nil
}

func (a *attributes) facts() policy.Facts {
	f := policy.Facts{
		QueueID:      a.values[attrQueueID],
		Instance:     a.values[attrInstance],
		Sender:       a.values[attrSender],
		Client:       clientAddress(a.values[attrClientAddress], a.values[attrClientPort]),
		Listener:     a.values[attrPolicyContext],
		ListenerPort: port(a.values[attrServerPort]),
		TLSVersion:   a.values[attrProtocol],
		Cipher:       a.values[attrCipher],
		Certificate:  a.certificate(),
	}
	if bits, err := strconv.ParseUint(a.values[attrKeySize], 10, 16); err == nil {
		f.Bits = int(bits)
	}
	return f
}

// clientAddress reads an address as Postfix writes it: "unknown" for one that is
// not known, and likewise for the port.
func clientAddress(address, portNumber string) netip.AddrPort {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr.Unmap(), port(portNumber))
}

func port(s string) uint16 {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

// certificate reads what Postfix says of the client's certificate: fingerprints
// always, the common names only if it trusts the chain. An issuer is therefore
// the sign of trust; a subject need not have a common name.
func (a *attributes) certificate() policy.Reported {
	fingerprint, key := a.values[attrFingerprint], a.values[attrKeyFingerprint]
	c := policy.Reported{
		Trusted:  a.values[attrIssuer] != "",
		CN:       decodeXtext(a.values[attrSubject]),
		IssuerCN: decodeXtext(a.values[attrIssuer]),
	}
	switch {
	case fingerprint != "" || key != "" || c.Trusted:
		c.Presence = policy.PresenceYes
	case a.sent(attrFingerprint):
		c.Presence = policy.PresenceNo
	}
	c.Fingerprint = parseFingerprint(fingerprint, &c.Complaint)
	c.Key = parseFingerprint(key, &c.Complaint)
	return c
}

// parseFingerprint reads "94:6C:…". One of another digest is the operator's
// mistake, and the complaint names the setting.
func parseFingerprint(s string, complaint *string) policy.Hash {
	if s == "" {
		return policy.Hash{}
	}
	h, err := policy.ParseHash(s)
	switch {
	case errors.Is(err, policy.ErrNotSHA256):
		*complaint = "Postfix reports another digest than SHA-256: set smtpd_tls_fingerprint_digest = sha256 in main.cf"
	case err != nil:
		*complaint = fmt.Sprintf("the fingerprint cannot be read: %.100q", s)
	}
	return h
}

// decodeXtext decodes "+HH" (RFC 3461 section 4). What is not well formed is
// returned as it is.
func decodeXtext(s string) string {
	if strings.IndexByte(s, '+') < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '+' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return s
		}
		octet, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return s
		}
		b.WriteByte(byte(octet))
		i += 2
	}
	return b.String()
}
