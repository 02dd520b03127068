package mta

import (
	"context"
	"fmt"
	"sync"

	"domain-secured/internal/testkit/smtpclient"
)

// A Filter is a content filter as in Postfix's FILTER_README ("Advanced content filter"): it takes mail by SMTP
// and gives each message to another SMTP server, whose reply becomes its own.
type Filter struct {
	fake   *Fake
	change func([]byte) []byte

	mu   sync.Mutex
	next string
}

// filterName is what it calls itself: smtp(8) does not talk to a server with its own name.
const filterName = "filter.contoso.com"

// StartFilter starts one on a port of 127.0.0.1. change gets each message, lines ending in \n, and returns what
// is handed on; nil changes nothing.
func StartFilter(ctx context.Context, change func(content []byte) []byte) (*Filter, error) {
	if change == nil {
		change = func(content []byte) []byte { return content }
	}
	f := &Filter{change: change}
	var err error
	f.fake, err = newFake(ctx, FakeOptions{Common: Common{Hostname: filterName, Domains: []string{filterName}}}, f.pass)
	if err != nil {
		return nil, fmt.Errorf("content filter: %w", err)
	}
	return f, nil
}

// Addr returns where it takes mail: "content_filter = smtp:[127.0.0.1]:port" wants the host in brackets.
func (f *Filter) Addr() string { return f.fake.Addr() }

// PassTo says to which server it hands mail on. Until then it refuses for now.
func (f *Filter) PassTo(addr string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = addr
}

func (f *Filter) pass(ctx context.Context, m smtpclient.Mail) string {
	f.mu.Lock()
	next := f.next
	f.mu.Unlock()
	m.Data = f.change(m.Data)
	reply, err := smtpclient.Send(ctx, smtpclient.Options{Addr: next, Hello: filterName}, m)
	if err != nil {
		return "451 4.3.0 cannot hand it on: " + err.Error()
	}
	return reply.String()
}

// Close ends it.
func (f *Filter) Close() error { return f.fake.Close() }
