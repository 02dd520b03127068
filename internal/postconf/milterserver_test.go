package postconf

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// milterServer is the least milter that shows what Postfix tells one, and does without one: it takes every
// Domain-Secured header out, puts its own in, and keeps what it was told.
type milterServer struct {
	listener net.Listener
	slow     string // the events that it is slow to answer
	mu       sync.Mutex
	conns    []net.Conn
	told     []string // events with their arguments, "M <alice@woodgrovebank.test>"; macros as "D M{name} value ..."
}

// ownStamp is what the milter puts at the top of every message.
const ownStamp = "mx.contoso.test; auth=test"

func newMilterServer(t *testing.T, network, address, slow string) *milterServer {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	m := &milterServer{listener: l, slow: slow}
	t.Cleanup(m.stop)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			m.mu.Lock()
			m.conns = append(m.conns, conn)
			m.mu.Unlock()
			go m.serve(conn)
		}
	}()
	return m
}

func (m *milterServer) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	forged := 0
	for {
		var size uint32
		if binary.Read(r, binary.BigEndian, &size) != nil || size == 0 || size > 1<<20 {
			return
		}
		packet := make([]byte, size)
		if _, err := io.ReadFull(r, packet); err != nil {
			return
		}
		code, body := packet[0], packet[1:]
		if strings.IndexByte(m.slow, code) >= 0 {
			time.Sleep(3 * time.Second)
		}
		m.mu.Lock()
		m.told = append(m.told, strings.TrimSpace(string(code)+" "+strings.ReplaceAll(string(body), "\x00", " ")))
		m.mu.Unlock()
		switch code {
		case 'O':
			const changeHeaders = 0x11                 // SMFIF_ADDHDRS, SMFIF_CHGHDRS
			answer := append([]byte{'O'}, body[:4]...) // the version that was offered
			answer = append(answer, 0, 0, 0, changeHeaders, 0, 0, 0, 0)
			const atMail = 2
			answer = binary.BigEndian.AppendUint32(answer, atMail)
			send(conn, append(answer, "{client_addr} {client_port} {daemon_port} {tls_version}\x00"...))
		case 'M':
			forged = 0
			send(conn, []byte{'c'})
		case 'L':
			if name, _, _ := bytes.Cut(body, []byte{0}); strings.EqualFold(string(name), "Domain-Secured") {
				forged++
			}
			send(conn, []byte{'c'})
		case 'E':
			for ; forged > 0; forged-- {
				send(conn, append(binary.BigEndian.AppendUint32([]byte{'m'}, uint32(forged)), "Domain-Secured\x00\x00"...))
			}
			send(conn, append(binary.BigEndian.AppendUint32([]byte{'i'}, 0), "Domain-Secured\x00"+ownStamp+"\x00"...))
			send(conn, []byte{'c'})
		case 'C', 'H', 'R', 'T', 'N', 'B', 'U':
			send(conn, []byte{'c'})
		case 'Q':
			return
		}
	}
}

func send(conn net.Conn, packet []byte) {
	conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(packet))), packet...))
}

// take returns what it was told since the last take.
func (m *milterServer) take() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	told := m.told
	m.told = nil
	return told
}

func (m *milterServer) stop() {
	m.listener.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.conns {
		c.Close()
	}
}
