package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"domain-secured/policy"
)

// builder makes a Config of keys, and notes every problem on the way.
type builder struct {
	checker
	keys  *keys
	meta  toml.MetaData
	roots RootsReader
	read  map[string]*policy.Roots // those already read, by their names
	out   Config
}

func (b *builder) build() (*Config, error) {
	k, c := b.keys, &b.out
	c.File = b.file
	c.Hostname = b.hostName([]any{"hostname"}, k.Hostname)
	if k.StateDir == "" {
		b.bad([]any{"state_dir"}, "state_dir is empty")
	}
	c.StateDir = b.path(k.StateDir)
	c.Lists = Lists{Receive: b.list("receive", k.Lists.Receive), Send: b.list("send", k.Lists.Send)}
	b.doors()
	b.surroundings()
	b.rules()
	b.unknown() // last: decoding the partners marks their keys as known
	if err := b.err(); err != nil {
		return nil, err
	}
	c.Snapshot.Hostname = c.Hostname
	c.Warnings = c.ownWarnings
	return c, nil
}

// unknown notes the keys that mean nothing. The decoder's own word for it is not
// enough: it takes a key in another case for one that it knows.
func (b *builder) unknown() {
	var said []string
	for _, key := range b.meta.Keys() {
		name := key[len(key)-1]
		if isPartner := len(key) == 2 && key[0] == "partner"; isPartner || slices.Contains(knownBeside(key), name) {
			continue
		}
		// A table that is unknown is said to be, and not each key in it.
		if slices.ContainsFunc(said, func(s string) bool { return key.String() == s || strings.HasPrefix(key.String(), s+".") }) {
			continue
		}
		said = append(said, key.String())
		path := b.pathOf(key)
		b.bad(path, "unknown key %s%s", dotted(path), didYouMean(name, knownBeside(key)))
	}
}

// pathOf is the place of a key, as long as it will be said.
func (b *builder) pathOf(key toml.Key) []any {
	if len(b.problems) < maxProblems {
		return withIndex(b.text, key)
	}
	path := make([]any, len(key))
	for i, name := range key {
		path[i] = name
	}
	return path
}

// path makes a file name absolute: it is relative to the TOML file.
func (b *builder) path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(b.file), name)
}

func (b *builder) paths(names []string) []string {
	absolute := make([]string, len(names))
	for i, name := range names {
		absolute[i] = b.path(name)
	}
	return absolute
}

func (b *builder) list(key, name string) string {
	if name == "" {
		b.bad([]any{"lists", key}, "lists.%s is empty: name a file (an empty file is an empty list)", key)
	}
	return b.path(name)
}

func (b *builder) hostName(path []any, name string) string {
	if name == "" {
		return ""
	}
	checked, ok := policy.CheckName(name)
	if !ok || strings.HasPrefix(checked, "*") {
		b.bad(path, "%s = %q is not a host name", dotted(path), name)
	}
	return checked
}

// doors fills in where the doors listen.
func (b *builder) doors() {
	k := b.keys
	b.out.Milter = b.door("milter", k.Milter, doorKeys{})
	b.out.Policy = b.door("policy", k.Policy, k.Milter)
	b.out.TLSMap = b.door("tlsmap", k.TLSMap.doorKeys, k.Milter)
	b.out.HTTP = b.door("http", k.HTTP.doorKeys, k.Milter)
	if http := b.out.HTTP.Listen; !http.isLocal() && !k.HTTP.AllowRemote {
		b.bad([]any{"http", "listen"}, "http.listen = %q is reachable from other machines: set http.allow_remote = true if that is meant", k.HTTP.Listen)
	}
	b.out.AllowRemote = k.HTTP.AllowRemote
	b.out.TLSRPT = b.door("send", doorKeys{Listen: k.Send.TLSRPT}, k.Milter)
	if b.out.TLSRPT.Listen.Network == "tcp" {
		b.bad([]any{"send", "tlsrpt"}, "send.tlsrpt = %q: Postfix reports to a unix socket, \"unix:/path\"", k.Send.TLSRPT)
	}
	doors := []struct {
		name string
		Address
	}{
		{"milter", b.out.Milter.Listen}, {"policy", b.out.Policy.Listen},
		{"tlsmap", b.out.TLSMap.Listen}, {"http", b.out.HTTP.Listen},
		{"send", b.out.TLSRPT.Listen},
	}
	for i, door := range doors {
		for _, earlier := range doors[:i] {
			_, port, _ := net.SplitHostPort(door.Address.Address)
			if door.Address == earlier.Address && !door.IsZero() && port != "0" {
				set := door.name // the other may be a default
				if !b.meta.IsDefined(set, listenKey(set)) {
					set = earlier.name
				}
				b.bad([]any{set, listenKey(set)}, "%s.%s and %s.listen are the same: every door needs an address of its own",
					door.name, listenKey(door.name), earlier.name)
			}
		}
	}
	b.tlsmap()
}

// oldestPostfix knows all that is answered: tafile came with it.
const oldestPostfix = "2.11"

var postfixVersion = regexp.MustCompile(`^([0-9]{1,4})\.([0-9]{1,4})$`)

