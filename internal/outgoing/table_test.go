package outgoing_test

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/pki"
)

// row is a partner, what its server shows, and what becomes of mail to it.
type row struct {
	domain   string
	unlisted bool
	partner  string // lines of its table

	host string // of the MX record; mail1 below the domain if it is empty
	by   func(*site) *pki.CA
	leaf pki.LeafOptions
	self bool // signed by itself
	none bool // no STARTTLS
	sni  bool // it shows something else to who names no host
	tls  uint16

	status   string // of Postfix
	said     string // by Postfix, behind the status
	sendmail string // why it waits there, "" if it does not
	logged   string // by the daemon, in the line about the domain
}

func byRoot(s *site) *pki.CA     { return s.root }
func byIssuing(s *site) *pki.CA  { return s.issuing }
func byOther(s *site) *pki.CA    { return s.other }
func byStranger(s *site) *pki.CA { return s.stranger }

func names(names ...string) pki.LeafOptions { return pki.LeafOptions{DNSNames: names} }

const (
	// Behind "delivery temporarily suspended: " if another message was there first.
	unverified = "Server certificate not verified)"
	noPolicy   = "client TLS configuration problem)"
	vetted     = `revocation = "require"`

	otherName   = "the certificate has another name"
	notTrusted  = "the certificate is not trusted"
	noneShown   = "the server shows no certificate"
	notExpected = "certificate-not-expected"
	rootsUnsaid = "roots-need-send_verify-vetted"
)

// listedName is what the issuing authority publishes its revocations for.
func (s *site) listedName(names ...string) pki.LeafOptions {
	return pki.LeafOptions{DNSNames: names, CRL: []string{s.lists + "/issuing.crl"}}
}

