package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"domain-secured/internal/testkit/cases"
	"domain-secured/internal/testkit/smtpclient"
)

var capture = flag.Bool("capture", false, "write what this Postfix asks to policy/delegation/testdata/captured")

// restrictions are all places that a policy service can be asked from.
var restrictions = []string{
	"smtpd_client_restrictions", "smtpd_helo_restrictions", "smtpd_sender_restrictions",
	"smtpd_recipient_restrictions", "smtpd_data_restrictions", "smtpd_end_of_data_restrictions",
}

// askEverywhere has Postfix ask a service whenever it can, with another setting, until the test ends.
func (s *postfixSite) askEverywhere(t *testing.T, service, name, value string) {
	t.Helper()
	settings, mend := []string{name, value}, []string{"smtpd_tls_CAfile", "", "smtpd_delay_reject", "yes"}
	for _, restriction := range restrictions {
		settings, mend = append(settings, restriction, service), append(mend, restriction, "")
	}
	s.configure(t, settings...)
	t.Cleanup(func() { s.configure(t, append(mend, "smtpd_data_restrictions", s.policyService())...) })
}

// testEveryState has Postfix ask the daemon at CONNECT already, when nothing is known.
func testEveryState(t *testing.T, s *postfixSite) {
	s.askEverywhere(t, s.policyService(), "smtpd_delay_reject", "no")
	m, id := letterFrom(bankSender)
	m.Recipients = append(m.Recipients, "carol@contoso.com")
	proven := s.dial(t, s.presenting(cases.Good))
	expect(t, proven, m, accepted)
	if all := s.arrived(t, id); len(all) != 2 {
		t.Errorf("%d copies arrived, want 2", len(all))
	}
	proven.Close()
	m, _ = letterFrom(bankSender)
	plain := s.dial(t, s.plain())
	defer plain.Close()
	expect(t, plain, m, "MAIL 450 4.7.0 <"+bankSender+">: Sender address rejected: "+
		"woodgrovebank.com requires mutual TLS here: tls-not-used, the session did not use TLS; postmaster@contoso.com")
	m, _ = letterFrom(fabrikamSender)
	expect(t, plain, m, accepted)
}

// testCapturedRequests has a listener in the daemon's place hear what Postfix asks, and compares that with what
// was captured of this version: whoever reads the capture reads what Postfix sends.
func testCapturedRequests(t *testing.T, s *postfixSite) {
	heard := listenToPostfix(t)
	milters := s.parameter(t, "smtpd_milters") // which would refuse what only the listener has let in
	defer s.configure(t, "smtpd_milters", milters)
	s.configure(t, "smtpd_milters", "")
	s.askEverywhere(t, fmt.Sprintf(policyService, heard.address), "smtpd_tls_CAfile", filepath.Join(s.Dir, "woodgrovebank-root.pem"))
	const rcpt, data, end = "RCPT", "DATA", "END-OF-MESSAGE"
	var requests []string
	for _, c := range []struct {
		how    smtpclient.Options
		sender string
		change func(*smtpclient.Mail)
		states []string
	}{
		{s.plain(), "plain@woodgrovebank.com", nil, []string{rcpt, data}},
		{s.presenting(""), "no-certificate@woodgrovebank.com", nil, []string{data}},
		{s.presenting(cases.Good), "trusted@woodgrovebank.com", nil, []string{rcpt, data, end}},
		{s.presenting(cases.SelfSigned), "self-signed@woodgrovebank.com", nil, []string{data}},
		{s.plain(), "two-recipients@fabrikam.com", func(m *smtpclient.Mail) { m.Recipients = append(m.Recipients, "carol@contoso.com") }, []string{data}},
		{s.plain(), "", nil, []string{data}},
		{s.plain(), "älice@bücher.example", func(m *smtpclient.Mail) { m.Parameters = "SMTPUTF8" }, []string{data}},
	} {
		m, _ := letterFrom(c.sender)
		if c.change != nil {
			c.change(&m)
		}
		session := s.dial(t, c.how)
		expect(t, session, m, accepted)
		session.Close()
		for _, state := range c.states {
			requests = append(requests, heard.last(t, state, c.sender))
		}
	}

	name := filepath.Join("..", "..", "policy", "delegation", "testdata", "captured", strings.ToLower(strings.ReplaceAll(s.postfix.Name(), " ", "-")))
	if *capture {
		if err := os.WriteFile(name, []byte(strings.Join(requests, "")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	captured, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("no requests of %s captured: go test -run TestPostfix/captured ./cmd/domain-secured -capture", s.postfix.Name())
	} else if err != nil {
		t.Fatal(err)
	}
	if got, want := lasting(strings.Join(requests, "")), lasting(string(captured)); got != want {
		t.Errorf("%s sends\n%s\ncaptured is\n%s", s.postfix.Name(), got, want)
	}
}

var passing = regexp.MustCompile(`(?m)^((?:client_port|server_port|queue_id|instance|ccert_\w*fingerprint|encryption_cipher|encryption_keysize)=).+$`)

// lasting leaves out of requests the values that are others each time.
func lasting(requests string) string { return passing.ReplaceAllString(requests, "$1...") }

// A listener is a policy service without an opinion that remembers what it was asked.
type listener struct {
	address string

	mu       sync.Mutex
	requests []string
}

func listenToPostfix(t *testing.T) *listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &listener{address: "inet:" + l.Addr().String()}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { h.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return h
}

func (h *listener) serve(conn net.Conn) {
	defer conn.Close()
	var text strings.Builder
	for in := bufio.NewReader(conn); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		text.WriteString(line)
		if line != "\n" {
			continue
		}
		h.mu.Lock()
		h.requests = append(h.requests, text.String())
		h.mu.Unlock()
		text.Reset()
		if _, err := io.WriteString(conn, "action=DUNNO\n\n"); err != nil {
			return
		}
	}
}

// last is the last request in a state about a sender.
func (h *listener) last(t *testing.T, state, sender string) string {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, request := range slices.Backward(h.requests) {
		if strings.Contains(request, "\nprotocol_state="+state+"\n") && strings.Contains(request, "\nsender="+sender+"\n") {
			return request
		}
	}
	t.Fatalf("Postfix asked nothing at %s about mail from %q", state, sender)
	return ""
}
