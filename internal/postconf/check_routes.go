package postconf

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// route is how trivial-rewrite(8) has a domain's mail delivered (transport(5)).
type route struct {
	transport, nexthop string // nexthop is "" for the domain's own MX hosts
	parameter, from    string // what says so: relayhost, and how it says it
}

// routes looks for what has mail of listed domains delivered past smtp(8), or to a host about which Postfix then asks
// in the place of the domain. It returns the transports that are used.
func (c *checker) routes() (used map[string]bool) {
	used = make(map[string]bool)
	usual := c.usualRoute()
	strays := make(map[route][]Destination)
	for _, d := range c.want.Send {
		r := c.routeOf(d.Domain, usual)
		used[r.transport] = true
		if !c.astray(r, d) {
			continue
		}
		strays[r] = append(strays[r], d)
	}
	if len(c.want.Send) == 0 {
		used[usual.transport] = true
	}
	for _, r := range slices.SortedFunc(maps.Keys(strays), func(a, b route) int {
		return cmp.Or(cmp.Compare(a.parameter, b.parameter), cmp.Compare(a.from, b.from))
	}) {
		c.astrayTo(r, strays[r])
	}
	c.bySender()
	if unasked := c.s.unasked(c.p["transport_maps"]); len(unasked) > 0 {
		c.add(Warning, "transport_maps", "what a table has for listed domains could not be found out, and Postfix may ask about a host that it names: "+and(unasked), nil)
	}
	return used
}

// usualRoute is that of a domain of which no table knows: the nexthop in default_transport, else relayhost
// (postconf(5)).
func (c *checker) usualRoute() route {
	transport, nexthop, _ := strings.Cut(cmp.Or(c.p["default_transport"], "smtp"), ":")
	r := route{transport: transport, nexthop: nexthop, parameter: "default_transport", from: "default_transport = " + c.p["default_transport"]}
	if relay := c.p["relayhost"]; nexthop == "" && relay != "" && (transport == "smtp" || c.s.Transports[transport] == "smtp") {
		r.nexthop, r.parameter, r.from = relay, "relayhost", "relayhost = "+relay
	}
	return r
}

// routeOf is that of a domain. An entry with a transport and no nexthop leads to the domain's own MX hosts, whatever
// else is set (transport(5), "RESULT FORMAT").
func (c *checker) routeOf(domain string, usual route) route {
	parents := hasWord(c.p["parent_domain_matches_subdomains"], "transport_maps")
	keys := slices.DeleteFunc(transportKeys(domain), func(key string) bool {
		return key != domain && key != "*" && strings.HasPrefix(key, ".") == parents
	})
	value, table, found := c.s.lookedUp(c.p["transport_maps"], keys)
	if !found {
		return usual
	}
	transport, nexthop, _ := strings.Cut(value, ":")
	r := route{transport: transport, nexthop: nexthop, parameter: "transport_maps", from: fmt.Sprintf("%s has %q", table, value)}
	switch {
	case transport == "" && nexthop == "":
		return usual
	case transport == "":
		r.transport = usual.transport
	}
	return r
}

// astray says whether a route passes us by. Where mail goes nowhere nothing leaks.
func (c *checker) astray(r route, d Destination) bool {
	program, known := c.s.Transports[r.transport]
	switch {
	case known && (program == "error" || program == "discard"):
		return false
	case known && program != "smtp":
		return true
	case r.nexthop == "":
		return false
	}
	// The policy door knows a host in brackets, and a port behind it.
	host := strings.TrimPrefix(r.nexthop, "[")
	host, _, _ = strings.Cut(host, "]")
	host, _, _ = strings.Cut(host, ":")
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return !slices.ContainsFunc(c.want.Send, func(to Destination) bool {
		return host == to.Domain || to.Subdomains && strings.HasSuffix(host, "."+to.Domain)
	})
}

// mostLines bounds what a line for main.cf names; for more there should be a file.
const mostLines = 20

// astrayTo reports a route that passes us by.
func (c *checker) astrayTo(r route, to []Destination) {
	var domains []string
	for _, d := range to {
		domains = append(domains, d.Domain)
	}
	problem := fmt.Sprintf("mail for %s goes by the transport %q, which is no smtp(8), and nothing is insisted on (%s)", and(domains), r.transport, r.from)
	if program, known := c.s.Transports[r.transport]; !known || program == "smtp" {
		problem = fmt.Sprintf("mail for %s goes to %s, and Postfix asks about that in place of the domain, so nothing is insisted on (%s)", and(domains), r.nexthop, r.from)
	}
	if len(to) > mostLines {
		c.put(Finding{Severity: Error, Parameter: r.parameter, Problem: problem + "; give each the transport smtp: in a table at the beginning of transport_maps"})
		return
	}
	c.put(Finding{Severity: Error, Parameter: r.parameter, Problem: problem, Line: c.ownTransports(to).line(false)})
}

// ownTransports is transport_maps with a route to their own MX hosts for these domains.
func (c *checker) ownTransports(to []Destination) setting {
	var entries []string
	for _, d := range to {
		entries = append(entries, d.Domain+"=smtp:")
		if d.Subdomains {
			entries = append(entries, "."+d.Domain+"=smtp:")
		}
	}
	value := "inline:{ " + strings.Join(entries, ", ") + " }"
	return setting{"transport_maps", strings.TrimSuffix(value+", "+c.p["transport_maps"], ", ")}
}

// bySender looks for routes that hang on the sender, of which no table can be asked here. An entry of transport_maps
// goes before them (postconf(5) sender_dependent_default_transport_maps).
func (c *checker) bySender() {
	var open []Destination
	for _, d := range c.want.Send {
		if c.routeOf(d.Domain, route{}).transport == "" {
			open = append(open, d)
		}
	}
	if len(open) == 0 {
		return
	}
	for _, parameter := range []string{"sender_dependent_relayhost_maps", "sender_dependent_default_transport_maps"} {
		if c.p[parameter] == "" {
			continue
		}
		f := Finding{Severity: Warning, Parameter: parameter,
			Problem: "mail of senders in " + c.p[parameter] + " goes where that says, also for domains on the send list, and Postfix asks about that host in place of the domain"}
		if len(open) <= mostLines {
			f.Line = c.ownTransports(open).line(false)
		}
		c.put(f)
	}
}
