package postconf

import "strings"

// tls looks at what the partner's server meets before it can prove anything. asked says whether the service asks
// our policy door at all.
func (c *checker) tls(asked bool) {
	if level := c.p["smtpd_tls_security_level"]; level != "" && !levels[strings.ToLower(level)] {
		c.add(Error, "smtpd_tls_security_level", "smtpd stops with a fatal error, and no mail comes in, because "+quote(level)+" is no TLS level",
			[]setting{{"smtpd_tls_security_level", "may"}})
		return
	}
	if !c.tlsOn() {
		if asked && c.reentry() && c.own(levelCauses...) {
			if c.covered() {
				return
			}
			c.add(Warning, dataList, "listed mail that a filter hands back here has no TLS and is refused, unless a connector covers it",
				[]setting{{dataList, c.others(dataList)}}, levelCauses...)
			return
		}
		c.add(Error, "smtpd_tls_security_level", "Postfix offers no STARTTLS, so every listed message is refused",
			[]setting{{"smtpd_tls_security_level", "may"}}, levelCauses...)
	} else if kw := c.p["smtpd_discard_ehlo_keywords"]; hasWord(kw, "starttls") && !c.yes("smtpd_tls_wrappermode") {
		c.add(Error, "smtpd_discard_ehlo_keywords",
			"STARTTLS is not announced, so mail comes in without TLS and every listed message is refused",
			[]setting{{"smtpd_discard_ehlo_keywords", withoutWord(kw, "starttls")}}, "smtpd_tls_wrappermode")
	}
	c.certificates()
	c.clientCertificates()
	// Without our door nobody hears the fingerprint.
	if d := c.p["smtpd_tls_fingerprint_digest"]; c.door && !strings.EqualFold(d, "sha256") {
		problem := "Postfix reports the " + d + " fingerprint of a certificate, and only a SHA-256 can be looked up: every listed message is refused as certificate-not-reported"
		if c.p["relay_clientcerts"] != "" {
			problem += " (relay_clientcerts is compared by the same digest: change its entries too)"
		}
		c.add(Error, "smtpd_tls_fingerprint_digest", problem, []setting{{"smtpd_tls_fingerprint_digest", "sha256"}})
	}
	if c.yes("soft_bounce") {
		c.add(Warning, "soft_bounce",
			"Postfix turns every permanent refusal into a temporary one, so that a partner whose mail is refused for good keeps trying instead of telling its sender",
			[]setting{{"soft_bounce", "no"}})
	}
}

// tlsOn says whether smtpd(8) does TLS (postconf(5) smtpd_tls_security_level, and the two it replaces when it is
// empty).
func (c *checker) tlsOn() bool {
	if c.yes("smtpd_tls_wrappermode") {
		return true
	}
	switch level := strings.ToLower(c.p["smtpd_tls_security_level"]); level {
	case "":
		return c.yes("smtpd_use_tls") || c.yes("smtpd_enforce_tls")
	case "none":
		return false
	default:
		return true
	}
}

// tlsRequired says whether the service insists on TLS; only then does smtpd_tls_req_ccert do anything.
func (c *checker) tlsRequired() bool {
	level := strings.ToLower(c.p["smtpd_tls_security_level"])
	return c.yes("smtpd_tls_wrappermode") || level == "" && c.yes("smtpd_enforce_tls") || level != "" && level != "none" && level != "may"
}

// levels are the words smtpd_tls_security_level may have; those above encrypt count as encrypt.
var levels = set("none may encrypt dane dane-only half-dane half-dane-only fingerprint verify secure")

var levelCauses = []string{"smtpd_tls_security_level", "smtpd_tls_wrappermode", "smtpd_use_tls", "smtpd_enforce_tls"}

// certificates looks for our own (postconf(5) smtpd_tls_chain_files and the three before it).
func (c *checker) certificates() {
	names := []string{"smtpd_tls_chain_files", "smtpd_tls_cert_file", "smtpd_tls_eccert_file", "smtpd_tls_dcert_file"}
	for _, name := range names {
		if v := c.p[name]; v != "" && (name != "smtpd_tls_cert_file" || !strings.EqualFold(v, "none")) {
			return
		}
	}
	c.add(Error, "smtpd_tls_chain_files",
		"Postfix has no certificate of its own: it answers STARTTLS with 454, so every listed message is refused (the line names the files that its key and its certificate, with the intermediates, could have)",
		[]setting{{"smtpd_tls_chain_files", c.dir() + "/server.key, " + c.dir() + "/server.pem"}}, names...)
}

// dir is where Postfix's configuration is.
func (c *checker) dir() string {
	if d := c.p["config_directory"]; d != "" {
		return d
	}
	return "/etc/postfix"
}

// clientCertificates looks at whether a certificate is asked for (postconf(5) smtpd_tls_ask_ccert,
// smtpd_tls_req_ccert).
func (c *checker) clientCertificates() {
	ask := c.yes("smtpd_tls_ask_ccert")
	causes := append([]string{"smtpd_tls_ask_ccert", "smtpd_tls_req_ccert"}, levelCauses...)
	switch require := c.yes("smtpd_tls_req_ccert"); {
	case require && c.tlsRequired():
		if c.exempt() != "" {
			return // who comes in there is known
		}
		fix := []setting{{"smtpd_tls_req_ccert", "no"}}
		if !ask {
			fix = append(fix, setting{"smtpd_tls_ask_ccert", "yes"})
		}
		c.add(Warning, "smtpd_tls_req_ccert",
			"Postfix turns away every client without a certificate that it trusts itself, listed or not, before this daemon is asked",
			fix, causes...)
	case !ask && require:
		c.add(Error, "smtpd_tls_ask_ccert",
			"smtpd_tls_req_ccert does nothing unless TLS is required: no client is asked for its certificate, so every listed message is refused as certificate-missing",
			[]setting{{"smtpd_tls_ask_ccert", "yes"}}, causes...)
	case !ask:
		c.add(Error, "smtpd_tls_ask_ccert",
			"no client is asked for its certificate, so every listed message is refused as certificate-missing",
			[]setting{{"smtpd_tls_ask_ccert", "yes"}}, "smtpd_tls_req_ccert")
	}
}

func hasWord(list, word string) bool {
	for _, w := range split(list) {
		if strings.EqualFold(w, word) {
			return true
		}
	}
	return false
}

func withoutWord(list, word string) string {
	var rest []string
	for _, w := range split(list) {
		if !strings.EqualFold(w, word) {
			rest = append(rest, w)
		}
	}
	return strings.Join(rest, ", ")
}
