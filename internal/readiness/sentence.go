package readiness

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"

	"domain-secured/internal/partner"
	"domain-secured/policy"
)

// ofDomain is what is wrong with the MX records.
func ofDomain(r *partner.Report) Finding {
	f := Finding{Token: string(r.Problem), Weight: Fault, For: ForPartner}
	switch r.Problem {
	case partner.NoSuchName:
		f.rest = "does not exist in the DNS."
	case partner.NoMail:
		f.rest = "says in the DNS that it takes no mail (null MX), so there is no server to look at."
	case partner.NoMX:
		f.rest = "has neither MX records nor an address."
	default:
		f.Weight, f.For = Doubt, ForUs
		f.rest = "could not be looked up: " + r.Detail + "."
	}
	// Who only sends has no MX, and probe_hosts for that.
	if len(r.Hosts) > 0 && f.Weight == Fault {
		f.Weight = Remark
	}
	return f
}

// ofHost is what is wrong with the addresses of a host.
func ofHost(h *Host) Finding {
	f := Finding{Token: string(h.Problem), Weight: Unseen, For: ForPartner}
	switch h.Problem {
	case partner.NoSuchName:
		f.rest = "does not exist in the DNS: mend the MX record."
	case partner.NoAddress:
		f.rest = "has no address: mend the MX record."
	default:
		f.For = ForUs
		f.rest = "could not be looked up: " + h.Detail + "."
	}
	if h.Source == partner.SourceProbe { // ours, not the partner's
		f.For = ForUs
		f.rest = strings.Replace(f.rest, "the MX record", "probe_hosts", 1)
	}
	return f
}

// ofAddress is why a look at an address came to an end.
func ofAddress(address *Address) Finding {
	f := Finding{Token: string(address.Problem), Weight: Fault, For: ForPartner}
	detail := " (" + address.Detail + ")"
	switch address.Problem {
	case partner.RefusedAddress:
		f.Weight, f.For = Unseen, ForUs
		f.rest = "has an address that is not a public one, and is not looked at: [probe] allow_private = true allows it."
	case partner.NotTried:
		f.Weight, f.For = Unseen, ForUs
		f.rest = "was not looked at" + detail + "."
	case partner.ConnectFailed:
		f.Weight = Unseen
		// Before that it only says again what was dialled.
		words := strings.Split(address.Detail, ": ")
		detail = " (" + words[len(words)-1] + ")"
		f.rest = fmt.Sprintf("accepts no connection at port %d%s: is it up, and is the port open?", address.Port, detail)
		// What connect(2) says where this machine has no way there at all, as without IPv6.
		if strings.Contains(address.Detail, "network is unreachable") || strings.Contains(address.Detail, "no route to host") {
			f.For = ForUs
			f.rest = "cannot be reached from this machine" + detail + "."
		}
	case partner.TimedOut:
		f.Weight = Unseen
		f.rest = "accepts a connection, and then does not answer in time" + detail + "."
	case partner.ConnectionLost, partner.NoGreeting:
		f.Weight = Unseen
		f.rest = "ends the connection before TLS is in use" + detail + "."
	case partner.Refused:
		f.Weight = Unseen
		f.rest = "refuses to talk to us" + detail + ": let our servers in."
	case partner.NoSTARTTLS:
		f.rest = "does not offer STARTTLS: offer it."
	case partner.STARTTLSFailed:
		f.rest = "offers STARTTLS and then refuses it" + detail + ": mend its certificate and key, which are probably missing."
	case partner.PlaintextAfterSTARTTLS:
		f.rest = "sends plaintext behind its reply to STARTTLS" + detail + ": correct the server, or the device before it."
	case partner.HandshakeFailed:
		// Up to TLS 1.2 who insists on a client certificate ends the handshake.
		if shown := address.Address.TLS; shown != nil && shown.ClientCertificateRequested && strings.Contains(address.Detail, "remote error") {
			f.Weight, f.For = Doubt, ForUs
			f.rest = "asks for a client certificate and breaks the TLS handshake off" + detail + ": probably for want of one, and a probe presents none."
			break
		}
		f.rest = "offers STARTTLS, and the TLS handshake fails" + detail + "."
	case partner.CertificateUnreadable:
		f.rest = "presents a certificate that cannot be parsed" + detail + ": have it issued anew."
	case partner.RefusedAfterTLS:
		f.Weight, f.For = Remark, ForUs
		f.rest = "ends the session" + detail + ": as a rule for want of a client certificate, and a probe presents none."
	default: // BadReply, OutOfTurn
		f.rest = "does not speak SMTP as RFC 5321 has it" + detail + "."
	}
	return f
}

