package fetch

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"unicode/utf8"
)

// ldapServer is who is asked.
type ldapServer struct {
	address string // host:port
	host    string // that TLS is for; empty without TLS
}

// ldapTarget is what an LDAP URL (RFC 4516) asks for.
type ldapTarget struct {
	server     *ldapServer // nil: whoever is configured
	dn         string
	attributes []string // to try, in order
}

// crlAttributes are where a directory keeps CRLs. Their values must be asked for
// in binary (RFC 4523 section 2.5 and following).
var crlAttributes = []string{"certificateRevocationList;binary", "authorityRevocationList;binary", "deltaRevocationList;binary"}

// parseLDAP reads an ldap or ldaps URL. A filter is passed over: one entry is
// asked for, and whether it is the right one shows when its CRL is checked. Active
// Directory's filters have no parentheses, against the RFC.
func parseLDAP(u *url.URL) (*ldapTarget, error) {
	if u.User != nil || u.Opaque != "" || u.Fragment != "" {
		return nil, unsupportedLDAP("it is not of the form ldap://host/dn?attribute")
	}
	t := &ldapTarget{dn: strings.TrimPrefix(u.Path, "/"), attributes: crlAttributes}
	if u.Host != "" {
		t.server = newLDAPServer(u)
		if t.server == nil {
			return nil, unsupportedLDAP("its host or port is none")
		}
	}
	if t.dn == "" || !utf8.ValidString(t.dn) {
		return nil, unsupportedLDAP("it names no entry")
	}
	parts := strings.Split(u.RawQuery, "?") // attributes, scope, filter, extensions
	if len(parts) > 4 {
		return nil, unsupportedLDAP("it has too many parts")
	}
	parts = append(parts, "", "", "")
	if parts[0] != "" {
		attribute, err := url.PathUnescape(parts[0])
		if err != nil || !isAttribute(attribute) {
			return nil, unsupportedLDAP("it asks for something else than one attribute")
		}
		if !hasBinary(attribute) {
			attribute += ";binary"
		}
		t.attributes = []string{attribute}
	}
	if scope := parts[1]; scope != "" && !strings.EqualFold(scope, "base") {
		return nil, unsupportedLDAP("its scope is not base")
	}
	for extension := range strings.SplitSeq(parts[3], ",") {
		if strings.HasPrefix(extension, "!") { // critical, RFC 4516 section 2
			return nil, unsupportedLDAP("it has a critical extension")
		}
	}
	return t, nil
}

func unsupportedLDAP(what string) error { return &trouble{ErrUnsupported, "as an LDAP URL: " + what} }

// newLDAPServer returns the server of an ldap or ldaps URL, nil if there is none.
func newLDAPServer(u *url.URL) *ldapServer {
	host, port := u.Hostname(), u.Port()
	if host == "" || strings.HasSuffix(u.Host, ":") || strings.ContainsAny(host, "[]") {
		return nil
	}
	s := &ldapServer{}
	standard := "389"
	if u.Scheme == "ldaps" {
		s.host, standard = strings.TrimSuffix(host, "."), "636"
	}
	if port == "" {
		port = standard
	}
	s.address = net.JoinHostPort(host, port)
	return s
}

// parseLDAPServer reads the option of that name.
func parseLDAPServer(option string) (*ldapServer, error) {
	if option == "" {
		return nil, nil
	}
	text := option
	if !strings.Contains(text, "://") {
		text = "ldap://" + text
	}
	u, err := url.Parse(text)
	if err == nil && (u.Scheme == "ldap" || u.Scheme == "ldaps") && u.User == nil && strings.Trim(u.Path, "/")+u.RawQuery+u.Fragment == "" {
		if s := newLDAPServer(u); s != nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("ldap_server: %s is not host, host:port, ldap://host:port or ldaps://host:port", clip(option))
}

// isAttribute reports whether s is an attribute description (RFC 4512 section 2.5).
func isAttribute(s string) bool {
	for option := range strings.SplitSeq(s, ";") {
		if option == "" || strings.Trim(strings.ToLower(option), "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
			return false
		}
	}
	return len(s) <= 128
}

func hasBinary(attribute string) bool {
	_, options, _ := strings.Cut(attribute, ";")
	for option := range strings.SplitSeq(options, ";") {
		if strings.EqualFold(option, "binary") {
			return true
		}
	}
	return false
}
