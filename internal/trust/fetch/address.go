package fetch

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
)

// special are the parts of the address space that are not the public internet's:
// the IANA special-purpose address registries (RFC 6890 and its successors), and
// multicast. The first that contains an address names it.
var special = []struct {
	prefix netip.Prefix
	what   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared (carrier-grade NAT)"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "reserved for protocols"},
	{netip.MustParsePrefix("192.0.2.0/24"), "for documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("198.18.0.0/15"), "for benchmarks"},
	{netip.MustParsePrefix("198.51.100.0/24"), "for documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "for documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},
	{netip.MustParsePrefix("::/128"), "unspecified"},
	{netip.MustParsePrefix("::1/128"), "loopback"},
	{netip.MustParsePrefix("fc00::/7"), "private"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
	{netip.MustParsePrefix("2001::/23"), "reserved for protocols"}, // Teredo among them
	{netip.MustParsePrefix("2001:db8::/32"), "for documentation"},
	{netip.MustParsePrefix("2002::/16"), "6to4"},
	{netip.MustParsePrefix("3fff::/20"), "for documentation"},
}

var (
	globalIPv6 = netip.MustParsePrefix("2000::/3")     // RFC 4291 section 2.4, as far as it is allocated
	nat64      = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052 section 2.1
)

// forbidden returns what kind of address a is if it is not global unicast, or "".
// IPv4 in a mapped or NAT64 address is judged as what it stands for: on a network
// with IPv6 alone, NAT64 is the way to IPv4.
func forbidden(a netip.Addr) string {
	a = a.WithZone("").Unmap() // no prefix contains an address with a zone
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	for _, s := range special {
		if s.prefix.Contains(a) {
			return s.what
		}
	}
	if a.Is6() && !globalIPv6.Contains(a) {
		return "not global unicast"
	}
	return ""
}

// onlyGlobal is a [net.Dialer]'s Control: what is about to be connected to is
// judged, so it does not matter what a name resolved to before.
func onlyGlobal(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return &trouble{ErrForbiddenAddress, "it is no IP address"}
	}
	if what := forbidden(to.Addr()); what != "" {
		return forbiddenAddress(to.Addr(), what)
	}
	return nil
}

func forbiddenAddress(a netip.Addr, what string) error {
	return &trouble{ErrForbiddenAddress, fmt.Sprintf("%s is %s: if it is meant, set [probe] allow_private", a.WithZone(""), what)}
}

// checkHost judges a host as far as that goes without looking it up. It is all
// there is when a proxy connects, which may read other notations of addresses
// than Go does: 127.1, 2130706433, 0x7f.0.0.1, digits beyond ASCII.
func checkHost(host string) error {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761 section 6.3
		return &trouble{ErrForbiddenAddress, "localhost is loopback: if it is meant, set [probe] allow_private"}
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if what := forbidden(a); what != "" {
			return forbiddenAddress(a, what)
		}
		return nil
	}
	const digits, letters = "0123456789", "abcdefghijklmnopqrstuvwxyz-_."
	last := host[strings.LastIndexByte(host, '.')+1:]
	if strings.Trim(last, digits) == "" || strings.HasPrefix(last, "0x") || strings.Trim(host, letters+digits) != "" {
		return &trouble{ErrForbiddenAddress, "its host is neither a name nor a proper address"}
	}
	return nil
}
