package companies

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/smtpclient"
)

// A Letter is a message on its way between the two.
type Letter struct {
	From, To *Company
	ID       string // of the header
	QueueID  string // in the sender's Postfix; "" if it was not handed in there
}

// Write has the company's person write to the other one's.
func (c *Company) Write(ctx context.Context, to *Company) (Letter, error) {
	l := Letter{From: c, To: to, ID: "<" + rand.Text() + "@" + c.Host + ">"}
	reply, err := smtpclient.Send(ctx, smtpclient.Options{Addr: c.Postfix.Addr()}, mail(c, to, l.ID))
	if err != nil {
		return Letter{}, fmt.Errorf("hand in a message at %s: %w", c.Name, err)
	}
	if _, err := fmt.Sscanf(reply.Text, "2.0.0 Ok: queued as %s", &l.QueueID); err != nil || !reply.Accepted() {
		return Letter{}, fmt.Errorf("%s's Postfix does not take a message of its own people: %s", c.Name, reply)
	}
	return l, nil
}

// mail is a message from one company's person to the other's.
func mail(from, to *Company, id string) smtpclient.Mail {
	return smtpclient.Mail{
		Sender: from.Mailbox(), Recipients: []string{to.Mailbox()},
		Data: fmt.Appendf(nil, "From: <%s>\nTo: <%s>\nSubject: The contract\nDate: %s\nMessage-ID: %s\n\nSigned.\n",
			from.Mailbox(), to.Mailbox(), time.Now().Format(time.RFC1123Z), id),
	}
}

// An Outcome is what has become of a letter so far, as each side tells it.
type Outcome struct {
	Letter
	Status string       // of the last try, in the sender's Postfix: "sent", "deferred", "bounced"; "" before the first
	Said   string       // by it behind that
	Waits  string       // why the sender's domain-secured has mail wait: its log's last word in that matter
	Reply  string       // the receiver's, "" if it was not asked for one
	Before []string     // the receiver's reasons in earlier tries, each once
	Queue  []mta.Queued // of the sender: all that is there

	Arrived []mta.Message // at the receiver
	Back    *mta.Message  // a bounce to the sender
}

var (
	// refusal is how smtp(8) tells of a reply, acceptance is the reply alone.
	refusal    = regexp.MustCompile(`^host \S+ said: (\d{3} .*) \(in reply to .* command\)$`)
	acceptance = regexp.MustCompile(`^250 .*$`)
	reason     = regexp.MustCompile(` requires mutual TLS here: ([a-z-]+)`)
	waits      = regexp.MustCompile(`msg="mail waits" domain=(\S+) .*\breason=(\S+)`)
)

// Outcome looks what has become of the letter.
func (l Letter) Outcome(ctx context.Context) (o Outcome, err error) {
	o.Letter = l
	o.read(l.From.Postfix.Log())
	for _, m := range waits.FindAllStringSubmatch(l.From.Daemon.Log(), -1) {
		if m[1] == l.To.Domain {
			o.Waits = m[2]
		}
	}
	received, err := l.To.Postfix.Messages()
	if err != nil {
		return o, err
	}
	own, err := l.From.Postfix.Messages()
	if err != nil {
		return o, err
	}
	o.Arrived = slices.DeleteFunc(received, func(m mta.Message) bool { return m.Header.Get("Message-ID") != l.ID })
	for _, m := range own {
		if m.Sender == "" && strings.Contains(string(m.Body), l.ID) {
			o.Back = &m
		}
	}
	o.Queue, err = l.From.Postfix.Queue(ctx)
	return o, err
}

// read takes the tries from the log of the sender's Postfix.
func (o *Outcome) read(log string) {
	for line := range strings.Lines(log) {
		_, after, mine := strings.Cut(line, " "+o.QueueID+": to=<"+o.To.Mailbox()+">")
		_, status, told := strings.Cut(after, " status=")
		if !mine || !told {
			continue
		}
		if m := reason.FindStringSubmatch(o.Reply); m != nil && !slices.Contains(o.Before, m[1]) {
			o.Before = append(o.Before, m[1])
		}
		o.Status, o.Said, _ = strings.Cut(strings.TrimSpace(status), " ")
		o.Said, o.Reply = strings.TrimSuffix(strings.TrimPrefix(o.Said, "("), ")"), ""
		if m := refusal.FindStringSubmatch(o.Said); m != nil {
			o.Reply = m[1]
		} else if acceptance.MatchString(o.Said) {
			o.Reply = o.Said
		}
	}
	if m := reason.FindStringSubmatch(o.Reply); m != nil {
		o.Before = slices.DeleteFunc(o.Before, func(before string) bool { return before == m[1] })
	}
}

