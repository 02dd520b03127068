package postconf

import (
	"net/netip"
	"path"
	"strings"
)

// endpoint is an address as the configuration of either side writes it: "inet:host:port", "unix:path".
type endpoint struct {
	unix       bool
	path       string // of a unix socket, as written
	host, port string // of an inet socket; host without brackets, "" for none
}

// parseEndpoint reads an address. Postfix takes "inet:port" for localhost, and "local:" for a kind of socket
// that is "unix:" on Linux.
func parseEndpoint(s string) (endpoint, bool) {
	kind, rest, ok := strings.Cut(s, ":")
	if !ok || rest == "" {
		return endpoint{}, false
	}
	switch kind {
	case "unix", "local":
		return endpoint{unix: true, path: rest}, true
	case "inet":
	default:
		return endpoint{}, false
	}
	var e endpoint
	if after, ok := strings.CutPrefix(rest, "["); ok {
		if e.host, rest, ok = strings.Cut(after, "]"); !ok || !strings.HasPrefix(rest, ":") {
			return endpoint{}, false
		}
		e.port = rest[1:]
	} else if i := strings.LastIndexByte(rest, ':'); i >= 0 {
		e.host, e.port = rest[:i], rest[i+1:]
	} else {
		e.port = rest
	}
	return e, e.port != ""
}

// sameness is what can be said, without asking DNS, about an address in Postfix's lists and one of ours.
type sameness int

const (
	other   sameness = iota // nothing to do with us
	nearly                  // meant for us, but does not reach us
	perhaps                 // the port is ours, the host is a name that only a lookup could tell
	same
)

// compare says whether a connection from Postfix to e reaches a daemon that listens at ours.
// chroot is the jail of the smtpd(8) that connects ("" for none), queue the directory it works in.
func (e endpoint) compare(ours endpoint, chroot bool, queue string) sameness {
	switch {
	case e.unix != ours.unix:
		return other
	case e.unix:
		if e.resolve(chroot, queue) == path.Clean(ours.path) {
			return same
		}
		// The path is ours and still misses, or it ends in the same two names.
		if e.path == ours.path || tail(e.path) == tail(ours.path) {
			return nearly
		}
		return other
	case e.port != ours.port:
		return other
	}
	theirs, errT := netip.ParseAddr(e.host)
	our, errO := netip.ParseAddr(ours.host)
	anyHost := ours.host == "" || errO == nil && our.IsUnspecified()
	ourLoopback := anyHost || strings.EqualFold(ours.host, "localhost") || errO == nil && our.IsLoopback()
	local := e.host == "" || strings.EqualFold(e.host, "localhost")
	switch {
	case local && ourLoopback:
		return same // Postfix tries every address that localhost has
	case local:
		return nearly
	case strings.EqualFold(e.host, ours.host):
		return same
	case errT != nil || errO != nil && !anyHost && !strings.EqualFold(ours.host, "localhost"):
		return perhaps
	case errO == nil && !our.IsUnspecified():
		if our.Unmap() == theirs.Unmap() {
			return same
		}
		return nearly
	case errO == nil && our.Is4():
		if theirs.Is4() { // 0.0.0.0 takes no IPv6
			return same
		}
		return nearly
	case anyHost:
		return same
	}
	// Ours is "localhost", which a Go listener takes for 127.0.0.1.
	if theirs == netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		return same
	}
	return nearly
}

// resolve is where a unix socket is, seen from outside: smtpd(8) works in queue_directory, and if it is
// chrooted that is its root too (postconf(5) queue_directory; master(5), "chroot").
func (e endpoint) resolve(chroot bool, queue string) string {
	if chroot || !path.IsAbs(e.path) {
		return path.Join(queue, e.path)
	}
	return path.Clean(e.path)
}

// forPostfix is ours as a line for smtpd(8) has to name it. A socket below queue_directory is named relative to
// it: that is right in a chroot and outside. reachable is false for one that a chrooted smtpd cannot see.
func (e endpoint) forPostfix(chroot bool, queue string) (address string, reachable bool) {
	if e.unix {
		p := path.Clean(e.path)
		if rel, ok := strings.CutPrefix(p, strings.TrimSuffix(path.Clean(queue), "/")+"/"); ok {
			return "unix:" + rel, true
		}
		return "unix:" + p, !chroot
	}
	host := e.host
	addr, err := netip.ParseAddr(host)
	switch {
	case host == "" || strings.EqualFold(host, "localhost") || err == nil && addr.IsUnspecified():
		host = "127.0.0.1" // a listener at :: takes IPv4 too, and inet_protocols may forbid Postfix IPv6
	case err == nil && addr.Is6():
		host = "[" + host + "]"
	}
	return "inet:" + host + ":" + e.port, true
}

// tail is the last two names of a path.
func tail(p string) string {
	dir, file := path.Split(path.Clean(p))
	return path.Join(path.Base(dir), file)
}
