package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
)

// Address is where a door listens. The zero value turns the door off.
type Address struct {
	Network string // "unix" or "tcp"
	Address string // a path, or host:port
}

// IsZero reports whether the door is off.
func (a Address) IsZero() bool { return a == Address{} }

// String writes the address as it stands in the file.
func (a Address) String() string {
	switch a.Network {
	case "":
		return ""
	case "tcp":
		return "inet:" + a.Address
	}
	return "unix:" + a.Address
}

// maxUnixPath is what fits into a struct sockaddr_un with its NUL (unix(7)).
const maxUnixPath = 107

// parseAddress reads "unix:/path" or "inet:host:port", as Postfix writes them;
// path makes a file name absolute.
func parseAddress(s string, path func(string) string) (Address, error) {
	if s == "" {
		return Address{}, nil
	}
	kind, rest, _ := strings.Cut(s, ":")
	switch kind {
	case "unix":
		if rest == "" {
			return Address{}, errors.New("the path is missing")
		}
		rest = path(rest)
		// The socket is made under a name of its own beside the path, and renamed.
		if len(rest) > maxUnixPath || len(filepath.Dir(rest)) > maxUnixPath-len("/.4194304.sock") {
			return Address{}, fmt.Errorf("a socket's path has at most %d octets", maxUnixPath)
		}
		return Address{"unix", rest}, nil
	case "inet":
		host, port, err := net.SplitHostPort(rest)
		if err != nil {
			return Address{}, errors.New(`want "inet:host:port"`)
		}
		if !isPort(port) {
			return Address{}, fmt.Errorf("%q is not a port", port)
		}
		if host != "localhost" {
			if _, err := netip.ParseAddr(host); err != nil {
				return Address{}, fmt.Errorf("%q is not an IP address", host)
			}
		}
		return Address{"tcp", rest}, nil
	}
	return Address{}, errors.New(`want "unix:/path", "inet:host:port" or ""`)
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

// isLocal: nobody but this machine can reach it.
func (a Address) isLocal() bool {
	if a.Network != "tcp" {
		return true
	}
	host, _, _ := net.SplitHostPort(a.Address)
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
