package sendmailcf

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"domain-secured/internal/finding"
)

// maxRoutes bounds the findings about routes.
const maxRoutes = 20

// aRoute is what Sendmail puts in the place of a domain: a line of the mailertable, or SMART_HOST.
type aRoute struct{ by, target string }

// around says why what goes by a route is not asked about as the domain that it is for, "" if it is: that is so by SMTP,
// to whatever host.
func (s *Settings) around(target string) string {
	mailer, rest, found := strings.Cut(target, ":")
	if !found || strings.HasPrefix(target, "[") {
		return "" // a host alone, for the mailer relay
	}
	switch mailer {
	case "error", "local":
		return "" // it is refused, or stays here
	}
	// "use literal user" (MailerToTriple in cf/m4/proto.m4)
	if _, domain, found := strings.Cut(rest, "@"); found {
		return "it is sent to " + rest + " instead, and " + domain + " is what we are asked about"
	}
	if path, found := s.programs[mailer]; found {
		return "it is handed to " + path + " by the mailer " + mailer + ", and we are not asked"
	}
	return ""
}

// routeOf finds what holds for a domain: its own entry, one of a domain above it with a dot, one for all, SMART_HOST.
func (s *Settings) routeOf(domain string) aRoute {
	if target, found := s.Mailers.entries[domain]; found {
		return aRoute{domain, target}
	}
	for above := domain; ; {
		at := strings.IndexByte(above, '.')
		if at < 0 {
			break
		}
		if target, found := s.Mailers.entries[above[at:]]; found {
			return aRoute{above[at:], target}
		}
		above = above[at+1:]
	}
	if target, found := s.Mailers.entries["."]; found {
		return aRoute{".", target}
	}
	return aRoute{"", s.SmartHost}
}

// routes looks for what takes mail for listed domains past the map.
func (c *checker) routes(listed iter.Seq[string]) {
	if c.s.SendMap == "" || listed == nil {
		return
	}
	bad := make(map[aRoute]string)
	judge := func(r aRoute) {
		if why := c.s.around(r.target); why != "" {
			bad[r] = why
		}
	}
	for key, target := range c.s.Mailers.entries {
		judge(aRoute{key, target})
	}
	judge(aRoute{"", c.s.SmartHost})
	said := 0
	say := func(r aRoute, domain string) {
		why := bad[r]
		if why == "" || said == maxRoutes {
			return
		}
		delete(bad, r) // it is said of one domain
		said++
		if r.by == "" {
			c.put(finding.Error, "SMART_HOST", "", "SMART_HOST is %s, and mail to %s goes by it: %s", r.target, domain, why)
		} else {
			c.put(finding.Error, "mailertable", "", "by the entry %s of %s (%s) mail to %s is not held to the send list: %s", r.by, c.s.Mailers.file, r.target, domain, why)
		}
	}
	for domain := range listed {
		if len(bad) == 0 || said == maxRoutes {
			break
		}
		say(c.s.routeOf(domain), domain)
	}
	// What is below a listed domain may have a route of its own.
	for _, r := range slices.SortedFunc(maps.Keys(bad), func(a, b aRoute) int { return strings.Compare(a.by, b.by) }) {
		domain := r.by
		if strings.HasPrefix(domain, ".") {
			domain = "mail" + domain
		}
		if domain != "" && domain != "mail." && c.want.Held(domain) {
			say(r, domain)
		}
	}
	if c.s.Mailers.Hidden != "" {
		c.put(finding.Warning, "mailertable", "", "whether the mailertable sends listed mail past the map could not be seen: %s", c.s.Mailers.Hidden)
	}
}
