// Package smtpclient sends mail as a partner's server would, and keeps what that server is told at which
// command: the tests and the lab judge by it. It insists on nothing and checks no server certificate.
package smtpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"regexp"
	"strings"
	"time"
)

// Options say how to connect.
type Options struct {
	Addr  string // host:port
	Hello string // the name in EHLO; "localhost" when empty
	TLS   bool   // STARTTLS before the first message

	// OneHello leaves out the second EHLO, after STARTTLS, as some clients do although RFC 3207 section 4.2
	// wants the first forgotten.
	OneHello bool

	// Certificate is presented, with its chain, whatever authorities the server's request names; nil
	// presents none.
	Certificate *tls.Certificate

	MinVersion, MaxVersion uint16        // of TLS, as in crypto/tls; 0 leaves the choice to it
	Timeout                time.Duration // for connecting and for each reply; 30 seconds when 0
}

// Mail is one message.
type Mail struct {
	Sender     string // as it stands between < and > of MAIL, "" for a bounce
	Recipients []string
	Parameters string // of MAIL: "SIZE=1000 SMTPUTF8"
	Data       []byte // header fields, empty line, body; lines end in \n or \r\n
}

// Stages of a session, in a Reply. Content is the reply to the message itself, after its final dot.
const (
	Connect  = "CONNECT"
	EHLO     = "EHLO"
	STARTTLS = "STARTTLS"
	MAIL     = "MAIL"
	RCPT     = "RCPT"
	DATA     = "DATA"
	Content  = "content"
)

// A Reply is the last a server said about a message, or the refusal that ended it.
type Reply struct {
	Stage string // the command it answers
	Code  int    // 250
	Text  string // without the code, lines joined by a space: "4.7.1 <DATA>: Data command rejected: …"
}

// Accepted reports whether the server took the message.
func (r Reply) Accepted() bool { return r.Stage == Content && r.Code/100 == 2 }

