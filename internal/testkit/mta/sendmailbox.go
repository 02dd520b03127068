package mta

import (
	"context"
	"fmt"

	"domain-secured/internal/testkit/smtpclient"
)

// startMailbox starts what Sendmail hands its mail on to: it keeps every message as it came, with the fields on top
// that virtual(8) of Postfix would put there, and adds nothing else.
func startMailbox(ctx context.Context) (box *Fake, err error) {
	started := make(chan struct{})
	// A Sendmail does not talk to a server with its own name.
	box, err = newFake(ctx, FakeOptions{Common: Common{Hostname: "mailbox.invalid", Domains: []string{"mailbox.invalid"}}},
		func(_ context.Context, m smtpclient.Mail) string {
			<-started
			for _, recipient := range m.Recipients {
				if !box.deliver(fmt.Appendf(nil, "Return-Path: <%s>\nX-Original-To: %s\nDelivered-To: %s\n%s", m.Sender, recipient, recipient, m.Data)) {
					return "452 4.3.1 Insufficient system storage"
				}
			}
			return "250 2.0.0 Ok"
		})
	close(started)
	return box, err
}
