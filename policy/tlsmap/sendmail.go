package tlsmap

import (
	"slices"
	"strconv"
	"strings"

	"domain-secured/policy"
)

// The words of Sendmail's cf/README, "STARTTLS", on TLS_Rcpt in the access map.
const (
	// neverGood has mail wait, whatever the server does: no cipher has 999 bits.
	neverGood = "TEMP+VERIFY:999"
	// notListed is for that ruleset: to it, no answer at all and one that there is nothing
	// are the same (op.me, "K": the value of "$:"), and mail must wait for the first.
	notListed = "OK NONE"
	// because is for the ruleset in contrib/sendmail/sending.mc alone: TLS_connection comes
	// to 999 bits first.
	because = "+WAIT:"
)

// What bounds the names in one answer: the ruleset calls itself for each, and Sendmail
// bounds the depth of such calls (MAXRULERECURSION in its conf.h), the words of a text
// (MAXATOM) and its length.
const (
	maxAccessNames = 30
	maxAccessText  = 900
)

// Access renders a requirement as the value of TLS_Rcpt in Sendmail's access map: a
// verified certificate with all of the names, and a cipher of so many bits. Without names
// mail is to wait.
func Access(bits int, names ...string) string {
	if len(names) == 0 {
		return neverGood
	}
	return "TEMP+VERIFY:" + strconv.Itoa(bits) + "+CN:" + strings.Join(names, "++CN:")
}

// sendmailKey is what the ruleset in contrib/sendmail asks: DOMAIN/VERSION/FINGERPRINT. The
// last two are those of the session with the server, "" if it showed no certificate. A dot
// before a domain is what somebody wrote there, and no second thought as Postfix has it.
func sendmailKey(key string) (domain, version, fingerprint string) {
	domain, rest, _ := strings.Cut(key, "/")
	version, fingerprint, _ = strings.Cut(rest, "/")
	return strings.TrimLeft(strings.TrimSpace(domain), "."), version, fingerprint
}

// appendAccess renders what is insisted on for contrib/sendmail/sending.mc. Of the
// names one will do there; whoever hands the answer to Sendmail's TLS_connection insists
// on all of them.
func appendAccess(b []byte, d *policy.Demand, version, fingerprint string) []byte {
	if d == nil {
		return append(b, notListed...)
	}
	b = append(b, found...)
	shown, err := policy.ParseHash(fingerprint)
	switch {
	case d.Wait != "":
		return appendBecause(b, d.Wait)
	case len(d.Names) == 0 && len(d.Fingerprints) == 0:
		return appendBecause(b, string(policy.InternalError))
	case fingerprint == "":
		// Whatever it is that is insisted on, this server does not have it.
		return append(b, neverGood...)
	case sendmailVersion(version) < d.MinTLS:
		return appendBecause(b, string(policy.TLSTooWeak))
	case len(d.Names) > 0 && d.RootsFile != "":
		return appendBecause(b, rootsUnsaid)
	case len(d.Names) > 0:
		return append(b, Access(d.MinBits, fitting(d.Names)...)...)
	case err != nil:
		return appendBecause(b, notSHA256)
	case !slices.Contains(d.Fingerprints, shown):
		return appendBecause(b, otherCertificate)
	}
	// This very certificate was found good: whether Sendmail trusts it does not matter.
	return strconv.AppendInt(append(b, "TEMP+ENCR:"...), int64(d.MinBits), 10)
}

// sendmailVersion reads a version of TLS in any case: a map of Sendmail's asks in lower
// case unless it is told not to.
func sendmailVersion(version string) policy.TLSVersion {
	return policy.ParseTLSVersion(strings.Replace(strings.ToUpper(version), "TLSV", "TLSv", 1))
}

// Why mail waits at a Sendmail, besides what a demand says.
const (
	rootsUnsaid      = "roots-need-send_verify-vetted"                // Sendmail trusts all that confCACERT has
	notSHA256        = "confCERT_FINGERPRINT_ALGORITHM-is-not-sha256" // what the ruleset sent is no fingerprint
	otherCertificate = "certificate-not-expected"
)

// appendBecause says why mail waits: only what is one word to Sendmail.
func appendBecause(b []byte, why string) []byte {
	b = append(append(b, neverGood...), because...)
	for _, c := range []byte(why[:min(len(why), maxWait)]) {
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			c = '-'
		}
		b = append(b, c)
	}
	return b
}

// fitting returns as many of the names as Sendmail can take.
func fitting(names []string) []string {
	length := 0
	for i, name := range names {
		if length += len("++CN:") + len(name); i == maxAccessNames || i > 0 && length > maxAccessText {
			return names[:i]
		}
	}
	return names
}
