package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"domain-secured/internal/ops"
)

// printStatus writes a status for a person.
func printStatus(to io.Writer, s *ops.Status, now time.Time) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	ready := ""
	if !s.Ready {
		ready = ", not ready"
	}
	fmt.Fprintf(w, "domain-secured %s, up %v%s\n", s.Version, (time.Duration(s.UptimeSeconds) * time.Second), ready)
	c := &s.Config
	fmt.Fprintf(w, "%s: as of %s, %d domains to receive from, %d to send to, %d certificates stored\n",
		c.File, when(c.Loaded), c.Receive, c.Send, c.Certificates)
	if c.Problem != "" {
		fmt.Fprintf(w, "problem: %s\n", c.Problem)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Doors)) {
		d := s.Doors[name]
		fmt.Fprintf(w, "%s door: %s at %s\n", name, count(d.Connections, "connection"), d.Listen)
	}
	printSource(w, "mail log", s.Maillog, now)
	printSource(w, "TLS reports", s.TLSRPT, now)
	fmt.Fprintln(w)
	total := func(name string, n *uint64) {
		if n == nil {
			fmt.Fprintf(w, "%s\tnot known: [send] maillog is not set\n", name)
		} else {
			fmt.Fprintf(w, "%s\t%d\n", name, *n)
		}
	}
	total("Domain-Secured Messages Received", s.MessagesReceived)
	total("Domain-Secured Messages Sent", s.MessagesSent)
	total("Domain-Secured Outbound Session Failures", s.SessionFailures)
	r := &s.Received
	fmt.Fprintf(w, "Received of listed domains\t%s\n", tallied(r.Passed, r.Tempfailed, r.Rejected, r.Testing, r.NoOpinion))
	fmt.Fprintf(w, "Received of all others\t%d\n", r.Unlisted)
	l := &s.Lookups
	var waiting uint64
	for _, n := range l.Waiting {
		waiting += n
	}
	fmt.Fprintf(w, "Asked before sending\t%d told what to insist on, %d to wait, %d not listed\n",
		l.Names+l.Vetted+l.Pins, waiting, l.Unlisted+l.Off+l.Testing)
	if err := w.Flush(); err != nil {
		return err
	}
	for _, p := range s.Partners {
		printPartner(to, p)
	}
	if o := &s.Others; o.Received.Passed+o.Received.NoOpinion > 0 || len(o.Received.Failed) > 0 || o.Sent != nil && o.Sent.Secured+o.Sent.NotSecured+o.Sent.Unknown+uint64(o.Sent.Deferred) > 0 {
		o.Domain = "all others, or not listed any more"
		printPartner(to, o)
	}
	return nil
}

func printSource(w io.Writer, name string, s *ops.Source, now time.Time) {
	if s == nil {
		return
	}
	fmt.Fprintf(w, "%s: %s, %d read, %d not understood", name, s.Name, s.Read, s.Unknown)
	if s.Last != nil {
		fmt.Fprintf(w, ", the last %v ago", now.Sub(*s.Last).Round(time.Second))
	}
	if s.Problem != "" {
		fmt.Fprintf(w, "; problem: %s", s.Problem)
	}
	fmt.Fprintln(w)
}

func printPartner(w io.Writer, p *ops.Partner) {
	mode := ""
	if p.Mode != "" {
		mode = " (" + p.Mode + ")"
	}
	fmt.Fprintf(w, "\n%s%s\n", p.Domain, mode)
	r := &p.Received
	if p.Receive || r.Passed > 0 || len(r.Failed) > 0 {
		var t ops.Failures
		for _, n := range r.Failed {
			t.Tempfailed += n.Tempfailed
			t.Rejected += n.Rejected
			t.Testing += n.Testing
		}
		fmt.Fprintf(w, "  received: %s\n", tallied(r.Passed, t.Tempfailed, t.Rejected, t.Testing, r.NoOpinion))
		for _, reason := range slices.Sorted(maps.Keys(r.Failed)) {
			n := r.Failed[reason]
			fmt.Fprintf(w, "    %s: %s\n", reason, tallied(0, n.Tempfailed, n.Rejected, n.Testing, 0))
		}
		printIncoming(w, "last pass", r.LastPass)
		printIncoming(w, "last refusal", r.LastRefusal)
	}
	if s := p.Sent; s != nil {
		fmt.Fprintf(w, "  sent: %d secured", s.Secured)
		for _, also := range []struct {
			n    uint64
			what string
		}{{s.NotSecured, "NOT secured"}, {s.Unknown, "of which the log does not tell (smtp_tls_loglevel = 1)"}} {
			if also.n > 0 {
				fmt.Fprintf(w, ", %d %s", also.n, also.what)
			}
		}
		fmt.Fprintln(w)
		for _, cause := range slices.Sorted(maps.Keys(s.Failures)) {
			fmt.Fprintf(w, "    %s: %s failed\n", cause, count(s.Failures[cause], "session"))
		}
		if s.Deferred > 0 {
			since := ""
			if s.DeferredSince != nil {
				since = ", the first since " + when(*s.DeferredSince)
			}
			fmt.Fprintf(w, "    %s waiting%s (domain-secured queue)\n", count(s.Deferred, "message"), since)
		}
		printOutgoing(w, "last sent", s.Last)
		printOutgoing(w, "last failure", s.LastFailure)
	}
	if t := p.TLSRPT; t != nil {
		fmt.Fprintf(w, "  TLS reports: %s\n", count(t.Successes, "success"))
		for _, kind := range slices.Sorted(maps.Keys(t.Failures)) {
			fmt.Fprintf(w, "    %s: %s\n", kind, count(t.Failures[kind], "failure"))
		}
		printOutgoing(w, "last failure", t.LastFailure)
	}
}

func printIncoming(w io.Writer, what string, m *ops.Incoming) {
	if m != nil {
		fmt.Fprintf(w, "    %s: %s\n", what, strings.Join(slices.DeleteFunc([]string{when(m.Time), m.Client, m.QueueID, m.Reason}, empty), " "))
	}
}

func printOutgoing(w io.Writer, what string, m *ops.Outgoing) {
	if m != nil {
		fmt.Fprintf(w, "    %s: %s\n", what, strings.Join(slices.DeleteFunc([]string{when(m.Time), m.Relay, m.QueueID, m.Cause, m.Text}, empty), " "))
	}
}

func empty(s string) bool { return s == "" }

// tallied has what is not nothing, at least that nothing passed.
func tallied(passed, tempfailed, rejected, testing, none uint64) string {
	var parts []string
	for _, o := range []struct {
		n    uint64
		what string
	}{
		{passed, "passed"}, {tempfailed, "refused for now"}, {rejected, "refused for good"},
		{testing, "failed in testing"}, {none, "without an opinion"},
	} {
		if o.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", o.n, o.what))
		}
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func count[N int | uint64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if strings.HasSuffix(what, "ss") {
		what += "e"
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func when(t time.Time) string { return t.Local().Format(time.DateTime) }
