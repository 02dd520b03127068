package partner

import "net/netip"

// globalUnicast6 is what IANA has given out as global unicast of IPv6 (RFC 4291
// section 2.4 and the registry "IPv6 Global Unicast Address Assignments"). Outside
// of it are loopback, link-local, unique local, multicast, mapped (::ffff:0:0/96)
// and NAT64 (64:ff9b::/96, 64:ff9b:1::/48) addresses.
var globalUnicast6 = netip.MustParsePrefix("2000::/3")

// notGlobal is what the registries of special-purpose addresses (RFC 6890) say
// is not globally reachable, multicast, and what leads to another address.
var notGlobal = prefixes(
	"0.0.0.0/8",       // this network, RFC 791
	"10.0.0.0/8",      // private, RFC 1918
	"100.64.0.0/10",   // shared by the customers of a carrier, RFC 6598
	"127.0.0.0/8",     // loopback, RFC 1122
	"169.254.0.0/16",  // link-local, RFC 3927
	"172.16.0.0/12",   // private, RFC 1918
	"192.0.0.0/24",    // protocol assignments, RFC 6890
	"192.0.2.0/24",    // documentation, RFC 5737
	"192.88.99.0/24",  // 6to4 relays, RFC 7526
	"192.168.0.0/16",  // private, RFC 1918
	"198.18.0.0/15",   // benchmarks, RFC 2544
	"198.51.100.0/24", // documentation, RFC 5737
	"203.0.113.0/24",  // documentation, RFC 5737
	"224.0.0.0/4",     // multicast, RFC 1112
	"240.0.0.0/4",     // reserved, and broadcast, RFC 1112 and 919

	"2001::/23",     // protocol assignments with Teredo and ORCHID, RFC 2928
	"2001:db8::/32", // documentation, RFC 3849
	"2002::/16",     // 6to4: an IPv4 address is inside, RFC 3056
	"3fff::/20",     // documentation, RFC 9637
)

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}

// Global reports whether an address is global unicast: one that a stranger may
// have connections made to. One with a zone is not, nor one that carries another
// address inside.
func Global(a netip.Addr) bool {
	if !a.IsValid() || a.Zone() != "" || a.Is6() && !globalUnicast6.Contains(a) {
		return false
	}
	for _, p := range notGlobal {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
