package postconf

import (
	"net/netip"
	"strings"
)

// exempt says why mail that comes in through the current service may go unjudged on purpose, or "".
func (c *checker) exempt() string {
	switch {
	case c.p["smtpd_upstream_proxy_protocol"] != "":
		return "" // a proxy brings the outside to wherever it listens
	case c.reentry():
		return "only this machine reaches it, as where a filter hands mail back"
	case c.loginOnly():
		return "it takes mail only from clients that log in or are in mynetworks"
	}
	return ""
}

// reentry says whether only this machine reaches the service.
func (c *checker) reentry() bool {
	if c.svc.Type == "unix" {
		return true
	}
	i := strings.LastIndexByte(c.svc.Name, ':')
	if c.svc.Type != "inet" || i < 0 {
		return false
	}
	host := strings.Trim(c.svc.Name[:i], "[]")
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()
}

// loginOnly says whether a list that every recipient is checked against turns away whoever has not logged in and is
// not in mynetworks: what the examples in master.cf do for submission.
func (c *checker) loginOnly() bool {
	if !c.yes("smtpd_sasl_auth_enable") {
		return false
	}
	for _, list := range []string{"smtpd_client_restrictions", "smtpd_relay_restrictions", "smtpd_recipient_restrictions"} {
		login := false
	walk:
		for _, s := range steps(c.p, list) {
			switch {
			case s.name == "permit_sasl_authenticated":
				login = true
			case s.name == "permit_mynetworks", s.name == "permit_inet_interfaces", s.kind == harmless:
			case s.kind == refuses && login:
				return true
			default:
				break walk
			}
		}
	}
	return false
}
