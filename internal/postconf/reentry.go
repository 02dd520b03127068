package postconf

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// onlyHere says whether nothing but this machine reaches the current service: not even by a proxy.
func (c *checker) onlyHere() bool { return c.reentry() && c.p["smtpd_upstream_proxy_protocol"] == "" }

// wayBack says whether the current service is one that filters hand mail back to: only this machine reaches it, and
// there is another one where mail came in. A Postfix that takes mail from this machine alone has no such thing, unless
// it has a filter.
func (c *checker) wayBack() bool {
	if !c.onlyHere() {
		return false
	}
	filters := func(p Params) bool { return p["content_filter"] != "" || p["smtpd_proxy_filter"] != "" }
	return slices.ContainsFunc(c.s.Services, func(s Service) bool {
		return !c.of(&s).onlyHere() || filters(s.Params) && !filters(c.p)
	})
}

// handedBack judges a service where a filter hands mail back (FILTER_README, "Advanced content filter"), if it calls
// the milter: without a connector, stamps of the first pass are taken for forged, and listed mail comes from loopback
// without TLS.
func (c *checker) handedBack() {
	var open []netip.Addr
	port, known := c.port()
	first := ""
	for _, client := range c.loopbackClients() {
		k := c.want.connector(client, port, c.p["milter_macro_daemon_name"])
		switch {
		case k != nil && k.Treat == treatInternal && known:
		case k != nil && k.Treat == treatOff:
			if !c.anyProxied() { // there, nothing was stamped in front
				c.put(Finding{Service: c.svc.String(), Severity: Warning, Parameter: milterList,
					Problem: fmt.Sprintf("connector %q is %q: mail that a filter hands back here is not judged again, but the stamps of the first pass are removed", k.Name, treatOff)})
			}
		case !known && slices.ContainsFunc(c.want.Connectors, func(k Connector) bool { return k.Treat == treatInternal }):
			// The port has a name, and may well be the connector's.
		default:
			open = append(open, client)
			if k != nil {
				first = fmt.Sprintf(", in front of connector %q", k.Name)
			}
		}
	}
	if len(open) == 0 {
		return
	}
	f := Finding{Service: c.svc.String(), Severity: Warning, Parameter: milterList, File: tomlFile}
	treat := treatInternal
	switch {
	case c.anyProxied():
		f.Severity, treat = Error, treatOff
		f.Problem = "listed mail that smtpd_proxy_filter hands back here has no TLS and is refused by the milter: the policy service has judged it in front (put the connector in" + first + ")"
	case c.anyFiltered():
		f.Severity = Error
		f.Problem = "mail that the content filter hands back here meets the milter again: stamps of the first pass are removed, and listed mail has no TLS and is refused (put the connector in" + first + ")"
	default:
		f.Problem = "if a filter hands mail back here, it meets the milter again: stamps of the first pass are removed, and listed mail has no TLS and is refused (if so, put the connector in" + first + ")"
	}
	f.Line = toml(c.svc.Name, open, port, treat)
	if !known {
		f.Problem += "; it needs the number of port " + c.svc.Name[strings.LastIndexByte(c.svc.Name, ':')+1:]
		f.Line, f.File = "", ""
	}
	c.put(f)
}

// loopbackClients is who connects to a service that listens on loopback: Linux takes 127.0.0.1 as the source for all
// of 127.0.0.0/8. A unix socket is nothing that a connector could name.
func (c *checker) loopbackClients() []netip.Addr {
	v4, v6 := netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()
	i := strings.LastIndexByte(c.svc.Name, ':')
	if c.svc.Type != "inet" || i < 0 {
		return nil
	}
	addr, err := netip.ParseAddr(strings.Trim(c.svc.Name[:i], "[]"))
	switch protocols := c.p["inet_protocols"]; {
	case err == nil && addr.Unmap().Is4():
		return []netip.Addr{v4}
	case err == nil:
		return []netip.Addr{v6}
	case strings.EqualFold(protocols, "ipv4"):
		return []netip.Addr{v4}
	case strings.EqualFold(protocols, "ipv6"):
		return []netip.Addr{v6}
	}
	return []netip.Addr{v4, v6}
}

// covered says whether a connector keeps mail that comes in here without TLS from being refused, whatever the listener
// is called.
func (c *checker) covered() bool {
	port, _ := c.port()
	clients := c.loopbackClients()
	for _, client := range clients {
		k := c.want.connector(client, port, anyListener)
		if k == nil || k.Treat != treatOff && k.Treat != treatInternal && k.Treat != treatExternal {
			return false
		}
	}
	return len(clients) > 0
}

