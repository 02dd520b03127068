package mta

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"time"
)

// A fakeSession is one SMTP connection to the fake server.
type fakeSession struct {
	fake     *Fake
	conn     net.Conn
	in       *bufio.Reader
	tls      *tls.ConnectionState
	protocol string // "SMTP", "ESMTP"
	hello    string

	fakeTransaction
}

// A fakeTransaction is one message of a session, from MAIL on.
type fakeTransaction struct {
	open       bool
	sender     string
	size       string
	instance   string
	queueID    string
	recipients []string
	prepend    string // a header field that the policy service wants at the top
}

func newFakeSession(f *Fake, conn net.Conn) *fakeSession {
	return &fakeSession{fake: f, conn: conn, in: bufio.NewReaderSize(conn, fakeLine), protocol: "SMTP"}
}

// errQuit ends a session; the client has been told why.
var errQuit = errors.New("session over")

func (s *fakeSession) run() {
	peer := s.conn.RemoteAddr()
	s.fake.logf("connect from %s", peer)
	defer s.fake.logf("disconnect from %s", peer)
	for err := s.reply("220 %s ESMTP", s.fake.options.Hostname); err == nil; {
		err = s.next()
	}
}

// next reads one command and answers it. An error ends the session.
func (s *fakeSession) next() error {
	s.conn.SetDeadline(time.Now().Add(fakeTimeout))
	line, err := s.in.ReadSlice('\n')
	if err != nil {
		return err // gone, silent for too long, or a line too long
	}
	verb, argument, _ := strings.Cut(strings.TrimRight(string(line), "\r\n"), " ")
	switch strings.ToUpper(verb) {
	case "HELO":
		s.protocol, s.hello, s.fakeTransaction = "SMTP", argument, fakeTransaction{}
		return s.reply("250 %s", s.fake.options.Hostname)
	case "EHLO":
		s.protocol, s.hello, s.fakeTransaction = "ESMTP", argument, fakeTransaction{}
		return s.extensions()
	case "STARTTLS":
		return s.startTLS()
	case "MAIL":
		return s.mail(argument)
	case "RCPT":
		return s.rcpt(argument)
	case "DATA":
		return s.data()
	case "RSET":
		s.fakeTransaction = fakeTransaction{}
		return s.reply("250 2.0.0 Ok")
	case "NOOP":
		return s.reply("250 2.0.0 Ok")
	case "QUIT":
		return errors.Join(s.reply("221 2.0.0 Bye"), errQuit)
	}
	return s.reply("502 5.5.2 Error: command not recognized")
}

func (s *fakeSession) reply(format string, args ...any) error {
	s.conn.SetDeadline(time.Now().Add(fakeTimeout))
	_, err := fmt.Fprintf(s.conn, format+"\r\n", args...)
	return err
}

func (s *fakeSession) extensions() error {
	lines := []string{s.fake.options.Hostname, "PIPELINING", fmt.Sprintf("SIZE %d", fakeMessageSize)}
	if s.fake.tls != nil && s.tls == nil {
		lines = append(lines, "STARTTLS")
	}
	lines = append(lines, "ENHANCEDSTATUSCODES", "8BITMIME")
	return s.reply("250-%s\r\n250 SMTPUTF8", strings.Join(lines, "\r\n250-"))
}

func (s *fakeSession) startTLS() error {
	if s.fake.tls == nil || s.tls != nil {
		return s.reply("503 5.5.1 Error: TLS not available")
	}
	if err := s.reply("220 2.0.0 Ready to start TLS"); err != nil {
		return err
	}
	conn := tls.Server(s.conn, s.fake.tls)
	if err := conn.HandshakeContext(s.fake.ctx); err != nil {
		s.fake.logf("TLS handshake with %s: %v", s.conn.RemoteAddr(), err)
		return err
	}
	state := conn.ConnectionState()
	s.fake.logf("TLS with %s: %s", s.conn.RemoteAddr(), tls.VersionName(state.Version))
	// A new reader: what the client sent in the clear after STARTTLS must not count.
	*s = *newFakeSession(s.fake, conn)
	s.tls = &state
	return nil
}

func (s *fakeSession) mail(argument string) error {
	if s.open {
		return s.reply("503 5.5.1 Error: nested MAIL command")
	}
	sender, parameters, ok := path(argument, "FROM:")
	if !ok {
		return s.reply("501 5.5.4 Syntax: MAIL FROM:<address>")
	}
	s.fakeTransaction = fakeTransaction{open: true, sender: sender, size: "0"}
	for _, parameter := range parameters {
		if value, ok := cutPrefixFold(parameter, "SIZE="); ok {
			if _, err := strconv.ParseUint(value, 10, 63); err != nil {
				s.open = false
				return s.reply("501 5.5.4 Bad message size syntax")
			}
			s.size = value
		}
	}
	now := time.Now()
	// As in Postfix: process, time in seconds and microseconds, number of the transaction in this process.
	number := s.fake.number.Add(1)
	s.instance = fmt.Sprintf("%x.%x.%x.%x", os.Getpid(), now.Unix(), now.Nanosecond()/1000, number)
	s.queueID = fmt.Sprintf("%05X%06X", now.Nanosecond()/1000, number&0xffffff)
	return s.reply("250 2.1.0 Ok")
}

