package postconf

import (
	"net/netip"
	"slices"
	"strings"
)

// hosts is a list of clients as mynetworks has it, as far as it can be read without a lookup (postconf(5) mynetworks).
type hosts struct {
	prefixes []netip.Prefix
	names    []string // of hosts or domains
	tables   []string // "type:table", "/file"
}

// parseHosts reads a list. What "!" excludes is left out: it makes the list shorter only.
func parseHosts(list string) (h hosts) {
	for _, pattern := range split(list) {
		if strings.HasPrefix(pattern, "!") {
			continue
		}
		if p, ok := parsePrefix(pattern); ok {
			h.prefixes = append(h.prefixes, p)
		} else if strings.ContainsAny(pattern, ":/") {
			h.tables = append(h.tables, pattern)
		} else {
			h.names = append(h.names, pattern)
		}
	}
	return h
}

// parsePrefix reads "192.0.2.0/24", "192.0.2.1", "[2001:db8::]/32", "[2001:db8::1]". IPv4 mapped into IPv6 is IPv4.
func parsePrefix(pattern string) (netip.Prefix, bool) {
	text, bits, masked := strings.Cut(pattern, "/")
	bare, bracketed := strings.CutPrefix(text, "[")
	bare, closed := strings.CutSuffix(bare, "]")
	if bracketed != closed || !bracketed && strings.Contains(bare, ":") {
		return netip.Prefix{}, false
	}
	addr, err := netip.ParseAddr(bare)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, false
	}
	if !masked {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	p, err := netip.ParsePrefix(addr.String() + "/" + bits)
	if err == nil && addr.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(addr.Unmap(), p.Bits()-96)
	}
	return p, err == nil
}

// loopback says whether all of a prefix is this machine talking to itself.
func loopback(p netip.Prefix) bool {
	return p.Addr().IsLoopback() && (p.Addr().Is6() && p.IsSingleIP() || p.Addr().Is4() && p.Bits() >= 8)
}

// networks looks for clients that may be servers of ours, which have stamps to keep. This machine, and what its
// neighbours on the link call themselves, are what a fresh Postfix has there.
func (c *checker) networks() {
	const parameter = "mynetworks"
	var far []string
	for _, p := range parseHosts(c.p[parameter]).prefixes {
		if loopback(p) || p.Addr().IsLinkLocalUnicast() || p.IsSingleIP() && slices.Contains(c.s.Addresses, p.Addr()) || c.named(p) {
			continue
		}
		far = append(far, p.String())
	}
	if len(far) > 0 {
		c.add(Warning, parameter, "no connector has an address of "+and(far)+": a server of ours among these clients that hands on what another has stamped loses the stamps, and listed mail from it is refused, unless a connector treats exactly that server as internal", nil)
	}
}

// named says whether a connector's addresses and a network have any in common: whoever wrote it has thought of them.
func (c *checker) named(p netip.Prefix) bool {
	return slices.ContainsFunc(c.want.Connectors, func(k Connector) bool { return slices.ContainsFunc(k.ClientAddresses, p.Overlaps) })
}

// xclient looks at who may speak for others: smtpd(8) then takes the address from the command (XCLIENT_README), and
// still has the TLS session and certificate of whoever sent it.
func (c *checker) xclient() {
	const parameter = "smtpd_authorized_xclient_hosts"
	const credited = "may give any address as its client's with XCLIENT, and its own TLS and certificate then count as that client's, for client_addresses and connectors too"
	list := c.p[parameter]
	if list == "" {
		return
	}
	h := parseHosts(list)
	var near, far []string
	for _, p := range h.prefixes {
		if loopback(p) {
			near = append(near, p.String())
		} else {
			far = append(far, p.String())
		}
	}
	for _, name := range h.names {
		if strings.EqualFold(name, "localhost") {
			near = append(near, name)
		} else {
			far = append(far, name)
		}
	}
	for _, t := range h.tables {
		if strings.HasPrefix(t, "static:") {
			far = append(far, t)
		} else {
			near = append(near, t)
		}
	}
	switch {
	case len(far) > 0:
		c.add(Error, parameter, "whoever is in "+and(far)+" "+credited, []setting{{parameter, ""}})
	case len(near) > 0:
		c.add(Warning, parameter, "whoever is in "+and(near)+" "+credited, nil)
	}
}
