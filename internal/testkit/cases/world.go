package cases

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"domain-secured/internal/testkit/pki"
)

// A Kind names a certificate of the world; the empty one is no certificate.
type Kind string

// The certificates a sending server may present.
const (
	Good          Kind = "good"
	NeverImported Kind = "never-imported"
	SelfSigned    Kind = "self-signed"
	Expired       Kind = "expired"
	WrongName     Kind = "wrong-name"
	TwoDeep       Kind = "two-nodes-deep"
	ServerOnly    Kind = "server-only"
	Pinned        Kind = "pinned"
	Revoked       Kind = "revoked"
	Unpublished   Kind = "unpublished" // its revocation list cannot be had
)

// A World is what the cases live in: the bank's authority, everybody's certificates, and the settings of
// contoso.com, which receives. It must be closed.
type World struct {
	*Authority
	Server       *pki.Certificate // of contoso.com's mail server
	Certificates map[Kind]*pki.Certificate
}

// NewWorld makes all certificates.
func NewWorld() (w *World, err error) {
	authority, err := NewAuthority("Woodgrove Bank")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			authority.Close()
		}
	}()
	server, err := pki.SelfSigned(pki.LeafOptions{CommonNames: []string{Hostname}, DNSNames: []string{Hostname}})
	if err != nil {
		return nil, err
	}
	w = &World{Authority: authority, Server: server, Certificates: map[Kind]*pki.Certificate{}}

	const host = "mail1.woodgrovebank.com"
	for _, c := range []struct {
		kind Kind
		sign func(pki.LeafOptions) (*pki.Certificate, error)
		name string
		more pki.LeafOptions
	}{
		{Good, authority.Issue, host, pki.LeafOptions{}},
		{NeverImported, authority.Issue, host, pki.LeafOptions{}},
		{SelfSigned, pki.SelfSigned, host, pki.LeafOptions{}},
		{Expired, authority.Issue, host, pki.LeafOptions{NotBefore: time.Now().AddDate(0, -1, 0), NotAfter: time.Now().AddDate(0, 0, -1)}},
		{WrongName, authority.Issue, "mail1.northwindtraders.com", pki.LeafOptions{}},
		{TwoDeep, authority.Issue, "mail1.us.woodgrovebank.com", pki.LeafOptions{}},
		{ServerOnly, authority.Issue, host, pki.LeafOptions{Usage: pki.UsageServer}},
		{Revoked, authority.Issue, host, pki.LeafOptions{}},
		{Unpublished, authority.issueEarly, host, pki.LeafOptions{}},
		{Pinned, pki.SelfSigned, "mail.tailspintoys.com", pki.LeafOptions{}},
	} {
		c.more.CommonNames, c.more.DNSNames = []string{c.name}, []string{c.name}
		if w.Certificates[c.kind], err = c.sign(c.more); err != nil {
			return nil, err
		}
	}
	authority.Revoke(w.Certificates[Revoked])
	return w, nil
}

// Imported returns the kinds that contoso.com's administrator has imported, sorted.
func (w *World) Imported() []Kind {
	var kinds []Kind
	for kind := range w.Certificates {
		// What is pinned need not be known, and one is to be met that is not known.
		if kind != NeverImported && kind != Pinned {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// fingerprint is a certificate's SHA-256 as the configuration and the stamp write it.
func (w *World) fingerprint(kind Kind) string {
	return "sha256:" + strings.ToLower(strings.ReplaceAll(w.Certificates[kind].Fingerprint(), ":", ""))
}

// Hostname is contoso.com's mail server, whose name begins its stamps.
const Hostname = "mx1.contoso.com"

// Stamp returns the whole value of the stamp that a case's message must have, "" for none.
func (w *World) Stamp(c Case) string {
	if c.Stamp == "" {
		return ""
	}
	revocation := ""
	if strings.HasPrefix(c.Stamp, "auth=chain") { // a pin needs none
		revocation = "revocation=crl; "
	}
	return fmt.Sprintf("%s; domain=%s; %s;\n  fingerprint=%s; %stls=TLSv1.3; client=127.0.0.1",
		Hostname, domain(c.Sender), c.Stamp, w.fingerprint(c.Certificate), revocation)
}

// rootFile is where the configuration expects the bank's root.
const rootFile = "woodgrovebank-root.pem"

// Files returns contoso.com's configuration, by file name: domain-secured.toml, the lists, and what they name.
// milter and policy are where the two listen, "unix:/path" or "inet:host:port"; the state is kept in "state"
// beside the files.
func (w *World) Files(milter, policy string) map[string][]byte {
	pin := w.fingerprint(Pinned)
	return map[string][]byte{
		"domain-secured.toml": fmt.Appendf(nil, configuration, milter, policy, rootFile, pin),
		"receive.list":        []byte("# mail from these domains must be proven\nwoodgrovebank.com\ntailspintoys.com\nlitwareinc.com\n"),
		"send.list":           nil,
		rootFile:              w.Root.PEM(),
	}
}

const configuration = `hostname = "mx1.contoso.com"
state_dir = "state"

[lists]
receive = "receive.list"
send = "send.list"

[milter]
listen = %q
unix_mode = "0666" # Postfix's user must get at both sockets

[policy]
listen = %q

[tlsmap]
listen = ""

[http]
listen = "unix:http.sock"

[dns]
resolver = "127.0.0.1:1" # nobody answers

[probe]
port = 1 # nobody answers
allow_private = true # the authority publishes its lists on loopback

[defaults]
contact = "postmaster@contoso.com"

[[connector]]
name = "local" # what programs on this machine hand in by sendmail(1)
client_addresses = ["127.0.0.1"]
ports = [0]
treat = "off"

[partner."woodgrovebank.com"]
roots = [%q]

[partner."tailspintoys.com"]
trust = "pins"
pins = [%[4]q]

[partner."litwareinc.com"]
mode = "testing"
pins = [%[4]q] # besides, not instead of, chains
`
