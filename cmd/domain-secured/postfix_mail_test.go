package main

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/cases"
	"domain-secured/internal/testkit/smtpclient"
)

// Senders. The bank, Tailspin Toys and Litware are on the list, see cases; Fabrikam is not.
const (
	bankSender     = "alice@woodgrovebank.com"
	toysSender     = "carol@tailspintoys.com"
	litwareSender  = "dave@litwareinc.com"
	fabrikamSender = "erin@fabrikam.com"
)

// letterFrom is a message, and the Message-ID that no other one has.
func letterFrom(sender string) (m smtpclient.Mail, id string) {
	id = fmt.Sprintf("<%s@example.net>", rand.Text())
	return smtpclient.Mail{
		Sender: sender, Recipients: []string{cases.Recipient},
		Data: fmt.Appendf(nil, "From: <somebody@example.net>\nSubject: hello\nMessage-ID: %s\n\nHi.\n", id),
	}, id
}

// outcomes of a message, besides the tokens of a refusal.
const (
	accepted    = "accepted"
	unavailable = "unavailable" // Postfix's own refusal, while the daemon is away
)

// outcome is accepted, unavailable, the token, or else the whole reply.
func outcome(r smtpclient.Reply) string {
	_, token, refused := strings.Cut(r.Text, " requires mutual TLS here: ")
	token, _, comma := strings.Cut(token, ",")
	switch {
	case r.Accepted():
		return accepted
	case r.Stage == smtpclient.DATA && r.Code == 450 && r.Text == "4.7.5 <DATA>: Data command rejected: domain security is unavailable",
		r.Code == 451 && r.Text == "4.7.1 Service unavailable - try again later",
		r.Stage == smtpclient.STARTTLS && r.Code == 454 && r.Text == "4.3.0 Try again later":
		return unavailable
	case (r.Stage == smtpclient.DATA || r.Stage == smtpclient.Content) && refused && comma:
		return token
	}
	return r.Stage + " " + r.String()
}

// expect sends a message and compares its outcome. It returns its Message-ID.
func expect(t *testing.T, session *smtpclient.Session, m smtpclient.Mail, want string) {
	t.Helper()
	reply, err := session.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if got := outcome(reply); got != want {
		t.Errorf("from %q: %s, want %s", m.Sender, got, want)
	}
}

// attribute is the value of a key in a line of the daemon's log.
func attribute(t *testing.T, line, key string) string {
	t.Helper()
	_, value, ok := strings.Cut(line, " "+key+"=")
	if !ok {
		t.Fatalf("no %s in %q", key, line)
	}
	if !strings.HasPrefix(value, `"`) {
		value, _, _ = strings.Cut(value, " ")
		return value
	}
	quoted, err := strconv.QuotedPrefix(value)
	if err == nil {
		value, err = strconv.Unquote(quoted)
	}
	if err != nil {
		t.Fatalf("%s in %q: %v", key, line, err)
	}
	return value
}

// A rawSession is one in which the test says every line.
type rawSession struct {
	*textproto.Conn
	net net.Conn
}

// dialRaw connects, says EHLO and, with o.TLS, changes to TLS.
func dialRaw(t *testing.T, o smtpclient.Options) rawSession {
	t.Helper()
	conn, err := net.Dial("tcp", o.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	r := rawSession{textproto.NewConn(conn), conn}
	r.expect(t, 220)
	r.say(t, "EHLO "+o.Hello)
	r.expect(t, 250)
	if !o.TLS {
		return r
	}
	r.say(t, "STARTTLS")
	r.expect(t, 220)
	r, _ = r.overTLS(o, nil)
	r.say(t, "EHLO "+o.Hello)
	r.expect(t, 250)
	return r
}

// overTLS returns the session behind STARTTLS. change may change how the handshake is done.
func (r rawSession) overTLS(o smtpclient.Options, change func(*tls.Config)) (rawSession, *tls.Conn) {
	config := &tls.Config{InsecureSkipVerify: true} // as in smtpclient
	if o.Certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return o.Certificate, nil }
	}
	if change != nil {
		change(config)
	}
	conn := tls.Client(r.net, config)
	return rawSession{textproto.NewConn(conn), conn}, conn
}

// deliver has a whole message accepted, command by command.
func (r rawSession) deliver(t *testing.T, m smtpclient.Mail) {
	t.Helper()
	content := strings.TrimSuffix(strings.ReplaceAll(string(m.Data), "\n", "\r\n"), "\r\n") + "\r\n."
	for _, step := range []struct {
		say  string
		code int
	}{{"MAIL FROM:<" + m.Sender + ">", 250}, {"RCPT TO:<" + m.Recipients[0] + ">", 250}, {"DATA", 354}, {content, 250}} {
		r.say(t, step.say)
		r.expect(t, step.code)
	}
}

// say sends lines in one go.
func (r rawSession) say(t *testing.T, lines ...string) {
	t.Helper()
	_, err := io.WriteString(r.W, strings.Join(lines, "\r\n")+"\r\n")
	if err == nil {
		err = r.W.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// expect reads a reply for each code, and returns the text of the last.
func (r rawSession) expect(t *testing.T, codes ...int) (text string) {
	t.Helper()
	for i, want := range codes {
		got, message, err := r.ReadResponse(0)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Fatalf("reply %d of %v: %d %s", i+1, codes, got, message)
		}
		text = message
	}
	return text
}
