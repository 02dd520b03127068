package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"domain-secured/internal/config"
	"domain-secured/internal/gate"
	"domain-secured/internal/maillog"
	"domain-secured/internal/ops"
	"domain-secured/internal/tlsrpt"
)

// outbound hears what came of mail that was sent: from the mail log, and from the reports
// that Postfix makes of its TLS sessions.
type outbound struct {
	log     *slog.Logger
	ledger  *maillog.Ledger
	reports *tlsrpt.Server

	mu     sync.Mutex
	logs   *hearing // nil: none
	socket *hearing
	door   config.Door // of the socket
}

// hearing is a source that is listened to.
type hearing struct {
	name string
	end  func() // and waits for it

	mu      sync.Mutex
	problem string // that nothing is heard now
}

// newOutbound listens as cfg says.
func newOutbound(cfg *config.Config, g *gate.Gate, log *slog.Logger) (*outbound, error) {
	entry := func(domain string) string {
		_, entry := g.Snapshot().SendingTo(domain)
		return entry
	}
	complain := func(err error) { log.Error("a fault of domain-secured itself, please report it", "error", err) }
	s := &outbound{log: log, ledger: maillog.NewLedger(entry, time.Now, complain), reports: tlsrpt.NewServer(entry, time.Now, complain)}
	return s, s.use(cfg)
}

// use listens as cfg says from now on. What was counted stays.
func (s *outbound) use(cfg *config.Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logs == nil && cfg.Maillog != "" || s.logs != nil && s.logs.name != cfg.Maillog {
		s.logs.stop()
		s.logs = s.follow(cfg.Maillog)
	}
	if s.door == cfg.TLSRPT {
		return nil
	}
	s.socket.stop()
	s.socket, s.door = nil, config.Door{}
	if cfg.TLSRPT.Listen.IsZero() {
		return nil
	}
	c, err := listenDatagrams(cfg.TLSRPT)
	if err != nil {
		return exitf(listenCode(err), "send.tlsrpt = %q: %w", cfg.TLSRPT.Listen, err)
	}
	s.socket, s.door = s.hear(cfg.TLSRPT.Listen.String(), c), cfg.TLSRPT
	return nil
}

// follow follows the mail log, none if name is "".
func (s *outbound) follow(name string) *hearing {
	if name == "" {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	h := &hearing{name: name, end: func() { cancel(); <-done }}
	follower := maillog.NewFollower(s.ledger, func(err error) {
		if err == nil {
			h.say("")
			s.log.Info("following outgoing mail", "maillog", name)
			return
		}
		h.say(err.Error())
		s.log.Warn("what came of outgoing mail is not known: the mail log cannot be read, trying again", "maillog", name, "error", err)
	})
	go func() {
		defer close(done)
		if name == "journal" {
			follower.Journal(ctx)
		} else {
			follower.File(ctx, name)
		}
	}()
	return h
}

// hear takes reports.
func (s *outbound) hear(name string, c *datagrams) *hearing {
	done := make(chan struct{})
	h := &hearing{name: name, end: func() { c.Close(); <-done }}
	go func() {
		defer close(done)
		if err := s.reports.Serve(c.UnixConn); err != nil {
			h.say(err.Error())
			s.log.Warn("TLS reports are not heard any more, until a restart", "tlsrpt", name, "error", err)
		}
	}()
	return h
}

func (h *hearing) say(problem string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.problem = problem
}

func (h *hearing) stop() {
	if h != nil {
		h.end()
	}
}

// close ends it. A disk that hangs is not waited for.
func (s *outbound) close() {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.logs.stop()
		s.socket.stop()
	}()
	select {
	case <-closed:
	case <-time.After(closeTime):
	}
}

// source is what /status says of it, nil if it is off.
func (h *hearing) source(read, unknown uint64, last time.Time) *ops.Source {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return &ops.Source{Name: h.name, Problem: h.problem, Read: read, Unknown: unknown, Last: ops.At(last)}
}

// addTo adds what was heard to a status.
func (s *outbound) addTo(status *ops.Status, partner func(entry string) *ops.Partner) {
	s.mu.Lock()
	logs, socket := s.logs, s.socket
	s.mu.Unlock()
	said, heard := s.ledger.Summary(), s.reports.Summary()
	status.Maillog = logs.source(said.Lines, said.Unparsed, said.Last)
	status.TLSRPT = socket.source(heard.Read, heard.Unknown, heard.Last)
	if logs != nil || said.Lines > 0 {
		messages, failures := new(uint64), new(uint64)
		for entry, c := range said.Partners {
			*messages += c.Secured
			*failures += addSent(partner(entry), &c)
		}
		*messages += said.Others.Secured
		*failures += addSent(&status.Others, &said.Others)
		status.MessagesSent, status.SessionFailures = messages, failures
	}
	for entry, c := range heard.Partners {
		addReports(partner(entry), &c)
	}
}

// addSent adds what the mail log says, and returns the number of sessions that failed.
func addSent(p *ops.Partner, c *maillog.Counts) (failures uint64) {
	if p.Sent == nil {
		p.Sent = &ops.PartnerSent{Failures: make(map[string]uint64)}
	}
	to := p.Sent
	to.Secured += c.Secured
	to.NotSecured += c.Unsecured
	to.Unknown += c.Unknown
	to.Deferred += c.Deferred
	for cause, n := range c.Failures {
		to.Failures[string(cause)] += n
		failures += n
	}
	if p.Domain != "" { // there is no last one of several
		to.DeferredSince, to.Last, to.LastFailure = ops.At(c.Since), lastOutgoing(c.LastSent), lastOutgoing(c.LastFail)
	}
	return failures
}

func lastOutgoing(e maillog.Event) *ops.Outgoing {
	if e.Time.IsZero() {
		return nil
	}
	return &ops.Outgoing{Time: e.Time, QueueID: e.QueueID, Relay: e.Relay, Cause: string(e.Cause), Text: e.Text}
}

func addReports(p *ops.Partner, c *tlsrpt.Counts) {
	if p.TLSRPT == nil {
		p.TLSRPT = &ops.PartnerTLSRPT{Failures: make(map[string]uint64)}
	}
	p.TLSRPT.Successes += c.Successes
	for kind, n := range c.Failures {
		p.TLSRPT.Failures[string(kind)] += n
	}
	if f := c.LastFail; p.Domain != "" && !f.Time.IsZero() {
		p.TLSRPT.LastFailure = &ops.Outgoing{Time: f.Time, Relay: f.Host, Cause: string(f.Type), Text: f.Text}
	}
}
