package postconf

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// dialogue is the client's side of an SMTP connection.
type dialogue struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

// dial connects to a port of this machine, and waits for whoever listens there to start.
func dial(t *testing.T, port string, patience time.Duration) *dialogue {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.SetDeadline(time.Now().Add(patience))
			t.Cleanup(func() { conn.Close() })
			return &dialogue{t, conn, bufio.NewReader(conn)}
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// reply is the last line of the next reply; "closed" if there is none.
func (d *dialogue) reply() string {
	for {
		line, err := d.r.ReadString('\n')
		if err != nil {
			return "closed: " + err.Error()
		}
		if len(line) < 4 || line[3] != '-' {
			return strings.TrimSpace(line)
		}
	}
}

func (d *dialogue) verb(s string) string {
	fmt.Fprintf(d.conn, "%s\r\n", s)
	return d.reply()
}

// verbs says one thing after the other while the answer is 2xx or 3xx, and returns the last.
func (d *dialogue) verbs(say ...string) (last string) {
	for _, s := range say {
		if last = d.verb(s); last[0] != '2' && last[0] != '3' {
			return last
		}
	}
	return last
}

// encrypt goes over to TLS, with a client certificate.
func (d *dialogue) encrypt() error {
	key, cert := keyPair(d.t, "mail1.woodgrovebank.test")
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		d.t.Fatal(err)
	}
	conn := tls.Client(d.conn, &tls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }})
	if err := conn.Handshake(); err != nil {
		return err
	}
	d.conn, d.r = conn, bufio.NewReader(conn)
	return nil
}

// session is one SMTP dialogue over TLS (from the first byte if it is wrapped, else by STARTTLS) with a client
// certificate. It returns the reply to the last verb that was sent: DATA if everything before was accepted; "closed" if
// there was none.
func session(t *testing.T, port, rcpt string, patience time.Duration, wrapped bool) string {
	t.Helper()
	d := dial(t, port, patience)
	if !wrapped {
		if got := d.reply(); got[0] != '2' {
			return got
		}
		d.verb("EHLO client.test")
		if got := d.verb("STARTTLS"); got[0] != '2' {
			return got
		}
	}
	if err := d.encrypt(); err != nil {
		return "handshake: " + err.Error()
	}
	if wrapped {
		d.reply()
	}
	d.verb("EHLO client.test")
	return d.verbs("MAIL FROM:<alice@woodgrovebank.test>", "RCPT TO:<"+rcpt+">", "DATA")
}

// forge sends a message with a forged stamp, and returns the last reply: to the end of the message, if all went well.
func forge(t *testing.T, port, id string, patience time.Duration) string {
	t.Helper()
	d := dial(t, port, patience)
	if got := d.reply(); got[0] != '2' {
		return got
	}
	return d.verbs("EHLO client.test", "MAIL FROM:<alice@woodgrovebank.test>", "RCPT TO:<"+id+"@box.test>", "DATA", forged(id)+"\r\n.")
}

// forged is a message with a forged stamp.
func forged(id string) string {
	return "From: alice@woodgrovebank.test\r\nX-Claim: " + id + "\r\nDomain-Secured: forged\r\n\r\nhello"
}