// Waiting returns how many messages of its own the sender's Postfix has in its queue; others are on their way in.
func (o Outcome) Waiting() (n int) {
	for _, q := range o.Queue {
		if q.Sender == o.From.Mailbox() {
			n++
		}
	}
	return n
}

// isQueued reports whether the letter itself waits.
func (o Outcome) isQueued() bool {
	return slices.ContainsFunc(o.Queue, func(q mta.Queued) bool { return q.ID == o.QueueID })
}

// stamp is the only one that the letter may have.
func (o Outcome) stamp() string {
	pin := strings.ToLower(strings.ReplaceAll(o.From.present.Fingerprint(), ":", ""))
	return fmt.Sprintf(" %s; domain=%s; auth=chain; name=%s;\n  fingerprint=sha256:%s; revocation=crl; tls=TLSv1.3; client=%s",
		o.To.Host, o.From.Domain, o.From.Host, pin, o.From.Address)
}

// Stamps returns the Domain-Secured fields of what arrived.
func (o Outcome) Stamps() (all []mta.Field) {
	for _, m := range o.Arrived {
		for _, f := range m.Fields {
			if f.Is("Domain-Secured") {
				all = append(all, f)
			}
		}
	}
	return all
}

// A Want is what must become of a letter.
type Want struct {
	Status string
	Waits  string // of the sender's domain-secured
	Code   string // the receiver's refusal: "450 4.7.1"
	Reason string // and its reason
}

// check says in which ways an outcome is another one, nil if it is not.
func (w Want) check(o Outcome) error {
	var wrong []error
	differs := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if o.Status != w.Status {
		differs("status is %q, not %q: %s", o.Status, w.Status, o.Said)
	}
	if w.Waits != "" && o.Waits != w.Waits {
		differs("domain-secured has it wait for %q, not %q", o.Waits, w.Waits)
	}
	if demand := w.Code + " "; !strings.HasPrefix(o.Reply, demand) && w.Code != "" {
		differs("the reply does not begin with %q: %q", demand, o.Reply)
	}
	if demand := o.From.Domain + " requires mutual TLS here: " + w.Reason + ","; w.Reason != "" && !strings.Contains(o.Reply, demand) {
		differs("not a word of %q: %q", demand, o.Reply)
	}
	if w.Status != "sent" && w.Code == "" && o.Reply != "" {
		differs("the receiver was asked, and said %q", o.Reply)
	}
	if o.isQueued() != (w.Status == "deferred") {
		differs("it is in the queue: %v", o.isQueued())
	}
	if (o.Back != nil) != (w.Status == "bounced") {
		differs("it came back: %v", o.Back != nil)
	}
	if arrived := len(o.Arrived); arrived > 1 || (arrived == 1) != (w.Status == "sent") {
		differs("it has arrived %d times", arrived)
	}
	if stamps := o.Stamps(); w.Status == "sent" && (len(stamps) != 1 || stamps[0].Value != o.stamp()) {
		differs("its stamps are %q, not just %q", stamps, o.stamp())
	}
	return errors.Join(wrong...)
}

// outcomeTimeout bounds how long the two may take to come to what they must come to.
const outcomeTimeout = 20 * time.Second

// await waits until the letter has come to what it must come to, and returns what is still wrong with that when it
// gives up.
func (l Letter) await(ctx context.Context, w Want) (o Outcome, wrong, err error) {
	until := time.Now().Add(outcomeTimeout)
	for tick := time.Tick(50 * time.Millisecond); ; {
		if o, err = l.Outcome(ctx); err != nil {
			return o, nil, err
		}
		if wrong = w.check(o); wrong == nil || time.Now().After(until) {
			return o, wrong, nil
		}
		select {
		case <-ctx.Done():
			return o, nil, context.Cause(ctx)
		case <-tick:
		}
	}
}
