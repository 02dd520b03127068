package mta

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"time"
)

// How Postfix treats a policy service that fails; see smtpd_policy_service_try_limit, _retry_delay,
// _timeout and _default_action in postconf(5).
const (
	policyTries   = 2
	policyDelay   = time.Second
	policyTimeout = 100 * time.Second
	policyDefault = "451 4.3.5 Server configuration problem"
)

// A policyClient asks a policy service. Like a number of smtpd(8) processes it keeps its connections from one
// session to the next, and finds out that a server has closed one only when it wants to use it.
type policyClient struct {
	endpoint // none: asks nobody
	timeout  time.Duration
	fallback string

	mu     sync.Mutex
	idle   []*policyConn
	closed bool
}

type policyConn struct {
	net.Conn
	in *bufio.Reader
}

func newPolicyClient(o FakeOptions) (*policyClient, error) {
	p := &policyClient{timeout: o.PolicyTimeout, fallback: o.PolicyDefault}
	if p.timeout == 0 {
		p.timeout = policyTimeout
	}
	if p.fallback == "" {
		p.fallback = policyDefault
	}
	var err error
	if p.endpoint, err = parseEndpoint(o.Policy); err != nil {
		return nil, fmt.Errorf("policy service: %w", err)
	}
	return p, nil
}

// ask returns the action for a request, the default one after two failures.
func (p *policyClient) ask(s *fakeSession, request string) string {
	for try := 1; ; try++ {
		action, err := p.try(s.fake.ctx, request, try > 1)
		if err == nil {
			return action
		}
		s.fake.logf("warning: problem talking to server %s: %v", p.address, err)
		if try == policyTries {
			return p.fallback
		}
		select {
		case <-s.fake.ctx.Done():
			return p.fallback
		case <-time.After(policyDelay):
		}
	}
}

// try asks once, on a kept connection or, after that has failed, a fresh one.
func (p *policyClient) try(ctx context.Context, request string, fresh bool) (string, error) {
	conn, err := p.take(ctx, fresh)
	if err != nil {
		return "", err
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	conn.SetDeadline(time.Now().Add(p.timeout))
	if _, err := io.WriteString(conn, request); err != nil {
		conn.Close()
		return "", err
	}
	action, err := readAction(conn.in)
	if err != nil {
		conn.Close()
		return "", err
	}
	p.give(conn)
	return action, nil
}

// readAction reads attributes up to an empty line, of which action is the one that counts.
func readAction(in *bufio.Reader) (string, error) {
	action, found := "", false
	for range 100 {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		text := strings.TrimSuffix(string(line), "\n")
		if text == "" {
			if !found {
				return "", errors.New("missing attribute action")
			}
			return action, nil
		}
		if name, value, ok := strings.Cut(text, "="); !ok {
			return "", fmt.Errorf("malformed attribute %q", text)
		} else if name == "action" {
			action, found = value, true
		}
	}
	return "", errors.New("too many attributes")
}

func (p *policyClient) take(ctx context.Context, fresh bool) (*policyConn, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 && !fresh {
		conn := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return conn, nil
	}
	p.mu.Unlock()
	conn, err := p.dial(ctx, p.timeout)
	if err != nil {
		return nil, err
	}
	return &policyConn{conn, bufio.NewReaderSize(conn, 1<<16)}, nil
}

func (p *policyClient) give(conn *policyConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		conn.Close()
		return
	}
	p.idle = append(p.idle, conn)
}

func (p *policyClient) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, conn := range p.idle {
		conn.Close()
	}
	p.idle = nil
}

var (
	numeric  = regexp.MustCompile(`^\d+$`)
	withCode = regexp.MustCompile(`^([45]\d\d) +(.+)$`)
	withDSN  = regexp.MustCompile(`^([245]\.\d{1,3}\.\d{1,3})(?: +(.*))?$`)
)

// askPolicy asks about the transaction, and returns what the client is to be told if it is refused. It knows
// the actions of access(5) that say yes or no, and PREPEND.
func (s *fakeSession) askPolicy() (refusal string) {
	if s.fake.policy.isZero() {
		return ""
	}
	action := s.fake.policy.ask(s, s.attributes())
	if numeric.MatchString(action) {
		return "" // access(5): "OK", whatever the number
	}
	if m := withCode.FindStringSubmatch(action); m != nil {
		return rejected(m[1], m[1][:1]+".7.1", m[2])
	}
	verb, text, _ := strings.Cut(action, " ")
	text = strings.TrimSpace(text)
	switch strings.ToUpper(verb) {
	case "DUNNO", "OK":
		return ""
	case "PREPEND":
		s.prepend = text
		return ""
	case "REJECT":
		return rejected("554", "5.7.1", or(text, "Access denied"))
	case "DEFER":
		return rejected("450", "4.7.1", or(text, "Access denied"))
	case "DEFER_IF_PERMIT":
		return rejected("450", "4.7.1", or(text, "Service unavailable"))
	}
	s.fake.logf("warning: unknown smtpd restriction: %q", verb)
	return "451 4.3.5 Server configuration error"
}

// rejected decorates a text the way smtpd(8) does at DATA. An enhanced code in the text replaces the default.
func rejected(code, dsn, text string) string {
	if m := withDSN.FindStringSubmatch(text); m != nil {
		dsn, text = m[1], m[2]
	}
	return fmt.Sprintf("%s %s <DATA>: Data command rejected: %s", code, dsn, text)
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
