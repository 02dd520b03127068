package policy

// Reason is the token that says why a message is not proven. It is the same word
// in the reply, the log, the metrics and the documentation, and the set is closed.
type Reason string

const (
	None                    Reason = "" // nothing is wrong
	ClientAddressMismatch   Reason = "client-address-mismatch"
	TLSNotUsed              Reason = "tls-not-used"
	TLSTooWeak              Reason = "tls-too-weak"
	CertificateMissing      Reason = "certificate-missing"
	CertificateNotReported  Reason = "certificate-not-reported"
	DNSSECInvalid           Reason = "dnssec-invalid"
	PinMismatch             Reason = "pin-mismatch"
	CertificateUnknown      Reason = "certificate-unknown"
	CertificateMalformed    Reason = "certificate-malformed"
	CertificateWeak         Reason = "certificate-weak"
	CertificateNotYetValid  Reason = "certificate-not-yet-valid"
	CertificateExpired      Reason = "certificate-expired"
	CertificateNotTrusted   Reason = "certificate-not-trusted"
	CertificateHostMismatch Reason = "certificate-host-mismatch"
	CertificateRevoked      Reason = "certificate-revoked"
	RevocationNotAvailable  Reason = "revocation-unavailable"
	CertificateOnHold       Reason = "certificate-on-hold"
	RevocationNotKnown      Reason = "revocation-unknown"
	FromNotSecured          Reason = "from-not-secured"
	InternalError           Reason = "internal-error"
)

// code is an SMTP reply code and its enhanced status code (RFC 5321 section
// 4.2, RFC 3463).
type code struct{ basic, enhanced string }

// ruling is what a reason means and how it is answered.
type ruling struct {
	// meaning is the clause that the partner's administrator reads.
	meaning   string
	temporary code
	// permanent is empty for what the partner cannot be blamed for, or what
	// passes by itself: that is always temporary.
	permanent code
	// definite: permanent without being asked for.
	definite bool
	// patient: permanent only by escalation, not by on_failure = "reject".
	patient bool
}

// The codes are of RFC 3463 and RFC 5248: X.7.1 not authorised, X.7.5 the
// credential could not be validated, X.7.6 an algorithm is not acceptable, X.7.0
// other security status (as RFC 3207 section 4 answers a missing STARTTLS),
// X.3.5 misconfigured, X.3.0 other system status.
var rulings = map[Reason]*ruling{
	ClientAddressMismatch:   {meaning: "the client is not one of the servers agreed on", temporary: code{"450", "4.7.1"}, permanent: code{"550", "5.7.1"}},
	TLSNotUsed:              {meaning: "the session did not use TLS", temporary: code{"450", "4.7.0"}, permanent: code{"530", "5.7.0"}},
	TLSTooWeak:              {meaning: "the TLS version or key length is below the minimum", temporary: code{"450", "4.7.6"}, permanent: code{"550", "5.7.6"}},
	CertificateMissing:      {meaning: "the client presented no certificate", temporary: code{"450", "4.7.1"}, permanent: code{"550", "5.7.1"}},
	CertificateNotReported:  {meaning: "this server could not see the client certificate", temporary: code{"451", "4.3.5"}},
	DNSSECInvalid:           {meaning: "the TLSA records could not be validated", temporary: code{"450", "4.7.5"}},
	PinMismatch:             {meaning: "the client certificate is not one of those agreed on", temporary: code{"450", "4.7.1"}, permanent: code{"550", "5.7.1"}},
	CertificateUnknown:      {meaning: "the client certificate is not known here yet", temporary: code{"450", "4.7.1"}, permanent: code{"550", "5.7.1"}, patient: true},
	CertificateMalformed:    {meaning: "the client certificate cannot be parsed", temporary: code{"450", "4.7.5"}, permanent: code{"550", "5.7.5"}},
	CertificateWeak:         {meaning: "the key or signature of the client certificate is too weak", temporary: code{"450", "4.7.6"}, permanent: code{"550", "5.7.6"}},
	CertificateNotYetValid:  {meaning: "the client certificate is not valid yet", temporary: code{"450", "4.7.5"}},
	CertificateExpired:      {meaning: "the client certificate has expired", temporary: code{"450", "4.7.5"}, permanent: code{"550", "5.7.5"}},
	CertificateNotTrusted:   {meaning: "the client certificate has no chain to a trusted root", temporary: code{"450", "4.7.5"}, permanent: code{"550", "5.7.5"}},
	CertificateHostMismatch: {meaning: "no name in the client certificate speaks for the domain", temporary: code{"450", "4.7.1"}, permanent: code{"550", "5.7.1"}},
	CertificateRevoked:      {meaning: "the client certificate is revoked", temporary: code{"450", "4.7.5"}, permanent: code{"550", "5.7.5"}, definite: true},
	RevocationNotAvailable:  {meaning: "the client certificate names no source of revocation", temporary: code{"450", "4.7.5"}, permanent: code{"550", "5.7.5"}},
	CertificateOnHold:       {meaning: "the client certificate is on hold", temporary: code{"450", "4.7.5"}},
	RevocationNotKnown:      {meaning: "whether the client certificate is revoked could not be determined", temporary: code{"450", "4.7.5"}},
	FromNotSecured:          {meaning: "the From header names the domain without proof", temporary: code{"450", "4.7.1"}, permanent: code{"550", "5.7.1"}},
	InternalError:           {meaning: "this server could not judge the message", temporary: code{"451", "4.3.0"}},
}

// Reasons returns every reason but [None], in the order in which they are asked.
func Reasons() []Reason {
	return []Reason{
		ClientAddressMismatch, TLSNotUsed, TLSTooWeak, CertificateMissing, CertificateNotReported, DNSSECInvalid,
		PinMismatch, CertificateUnknown, CertificateMalformed, CertificateWeak, CertificateNotYetValid,
		CertificateExpired, CertificateNotTrusted, CertificateHostMismatch, CertificateRevoked,
		RevocationNotAvailable, CertificateOnHold, RevocationNotKnown, FromNotSecured, InternalError,
	}
}

// Meaning is one clause in words: "the client presented no certificate".
func (r Reason) Meaning() string {
	if ruling := rulings[r]; ruling != nil {
		return ruling.meaning
	}
	return ""
}

// isPermanent reports whether the reason is a refusal for good for this partner.
func (r *ruling) isPermanent(onFailure OnFailure) bool {
	if r.permanent == (code{}) {
		return false
	}
	return r.definite || onFailure == OnFailureReject && !r.patient
}
