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

	"domain-secured/internal/testkit/smtpclient"
)

// A fakeSession is one SMTP connection to the fake server.
type fakeSession struct {
	fake     *Fake
	conn     net.Conn
	in       *bufio.Reader
	tls      *tls.ConnectionState
	protocol string // "SMTP", "ESMTP"
	hello    string

	milter  *fakeMilter // nil without one, and after it has failed
	verdict string      // what the milter, or its failure, has the client told from now on

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
	recipient  string   // the one that is being told to the milter
	written    []string // of MAIL: the sender with its brackets, parameters
	prepend    string   // a header field that the policy service wants at the top
	passed     bool     // the milter has accepted, or discarded, the message
	discarded  bool
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
	s.startMilter()
	defer s.endMilter()
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
		s.greeted("SMTP", argument)
		return s.reply("250 %s", s.fake.options.Hostname)
	case "EHLO":
		s.greeted("ESMTP", argument)
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
		s.abort()
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

// greeted takes note of HELO and EHLO. What the milter says against them is told later.
func (s *fakeSession) greeted(protocol, hello string) {
	again := s.hello != ""
	s.protocol, s.hello = protocol, hello
	s.tell(milterHello, milterStrings(hello), nil)
	if again { // only now, as smtpd(8) has it
		s.abort()
	}
	s.fakeTransaction = fakeTransaction{}
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
	if s.verdict != "" {
		return s.reply("454 4.3.0 Try again later")
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
	s.abort()
	// A new reader, and all else anew: what the client sent in the clear must not count.
	milter, verdict := s.milter, s.verdict
	*s = *newFakeSession(s.fake, conn)
	s.tls, s.milter, s.verdict = &state, milter, verdict
	return nil
}

func (s *fakeSession) mail(argument string) error {
	if s.open {
		return s.reply("503 5.5.1 Error: nested MAIL command")
	}
	sender, written, ok := path(argument, "FROM:")
	if !ok {
		return s.reply("501 5.5.4 Syntax: MAIL FROM:<address>")
	}
	s.fakeTransaction = fakeTransaction{open: true, sender: sender, size: "0", written: written}
	for _, parameter := range written[1:] {
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
	if refusal := s.tell(milterMail, milterStrings(written...), nil); refusal != "" {
		s.fakeTransaction = fakeTransaction{}
		return s.refuse(refusal)
	}
	return s.reply("250 2.1.0 Ok")
}

func (s *fakeSession) rcpt(argument string) error {
	if !s.open {
		return s.reply("503 5.5.1 Error: need MAIL command")
	}
	recipient, written, ok := path(argument, "TO:")
	if !ok || recipient == "" {
		return s.reply("501 5.5.4 Syntax: RCPT TO:<address>")
	}
	if len(s.recipients) >= fakeRecipients {
		return s.reply("452 4.5.3 Error: too many recipients")
	}
	if !s.fake.hosts(recipient) {
		return s.reply("554 5.7.1 <%s>: Relay access denied", recipient)
	}
	s.recipient = recipient
	if refusal := s.tell(milterRcpt, milterStrings(written...), nil); refusal != "" {
		return s.refuse(refusal)
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
		return s.refuse(refusal)
	}
	if refusal := s.tell(milterData, "", nil); refusal != "" {
		return s.refuse(refusal)
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
	return s.content(content)
}

// content disposes of a message, all of which is here.
func (s *fakeSession) content(content []byte) error {
	defer s.abort()
	if s.fake.forward != nil {
		return s.reply("%s", s.fake.forward(s.fake.ctx, smtpclient.Mail{
			Sender: strings.Trim(s.written[0], "<>"), Recipients: s.recipients,
			Parameters: strings.Join(s.written[1:], " "), Data: content,
		}))
	}
	c := newFakeContent(s.prepend, s.received(), content)
	if refusal := s.tellContent(c); refusal != "" {
		return s.refuse(refusal)
	}
	for _, recipient := range s.recipients {
		if !s.discarded && !s.fake.deliver(s.delivery(recipient, c)) {
			return s.reply("452 4.3.1 Insufficient system storage")
		}
	}
	s.fake.logf("%s: from=<%s>, status=sent", s.queueID, s.sender)
	return s.reply("250 2.0.0 Ok: queued as %s", s.queueID)
}

// refuse says no; to a refusal with 421 it adds the end of the session.
func (s *fakeSession) refuse(refusal string) error {
	err := s.reply("%s", refusal)
	if strings.HasPrefix(refusal, "421") {
		err = errors.Join(err, errQuit)
	}
	return err
}

// received returns the field that every mail server adds.
func (s *fakeSession) received() Field {
	return Field{"Received", fmt.Sprintf(" from %s (unknown [127.0.0.1])\n\tby %s with %s id %s;\n\t%s",
		s.hello, s.fake.options.Hostname, s.protocol, s.queueID, time.Now().Format(time.RFC1123Z))}
}

// delivery returns the message as virtual(8) would write it.
func (s *fakeSession) delivery(recipient string, c *fakeContent) []byte {
	return fmt.Appendf(nil, "Return-Path: <%s>\nX-Original-To: %s\nDelivered-To: %s\n%s",
		s.fake.canonical(s.sender), recipient, recipient, c)
}
