package sendmailcf

import (
	"fmt"
	"strings"

	"domain-secured/internal/finding"
)

// mcNames are what the options are called in sendmail.mc, with a place as an example.
var mcNames = []struct{ option, define, example string }{
	{serverCert, "confSERVER_CERT", "/etc/mail/tls/cert.pem"},
	{serverKey, "confSERVER_KEY", "/etc/mail/tls/key.pem"},
	{caCert, "confCACERT", "/etc/mail/tls/ca.pem"},
	{caPath, "confCACERT_PATH", "/etc/ssl/certs"},
}

// noTLS is what follows: Sendmail goes on without a word to anyone but its log.
const noTLS = "Sendmail offers no STARTTLS, and every listed message is refused as tls-not-used"

func (c *checker) tls() {
	for _, n := range mcNames {
		if c.s.option(n.option) == "" {
			c.put(finding.Error, n.option, fmt.Sprintf("define(`%s', `%s')dnl", n.define, n.example), "%s is not set: %s", n.option, noTLS)
		}
		for _, f := range c.s.TLS[n.option] {
			switch {
			case f.Hidden:
				c.put(finding.Warning, n.option, "", "%s could not be looked at: run this as root", f.Path)
			case f.Problem != "":
				c.put(finding.Error, n.option, "", "%s %s: %s: %s", n.option, f.Path, f.Problem, noTLS)
			}
		}
	}
	if c.s.KeyPair != "" {
		c.put(finding.Error, serverKey, "", "%s is not the key of %s: %s: %s", serverKey, serverCert, c.s.KeyPair, noTLS)
	}
	if strings.Contains(c.s.option("TLSSrvOptions"), "V") {
		c.put(finding.Error, "TLSSrvOptions", "define(`confTLS_SRV_OPTIONS', `')dnl", "with V no client is asked for its certificate, and every listed message is refused as certificate-missing")
	}
	for _, d := range c.s.Daemons {
		if strings.Contains(d.Modifiers, "S") {
			c.found = append(c.found, finding.Finding{
				Service: "daemon " + d.Name, Severity: finding.Error, Parameter: "DaemonPortOptions",
				Problem: "with the modifier S it offers no STARTTLS, and every listed message there is refused as tls-not-used",
			})
		}
	}
}

// crl: Sendmail's own list of the revoked. It is heeded where Sendmail's word is what counts; everywhere else
// domain-secured asks for itself.
func (c *checker) crl() {
	file := c.s.option("CRLFile")
	if file == "" {
		return
	}
	severity, whom := finding.Warning, "no partner here relies on it, since domain-secured asks for itself"
	if c.want.MTAEvidence {
		severity, whom = finding.Error, `partners with evidence = "mta" rely on it`
	}
	switch {
	case c.s.CRL.Problem != "":
		c.put(severity, "CRLFile", "", "CRLFile %s: %s: Sendmail goes on without it, and revoked certificates count as good; %s", file, c.s.CRL.Problem, whom)
	case c.s.CRL.Lists > 1:
		c.put(severity, "CRLFile", "", "CRLFile %s has %d lists, of which Sendmail reads the first; confCRL_PATH takes a folder of them; %s", file, c.s.CRL.Lists, whom)
	case c.want.MTAEvidence:
		c.put(finding.Warning, "CRLFile", "", "Sendmail reads %s when it starts, and not again: restart it with every new list; when the list has expired it trusts no certificate of that authority", file)
	}
}
