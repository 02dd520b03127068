package config

import (
	"domain-secured/policy"
	"time"
)

// Config is everything the TOML file and the lists say, checked and with
// defaults filled in. It is immutable: a reload makes a new one.
type Config struct {
	File     string // the TOML file
	Hostname string // "" for the one that the MTA calls itself
	StateDir string
	Lists    Lists

	Milter, Policy, TLSMap, HTTP Door

	PostfixVersion string // oldest Postfix that asks the TLS policy door
	TAFileDir      string // where files of roots are written for it, "" for nowhere
	QueueDirectory string // its own, which it sees those files from

	Resolver        string // host:port, "" for the system's
	TrustAD         bool
	ProbePort       int
	AllowPrivate    bool // probe and fetch from addresses that are not global unicast
	RevocationOrder []string
	Proxy           string
	NoProxy         []string
	LDAPServer      string
	CRLFiles        []string
	RevocationGrace time.Duration
	OwnCertificates []string
	Maillog         string // a file, "journal", or "" for none
	TLSRPT          Door   // a datagram socket
	AllowRemote     bool   // the HTTP door is meant for other machines, too

	// Snapshot is what the rules go by.
	Snapshot *policy.Snapshot
	// Warnings are what works but may not be meant, one sentence each.
	Warnings []string

	ownWarnings []string     // those that are not about the lists
	listStates  [2]fileState // of the list files, when they were read
}

// Lists are the paths of the list files.
type Lists struct {
	Receive string
	Send    string
}

// Door is where a door listens.
type Door struct {
	Listen Address
	Mode   uint32 // of a unix socket
	Group  int    // of a unix socket, -1 for the process's own
}

// RootsReader reads root certificates: paths of files, or "system". The warning,
// if any, is a sentence about roots that are fewer than one would expect.
type RootsReader func(names []string) (roots *policy.Roots, warning string, err error)

// KeepFixed puts back the values of old that only a restart can change, and
// returns their keys as far as they differ.
func (c *Config) KeepFixed(old *Config) (changed []string) {
	keep := func(key string, differs bool) {
		if differs {
			changed = append(changed, key)
		}
	}
	for _, door := range []struct {
		name     string
		now, was *Door
	}{
		{"milter", &c.Milter, &old.Milter}, {"policy", &c.Policy, &old.Policy},
		{"tlsmap", &c.TLSMap, &old.TLSMap}, {"http", &c.HTTP, &old.HTTP},
	} {
		keep(door.name+".listen", door.now.Listen != door.was.Listen)
		keep(door.name+".unix_mode", door.now.Mode != door.was.Mode)
		keep(door.name+".unix_group", door.now.Group != door.was.Group)
		*door.now = *door.was
	}
	keep("state_dir", c.StateDir != old.StateDir)
	c.StateDir = old.StateDir
	return changed
}
