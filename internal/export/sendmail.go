package export

import (
	"fmt"
	"slices"
	"strings"

	"domain-secured/policy"
)

const sendmailHead = `# Access map lines for Sendmail, made by: domain-secured export sendmail
#
#   makemap hash /etc/mail/access < /etc/mail/access.txt    (with what else is in it)
#
# They need FEATURE(` + "`access_db'" + `), confCACERT with the partners' authorities, confCLIENT_CERT
# and confCLIENT_KEY, and FEATURE(` + "`check_cert_altnames'" + `): without it Sendmail compares the
# common name of a certificate alone.
#
# What holds is that of the moment when they were made. What they cannot say:
# - Whether a certificate is revoked; which one was judged; what is pinned. A domain that
#   is held to pins waits (no cipher has 999 bits).
# - More than one name: where servers show several, mail to the others waits.
# - Whose authority: any in confCACERT will do, whatever "roots" says.
# - Which version of TLS.
# - Only the domain: what is below it is held to the same, "subdomains" or not, "off" and
#   "testing" or not.
# - A domain that was put on the list later is held to nothing. Make them anew.
`

// Sendmail returns lines for an access map (cf/README, "STARTTLS", TLS_Rcpt).
func Sendmail(entries []Entry) string {
	var b strings.Builder
	b.WriteString(sendmailHead)
	for _, e := range sorted(entries) {
		b.WriteByte('\n')
		if e.Partner.Mode != policy.ModeEnforce {
			leftOut(&b, e)
			continue
		}
		value := "TEMP+VERIFY:999"
		name, all := commonName(e)
		switch {
		case e.Demand.Wait != "":
			remark(&b, "%s waits: %s: %s", e.Domain, e.Demand.Wait, e.Demand.Detail)
		case e.Partner.Sending() == policy.SendVerifyPins:
			remark(&b, "%s waits: pins cannot be said", e.Domain)
		case name == "":
			remark(&b, "%s waits: no certificate that is trusted and speaks for it was seen", e.Domain)
		default:
			if !all {
				remark(&b, "%s: some of its servers do not show this name", e.Domain)
			}
			value = fmt.Sprintf("TEMP+VERIFY:%d+CN:%s", e.Partner.MinBits, name)
		}
		for _, spelling := range spellings(e.Domain) {
			b.WriteString("TLS_Rcpt:" + spelling + "\t" + value + "\n")
		}
	}
	return b.String()
}

// commonName returns the name that most of the certificates have, of several the domain
// itself or else the first, and whether all have it.
func commonName(e Entry) (name string, all bool) {
	have := make(map[string]int)
	for _, certificate := range e.Names {
		var own []string
		for _, name := range certificate {
			if base, wildcard := strings.CutPrefix(name, "*."); wildcard {
				// Sendmail compares this one with a wildcard; of a wildcard over what is
				// above the domain it is the domain.
				if name = "mail." + base; base != e.Domain && strings.HasSuffix(e.Domain, "."+base) {
					name = e.Domain
				}
			}
			if !slices.Contains(own, name) {
				own = append(own, name)
				have[name]++
			}
		}
	}
	for candidate, count := range have {
		better := count > have[name]
		if count == have[name] {
			better = candidate == e.Domain || name != e.Domain && candidate < name
		}
		if name == "" || better {
			name = candidate
		}
	}
	return name, have[name] == len(e.Names)
}
