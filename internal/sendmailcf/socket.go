package sendmailcf

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// reaches reports whether a filter's socket is where domain-secured listens, "inet:host:port" or "unix:/path".
func reaches(socket, listen string) bool {
	kind, address, found := strings.Cut(socket, ":")
	if !found { // "The default is a unix socket" (libmilter, smfi_setconn)
		kind, address = "local", socket
	}
	if path, unix := strings.CutPrefix(listen, "unix:"); unix {
		return (kind == "local" || kind == "unix") && address == path
	}
	host, port, err := net.SplitHostPort(strings.TrimPrefix(listen, "inet:"))
	if err != nil || kind != "inet" && kind != "inet6" {
		return false
	}
	theirPort, theirHost, _ := strings.Cut(address, "@")
	return theirPort == port && sameHost(strings.Trim(theirHost, "[]"), host)
}

// sameHost compares where a filter connects to with where we listen. Of a name only a lookup could tell.
func sameHost(theirs, ours string) bool {
	a, err := netip.ParseAddr(theirs)
	b, err2 := netip.ParseAddr(ours)
	return err != nil || err2 != nil || a == b || b.IsUnspecified()
}

// filterLine is the line for sendmail.mc.
func filterLine(name, listen string) string {
	socket := "local:" + strings.TrimPrefix(listen, "unix:")
	if address, inet := strings.CutPrefix(listen, "inet:"); inet {
		host, port, _ := net.SplitHostPort(address)
		kind := "inet"
		if strings.Contains(host, ":") {
			kind = "inet6"
		}
		socket = kind + ":" + port + "@" + host
	}
	return fmt.Sprintf("INPUT_MAIL_FILTER(`%s', `S=%s, F=T, T=C:10s;S:10s;R:10s;E:1m')dnl", name, socket)
}
