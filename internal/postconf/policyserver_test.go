package postconf

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
)

// policyServer answers every request with the same action and keeps what it was asked.
type policyServer struct {
	listener net.Listener
	mu       sync.Mutex
	action   string
	conns    []net.Conn
	asked    []map[string]string
}

func newPolicyServer(t *testing.T, network, address, action string) *policyServer {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	p := &policyServer{listener: l, action: action}
	t.Cleanup(p.stop)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.conns = append(p.conns, conn)
			p.mu.Unlock()
			go p.serve(conn)
		}
	}()
	return p
}

func (p *policyServer) serve(conn net.Conn) {
	defer conn.Close()
	request := map[string]string{}
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), "=")
		if ok {
			request[name] = value
			continue
		}
		p.mu.Lock()
		p.asked = append(p.asked, request)
		action := p.action
		p.mu.Unlock()
		request = map[string]string{}
		fmt.Fprintf(conn, "action=%s\n\n", action)
	}
}

// answer is what is said from now on.
func (p *policyServer) answer(action string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.action = action
}

// take returns what was asked since the last take.
func (p *policyServer) take() []map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := p.asked
	p.asked = nil
	return asked
}

func (p *policyServer) stop() {
	p.listener.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
}