// table is made for a site: some of it hangs on what that has made.
func (s *site) table() []row {
	revoked := s.listedName("mail1.revoked.example")
	revoked.Serial = revokedSerial
	unpublished := pki.LeafOptions{DNSNames: []string{"mail1.unknown.example"}, CRL: []string{s.lists + "/none.crl"}}
	past := func(name string) pki.LeafOptions {
		return pki.LeafOptions{DNSNames: []string{name}, NotBefore: time.Now().Add(-72 * time.Hour), NotAfter: time.Now().Add(-48 * time.Hour)}
	}
	return []row{
		// By names.
		{domain: "good.example", leaf: names("mail1.good.example"), status: "sent", logged: "verify=names"},
		{domain: "bare.example", leaf: names("bare.example"), status: "sent"},
		{domain: "wild.example", leaf: names("*.wild.example"), status: "sent"},
		{domain: "deepwild.example", host: "mail1.us.deepwild.example", leaf: names("*.deepwild.example"), status: "sent", logged: "mail.deepwild.example"},
		{domain: "cn.example", leaf: pki.LeafOptions{CommonNames: []string{"mail1.cn.example"}}, status: "sent"},
		{domain: "onename.example", host: "mail2.mail.onename.example", leaf: names("mail.onename.example"), status: "sent", logged: "mail.onename.example"},
		{domain: "mail.below.example", leaf: names("*.below.example"), status: "sent"},
		{domain: "deep.example", host: "mail1.us.deep.example", leaf: names("mail1.us.deep.example"), status: "deferred", said: unverified, sendmail: otherName, logged: "doubt=mx-outside-domain"},
		{domain: "wrong.example", leaf: names("mail1.other.example"), status: "deferred", said: unverified, sendmail: otherName, logged: "doubt=certificate-not-trusted"},
		{domain: "ignoredcn.example", leaf: pki.LeafOptions{CommonNames: []string{"mail1.ignoredcn.example"}, DNSNames: []string{"x.other.example"}}, status: "deferred", said: unverified},
		{domain: "self.example", self: true, leaf: names("mail1.self.example"), status: "deferred", said: unverified, sendmail: notTrusted},
		{domain: "stranger.example", by: byStranger, leaf: names("mail1.stranger.example"), status: "deferred", said: unverified, sendmail: notTrusted},
		{domain: "expired.example", leaf: past("mail1.expired.example"), status: "deferred", said: unverified, sendmail: notTrusted},
		{domain: "plain.example", none: true, status: "deferred", said: "(TLS is required, but was not offered by host mail1.plain.example", sendmail: noneShown, logged: "doubt=no-starttls"},
		{domain: "hosted.example", host: "mx.provider.example", leaf: names("mx.provider.example"), status: "deferred", said: unverified, sendmail: otherName, logged: "doubt=mx-outside-domain"},
		{domain: "provider.example", partner: `names = ["mx.hoster.example"]`, host: "mx.hoster.example", leaf: names("mx.hoster.example"), status: "sent"},
		{domain: "wildprovider.example", partner: `names = ["*.wildhoster.example"]`, host: "mx.wildhoster.example", leaf: names("*.wildhoster.example"), status: "sent"},
		{domain: "strict.example", partner: `name_match = "strict"`, leaf: names("strict.example"), status: "sent"},
		{domain: "strictwild.example", partner: `name_match = "strict"`, leaf: names("mail1.strictwild.example", "*.strictwild.example"), status: "deferred", said: unverified, sendmail: otherName},
		{domain: "own.example", partner: `roots = ["other.pem"]`, by: byOther, leaf: names("mail1.own.example"), status: "sent", sendmail: rootsUnsaid},
		{domain: "notown.example", partner: `roots = ["other.pem"]`, leaf: names("mail1.notown.example"), status: "deferred", said: unverified, sendmail: rootsUnsaid},
		{domain: "both.example", partner: `roots = ["system", "other.pem"]`, by: byOther, leaf: names("mail1.both.example"), status: "sent", sendmail: rootsUnsaid},
		{domain: "old.example", partner: `min_tls = "TLSv1.3"`, tls: tls.VersionTLS12, leaf: names("mail1.old.example"), status: "deferred", said: "(Cannot start TLS: handshake failure)", sendmail: "tls-too-weak"},
		{domain: "weak.example", partner: `min_bits = 256`, tls: tls.VersionTLS12, leaf: names("mail1.weak.example"), status: "sent", sendmail: "the cipher is too weak"},
		{domain: "byhost.example", unlisted: true, leaf: names("byhost.example"), status: "deferred", said: unverified},
		{domain: "mail1.byhost.example", host: "-"},

		// By certificates that were judged here.
		{domain: "vetted.example", partner: vetted, by: byIssuing, leaf: s.listedName("mail1.vetted.example"), status: "sent", logged: "verify=vetted"},
		{domain: "vettedtwo.example", partner: `send_verify = "vetted"`, leaf: names("mail1.vettedtwo.example"), status: "sent"},
		{domain: "vettedsni.example", partner: `send_verify = "vetted"`, leaf: names("mail1.vettedsni.example"), sni: true, status: "sent", sendmail: notExpected},
		{domain: "vettedown.example", partner: "send_verify = \"vetted\"\nroots = [\"other.pem\"]", by: byOther, leaf: names("mail1.vettedown.example"), status: "sent"},
		{domain: "revoked.example", partner: vetted, by: byIssuing, leaf: revoked, status: "deferred", said: noPolicy, sendmail: "certificate-revoked", logged: "reason=certificate-revoked"},
		{domain: "unknown.example", partner: vetted, by: byIssuing, leaf: unpublished, status: "deferred", said: noPolicy, sendmail: "revocation-unknown", logged: "reason=revocation-unknown"},
		{domain: "nosource.example", partner: vetted, leaf: names("mail1.nosource.example"), status: "deferred", said: noPolicy, sendmail: "revocation-unavailable", logged: "reason=revocation-unavailable"},
		{domain: "vself.example", partner: vetted, self: true, leaf: names("mail1.vself.example"), status: "deferred", said: noPolicy, sendmail: "certificate-not-trusted", logged: "reason=certificate-not-trusted"},
		{domain: "vwrong.example", partner: vetted, by: byIssuing, leaf: s.listedName("mail1.other.example"), status: "deferred", said: noPolicy, sendmail: "certificate-host-mismatch", logged: "reason=certificate-host-mismatch"},
		{domain: "vexpired.example", partner: vetted, leaf: past("mail1.vexpired.example"), status: "deferred", said: noPolicy, sendmail: "certificate-expired", logged: "reason=certificate-expired"},
		{domain: "vplain.example", partner: vetted, none: true, status: "deferred", said: noPolicy, sendmail: "no-starttls", logged: "reason=no-starttls"},
		{domain: "vhosted.example", partner: vetted, host: "mx.vprovider.example", by: byIssuing, leaf: s.listedName("mx.vprovider.example"), status: "deferred", said: noPolicy, sendmail: "certificate-host-mismatch", logged: "reason=certificate-host-mismatch"},

		// More of them is below.
		{domain: "covered.example", partner: "subdomains = true", leaf: names("mail1.covered.example"), status: "sent"},
		{domain: "xn--mnchen-3ya.example", self: true, leaf: names("mail1.xn--mnchen-3ya.example"), status: "deferred", said: unverified, sendmail: notTrusted},
		{domain: "many.example", partner: "subdomains = true\nsend_verify = \"vetted\"", leaf: names("mail1.many.example"), status: "sent"},

		// Not held to anything.
		{domain: "testing.example", partner: `mode = "testing"`, self: true, leaf: names("x.example"), status: "sent", logged: "testing: mail leaves without"},
		{domain: "off.example", partner: `mode = "off"`, self: true, leaf: names("x.example"), status: "sent"},
		{domain: "others.example", unlisted: true, self: true, leaf: names("x.example"), status: "sent"},
		{domain: "plainothers.example", unlisted: true, none: true, status: "sent"},
	}
}

