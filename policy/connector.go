package policy

import (
	"net/netip"
	"slices"
)

// Treat says what a connector does with what comes in through it.
type Treat string

const (
	TreatEnforce  Treat = "enforce"  // judge it, as everywhere else
	TreatOff      Treat = "off"      // no opinion
	TreatExternal Treat = "external" // secured by other means (IPsec, a VPN) for some partners
	TreatInternal Treat = "internal" // our own servers: no opinion, and their stamps are kept
)

// Connector is a listener or a range of clients with a treatment of its own. It
// matches by all that is set; what is empty matches anything.
type Connector struct {
	Name            string
	ClientAddresses []netip.Prefix
	Ports           []uint16 // of our own server; 0 is none, as mail has that comes by sendmail(1)
	Listeners       []string // policy_context of access(5), {daemon_name} of the milter protocol
	Treat           Treat
	Partners        []string // for TreatExternal: the domains that are secured
}

func (c *Connector) matches(f *Facts) bool {
	if c.ClientAddresses != nil && !contains(c.ClientAddresses, f.Client.Addr()) {
		return false
	}
	if c.Ports != nil && !slices.Contains(c.Ports, f.ListenerPort) {
		return false
	}
	return c.Listeners == nil || slices.Contains(c.Listeners, f.Listener)
}

// contains reports whether one of the prefixes holds addr. An address that is
// not known is in none.
func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, prefix := range prefixes {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}
