package maillog

import "strings"

// Cause is why a session with a server of a listed domain failed. Where it means the
// same as a reason for refusing mail that comes in, it is the same word.
type Cause string

const (
	TLSNotUsed              Cause = "tls-not-used"         // the server offers no STARTTLS, or refuses it
	HandshakeFailed         Cause = "tls-handshake-failed" // no TLS session came about
	CertificateExpired      Cause = "certificate-expired"
	CertificateNotYetValid  Cause = "certificate-not-yet-valid"
	CertificateNotTrusted   Cause = "certificate-not-trusted"
	CertificateHostMismatch Cause = "certificate-host-mismatch"
	CertificateNotVerified  Cause = "certificate-not-verified" // Postfix did not say why, or it is not one of those agreed on
	PolicyNotKnown          Cause = "policy-not-known"         // Postfix got no TLS policy for the domain
	TLSNotAvailable         Cause = "tls-not-available"        // Postfix's own TLS does not work
)

// Causes returns all causes.
func Causes() []Cause {
	return []Cause{
		TLSNotUsed, HandshakeFailed, CertificateExpired, CertificateNotYetValid, CertificateNotTrusted,
		CertificateHostMismatch, CertificateNotVerified, PolicyNotKnown, TLSNotAvailable,
	}
}

// CauseOf reads a cause from the reason that Postfix gives for deferring mail, "" if
// it has nothing to do with TLS.
func CauseOf(reason string) Cause { return causeOf(reason, "") }

// causeOf is CauseOf with what was logged before about the certificate.
func causeOf(reason, verification string) Cause {
	// What a remote server says is quoted: "host mx[192.0.2.1] said: ...".
	if strings.HasPrefix(reason, "host ") {
		return ""
	}
	reason = strings.TrimPrefix(reason, suspended)
	switch {
	// The texts are those of smtp_proto.c and smtp_connect.c of Postfix.
	case strings.HasPrefix(reason, "TLS is required, but was not offered"), isRefused(reason):
		return TLSNotUsed
	case strings.HasPrefix(reason, "TLS is required, but"):
		return TLSNotAvailable
	case strings.HasPrefix(reason, "Cannot start TLS"):
		return HandshakeFailed
	case strings.HasPrefix(reason, "Server certificate not "):
		return verificationCause(verification)
	case strings.HasSuffix(reason, "client TLS configuration problem"):
		return PolicyNotKnown
	}
	return ""
}

// suspended stands before the reason why qmgr(8) leaves a destination alone for a while.
const suspended = "delivery temporarily suspended: "

func isRefused(reason string) bool {
	rest, found := strings.CutPrefix(reason, "TLS is required, but host ")
	return found && strings.Contains(rest, " refused to start TLS")
}

// verificationCause reads what was logged about a certificate: mostly OpenSSL's text
// for it (X509_verify_cert_error_string(3)).
func verificationCause(why string) Cause {
	switch {
	case strings.Contains(why, "expired"):
		return CertificateExpired
	case strings.Contains(why, "not yet valid"):
		return CertificateNotYetValid
	case strings.Contains(why, "hostname mismatch"):
		return CertificateHostMismatch
	case why == "", strings.Contains(why, "no matching DANE TLSA records"): // also of fingerprints, and of tafile=
		return CertificateNotVerified
	}
	return CertificateNotTrusted
}