// portNames are the names that master.cf files use.
var portNames = map[string]int{"smtp": 25, "smtps": 465, "submissions": 465, "submission": 587}

// port is the current service's, if it is a number or a usual name, else [unknownPort].
func (c *checker) port() (int, bool) {
	name := c.svc.Name[strings.LastIndexByte(c.svc.Name, ':')+1:]
	if n, ok := portNames[name]; ok {
		return n, true
	}
	addr, err := netip.ParseAddrPort("127.0.0.1:" + name)
	if err != nil {
		return unknownPort, false
	}
	return int(addr.Port()), true
}

// anyFiltered says whether some mail goes through content_filter, as far as parameters tell: tables may name filters
// too.
func (c *checker) anyFiltered() bool {
	return c.s.Main["content_filter"] != "" ||
		slices.ContainsFunc(c.s.Services, func(s Service) bool { return s.Params["content_filter"] != "" })
}

// isProxied says whether mail goes from the current service to smtpd_proxy_filter, and has not been there.
func (c *checker) isProxied() bool { return c.p["smtpd_proxy_filter"] != "" && !c.wayBack() }

// anyProxied says whether that is so for any service.
func (c *checker) anyProxied() bool {
	return slices.ContainsFunc(c.s.Services, func(s Service) bool { return c.of(&s).isProxied() })
}

// of is a checker for another service, with nothing found yet.
func (c *checker) of(svc *Service) *checker {
	k := *c
	k.found = nil
	k.at(svc)
	return &k
}

// proxied judges a service that hands mail to a filter before it is queued (SMTPD_PROXY_README): its milter hears
// CONNECT to DATA and never a header.
func (c *checker) proxied() {
	const parameter = "smtpd_proxy_filter"
	c.add(Warning, parameter, "headers of mail that goes through smtpd_proxy_filter never reach the milter of this service: the policy service judges it, but none of it is stamped (content_filter, which comes after the queue, has no such fault)", nil)
	for i := range c.s.Services {
		k := c.of(&c.s.Services[i])
		if k.p[parameter] != "" || k.svc.Type != "inet" {
			continue
		}
		port, known := k.port()
		keeps := ""
		for _, client := range append(k.loopbackClients(), k.behindProxy(port)...) {
			con := c.want.connector(client, port, k.p["milter_macro_daemon_name"])
			if con != nil && con.Treat == treatInternal && known {
				keeps = con.Name
			}
		}
		_, calls := k.milters()
		call, _, _ := k.find(calls)
		switch {
		case keeps != "":
			c.put(Finding{Service: k.svc.String(), Severity: Error, Parameter: parameter, File: tomlFile, Line: fmt.Sprintf("treat = %q", treatOff),
				Problem: fmt.Sprintf("connector %q keeps the stamps of what comes in here, and with smtpd_proxy_filter nobody has removed those that outsiders forged: it must be %q", keeps, treatOff)})
		case k.wayBack() && (call == nil || hasWord(k.p[overrides], noMilters)):
			fix := k.callMilter(milterList)
			if hasWord(k.p[overrides], noMilters) {
				fix = append(fix, setting{overrides, withoutWord(k.p[overrides], noMilters)})
			}
			k.add(Error, milterList, "mail comes back from smtpd_proxy_filter here, where no milter removes forged Domain-Secured headers", fix, "smtpd_milter_maps", overrides, parameter)
			for _, f := range k.found {
				c.put(f)
			}
		}
	}
}

// behindProxy is who a filter behind smtpd_proxy_filter may be, at a service that not only this machine reaches: the
// clients that an internal connector with its port has.
func (c *checker) behindProxy(port int) (clients []netip.Addr) {
	if c.onlyHere() {
		return nil
	}
	for _, k := range c.want.Connectors {
		if k.Treat != treatInternal || !k.hasPort(port) {
			continue
		}
		for _, p := range k.ClientAddresses {
			clients = append(clients, p.Addr())
		}
	}
	return clients
}

// filters warns of a content filter whose way back does not show.
func (c *checker) filters() {
	if !c.anyFiltered() || slices.ContainsFunc(c.want.Connectors, func(k Connector) bool { return k.Treat == treatInternal }) ||
		slices.ContainsFunc(c.s.Services, func(s Service) bool { return c.of(&s).wayBack() }) {
		return
	}
	c.put(Finding{Severity: Warning, Parameter: "content_filter",
		Problem: "content_filter hands mail away, and no service that only this machine reaches takes it back: wherever it comes back and meets the milter, stamps of the first pass are removed, and listed mail has no TLS and is refused, unless a connector treats the filter as internal"})
}
