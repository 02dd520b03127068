package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"domain-secured/internal/config"
	"domain-secured/internal/gate"
	"domain-secured/internal/maillog"
	"domain-secured/internal/mailqueue"
	"domain-secured/policy"
)

var queueCommand = &command{
	name:  "queue",
	args:  "[DOMAIN...]",
	short: "what waits in Postfix's queue for domains of the send list, and what to do",
	long: `
It reads the queue with postqueue(1), and tells for each domain of the send list
since when mail waits, why, and what to do about it. A DOMAIN that is named is told
of, listed or not. Postfix is the one of /etc/postfix, or of another directory with
--postfix=DIR. When it is down its queue can be read by root.

The exit code is 0 if the queue was read, whatever waits in it, 75 if it could not
be read.`,
	setup: func(flags *flag.FlagSet) func(*call) error {
		var postfix optional
		flags.Var(&postfix, "postfix", "the Postfix with the configuration directory `DIR`")
		asJSON := flags.Bool("json", false, "print JSON")
		return func(c *call) error {
			var named []string
			for _, name := range c.args {
				domain, err := policy.ParseDomain(name)
				if err != nil {
					return usagef("queue: %v", err)
				}
				named = append(named, domain)
			}
			cfg, err := config.Load(c.config, gate.ReadRoots)
			if err != nil {
				return err
			}
			q, err := readQueue(c.ctx, postfix.value, cfg.Snapshot, named)
			if err != nil {
				code := exitNotNow
				if errors.Is(err, fs.ErrPermission) {
					code = exitPermission
				}
				return exitf(code, "queue: %w", err)
			}
			for _, warning := range q.warnings {
				fmt.Fprintln(c.err, "domain-secured: postqueue:", warning)
			}
			if q.unread > 0 {
				fmt.Fprintf(c.err, "domain-secured: %s of the queue could not be read\n", count(q.unread, "message"))
			}
			if *asJSON {
				return c.printJSON(q.sorted())
			}
			return q.print(c.out, time.Now())
		}
	},
}

// Limits of what is told of one domain.
const (
	maxReasons = 10
	maxIDs     = 10
	// otherReason stands for those that there was no more room for.
	otherReason = "other reasons"
)

// queueOf is what waits by the domain that it waits for.
type queueOf struct {
	domains  map[string]*waitingDomain
	unread   int
	warnings []string
}

// waitingDomain is what queue --json prints of one domain.
type waitingDomain struct {
	Domain     string           `json:"domain"`
	Listed     bool             `json:"listed"`
	Mode       string           `json:"mode"`
	Messages   int              `json:"messages"`
	Recipients int              `json:"recipients"`
	Since      *time.Time       `json:"since,omitempty"`
	Reasons    []*waitingReason `json:"reasons"`
}

// waitingReason is why some of it waits.
type waitingReason struct {
	Reason   string    `json:"reason"`          // as Postfix has it, "" for no attempt yet
	Cause    string    `json:"cause,omitempty"` // as /status has it, if it is about TLS
	Queue    string    `json:"queue"`
	Messages int       `json:"messages"`
	Since    time.Time `json:"since"`
	Do       string    `json:"do"`
	IDs      []string  `json:"queue_ids"` // of the first of them
}

// readQueue reads what waits for the listed domains, or for those named.
func readQueue(ctx context.Context, dir string, s *policy.Snapshot, named []string) (*queueOf, error) {
	q := &queueOf{domains: make(map[string]*waitingDomain)}
	wanted := make(map[string]bool)
	for _, domain := range named {
		_, entry := s.SendingTo(domain)
		wanted[cmp.Or(entry, domain)] = true
		q.domain(s, cmp.Or(entry, domain), entry != "")
	}
	unread, warnings, err := mailqueue.Read(ctx, dir, func(m *mailqueue.Message) {
		seen := make(map[*waitingDomain]map[string]bool)
		for _, r := range m.Recipients {
			domain, entry := s.SendingTo(r.Address[strings.LastIndexByte(r.Address, '@')+1:])
			name := cmp.Or(entry, domain)
			if len(wanted) > 0 && !wanted[name] || len(wanted) == 0 && entry == "" {
				continue
			}
			q.domain(s, name, entry != "").add(m, r.Reason, seen)
		}
	})
	if err != nil {
		return nil, err
	}
	q.unread, q.warnings = unread, warnings
	return q, nil
}

func (q *queueOf) domain(s *policy.Snapshot, name string, listed bool) *waitingDomain {
	d := q.domains[name]
	if d == nil {
		d = &waitingDomain{Domain: strings.Clone(name), Listed: listed, Mode: string(s.Partner(name).Mode), Reasons: []*waitingReason{}}
		q.domains[d.Domain] = d
	}
	return d
}