// ofRow is what a row of the table has against a certificate.
func (a *assessor) ofRow(h *Host, address *Address, chain []partner.Certificate, c *Certificate, row policy.Row) Finding {
	f := Finding{Token: string(row.Reason), Weight: Fault, For: ForPartner}
	switch row.Reason {
	case policy.TLSTooWeak:
		f.rest = fmt.Sprintf("offers nothing better than %s with %s, which is too weak here: allow %s or newer, with keys of %d bits or more.",
			address.TLS.Version, address.TLS.Cipher, tls.VersionName(uint16(a.partner.MinTLS)), a.partner.MinBits)
	case policy.PinMismatch:
		f.rest = "presents a certificate that is not one of those agreed on (SHA-256 " + strings.TrimPrefix(c.Fingerprint, "sha256:") + "): if it was renewed, confirm the new one."
	case policy.CertificateMalformed:
		f.rest = "presents a certificate that cannot be parsed (" + c.Problem + "): have it issued anew."
	case policy.CertificateWeak:
		f.rest = "presents a certificate that is too weak (" + quote(row.Detail) + "): have it issued anew with a key of RSA 2048 or P-256 at least, and signed with SHA-256."
	case policy.CertificateNotYetValid:
		f.rest = "presents a certificate that is not valid before " + date(c.NotBefore) + ": use it only then, or set the clock right."
	case policy.CertificateExpired:
		f.rest = "presents a certificate that expired on " + date(c.NotAfter) + ": renew it."
	case policy.CertificateNotTrusted:
		f.rest = a.untrusted(chain, c, row.Detail)
	case policy.CertificateHostMismatch:
		if a.partner.Evidence == policy.EvidenceMTA {
			f.rest = fmt.Sprintf("presents a certificate whose common name, the only one that counts here, does not speak for %s: have one issued with %s.",
				a.Entry, alternatives(a.partner.NamesWanted(a.Entry, h.Name)))
			break
		}
		f.rest = fmt.Sprintf("presents a certificate for %s, and no name in it speaks for %s: have one issued with %s.",
			namesOf(c), a.Entry, alternatives(a.partner.NamesWanted(a.Entry, h.Name)))
	case policy.CertificateRevoked:
		f.rest = "presents a certificate that its issuer has revoked (" + row.Detail + "): replace it."
	case policy.RevocationNotAvailable:
		f.rest = "presents a certificate that names no source of revocation, neither CRL nor OCSP: have one issued that does."
	case policy.CertificateOnHold:
		f.rest = "presents a certificate that its issuer has put on hold (" + row.Detail + "): ask the issuer."
	case policy.RevocationNotKnown:
		f.Weight, f.For = Doubt, ForUs
		f.rest = "presents a certificate of which nobody could say whether it is revoked: " + row.Detail + "."
	default: // DNSSECInvalid, InternalError
		f.Weight, f.For = Doubt, ForUs
		f.rest = "could not be judged: " + row.Detail + "."
	}
	return f
}

// untrusted says why a chain does not reach a root, as far as that can be seen.
func (a *assessor) untrusted(chain []partner.Certificate, c *Certificate, detail string) string {
	switch leaf := chain[0].X509; {
	case a.partner.Evidence == policy.EvidenceMTA:
		return "presents a certificate that would not be accepted here: " + quote(detail) + "."
	case a.serversOnly(leaf):
		return "presents a certificate for servers only (extended key usage serverAuth): to send to us it needs one for clients (clientAuth)."
	case selfSigned(leaf):
		return "presents a self-signed certificate: have one issued by an authority, or agree with us on its SHA-256, " + strings.TrimPrefix(c.Fingerprint, "sha256:") + "."
	case len(chain) == 1:
		return fmt.Sprintf("presents its certificate alone, and there is no way from its issuer %q to a root that is trusted here: send the intermediate certificates with it, if the root is a common one, or send us the root.", quote(c.Issuer))
	}
	return fmt.Sprintf("presents a certificate without a chain to a root that is trusted here, issuer %q (%s): have one issued by an authority that is, or send us the root.", quote(c.Issuer), quote(detail))
}

func selfSigned(c *x509.Certificate) bool {
	return string(c.RawSubject) == string(c.RawIssuer) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// namesOf lists the first names of a certificate for a sentence.
func namesOf(c *Certificate) string {
	const few = 5
	var names []string
	for _, n := range c.Names[:min(len(c.Names), few)] {
		names = append(names, quote(n.Name))
	}
	switch more := len(c.Names) - few; {
	case len(names) == 0:
		return "no host name"
	case more > 0:
		return fmt.Sprintf("%s and %d more", strings.Join(names, ", "), more)
	}
	return strings.Join(names, ", ")
}

// alternatives are names, of which one is enough.
func alternatives(names []string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " or " + names[n-1]
	}
	return strings.Join(names, "")
}
