package export

import (
	"slices"
	"strings"

	"domain-secured/policy"
	"domain-secured/policy/tlsmap"
)

const postfixHead = `# TLS policy for Postfix, made by: domain-secured export postfix
#
#   smtp_tls_policy_maps = texthash:/etc/postfix/domain-secured-send
#   smtp_tls_fingerprint_digest = sha256
#   tls_required_enable = no
#
# (The last line from Postfix 3.10 on. Postfix reads a texthash table again on
# "postfix reload"; hash: and others are made of it by postmap(1), and need none.)
#
# This is what the daemon would have answered when the table was made. What a table
# cannot do:
# - It ages. A certificate that is revoked later is still good here, and mail leaves;
#   one that is renewed is not known, and mail waits. So are names of new servers.
#   Make it anew every hour, and whenever the list or a partner's settings change.
# - A domain that is not in it, because it was put on the list later, or because it is
#   spelt in another way than the two of an internationalized name, is held to nothing.
# - Postfix looks up what it connects to. Where a relayhost or a transport names a host,
#   that is not in here.
# - Below a domain with "subdomains" mail is held to what servers of the domain itself
#   showed. Where others take it, with other certificates, it waits.
#
# A fingerprint of zeros is no certificate's: mail waits.
`

// noFingerprint is that of no certificate: insisting on it has mail wait, whatever the
// server does, as postconf(5) smtp_tls_policy_maps has no word for that.
var noFingerprint = "fingerprint match=" + strings.TrimSuffix(strings.Repeat("00:", 32), ":")

// Postfix returns a table for smtp_tls_policy_maps of a Postfix of that version or later.
func Postfix(entries []Entry, v tlsmap.Version) string {
	var b strings.Builder
	b.WriteString(postfixHead)
	for _, e := range sorted(entries) {
		b.WriteByte('\n')
		if e.Partner.Mode != policy.ModeEnforce {
			leftOut(&b, e)
			if above := covering(entries, e.Domain); above != "" {
				remark(&b, "and so held to what is said of .%s: a table knows no exception", above)
			}
			continue
		}
		demand := *e.Demand
		demand.Fingerprints = slices.Clone(demand.Fingerprints)
		slices.SortFunc(demand.Fingerprints, func(a, b policy.Hash) int { return slices.Compare(a[:], b[:]) })
		value := tlsmap.Policy(&demand, v)
		if value == "" {
			remark(&b, "%s waits: %s: %s", e.Domain, demand.Wait, demand.Detail)
			value = noFingerprint
		}
		for _, name := range spellings(e.Domain) {
			b.WriteString(name + " " + value + "\n")
			if e.Partner.Subdomains {
				b.WriteString("." + name + " " + value + "\n")
			}
		}
	}
	return b.String()
}
