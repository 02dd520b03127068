package milter

import (
	"net/netip"
	"strings"

	"domain-secured/milter/wire"
)

// Macros that are asked for, by the stage at which MTAs have them. TLS is asked
// for at MAIL as well: a client may send MAIL after STARTTLS without another
// EHLO, and then there is no second HELO stage. {ds_altname} is ours, and set by
// the ruleset of contrib/sendmail/altnames.mc. Sendmail heeds the list for EOM
// only if there is one for EOH (libmilter, SMFIM_EOH). At RCPT nothing is needed,
// and an empty list would mean the configuration's.
const (
	tlsMacros = "{tls_version} {cipher} {cipher_bits} {verify} {cert_subject} {cert_issuer} {cn_subject} {cn_issuer} {cert_fp} {cert_md5}"

	connectMacros = "j v {daemon_name} {daemon_port}"
	mailMacros    = "i {mail_addr} {ds_altname} " + tlsMacros
	queueMacros   = "i"
)

var macroLists = []wire.MacroList{
	{Stage: wire.StageConnect, Names: connectMacros},
	{Stage: wire.StageHelo, Names: tlsMacros},
	{Stage: wire.StageMail, Names: mailMacros},
	{Stage: wire.StageRcpt, Names: queueMacros},
	{Stage: wire.StageData, Names: queueMacros},
	{Stage: wire.StageEOM, Names: queueMacros},
	{Stage: wire.StageEOH, Names: queueMacros},
}

// stage holds the macros that came before a command.
type stage struct {
	macros string // as they came
	fresh  bool   // for the command that is still to come
}

// replace takes the macros of a packet in place of those there were.
func (s *stage) replace(macros []byte) {
	if s.macros != string(macros) {
		s.macros = string(macros)
	}
	s.fresh = true
}

// begin is told of the command: macros that did not come with it are those of
// an earlier one.
func (s *stage) begin() {
	if !s.fresh {
		s.macros = ""
	}
	s.fresh = false
}

// values are macros, each the latest that came. A field is "" for one that did
// not; of two it matters whether they were sent at all.
type values struct {
	j, v, daemonName, daemonPort string
	i, mailAddr                  string

	tlsVersion, cipher, cipherBits  string
	verify, certSubject, certIssuer string
	cnSubject, cnIssuer             string
	certFP, certMD5, altName        string
	hasVerify, hasIssuer            bool
}

func (m *values) add(s *stage) {
	for name, value := range wire.Macros(s.macros) {
		switch name {
		case "j":
			m.j = value
		case "v":
			m.v = value
		case "daemon_name":
			m.daemonName = value
		case "daemon_port":
			m.daemonPort = value
		case "i":
			m.i = value
		case "mail_addr":
			m.mailAddr = value
		case "tls_version":
			m.tlsVersion = value
		case "cipher":
			m.cipher = value
		case "cipher_bits":
			m.cipherBits = value
		case "verify":
			m.verify, m.hasVerify = value, true
		case "cert_subject":
			m.certSubject = value
		case "cert_issuer":
			m.certIssuer, m.hasIssuer = value, true
		case "cn_subject":
			m.cnSubject = value
		case "cn_issuer":
			m.cnIssuer = value
		case "cert_fp":
			m.certFP = value
		case "cert_md5":
			m.certMD5 = value
		case "ds_altname":
			m.altName = value
		}
	}
}

// address reads the peer of a connect packet. What is no address of the Internet
// is the zero value: it is in nobody's client_addresses.
func address(p wire.Peer) netip.AddrPort {
	if p.Family != '4' && p.Family != '6' {
		return netip.AddrPort{}
	}
	text := string(p.Addr)
	if len(text) > 5 && strings.EqualFold(text[:5], "IPv6:") {
		text = text[5:]
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr.Unmap(), p.Port)
}
