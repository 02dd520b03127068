package mta

import (
	"encoding/binary"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// milterDefaults are milter_connect_macros, milter_helo_macros and so on, by stage.
var milterDefaults = [milterStages]string{
	"j {daemon_name} {daemon_addr} v _",
	"{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}",
	"i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}",
	"i {rcpt_addr} {rcpt_host} {rcpt_mailer}",
	"i", "i", "i",
}

// startMilter connects to the milter and tells of the client.
func (s *fakeSession) startMilter() {
	if s.fake.milter.isZero() {
		return
	}
	var err error
	if s.milter, err = dialMilter(s.fake.ctx, s.fake.milter, s.fake.options.MilterTimeout); err != nil {
		s.milterFailed(err)
		return
	}
	client := s.conn.RemoteAddr().(*net.TCPAddr)
	address := client.IP.String()
	data := binary.BigEndian.AppendUint16([]byte("["+address+"]\x004"), uint16(client.Port))
	s.tell(milterConnect, string(data)+milterStrings(address), nil)
}

// endMilter says goodbye to the milter.
func (s *fakeSession) endMilter() {
	if s.hello != "" {
		s.abort()
	}
	if s.milter != nil {
		s.milter.close()
		s.milter = nil
	}
}

// milterFailed gives the milter up; what is left of the session gets milter_default_action.
func (s *fakeSession) milterFailed(err error) {
	s.fake.logf("warning: milter %s: %v", s.fake.options.Milter, err)
	s.verdict = milterTempfail
	if s.milter != nil {
		s.milter.hangUp()
		s.milter = nil
	}
}

// tell tells the milter of an event and returns what the client is to be told if it refuses. At the end of a
// message edit gets what the milter wants changed.
func (s *fakeSession) tell(code byte, data string, edit func(MilterPacket) error) (refusal string) {
	if s.verdict != "" {
		return s.verdict
	}
	if s.milter == nil || s.passed {
		return ""
	}
	macro, content := s.macro, milterEvents[code].stage > milterEvents[milterData].stage
	if content {
		macro = s.contentMacro
	}
	answer, err := s.milter.event(code, data, macro, edit)
	if err != nil {
		s.milterFailed(err)
		return s.verdict
	}
	switch answer.Code {
	case MilterAccept:
		s.passed = true
	case MilterDiscard:
		s.passed, s.discarded = true, true
	case MilterTempfail:
		refusal = milterTempfail
	case MilterReject:
		refusal = "550 5.7.1 Command rejected"
	case MilterReplyCode:
		if refusal = unescape(strings.TrimSuffix(answer.Data, "\x00")); !isRefusal(refusal) {
			s.milterFailed(fmt.Errorf("malformed reply %q", refusal))
			if !content {
				s.verdict = milterMalformed
			}
			return milterMalformed
		}
	}
	if refusal == "" {
		return ""
	}
	s.fake.logf("%s: milter-reject: %c from %s: %s; from=<%s>", or(s.queueID, "NOQUEUE"), code, s.conn.RemoteAddr(), refusal, s.sender)
	if code == milterConnect || code == milterHello {
		// The milter is not called again; the client hears of it with its next command that matters.
		s.verdict = refusal
	}
	return refusal
}

// unescape undoes what smfi_setreply wants done to a percent sign.
func unescape(text string) string { return percent.ReplaceAllString(text, "$1") }

var (
	percent     = regexp.MustCompile(`%(.)`)
	refusalForm = regexp.MustCompile(`^([45])\d\d (?:([245])\.\d{1,3}\.\d{1,3} )?`)
)

// isRefusal reports whether Postfix takes a text for a reply: code and enhanced code must not contradict.
func isRefusal(text string) bool {
	m := refusalForm.FindStringSubmatch(text)
	return m != nil && (m[2] == "" || m[1] == m[2])
}

// abort ends the message, for the milter, too.
func (s *fakeSession) abort() {
	if s.milter != nil {
		if err := s.milter.abort(); err != nil {
			s.milterFailed(err)
		}
	}
	s.fakeTransaction = fakeTransaction{}
}

// tellContent tells the milter of a message's content and has it edit it. As with cleanup(8), that knows nothing
// of TLS.
func (s *fakeSession) tellContent(c *fakeContent) (refusal string) {
	steps := uint32(0)
	if s.milter != nil {
		steps = s.milter.steps
	}
	for _, f := range c.seen() {
		if steps&keepsLeadingSpace == 0 {
			f.Value = strings.TrimPrefix(f.Value, " ")
		}
		if refusal := s.tell(milterHeader, milterStrings(f.Name, f.Value), nil); refusal != "" {
			return refusal
		}
	}
	if refusal := s.tell(milterEndOfHeader, "", nil); refusal != "" {
		return refusal
	}
	const chunk = 65535 // MILTER_CHUNK_SIZE
	for part := range slices.Chunk([]byte(strings.ReplaceAll(c.body, "\n", "\r\n")), chunk) {
		if refusal := s.tell(milterBody, string(part), nil); refusal != "" {
			return refusal
		}
	}
	return s.tell(MilterEnd, "", func(p MilterPacket) error { return c.edit(p, steps) })
}

// macro returns the value of a macro before the content, false for one without.
func (s *fakeSession) macro(name string) (string, bool) {
	if v, ok := s.contentMacro(name); ok {
		return v, name != "i" || len(s.recipients) > 0 // the queue file is made with the first recipient
	}
	protocol, cipher, bits := tlsAttributes(s.tls)
	certificate := certificateOf(s.tls, s.fake.options.ClientCA)
	switch name {
	case "{tls_version}":
		return protocol, s.tls != nil
	case "{cipher}":
		return cipher, s.tls != nil
	case "{cipher_bits}":
		return strconv.Itoa(bits), s.tls != nil
	case "{cert_subject}":
		return certificate.subject, certificate.trusted
	case "{cert_issuer}":
		return certificate.issuer, certificate.trusted
	case "{mail_addr}", "{mail_host}", "{mail_mailer}":
		return s.fake.resolve(name, s.sender)
	case "{rcpt_addr}", "{rcpt_host}", "{rcpt_mailer}":
		return s.fake.resolve(strings.Replace(name, "rcpt", "mail", 1), s.recipient)
	}
	return "", false
}

// contentMacro returns the value of a macro that cleanup(8) knows, too.
func (s *fakeSession) contentMacro(name string) (string, bool) {
	client, server := s.conn.RemoteAddr().(*net.TCPAddr), s.conn.LocalAddr().(*net.TCPAddr)
	switch name {
	case "i":
		return s.queueID, s.queueID != ""
	case "j", "{daemon_name}":
		return s.fake.options.Hostname, true
	case "v":
		return "Postfix", true
	case "_":
		return "unknown [" + client.IP.String() + "]", true
	case "{daemon_addr}":
		return server.IP.String(), true
	case "{daemon_port}":
		return strconv.Itoa(server.Port), true
	case "{client_addr}":
		return client.IP.String(), true
	case "{client_port}":
		return strconv.Itoa(client.Port), true
	case "{client_name}", "{client_ptr}":
		return "unknown", true
	}
	return "", false
}

// resolve returns what trivial-rewrite(8) makes of an address: its canonical form, in lower case, where it goes,
// and by which transport.
func (f *Fake) resolve(name, address string) (string, bool) {
	_, domain, _ := cutLast(f.canonical(address), "@")
	if address == "" {
		domain = f.options.Hostname // empty_address_recipient is of this host
	}
	switch {
	case name == "{mail_addr}":
		return strings.ToLower(f.canonical(address)), true
	case name == "{mail_host}":
		return domain, true
	case f.hosts("@" + domain):
		return "virtual", true
	}
	return "smtp", true
}

// canonical returns the external form of an address: with a domain, without a dot after it, and quoted where
// that is needed.
func (f *Fake) canonical(address string) string {
	if address == "" {
		return ""
	}
	local, domain, ok := cutLast(address, "@")
	if !ok {
		domain = f.options.Domains[0] // myorigin
	}
	if !atom.MatchString(local) {
		local = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
	}
	return local + "@" + strings.TrimSuffix(domain, ".")
}

// atom is the local part that needs no quotes: RFC 5322 section 3.2.3, dot-atom, with RFC 6532.
var atom = regexp.MustCompile(`^[^\x00-\x20\x7f()<>@,;:\\".\[\]]+(\.[^\x00-\x20\x7f()<>@,;:\\".\[\]]+)*$`)
