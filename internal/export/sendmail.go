package export

import (
	"cmp"
	"slices"
	"strings"

	"domain-secured/policy"
	"domain-secured/policy/tlsmap"
)

const sendmailHead = `# Access map lines for Sendmail, made by: domain-secured export sendmail
#
#   makemap hash /etc/mail/access < /etc/mail/access.txt    (with what else is in it)
#
# They need FEATURE(` + "`access_db'" + `), confCACERT with the partners' authorities, confCLIENT_CERT
# and confCLIENT_KEY.
#
# Sendmail compares CN: with the common name of a certificate alone: mail to a server
# without one waits. With FEATURE(` + "`check_cert_altnames'" + `) it compares the DNS names instead,
# but then a common name will also do that is the server's own name, as the DNS has it:
# who can forge MX records, and has a certificate of an authority in confCACERT, gets the
# mail. Leave the feature out if the partners' certificates allow it.
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
		value := tlsmap.Access(0)
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
			value = tlsmap.Access(e.Partner.MinBits, name)
		}
		for _, spelling := range spellings(e.Domain) {
			b.WriteString("TLS_Rcpt:" + spelling + "\t" + value + "\n")
		}
	}
	return b.String()
}

// commonName returns the name that most of the certificates have, of several the one that
// is most often the first, and whether all have it.
func commonName(e Entry) (name string, all bool) {
	have, first := make(map[string]int), make(map[string]int)
	for _, certificate := range e.Names {
		var own []string
		for i, name := range certificate {
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
			if i == 0 {
				first[name]++
			}
		}
	}
	for candidate := range have {
		if name == "" || cmp.Or(cmp.Compare(have[candidate], have[name]), cmp.Compare(first[candidate], first[name]), cmp.Compare(name, candidate)) > 0 {
			name = candidate
		}
	}
	return name, have[name] == len(e.Names)
}
