package mta

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/testkit/smtpclient"
)

// Limits of the fake server. What exceeds them is refused or cut off, never kept.
const (
	fakeSessions    = 500
	fakeMessages    = 100_000
	fakeMessageSize = 10_240_000 // message_size_limit's default
	fakeRecipients  = 1000       // smtpd_recipient_limit's default
	fakeLine        = 4096
	fakeLog         = 1 << 20
	fakeTimeout     = 60 * time.Second // for each command
)

// FakeOptions describe a fake server. Its services are named "inet:host:port" or "unix:/path".
type FakeOptions struct {
	Common

	// Listen is where it speaks SMTP, host:port; empty is a free port of 127.0.0.1.
	Listen string

	// Nameless is presented to clients that name no host in TLS (RFC 6066 section 3); everybody is presented
	// Common.Certificate when nil.
	Nameless *pki.Certificate

	// MaxTLS is the highest version of TLS, as in crypto/tls; 0 leaves the choice to it.
	MaxTLS uint16

	// Milter is told of everything, as with smtpd_milters and milter_default_action = tempfail; empty tells
	// nobody.
	Milter        string
	MilterTimeout time.Duration // for connecting and for each answer; 30 seconds, milter_command_timeout, when 0

	// Policy is the policy service asked at DATA; empty asks nobody.
	Policy        string
	PolicyContext string        // policy_context
	PolicyTimeout time.Duration // smtpd_policy_service_timeout; 100 seconds when 0
	PolicyDefault string        // smtpd_policy_service_default_action; Postfix's own when empty
}

// Fake behaves, towards its client, the policy service and the milter, as Postfix 3.7 does with
// "smtpd_data_restrictions = check_policy_service" and smtpd_milters: the same attributes, events and macros in
// the same order, the same tries when a service fails, the same words around its reply. It is made for the
// sessions tests hold, not for hostile ones. Mail stays in memory.
type Fake struct {
	options  FakeOptions
	tls      *tls.Config
	listener net.Listener
	policy   *policyClient
	milter   endpoint
	number   atomic.Int64 // of transactions
	// forward, if set, takes every message instead of the mailbox, and returns the reply to it.
	forward func(context.Context, smtpclient.Mail) string

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	conns    map[net.Conn]bool
	messages []Message
	changed  chan struct{} // closed, and made anew, with each message
	log      strings.Builder
}

var _ MTA = (*Fake)(nil)

// StartFake starts a fake server. The end of ctx later on does nothing.
func StartFake(ctx context.Context, o FakeOptions) (*Fake, error) { return newFake(ctx, o, nil) }

func newFake(ctx context.Context, o FakeOptions, forward func(context.Context, smtpclient.Mail) string) (*Fake, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("start fake MTA: %w", err)
	}
	policy, err := newPolicyClient(o)
	if err != nil {
		return nil, fmt.Errorf("start fake MTA: %w", err)
	}
	milter, err := parseEndpoint(o.Milter)
	if err != nil {
		return nil, fmt.Errorf("start fake MTA: milter: %w", err)
	}
	if o.MilterTimeout == 0 {
		o.MilterTimeout = milterTimeout
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", cmp.Or(o.Listen, "127.0.0.1:0"))
	if err != nil {
		return nil, fmt.Errorf("start fake MTA: %w", err)
	}
	f := &Fake{
		options: o, listener: listener, policy: policy, milter: milter, forward: forward,
		conns: map[net.Conn]bool{}, changed: make(chan struct{}),
	}
	if o.Certificate != nil {
		f.tls = &tls.Config{
			Certificates: []tls.Certificate{o.Certificate.TLSCertificate()},
			ClientAuth:   tls.RequestClientCert, // asks, and takes any or none
			MaxVersion:   o.MaxTLS,
		}
		if o.Nameless != nil {
			named, nameless := o.Certificate.TLSCertificate(), o.Nameless.TLSCertificate()
			f.tls.Certificates = nil // or the function is not asked about clients that name none
			f.tls.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				if hello.ServerName == "" {
					return &nameless, nil
				}
				return &named, nil
			}
		}
		if o.ClientCA != nil {
			// As smtpd_tls_CAfile does, this also names the authority to the client.
			f.tls.ClientCAs = pool(o.ClientCA)
		}
	}
	f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	f.running.Go(f.accept)
	return f, nil
}

func (f *Fake) accept() {
	slots := make(chan struct{}, fakeSessions)
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return // closed, or of no more use
		}
		if !f.keep(conn) {
			conn.Close()
			return
		}
		slots <- struct{}{}
		f.running.Go(func() {
			defer func() { <-slots }()
			defer f.drop(conn)
			newFakeSession(f, conn).run()
		})
	}
}

// keep notes a connection for hangUp; it fails when that has been.
func (f *Fake) keep(conn net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ctx.Err() != nil {
		return false
	}
	f.conns[conn] = true
	return true
}

func (f *Fake) drop(conn net.Conn) {
	conn.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, conn)
}

func (f *Fake) hangUp() {
	f.listener.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	for conn := range f.conns {
		conn.Close()
	}
}

// Name returns "fake MTA".
func (f *Fake) Name() string { return "fake MTA" }

// Addr returns where it speaks SMTP.
func (f *Fake) Addr() string { return f.listener.Addr().String() }

// Messages returns everything delivered so far.
func (f *Fake) Messages() ([]Message, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.messages), nil
}

// Delivered waits for a message that match likes.
func (f *Fake) Delivered(ctx context.Context, match func(Message) bool) (Message, error) {
	for from := 0; ; {
		f.mu.Lock()
		fresh, changed := f.messages[from:], f.changed
		f.mu.Unlock()
		if i := slices.IndexFunc(fresh, match); i >= 0 {
			return fresh[i], nil
		}
		from += len(fresh)
		select {
		case <-ctx.Done():
			return Message{}, fmt.Errorf("waiting for a delivery: %w", context.Cause(ctx))
		case <-changed:
		}
	}
}

// Idle returns at once: a message is in its mailbox before its client hears that it is accepted.
func (f *Fake) Idle(context.Context) error { return nil }

// deliver fails when the mailbox is full.
func (f *Fake) deliver(raw []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.messages) >= fakeMessages {
		return false
	}
	f.messages = append(f.messages, parseMessage(raw))
	close(f.changed)
	f.changed = make(chan struct{})
	return true
}

// Log returns the start of what it has logged.
func (f *Fake) Log() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log.String()
}

func (f *Fake) logf(format string, args ...any) {
	line := fmt.Sprintf("%s "+format+"\n", append([]any{time.Now().UTC().Format(time.StampMicro)}, args...)...)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.log.Len()+len(line) <= fakeLog {
		f.log.WriteString(line)
	}
}

// Close ends all sessions and waits for them.
func (f *Fake) Close() error {
	f.cancel()
	f.hangUp()
	f.running.Wait()
	f.policy.close()
	return nil
}
