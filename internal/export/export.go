// Package export writes what is insisted on of the domains on the send list as tables for
// mail servers that are to do without a daemon in delivery. A table says what held when it
// was made; what it cannot say stands on top of it.
package export

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"domain-secured/policy"
)

// Entry is a domain of the send list.
type Entry struct {
	Domain  string
	Partner *policy.Partner
	// Demand is what is insisted on; it is not looked at unless the mode is enforce.
	Demand *policy.Demand
	// Names are those of each certificate that the servers showed.
	Names [][]string
}

// sorted returns the entries in the order of a table, which hangs on nothing but them: two
// tables that say the same are the same.
func sorted(entries []Entry) []Entry {
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Domain, b.Domain) })
	return entries
}

// covering returns the nearest entry above a domain that is held to something, and whose
// settings hold for what is below it.
func covering(entries []Entry, domain string) (above string) {
	for _, e := range entries {
		if e.Partner.Subdomains && e.Partner.Mode == policy.ModeEnforce && strings.HasSuffix(domain, "."+e.Domain) && len(e.Domain) > len(above) {
			above = e.Domain
		}
	}
	return above
}

// spellings are the forms in which a mail server may look a domain up: those of RFC 5890
// section 2.3.2.1, of which one is in the list.
func spellings(domain string) []string {
	all := []string{domain}
	if u, err := idna.Punycode.ToUnicode(domain); err == nil && u != domain {
		all = append(all, u)
	}
	return all
}

// maxRemark bounds a line about an entry.
const maxRemark = 300

// remark writes a comment. The text may have words of strangers.
func remark(b *strings.Builder, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	b.WriteString("# ")
	for i := range min(len(text), maxRemark) {
		if c := text[i]; c >= ' ' && c <= '~' {
			b.WriteByte(c)
		} else {
			b.WriteByte('?')
		}
	}
	b.WriteByte('\n')
}

// leftOut writes why an entry is not in the table.
func leftOut(b *strings.Builder, e Entry) {
	remark(b, "%s: left out, its mode is %s", e.Domain, e.Partner.Mode)
}
