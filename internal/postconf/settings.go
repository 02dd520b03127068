// Package postconf reads a live Postfix's settings with postconf(1) and finds what would let listed mail
// through unjudged, defer it for no reason, or leave a forged Domain-Secured header in place.
//
// Read asks postconf, and changes nothing; Check is pure. What Check claims about Postfix is tried on a real
// one in the tests of this package; the doc comments name the page of the Postfix manual it comes from.
package postconf

import (
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"
)

// Params holds parameters by name, as "postconf -x" prints them: every $name expanded, nothing left to resolve.
type Params map[string]string

// Settings is what a Postfix was configured with when Read looked.
type Settings struct {
	Dir            string            // the configuration directory asked for; "" is Postfix's own
	Version        string            // postconf(5) mail_version
	QueueDirectory string            // postconf(5) queue_directory; where a chrooted smtpd(8) is locked in
	Main           Params            // all of main.cf, defaults included
	Services       []Service         // the entries of master.cf that run smtpd(8)
	Pickup         []Service         // those that run pickup(8): what sendmail(1) left
	Cleanup        []Service         // those that run cleanup(8), which calls the milters for it
	Delivery       []Service         // those that run smtp(8) or lmtp(8), which deliver
	Transports     Params            // the program of each transport: "smtp" of "relay"
	Tables         map[string]*Table // what tables have about the send list; see LookUp
	At             time.Time
	Addresses      []netip.Addr // this machine's own
	Warnings       []string     // what postconf itself complained about, without its prefix
}

// Service is one entry of master.cf (master(5)).
type Service struct {
	Name, Type string              // "smtp", "inet"; "127.0.0.1:10025", "inet"; "smtpd", "pass"
	Chroot     bool                // the chroot column, its default filled in
	Overrides  Params              // -o name=value as written (postconf -P)
	Params     Params              // what main.cf means with these overrides applied
	Entry      string              // the whole entry on one line (postconf -M)
	Client     []ClientCertificate // of smtp(8), one for each kind of key at most

	trust []trustFile // see OpenTrustFiles
}

// String is the service as master.cf starts its line: "smtp inet".
func (s *Service) String() string { return s.Name + " " + s.Type }

// parseParams reads the lines "name = value" of "postconf -x".
func parseParams(out string) Params {
	p := make(Params)
	for line := range strings.Lines(out) {
		name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "=")
		if ok {
			p[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return p
}

// parseMaster joins the entries of "postconf -M" that run daemon with their overrides from "postconf -P".
// parseTransports reads the programs of the entries of "postconf -M" that a transport can name (master(5)).
func parseTransports(entries string) Params {
	p := make(Params)
	for line := range strings.Lines(entries) {
		if f := strings.Fields(line); len(f) >= 8 && f[1] == "unix" {
			p[f[0]] = path.Base(f[7])
		}
	}
	return p
}

// chrootDefault is what "-" in the chroot column means.
func parseMaster(daemon, entries, overrides string, chrootDefault bool) []Service {
	var services []Service
	for line := range strings.Lines(entries) {
		line = strings.TrimRight(line, " \r\n")
		f := strings.Fields(line)
		if len(f) < 8 || path.Base(f[7]) != daemon {
			continue
		}
		s := Service{Name: f[0], Type: f[1], Chroot: chrootDefault, Overrides: Params{}, Entry: line}
		if f[4] != "-" {
			s.Chroot = strings.EqualFold(f[4], "y")
		}
		// A service name may hold slashes, so the prefix is compared whole.
		prefix := s.Name + "/" + s.Type + "/"
		for o := range strings.Lines(overrides) {
			if rest, ok := strings.CutPrefix(o, prefix); ok {
				if name, value, ok := strings.Cut(strings.TrimRight(rest, "\r\n"), "="); ok {
					s.Overrides[strings.TrimSpace(name)] = strings.TrimSpace(value)
				}
			}
		}
		services = append(services, s)
	}
	return services
}

// chrootDefault is what "-" in the chroot column stands for: n, but still y below compatibility_level 1
// (COMPATIBILITY_README, "chroot=y").
func chrootDefault(main Params) bool {
	major, _, _ := strings.Cut(main["compatibility_level"], ".")
	n, err := strconv.Atoi(strings.TrimSpace(major))
	return err == nil && n < 1
}

// withoutChroot is the entry with its chroot column set to n, its other columns kept.
func (s *Service) withoutChroot() string {
	f := strings.Fields(s.Entry)
	if len(f) < 8 {
		return ""
	}
	// What follows the seven columns is kept byte for byte: it may hold -o { ... } with spaces in it.
	rest := s.Entry
	for range 7 {
		rest = strings.TrimLeft(rest, " \t")
		rest = rest[strings.IndexAny(rest, " \t"):]
	}
	return strings.Join([]string{f[0], f[1], f[2], f[3], "n", f[5], f[6], strings.TrimLeft(rest, " \t")}, " ")
}
