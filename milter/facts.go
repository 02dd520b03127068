package milter

import (
	"errors"
	"strconv"
	"strings"

	"domain-secured/policy"
)

// facts are what the MTA told of the message in hand. Of several values of a
// macro the latest counts (smfi_getsymval).
func (c *conn) facts() policy.Facts {
	var m values
	for _, s := range []*stage{&c.connect, &c.helo, &c.mail, &c.data} {
		m.add(s)
	}
	return policy.Facts{
		ToEnd:        true,
		Server:       m.j,
		QueueID:      m.i,
		Sender:       c.message.sender,
		MailAddr:     m.mailAddr,
		Client:       c.client,
		Listener:     m.daemonName,
		ListenerPort: uint16(number(m.daemonPort)),
		TLSVersion:   m.tlsVersion,
		Cipher:       m.cipher,
		Bits:         int(number(m.cipherBits)),
		Certificate:  m.certificate(),
	}
}

// number reads a port or a number of bits, 0 for what is none.
func number(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil { // then n may be the largest there is
		return 0
	}
	return n
}

// certificate is what the MTA says of the client's certificate.
func (m *values) certificate() policy.Reported {
	switch {
	case m.hasVerify:
		return m.sendmailCertificate()
	case strings.HasPrefix(m.v, "Postfix "):
		return m.postfixCertificate()
	}
	// Without either, subject and issuer may be those of a certificate that was
	// not verified at all.
	return policy.Reported{Complaint: "the MTA sends no macro {verify}, so what it says of certificates cannot be told from what a client made up"}
}

// sendmailCertificate reads what Sendmail sends: {verify} as in op.me section
// 5.1.6 (STARTTLS), names in xtext, and a fingerprint whose digest is configured.
func (m *values) sendmailCertificate() policy.Reported {
	var r policy.Reported
	switch m.verify {
	case "NO", "NOT": // none was presented, none was asked for
		r.Presence = policy.PresenceNo
		return r
	case "OK":
		r.Presence, r.Trusted = policy.PresenceYes, true
		r.CN, r.IssuerCN, r.AltName = sendmailName(m.cnSubject), sendmailName(m.cnIssuer), sendmailName(m.altName)
	case "FAIL":
		r.Presence = policy.PresenceYes
	}
	fingerprint, err := policy.ParseHash(m.certFP)
	switch {
	case err == nil:
		r.Fingerprint = fingerprint
	case m.certFP == "" && m.certMD5 == "":
		r.Complaint = "Sendmail gives no fingerprint of the certificate: " + fingerprintLine
	case m.certFP == "", errors.Is(err, policy.ErrNotSHA256):
		r.Complaint = "Sendmail gives another digest than SHA-256: " + fingerprintLine
	default:
		r.Complaint = "the fingerprint of Sendmail cannot be read: " + err.Error()
	}
	return r
}

const fingerprintLine = "put define(`confCERT_FINGERPRINT_ALGORITHM', `sha256')dnl into sendmail.mc"

// postfixCertificate reads what Postfix sends: common names, only if it trusts
// the certificate, and never a fingerprint (MILTER_README, "What macros will
// Postfix send to Milters?").
func (m *values) postfixCertificate() policy.Reported {
	r := policy.Reported{
		Complaint: "Postfix tells a fingerprint to its policy service alone, and that did not ask about this message: see domain-secured check --postfix",
	}
	if m.hasIssuer {
		r.Presence, r.Trusted = policy.PresenceYes, true
		r.CN, r.IssuerCN = m.certSubject, m.certIssuer
	}
	return r
}

// sendmailName reads a common name: in xtext (RFC 3461 section 4), or a word that
// stands for one that cannot be shown (sendmail's tls.c).
func sendmailName(s string) string {
	if strings.HasPrefix(s, "BadCertificate") {
		return ""
	}
	if strings.IndexByte(s, '+') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '+' && i+2 < len(s) {
			if octet, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(octet))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
