package partner

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"domain-secured/internal/testkit/pki"
)

// peer is the server's side of one connection.
type peer struct {
	net.Conn
	reader *bufio.Reader
	t      *testing.T
}

func (p *peer) say(lines ...string) {
	_, _ = io.WriteString(p, strings.Join(lines, "\r\n")+"\r\n") // the client may have gone
}

// hear reads a command, "" if the client has gone.
func (p *peer) hear() string {
	line, _ := p.reader.ReadString('\n')
	return strings.TrimRight(line, "\r\n")
}

// untilSTARTTLS is what a good server says until the handshake.
func (p *peer) untilSTARTTLS() bool {
	p.say("220 mx.example.com ESMTP")
	if p.hear() == "" {
		return false
	}
	p.say("250-mx.example.com at your service", "250-PIPELINING", "250 starttls")
	if p.hear() != "STARTTLS" {
		return false
	}
	p.say("220 go ahead")
	return true
}

// secure does the server's part of a handshake; false if it fails.
func (p *peer) secure(config *tls.Config) bool {
	conn := tls.Server(p.Conn, config)
	if conn.Handshake() != nil {
		return false
	}
	p.Conn, p.reader = conn, bufio.NewReader(conn)
	return true
}

// good is a server that does all it should.
func good(config *tls.Config) func(*peer) {
	return func(p *peer) {
		if !p.untilSTARTTLS() || !p.secure(config) || p.hear() == "" {
			return
		}
		p.say("250 mx.example.com")
		if got := p.hear(); got != "QUIT" {
			p.t.Errorf("it takes no leave: %q", got)
		}
		p.say("221 bye")
	}
}

// mailServer is a listener whose connections are played by play, one at a time or
// several. It ends with the test.
func mailServer(t *testing.T, address string, play func(*peer)) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	var mu sync.Mutex
	conns := make(map[net.Conn]bool)
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[conn] = true
			mu.Unlock()
			work.Go(func() {
				defer conn.Close()
				play(&peer{Conn: conn, reader: bufio.NewReader(conn), t: t})
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for conn := range conns {
			conn.Close()
		}
		mu.Unlock()
		work.Wait()
	})
	return netip.MustParseAddrPort(listener.Addr().String())
}

// serverConfig has the certificate, and all that is old and weak.
func serverConfig(c tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS10, CipherSuites: everything.cipherSuites}
}

func authority(t *testing.T) (*pki.CA, *pki.CA) {
	t.Helper()
	root, err := pki.NewCA(pki.CAOptions{Name: "Woodgrove Root"})
	if err != nil {
		t.Fatal(err)
	}
	intermediate, err := root.Intermediate(pki.CAOptions{Name: "Woodgrove Issuing"})
	if err != nil {
		t.Fatal(err)
	}
	return root, intermediate
}

// oneHost is a zone whose only host is on an address of this machine.
func oneHost(address netip.Addr) string {
	return fmt.Sprintf("example.com MX 10 mx.example.com\nmx.example.com A %s\n", address)
}

// probing returns a prober with little patience.
func probing() *Prober {
	p := NewProber()
	p.timeout = 5 * time.Second
	return p
}