// add adds one recipient of a message. seen has what of this message was added before.
func (d *waitingDomain) add(m *mailqueue.Message, reason string, seen map[*waitingDomain]map[string]bool) {
	if seen[d] == nil {
		seen[d] = make(map[string]bool)
		d.Messages++
		if d.Since == nil || m.Arrived.Before(*d.Since) {
			d.Since = &m.Arrived
		}
	}
	d.Recipients++
	if seen[d][reason] {
		return
	}
	seen[d][reason] = true
	r := d.reason(reason, m.Queue)
	r.Messages++
	if r.Since.IsZero() || m.Arrived.Before(r.Since) {
		r.Since = m.Arrived
	}
	if len(r.IDs) < maxIDs {
		r.IDs = append(r.IDs, m.ID)
	}
}

func (d *waitingDomain) reason(reason, queue string) *waitingReason {
	if queue == "hold" {
		reason = ""
	}
	cause := maillog.CauseOf(reason)
	for range 2 {
		for _, r := range d.Reasons {
			if r.Reason == reason && r.Queue == queue {
				return r
			}
		}
		if len(d.Reasons) < maxReasons {
			break
		}
		reason, cause, queue = otherReason, "", ""
	}
	r := &waitingReason{Reason: strings.Clone(reason), Cause: string(cause), Queue: queue, IDs: []string{}}
	r.Do = d.advice(cause, reason, queue)
	d.Reasons = append(d.Reasons, r)
	return r
}

// advice says in words what to do.
func (d *waitingDomain) advice(cause maillog.Cause, reason, queue string) string {
	probe := "domain-secured probe " + d.Domain
	switch cause {
	case maillog.TLSNotUsed:
		return "its server offers no STARTTLS: " + probe + " shows which, and what to tell the partner; mail goes on by itself when that is repaired"
	case maillog.HandshakeFailed:
		return "no TLS session comes about: " + probe + " shows what its servers speak, compare min_tls and min_bits"
	case maillog.PolicyNotKnown:
		return "Postfix got no TLS policy for it: look at smtp_tls_policy_maps, whether the daemon runs (domain-secured status), and at what it logs about " + d.Domain
	case maillog.TLSNotAvailable:
		return "TLS does not work in this Postfix: look into its log for warnings of smtp about TLS"
	case maillog.CertificateNotVerified, maillog.CertificateNotTrusted, maillog.CertificateExpired, maillog.CertificateNotYetValid, maillog.CertificateHostMismatch:
		return "its server's certificate is not good for it: " + probe + " says what is wrong, and what to tell the partner; mail goes on by itself when that is repaired"
	}
	switch {
	case queue == "hold":
		return "somebody put it on hold: postsuper -H QUEUE_ID lets it go"
	case queue == "corrupt":
		return "Postfix cannot read it: see its log"
	case reason == otherReason:
		return "postqueue -p has them all"
	case reason == "":
		return "on its way: nothing was tried yet"
	}
	return "this is not about TLS: it is tried again by itself, at once with postqueue -i QUEUE_ID"
}

// sorted returns the domains by name, and of each what waits longest first.
func (q *queueOf) sorted() []*waitingDomain {
	all := make([]*waitingDomain, 0, len(q.domains))
	for _, d := range q.domains {
		slices.SortStableFunc(d.Reasons, func(a, b *waitingReason) int { return a.Since.Compare(b.Since) })
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b *waitingDomain) int { return cmp.Compare(a.Domain, b.Domain) })
	return all
}

func (q *queueOf) print(w io.Writer, now time.Time) error {
	all := q.sorted()
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "nothing waits for a domain of the send list")
		return err
	}
	for i, d := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		listed := ""
		if !d.Listed {
			listed = " (not on the send list)"
		} else if d.Mode != string(policy.ModeEnforce) {
			listed = " (mode " + d.Mode + ")"
		}
		if d.Messages == 0 {
			fmt.Fprintf(w, "%s%s: nothing waits\n", d.Domain, listed)
			continue
		}
		fmt.Fprintf(w, "%s%s: %s for %s, since %s (%s)\n", d.Domain, listed, count(d.Messages, "message"),
			count(d.Recipients, "recipient"), when(*d.Since), ago(now.Sub(*d.Since)))
		for _, r := range d.Reasons {
			said := r.Reason
			if said == "" {
				said = "in the queue " + r.Queue
			}
			fmt.Fprintf(w, "  %s: %s, since %s: %s\n", count(r.Messages, "message"), oneLine(said), when(r.Since), strings.Join(r.IDs, " "))
			fmt.Fprintf(w, "    %s\n", r.Do)
		}
	}
	return nil
}

// ago is a time for people.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return count(int(d.Minutes()), "minute")
	case d < 48*time.Hour:
		return count(int(d.Hours()), "hour")
	}
	return count(int(d.Hours()/24), "day")
}

// oneLine makes a stranger's words printable: remote servers' replies are among them.
func oneLine(s string) string {
	const most = 300
	text := []rune(s)
	for i, r := range text {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			text[i] = '\uFFFD'
		}
	}
	if len(text) > most {
		return string(text[:most]) + "..."
	}
	return string(text)
}
