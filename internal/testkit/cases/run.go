package cases

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/smtpclient"
)

// A Result is what came of a case.
type Result struct {
	Reply   smtpclient.Reply // what the sender's server was told
	Arrived *mta.Message     // nil: nothing

	sent  []byte
	stamp string // that it must have
}

// runTimeout bounds a case: the session, and the delivery after it.
const runTimeout = 30 * time.Second

// Run sends a case's message to a server. If the server accepts it, Run waits until it has arrived; if not,
// Run makes sure that nothing did. An error says that the case could not be carried out; whether its outcome
// is the right one, Check knows.
func Run(ctx context.Context, server mta.MTA, w *World, c Case) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()

	host := "mail1." + domain(c.Sender)
	if c.Sender == "" {
		host = "mail1.example.net"
	}
	o := smtpclient.Options{Addr: server.Addr(), Hello: host, TLS: c.TLS}
	if c.Certificate != "" {
		certificate := w.Certificates[c.Certificate].TLSCertificate()
		o.Certificate = &certificate
	}
	id := fmt.Sprintf("<%s.%s@%s>", c.Name, rand.Text(), host)
	result := Result{sent: letter(c, id), stamp: w.Stamp(c)}
	var err error
	result.Reply, err = smtpclient.Send(ctx, o, smtpclient.Mail{Sender: c.Sender, Recipients: []string{Recipient}, Data: result.sent})
	if err != nil {
		return Result{}, fmt.Errorf("case %s: %w", c.Name, err)
	}

	mine := func(m mta.Message) bool { return m.Header.Get("Message-ID") == id }
	if result.Reply.Accepted() {
		arrived, err := server.Delivered(ctx, mine)
		if err != nil {
			return result, fmt.Errorf("case %s: accepted, but: %w", c.Name, err)
		}
		result.Arrived = &arrived
		return result, nil
	}
	if err := server.Idle(ctx); err != nil {
		return result, fmt.Errorf("case %s: %w", c.Name, err)
	}
	all, err := server.Messages()
	if err != nil {
		return result, fmt.Errorf("case %s: %w", c.Name, err)
	}
	if i := slices.IndexFunc(all, mine); i >= 0 {
		result.Arrived = &all[i]
	}
	return result, nil
}

// letter is a case's message. Forged stamps stand at the top, and at the end of the header.
func letter(c Case, id string) []byte {
	half := (len(c.Forged) + 1) / 2
	header := slices.Clone(c.Forged[:half])
	from := c.From
	if from == nil {
		from = []string{"<" + c.Sender + ">"}
	}
	for _, body := range from {
		header = append(header, "From: "+body)
	}
	header = append(header, "To: <"+Recipient+">", "Subject: "+c.Name, "Date: "+time.Now().Format(time.RFC1123Z), "Message-ID: "+id)
	header = append(header, c.Forged[half:]...)
	return fmt.Appendf(nil, "%s\n\n%s\n", strings.Join(header, "\n"), c.Words)
}

// Check says in which ways the result is not what the case demands, nil if it is.
func (r Result) Check(c Case) error {
	var wrong []error
	differs := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if r.Reply.Accepted() != c.Accepted {
		differs("accepted is %v, not %v: at %s, %s", r.Reply.Accepted(), c.Accepted, r.Reply.Stage, r.Reply)
	} else if !c.Accepted {
		if r.Reply.Code != c.Code {
			differs("code is %d, not %d: %s", r.Reply.Code, c.Code, r.Reply)
		}
		if r.Reply.Enhanced() != c.Enhanced {
			differs("enhanced code is %q, not %q: %s", r.Reply.Enhanced(), c.Enhanced, r.Reply)
		}
		if want := Demand(c.Sender) + c.Reason; !holdsToken(r.Reply.Text, want) {
			differs("not a word of %q: %s", want, r.Reply)
		}
	}
	if (r.Arrived != nil) != c.Accepted {
		differs("arrived is %v, not %v", r.Arrived != nil, c.Accepted)
	}
	if r.Arrived != nil && (r.Arrived.Sender != c.Sender || r.Arrived.Recipient != Recipient) {
		differs("arrived from %q for %q, not from %q for %q", r.Arrived.Sender, r.Arrived.Recipient, c.Sender, Recipient)
	}
	if r.Arrived != nil {
		wrong = append(wrong, r.checkHeader())
	}
	if errors.Join(wrong...) != nil {
		return fmt.Errorf("case %s: %w", c.Name, errors.Join(wrong...))
	}
	return nil
}

// Demand returns what stands before the reason in a refusal of mail from a sender.
func Demand(sender string) string { return domain(sender) + " requires mutual TLS here: " }

func domain(address string) string {
	return strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
}

// holdsToken reports whether text holds want, ending where the token does.
func holdsToken(text, want string) bool {
	_, after, found := strings.Cut(text, want)
	return found && (after == "" || !strings.Contains("abcdefghijklmnopqrstuvwxyz0123456789-", after[:1]))
}