// pinned are partners whose tables name what their servers show.
func (s *site) pinned(t *testing.T) (rows []row, tables string) {
	for _, domain := range []string{"pin.example", "keypin.example", "otherpin.example"} {
		c, err := pki.SelfSigned(names("whatever.example"))
		if err != nil {
			t.Fatal(err)
		}
		r := row{domain: domain, status: "sent", logged: "verify=pins"}
		pin := c.Fingerprint()
		switch domain {
		case "keypin.example":
			pin = c.KeyFingerprint()
			r.sendmail = notExpected // Sendmail tells no key
		case "otherpin.example":
			pin = strings.Repeat("0A:", 31) + "0A"
			r.status, r.said, r.sendmail = "deferred", unverified, notExpected
		}
		s.records(t, "%s MX 10 mail1.%[1]s\nmail1.%[1]s A %s\n", domain, s.serve(t, domain, mta.FakeOptions{Common: mta.Common{Certificate: c}}))
		rows = append(rows, r)
		tables += fmt.Sprintf("[partner.%q]\ntrust = \"pins\"\npins = [%q]\n", domain, pin)
	}
	return rows, tables
}

// populate starts the servers of the table.
func (s *site) populate(t *testing.T) {
	t.Helper()
	for _, r := range s.table() {
		if r.host == "-" {
			continue
		}
		host := r.host
		if host == "" {
			host = "mail1." + r.domain
		}
		o := mta.FakeOptions{MaxTLS: r.tls}
		var err error
		switch {
		case r.none:
		case r.self:
			o.Certificate, err = pki.SelfSigned(r.leaf)
		default:
			if r.by == nil {
				r.by = byRoot
			}
			o.Certificate, err = r.by(s).Leaf(r.leaf)
		}
		if r.sni && err == nil {
			o.Nameless, err = pki.SelfSigned(r.leaf)
		}
		if err != nil {
			t.Fatal(err)
		}
		s.records(t, "%s MX 10 %s\n%[2]s A %s\n", r.domain, host, s.serve(t, r.domain, o))
	}
	var tables string
	s.pins, tables = s.pinned(t)
	s.partners = tables
}

// settings are the configuration of all rows.
func (s *site) settings() string {
	text := fmt.Sprintf(`hostname = "mx1.contoso.com"
state_dir = "state"
[milter]
listen = ""
[policy]
listen = ""
[tlsmap]
tafile_dir = %q
queue_directory = %q
[http]
listen = ""
[dns]
resolver = "127.0.0.53:53"
[probe]
allow_private = true
[defaults]
revocation = "off"
`, s.path("postfix/queue/roots"), s.path("postfix/queue"))
	for _, r := range s.table() {
		if r.partner != "" {
			text += fmt.Sprintf("[partner.%q]\n%s\n", r.domain, r.partner)
		}
	}
	return text + s.partners
}

func (s *site) listed() string {
	text := ""
	for _, r := range slices.Concat(s.table(), s.pins) {
		if !r.unlisted {
			text += r.domain + "\n"
		}
	}
	return text + s.more
}

// rows are those with a server: of the table, and those of pins.
func (s *site) rows() []row {
	return slices.DeleteFunc(slices.Concat(s.table(), s.pins), func(r row) bool { return r.host == "-" })
}

// testTable sends a message to everyone.
func testTable(t *testing.T, s *site) {
	rows := slices.Concat(s.table(), s.pins)
	ids := make([]string, len(rows))
	for i, r := range rows {
		if r.host != "-" {
			ids[i] = s.send(t, "alice@contoso.com", "bob@"+r.domain)
		}
	}
	for i, r := range rows {
		if r.host == "-" {
			continue
		}
		further := sent // be the look that comes before it ever so slow
		if r.status != "sent" {
			further = nil
		}
		line := s.outcome(t, ids[i], "bob@"+r.domain, further)
		if !strings.Contains(line, " status="+r.status+" ") || !strings.Contains(line, r.said) {
			t.Errorf("%s: want %s %s: %s", r.domain, r.status, r.said, line)
		}
		if messages, _ := s.servers[r.domain].Messages(); r.status != "sent" && len(messages) > 0 {
			t.Errorf("%s: a message arrived", r.domain)
		}
		if r.logged != "" {
			s.logged(t, 0, "domain="+r.domain+" ", r.logged)
		}
	}
	if !s.isChrooted() {
		t.Error("no smtp(8) is chrooted: nothing is known of files as it sees them")
	}
	// What is sent by insistence is over TLS, and presents our certificate.
	if log := s.postfix.Log(); !strings.Contains(log, "Verified TLS connection established to mail1.good.example") ||
		!strings.Contains(log, "Verified TLS connection established to mail1.vetted.example") || !strings.Contains(log, "client-signature ECDSA") {
		t.Error("no verified connection, or none with a client certificate, in the log")
	}
}