var enhanced = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}\b`)

// Enhanced returns the enhanced status code (RFC 3463) that Text begins with, "" without one.
func (r Reply) Enhanced() string { return enhanced.FindString(r.Text) }

// String returns the reply as the server sent it, without the stage.
func (r Reply) String() string { return fmt.Sprintf("%03d %s", r.Code, r.Text) }

// A RefusedError says that a server refused the session before any message: at connect, EHLO or STARTTLS.
type RefusedError struct{ Reply Reply }

func (e *RefusedError) Error() string { return "refused at " + e.Reply.Stage + ": " + e.Reply.String() }

// Send sends one message on a connection of its own. A refusal is a reply, not an error; an error says
// that there was no reply (the network, a failed handshake, ctx).
func Send(ctx context.Context, o Options, m Mail) (Reply, error) {
	s, err := Dial(ctx, o)
	if err != nil {
		var refused *RefusedError
		if errors.As(err, &refused) {
			return refused.Reply, nil
		}
		return Reply{}, err
	}
	defer s.Close()
	return s.Send(ctx, m)
}

// A Session is a connection that may carry many messages, one after the other. It is not safe for
// concurrent use.
type Session struct {
	conn    net.Conn
	text    *textproto.Conn
	timeout time.Duration
	tls     *tls.ConnectionState
}

// Dial connects and, with o.TLS, changes to TLS. A server's refusal is a *RefusedError.
func Dial(ctx context.Context, o Options) (*Session, error) {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Hello == "" {
		o.Hello = "localhost"
	}
	dialer := net.Dialer{Timeout: o.Timeout}
	conn, err := dialer.DialContext(ctx, "tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("smtp client: %w", err)
	}
	s := &Session{conn: conn, text: textproto.NewConn(conn), timeout: o.Timeout}
	if err := s.open(ctx, o); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

func (s *Session) open(ctx context.Context, o Options) error {
	defer s.obey(ctx)()
	if err := s.must(s.reply(Connect)); err != nil {
		return err
	}
	if err := s.must(s.command(EHLO, "EHLO %s", o.Hello)); err != nil {
		return err
	}
	if !o.TLS {
		return nil
	}
	if err := s.must(s.command(STARTTLS, "STARTTLS")); err != nil {
		return err
	}
	conn := tls.Client(s.conn, clientTLS(o))
	s.conn.SetDeadline(time.Now().Add(s.timeout))
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("smtp client: TLS handshake: %w", err)
	}
	state := conn.ConnectionState()
	s.tls = &state
	s.conn, s.text = conn, textproto.NewConn(conn)
	if o.OneHello {
		return nil
	}
	return s.must(s.command(EHLO, "EHLO %s", o.Hello))
}

func clientTLS(o Options) *tls.Config {
	config := &tls.Config{
		// What is tried is how the server treats its clients; its own certificate is not the matter here.
		InsecureSkipVerify: true,
		MinVersion:         o.MinVersion,
		MaxVersion:         o.MaxVersion,
	}
	if o.Certificate != nil {
		// With Certificates crypto/tls would present nothing to a server whose list of authorities lacks
		// the issuer; other clients present it all the same.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return o.Certificate, nil
		}
	}
	return config
}

// TLS returns what the handshake agreed on, nil without TLS.
func (s *Session) TLS() *tls.ConnectionState { return s.tls }

// Hello says EHLO again, which ends a message under way (RFC 5321 section 4.1.4).
func (s *Session) Hello(ctx context.Context, name string) (Reply, error) {
	defer s.obey(ctx)()
	return s.command(EHLO, "EHLO %s", name)
}

// Send sends one message. After a refusal the session is reset and can send the next one; after an error
// it is of no more use.
func (s *Session) Send(ctx context.Context, m Mail) (Reply, error) {
	defer s.obey(ctx)()
	reply, err := s.command(MAIL, "%s", strings.TrimSpace("MAIL FROM:<"+m.Sender+"> "+m.Parameters))
	for _, recipient := range m.Recipients {
		if err != nil || reply.Code/100 != 2 {
			break
		}
		reply, err = s.command(RCPT, "RCPT TO:<%s>", recipient)
	}
	if err == nil && reply.Code/100 == 2 {
		reply, err = s.command(DATA, "DATA")
	}
	if err == nil && reply.Code == 354 {
		reply, err = s.content(m.Data)
	}
	if err == nil && !reply.Accepted() && reply.Code != 421 {
		_, err = s.command("RSET", "RSET")
	}
	if err != nil {
		return Reply{}, err
	}
	return reply, nil
}

func (s *Session) content(data []byte) (Reply, error) {
	s.conn.SetDeadline(time.Now().Add(s.timeout))
	w := s.text.DotWriter()
	if _, err := w.Write(data); err != nil {
		return Reply{}, fmt.Errorf("smtp client: send message: %w", err)
	}
	if err := w.Close(); err != nil {
		return Reply{}, fmt.Errorf("smtp client: send message: %w", err)
	}
	return s.reply(Content)
}

// Close says QUIT and closes the connection.
func (s *Session) Close() error {
	s.timeout = min(s.timeout, 5*time.Second)
	_, _ = s.command("QUIT", "QUIT") // a courtesy: the server may be gone
	return s.conn.Close()
}

// obey makes ctx, when it ends, interrupt whatever waits on the connection; the function it returns ends that.
func (s *Session) obey(ctx context.Context) (stop func() bool) {
	conn := s.conn
	return context.AfterFunc(ctx, func() { conn.Close() })
}

func (s *Session) command(stage, format string, args ...any) (Reply, error) {
	line := fmt.Sprintf(format, args...)
	if strings.ContainsAny(line, "\r\n") {
		return Reply{}, fmt.Errorf("smtp client: line break in %q", line)
	}
	s.conn.SetDeadline(time.Now().Add(s.timeout))
	if err := s.text.PrintfLine("%s", line); err != nil {
		return Reply{}, fmt.Errorf("smtp client: %s: %w", stage, err)
	}
	return s.reply(stage)
}

func (s *Session) reply(stage string) (Reply, error) {
	s.conn.SetDeadline(time.Now().Add(s.timeout))
	code, text, err := s.text.ReadResponse(0)
	if err != nil {
		return Reply{}, fmt.Errorf("smtp client: reply to %s: %w", stage, err)
	}
	return Reply{Stage: stage, Code: code, Text: strings.ReplaceAll(text, "\n", " ")}, nil
}

// must makes a refusal an error.
func (s *Session) must(r Reply, err error) error {
	if err == nil && r.Code/100 != 2 {
		err = &RefusedError{r}
	}
	return err
}
