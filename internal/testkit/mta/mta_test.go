package mta

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/testkit/smtpclient"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// needPostfix skips the test where no Postfix can run, except on CI, which must have one.
func needPostfix(t *testing.T) {
	t.Helper()
	if _, err := FindPostfix(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// An oracle is a policy service that gives one answer and keeps what it was asked.
type oracle struct {
	listener net.Listener
	running  sync.WaitGroup

	mu       sync.Mutex
	conns    []net.Conn
	reply    string
	requests []string
}

func newOracle(t *testing.T, network, address string) *oracle {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	if network == "unix" {
		if err := os.Chmod(address, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	o := &oracle{listener: listener, reply: "action=DUNNO"}
	o.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			o.mu.Lock()
			o.conns = append(o.conns, conn)
			o.mu.Unlock()
			o.running.Go(func() { o.serve(conn) })
		}
	})
	t.Cleanup(o.stop)
	return o
}

func (o *oracle) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	var request strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if line != "\n" {
			request.WriteString(line)
			continue
		}
		o.mu.Lock()
		o.requests = append(o.requests, request.String())
		reply := o.reply
		o.mu.Unlock()
		request.Reset()
		if _, err := io.WriteString(conn, reply+"\n\n"); err != nil {
			return
		}
	}
}

// stop ends the service and its connections.
func (o *oracle) stop() {
	o.listener.Close()
	o.mu.Lock()
	for _, conn := range o.conns {
		conn.Close()
	}
	o.mu.Unlock()
	o.running.Wait()
}

func (o *oracle) answer(reply string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reply = reply
}

// last returns the last request.
func (o *oracle) last() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.requests) == 0 {
		return ""
	}
	return o.requests[len(o.requests)-1]
}

func (o *oracle) String() string {
	if o.listener.Addr().Network() == "unix" {
		return "unix:" + o.listener.Addr().String()
	}
	return "inet:" + o.listener.Addr().String()
}

// common returns what both servers are told, and the authority they trust for clients.
func common(t *testing.T) (Common, *pki.CA) {
	t.Helper()
	ca, err := pki.NewCA(pki.CAOptions{Name: "Research Root CA é"})
	if err != nil {
		t.Fatal(err)
	}
	server, err := ca.Leaf(pki.LeafOptions{DNSNames: []string{"mx1.contoso.com"}})
	if err != nil {
		t.Fatal(err)
	}
	return Common{Domains: []string{"contoso.com", "contoso.net"}, Certificate: server, ClientCA: ca.Certificate.Leaf}, ca
}

func startFake(t *testing.T, c Common, policy *oracle) *Fake {
	t.Helper()
	return startFakeOf(t, FakeOptions{Common: c, Policy: policy.String(), PolicyContext: "data"})
}

func startFakeOf(t *testing.T, o FakeOptions) *Fake {
	t.Helper()
	fake, err := StartFake(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fake.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("fake MTA:\n%s", fake.Log())
		}
	})
	return fake
}

func startPostfix(t *testing.T, c Common, main ...string) *Postfix {
	t.Helper()
	return startPostfixOf(t, PostfixOptions{Common: c, Main: main})
}

func startPostfixOf(t *testing.T, o PostfixOptions) *Postfix {
	t.Helper()
	needPostfix(t)
	postfix, err := StartPostfix(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Postfix:\n%s", postfix.Log())
		}
		if err := postfix.Close(); err != nil {
			t.Error(err)
		}
	})
	return postfix
}

// askingAtData is the line of main.cf that makes Postfix ask a policy service.
func askingAtData(policy *oracle) string {
	return fmt.Sprintf("smtpd_data_restrictions = check_policy_service { %s, timeout=5s, policy_context=data }", policy)
}

// each runs a test with either server and a policy service of its own.
func each(t *testing.T, test func(t *testing.T, server MTA, policy *oracle)) {
	t.Helper()
	c, _ := common(t)
	t.Run("fake", func(t *testing.T) {
		policy := newOracle(t, "tcp", "127.0.0.1:0")
		test(t, startFake(t, c, policy), policy)
	})
	t.Run("Postfix", func(t *testing.T) {
		policy := newOracle(t, "tcp", "127.0.0.1:0")
		test(t, startPostfix(t, c, askingAtData(policy)), policy)
	})
}

var letter = smtpclient.Mail{
	Sender: "alice@woodgrovebank.com", Recipients: []string{"bob@contoso.com"},
	Data: []byte("From: alice@woodgrovebank.com\nSubject: hello\n\nHi Bob.\n.\n"),
}

func send(t *testing.T, server MTA, o smtpclient.Options, m smtpclient.Mail) smtpclient.Reply {
	t.Helper()
	o.Addr, o.Hello = server.Addr(), "mail1.woodgrovebank.com"
	reply, err := smtpclient.Send(t.Context(), o, m)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func TestDelivery(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, server MTA, policy *oracle) {
		m := letter
		m.Recipients = []string{"bob@contoso.com", "carol@contoso.net"}
		if reply := send(t, server, smtpclient.Options{TLS: true}, m); !reply.Accepted() {
			t.Fatalf("refused at %s: %s", reply.Stage, reply)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for _, recipient := range m.Recipients {
			got, err := server.Delivered(ctx, func(m Message) bool { return m.Recipient == recipient })
			if err != nil {
				t.Fatal(err)
			}
			if got.Sender != m.Sender || got.Header.Get("Subject") != "hello" || string(got.Body) != "Hi Bob.\n.\n" {
				t.Errorf("delivered to %s from %q:\n%s", recipient, got.Sender, got.Raw)
			}
		}
		if err := server.Idle(ctx); err != nil {
			t.Error(err)
		}
		if all, err := server.Messages(); err != nil || len(all) != 2 {
			t.Errorf("%d messages: %v", len(all), err)
		}

		ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := server.Delivered(ctx, func(Message) bool { return false }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for what never comes: %v", err)
		}
	})
}

func TestNoRelay(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, server MTA, policy *oracle) {
		m := letter
		m.Recipients = []string{"mallory@fabrikam.com"}
		reply := send(t, server, smtpclient.Options{}, m)
		if reply.Stage != smtpclient.RCPT || reply.String() != "554 5.7.1 <mallory@fabrikam.com>: Relay access denied" {
			t.Errorf("at %s: %s", reply.Stage, reply)
		}
		if policy.last() != "" {
			t.Errorf("the policy service was asked:\n%s", policy.last())
		}
	})
}

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	c, _ := common(t)
	// Not t.TempDir: Postfix's user may not enter that.
	dir, err := os.MkdirTemp("", "policy-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	policy := newOracle(t, "unix", filepath.Join(dir, "policy.sock"))
	policy.answer("action=450 4.7.1 no")
	t.Run("fake", func(t *testing.T) {
		if reply := send(t, startFake(t, c, policy), smtpclient.Options{}, letter); reply.Text != "4.7.1 <DATA>: Data command rejected: no" {
			t.Error(reply)
		}
	})
	t.Run("Postfix", func(t *testing.T) {
		if reply := send(t, startPostfix(t, c, askingAtData(policy)), smtpclient.Options{}, letter); reply.Text != "4.7.1 <DATA>: Data command rejected: no" {
			t.Error(reply)
		}
	})
}
