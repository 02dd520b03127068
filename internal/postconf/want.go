package postconf

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Want is what our own configuration says.
type Want struct {
	PolicyListen   string        // [policy] listen: "inet:host:port", "unix:/path", "" for off
	MilterListen   string        // [milter] listen, likewise
	Sends          bool          // there are domains on the send list
	Send           []Destination // those that are held to something
	TLSMapListen   string        // [tlsmap] listen, likewise
	PostfixVersion string        // [tlsmap] postfix_version

	Connectors []Connector // in the configuration's order: the first that matches holds
}

// Connector is a listener or a range of clients with a treatment of its own. It matches by all that is set; what is
// empty matches anything.
type Connector struct {
	Name            string
	ClientAddresses []netip.Prefix
	Ports           []uint16 // of the server
	Listeners       []string // {daemon_name} of a milter, policy_context of a policy service
	Treat           string   // "enforce", "off", "external", "internal"
}

// What a connector may do with mail, as far as it matters here.
const (
	treatOff      = "off"      // no opinion; stamps are removed all the same
	treatExternal = "external" // secured by other means, for some partners
	treatInternal = "internal" // no opinion, and stamps are kept
)

// anyListener stands for whatever name a listener may have.
const anyListener = "\x00"

// unknownPort is none that a connector could name. (0 is: that of mail from sendmail(1).)
const unknownPort = -1

func (k *Connector) hasPort(port int) bool {
	return port >= 0 && slices.Contains(k.Ports, uint16(port))
}

// connector is the first that matches, or nil.
func (w *Want) connector(client netip.Addr, port int, listener string) *Connector {
	for i := range w.Connectors {
		k := &w.Connectors[i]
		if (len(k.ClientAddresses) == 0 || slices.ContainsFunc(k.ClientAddresses, func(p netip.Prefix) bool { return p.Contains(client) })) &&
			(len(k.Ports) == 0 || k.hasPort(port)) &&
			(len(k.Listeners) == 0 || listener == anyListener || slices.Contains(k.Listeners, listener)) {
			return k
		}
	}
	return nil
}

// tomlFile is the file that a finding's lines are for if they are not Postfix's.
const tomlFile = "domain-secured.toml"

// toml is a connector as our configuration takes it.
func toml(name string, clients []netip.Addr, port int, treat string) string {
	quoted := make([]string, len(clients))
	for i, c := range clients {
		quoted[i] = strconv.Quote(c.String())
	}
	return fmt.Sprintf("[[connector]]\nname = %q\nclient_addresses = [%s]\nports = [%d]\ntreat = %q", name, strings.Join(quoted, ", "), port, treat)
}