func (s *fakeSession) rcpt(argument string) error {
	if !s.open {
		return s.reply("503 5.5.1 Error: need MAIL command")
	}
	recipient, _, ok := path(argument, "TO:")
	if !ok || recipient == "" {
		return s.reply("501 5.5.4 Syntax: RCPT TO:<address>")
	}
	if len(s.recipients) >= fakeRecipients {
		return s.reply("452 4.5.3 Error: too many recipients")
	}
	if !s.fake.hosts(recipient) {
		return s.reply("554 5.7.1 <%s>: Relay access denied", recipient)
	}
	s.recipients = append(s.recipients, recipient)
	return s.reply("250 2.1.5 Ok")
}

func (s *fakeSession) data() error {
	if len(s.recipients) == 0 {
		return s.reply("554 5.5.1 Error: no valid recipients")
	}
	if refusal := s.askPolicy(); refusal != "" {
		s.fake.logf("%s: reject: DATA from %s: %s; from=<%s>", s.queueID, s.conn.RemoteAddr(), refusal, s.sender)
		err := s.reply("%s", refusal)
		if strings.HasPrefix(refusal, "421") {
			err = errors.Join(err, errQuit)
		}
		return err
	}
	if err := s.reply("354 End data with <CR><LF>.<CR><LF>"); err != nil {
		return err
	}
	s.conn.SetDeadline(time.Now().Add(fakeTimeout))
	content, err := io.ReadAll(io.LimitReader(textproto.NewReader(s.in).DotReader(), fakeMessageSize+1))
	if err != nil {
		return err
	}
	if len(content) > fakeMessageSize {
		// What follows is still message: there is no way on from here.
		return errors.Join(s.reply("552 5.3.4 Error: message file too big"), errQuit)
	}
	id := s.queueID
	for _, recipient := range s.recipients {
		if !s.fake.deliver(s.delivery(recipient, content)) {
			return s.reply("452 4.3.1 Insufficient system storage")
		}
	}
	s.fake.logf("%s: from=<%s>, status=sent", id, s.sender)
	s.fakeTransaction = fakeTransaction{}
	return s.reply("250 2.0.0 Ok: queued as %s", id)
}

// delivery returns the message as virtual(8) would write it.
func (s *fakeSession) delivery(recipient string, content []byte) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "Return-Path: <%s>\nX-Original-To: %s\nDelivered-To: %s\n", s.sender, recipient, recipient)
	if s.prepend != "" {
		b.WriteString(s.prepend + "\n")
	}
	fmt.Fprintf(&b, "Received: from %s (unknown [127.0.0.1])\n\tby %s with %s id %s;\n\t%s\n",
		s.hello, s.fake.options.Hostname, s.protocol, s.queueID, time.Now().Format(time.RFC1123Z))
	b.Write(content)
	return []byte(b.String())
}

// hosts reports whether the fake server takes mail for an address.
func (f *Fake) hosts(address string) bool {
	_, domain, _ := cutLast(address, "@")
	for _, hosted := range f.options.Domains {
		if strings.EqualFold(domain, hosted) {
			return true
		}
	}
	return false
}

// path reads the argument of MAIL and RCPT: the address in the form Postfix hands it on (without brackets,
// source route and quotes, otherwise untouched), and the parameters after it.
func path(argument, keyword string) (address string, parameters []string, ok bool) {
	rest, ok := cutPrefixFold(argument, keyword)
	if !ok {
		return "", nil, false
	}
	rest, ok = strings.CutPrefix(strings.TrimSpace(rest), "<")
	if !ok {
		return "", nil, false
	}
	// A quoted local part may hold a bracket.
	address, tail, ok := cutLast(rest, ">")
	if !ok {
		return "", nil, false
	}
	if strings.HasPrefix(address, "@") {
		_, address, _ = strings.Cut(address, ":")
	}
	if local, domain, ok := cutLast(address, "@"); ok && strings.HasPrefix(local, `"`) && strings.HasSuffix(local, `"`) && len(local) > 1 {
		address = strings.ReplaceAll(local[1:len(local)-1], `\`, "") + "@" + domain
	}
	return address, strings.Fields(tail), true
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}