// tlsmap fills in what is about the TLS policy door alone.
func (b *builder) tlsmap() {
	k := b.keys.TLSMap
	switch m := postfixVersion.FindStringSubmatch(k.PostfixVersion); {
	case m == nil:
		b.bad([]any{"tlsmap", "postfix_version"}, "tlsmap.postfix_version = %q is not a version such as \"3.7\"", k.PostfixVersion)
	case len(m[1]) == 1 && (m[1] < "2" || m[1] == "2" && (len(m[2]) < 2 || m[2] < "11")):
		b.bad([]any{"tlsmap", "postfix_version"}, "tlsmap.postfix_version = %q is too old: %s is the first that can be told all there is to say", k.PostfixVersion, oldestPostfix)
	}
	b.out.PostfixVersion = k.PostfixVersion
	b.out.TAFileDir, b.out.QueueDirectory = b.path(k.TAFileDir), b.path(k.QueueDirectory)
	// postconf(5) smtp_tls_policy_maps: blanks and commas stand between attributes.
	if strings.ContainsAny(b.out.TAFileDir, " \t\r\n,") {
		b.bad([]any{"tlsmap", "tafile_dir"}, "tlsmap.tafile_dir = %q: Postfix cannot be told of a path with a blank or a comma in it", k.TAFileDir)
	}
}

// listenKey is the key that says where a door listens.
func listenKey(door string) string {
	if door == "send" {
		return "tlsrpt"
	}
	return "listen"
}

func (b *builder) door(name string, k, fallback doorKeys) Door {
	d := Door{Group: -1}
	var err error
	if d.Listen, err = parseAddress(k.Listen, b.path); err != nil {
		b.bad([]any{name, listenKey(name)}, "%s.%s = %q: %v", name, listenKey(name), k.Listen, err)
	}
	mode, group := k.UnixMode, k.UnixGroup
	if mode == nil {
		mode = fallback.UnixMode
	}
	if group == nil {
		group = fallback.UnixGroup
	}
	if mode == nil {
		mode = new(string)
		*mode = defaultUnixMode
	}
	bits, err := strconv.ParseUint(*mode, 8, 32)
	if (err != nil || bits > 0o777) && mode != fallback.UnixMode {
		b.bad([]any{name, "unix_mode"}, "%s.unix_mode = %q is not a mode such as \"0660\"", name, *mode)
	}
	d.Mode = uint32(bits)
	if group != nil && *group != "" {
		g, err := user.LookupGroup(*group)
		if err != nil && group == fallback.UnixGroup {
			return d // said of the table that it is from
		}
		if err != nil {
			b.bad([]any{name, "unix_group"}, "%s.unix_group = %q: there is no such group", name, *group)
			return d
		}
		d.Group, _ = strconv.Atoi(g.Gid)
	}
	return d
}

// surroundings fills in what is about DNS, fetching, our own certificates and
// the MTA's log.
func (b *builder) surroundings() {
	k, c := b.keys, &b.out
	c.Resolver, c.TrustAD = k.DNS.Resolver, k.DNS.TrustAD
	if c.Resolver != "" {
		host, port, err := net.SplitHostPort(c.Resolver)
		if _, notAddr := netip.ParseAddr(host); err != nil || notAddr != nil || !isPort(port) {
			b.bad([]any{"dns", "resolver"}, "dns.resolver = %q is not an address and port such as \"127.0.0.1:53\"", c.Resolver)
		}
	}
	c.ProbePort, c.AllowPrivate = k.Probe.Port, k.Probe.AllowPrivate
	if c.ProbePort < 1 || c.ProbePort > 65535 {
		b.bad([]any{"probe", "port"}, "probe.port = %d is not a port", c.ProbePort)
	}
	c.RevocationOrder = k.Revocation.Order
	for i, source := range c.RevocationOrder {
		path := []any{"revocation", "order"}
		oneOf(&b.checker, path, source, "crl", "ocsp")
		if slices.Contains(c.RevocationOrder[:i], source) {
			b.bad(path, "revocation.order names %q twice", source)
		}
	}
	if len(c.RevocationOrder) == 0 {
		b.bad([]any{"revocation", "order"}, `revocation.order is empty: nobody could be asked (defaults.revocation = "off" asks nobody, and lets mail pass)`)
	}
	c.Proxy, c.NoProxy, c.LDAPServer = k.Revocation.Proxy, k.Revocation.NoProxy, k.Revocation.LDAPServer
	if c.Proxy != "" {
		if u, err := url.Parse(c.Proxy); err != nil || u.Scheme != "http" || u.Host == "" {
			b.bad([]any{"revocation", "proxy"}, "revocation.proxy = %q is not http://host:port", c.Proxy)
		}
	}
	c.CRLFiles = b.paths(k.Revocation.CRLFiles)
	c.RevocationGrace = b.duration([]any{"revocation", "grace"}, k.Revocation.Grace)
	c.OwnCertificates = b.paths(k.Own.Certificates)
	b.present([]any{"revocation", "crl_files"}, c.CRLFiles)
	c.Maillog = k.Send.Maillog
	if c.Maillog != "journal" {
		c.Maillog = b.path(c.Maillog)
	}
}

// present makes sure that files are there.
func (b *builder) present(path []any, files []string) {
	for _, file := range files {
		if _, err := os.Stat(file); err != nil {
			b.bad(path, "%s: %v", dotted(path), err)
		}
	}
}

// duration reads "24h", "90m"; "" is 0.
func (c *checker) duration(path []any, s string) time.Duration {
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		c.bad(path, "%s = %q is not a duration such as \"24h\" or \"90m\"", dotted(path), s)
		return 0
	}
	return d
}

func (b *builder) warn(format string, args ...any) {
	b.out.ownWarnings = append(b.out.ownWarnings, fmt.Sprintf(format, args...))
}
