// Package mta starts mail servers to test with: a private Postfix, and a fake one for where there is no
// Postfix or no root. Both listen on loopback only, host the domains they are told to, ask a policy service at
// DATA and tell a milter. It also has a stand-in milter and a content filter for them.
package mta

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"domain-secured/internal/testkit/pki"
)

// An MTA is a running mail server. Its methods may be called from several goroutines.
type MTA interface {
	// Name says for people what it is: "Postfix 3.7.11".
	Name() string
	// Addr is where it speaks SMTP: host:port, on loopback.
	Addr() string
	// Delivered waits for the first delivered message that match likes, among those already there, too.
	// The error says that ctx ended, or that deliveries cannot be read.
	Delivered(ctx context.Context, match func(Message) bool) (Message, error)
	// Messages returns everything delivered so far, in no particular order.
	Messages() ([]Message, error)
	// Idle waits until no message is on its way from SMTP to a mailbox: what Messages lacks after that was
	// not accepted.
	Idle(ctx context.Context) error
	// Log returns what the server has logged.
	Log() string
	// Close stops the server and waits for its end, at most some seconds. Further calls do nothing.
	Close() error
}

// Common is what every kind of server is told.
type Common struct {
	Hostname    string            // "mx1." and the first domain when empty
	Domains     []string          // whose mail it takes, for any local part; at least one
	Certificate *pki.Certificate  // for STARTTLS; none offers none
	ClientCA    *x509.Certificate // the root for client certificates; nil trusts none
}

func (c *Common) complete() error {
	if len(c.Domains) == 0 {
		return errors.New("no domain to take mail for")
	}
	if c.Hostname == "" {
		c.Hostname = "mx1." + c.Domains[0]
	}
	return nil
}

// A Message is one that arrived in a mailbox.
type Message struct {
	Sender    string      // of the envelope, "" for a bounce
	Recipient string      // of the envelope
	Fields    []Field     // of the header, in their order; the first EnvelopeFields tell of the envelope
	Header    mail.Header // the same by name, unfolded
	Body      []byte
	Raw       []byte // everything, lines ending in \n
}

// EnvelopeFields is the number of fields that virtual(8) puts at the top: Return-Path, X-Original-To and
// Delivered-To.
const EnvelopeFields = 3

// parseMessage reads what was delivered.
func parseMessage(raw []byte) Message {
	fields, body := ParseFields(string(raw))
	h := header(fields)
	return Message{
		Sender:    strings.Trim(h.Get("Return-Path"), "<>"),
		Recipient: h.Get("Delivered-To"),
		Fields:    fields,
		Header:    h,
		Body:      []byte(body),
		Raw:       raw,
	}
}

// await asks done again and again until it says yes, fails, or ctx ends. It is for what lives in the file
// system or in another process, of which no one tells.
func await(ctx context.Context, what string, done func() (bool, error)) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
		case <-tick.C:
		}
	}
}
