package gate

import (
	"context"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"domain-secured/policy"
)

// report logs and counts a verdict: of a message, once.
func (g *Gate) report(f *policy.Facts, v *policy.Verdict, also said, now time.Time) {
	if !v.Listed && !v.Refused() {
		g.counts.unlisted.Add(1)
		g.logUnlisted(f)
		return
	}
	if g.alreadyReported(f, v, now) {
		return
	}
	g.counts.add(f, v, now)
	g.verdicts.write(f, v, also, now)
}

// said is what a line says besides the verdict.
type said struct{ escalated, stamped bool }

// report is what was logged and counted about a message.
type report struct {
	entry  string
	result policy.Result
	reason policy.Reason
	action policy.Action
	client netip.AddrPort
}

// alreadyReported reports whether the same was said about the same message
// before: a policy service may be asked for each recipient and again at DATA,
// but a message is one line in the log and counts once.
func (g *Gate) alreadyReported(f *policy.Facts, v *policy.Verdict, now time.Time) bool {
	if f.Instance == "" {
		return false
	}
	r := report{v.Entry, v.Result, v.Reason, v.Action, f.Client}
	earlier, known := g.reported.keep(strings.Clone(clip(f.Instance)), r, now, nil)
	return known && earlier == r
}

// verdictLog writes the one line that a verdict on listed mail is. What is the
// same in many verdicts is rendered once, by a handler that is kept: most lines
// of a busy partner differ only in message and client.
type verdictLog struct {
	log *slog.Logger

	mu    sync.RWMutex
	lines map[verdictLine]slog.Handler
}

// verdictLine is what verdicts have in common.
type verdictLine struct {
	domain, entry, tls string
	result             policy.Result
	reason             policy.Reason
	action             policy.Action
	reply              policy.Reply
	auth               policy.Auth
	name, connector    string
	mode               policy.Mode
	revocation         policy.RevocationSource
	isListed           bool
	also               said
}

// maxLines bounds the handlers kept; when there are more, it starts again.
const maxLines = 1000

func newVerdictLog(log *slog.Logger) *verdictLog {
	return &verdictLog{log: log, lines: make(map[verdictLine]slog.Handler)}
}

func (l *verdictLog) write(f *policy.Facts, v *policy.Verdict, also said, now time.Time) {
	if !l.log.Enabled(context.Background(), slog.LevelInfo) {
		return
	}
	r := slog.NewRecord(now, slog.LevelInfo, "verdict", 0)
	if f.QueueID != "" {
		r.AddAttrs(slog.String("queue_id", clip(f.QueueID)))
	}
	r.AddAttrs(slog.String("sender", sender(f)))
	if f.Client.IsValid() {
		r.AddAttrs(slog.String("client", f.Client.String()))
	}
	if !v.Fingerprint.IsZero() {
		r.AddAttrs(slog.String("fingerprint", v.Fingerprint.String()))
	}
	if v.Detail != "" {
		r.AddAttrs(slog.String("detail", clip(v.Detail)))
	}
	_ = l.handler(f, v, also).Handle(context.Background(), r) // the log's own trouble
}

// handler returns the handler for a line like this one.
func (l *verdictLog) handler(f *policy.Facts, v *policy.Verdict, also said) slog.Handler {
	line := verdictLine{
		clip(v.Domain), v.Entry, clip(f.TLSVersion), v.Result, v.Reason, v.Action, sentReply(v), v.Auth, v.MatchedName, v.Connector,
		v.Mode, v.Revocation, v.Listed, also,
	}
	l.mu.RLock()
	h := l.lines[line]
	l.mu.RUnlock()
	if h != nil {
		return h
	}
	h = l.log.Handler().WithAttrs(line.attrs())
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) >= maxLines {
		clear(l.lines)
	}
	line.domain, line.entry, line.tls = strings.Clone(line.domain), strings.Clone(line.entry), strings.Clone(line.tls)
	l.lines[line] = h
	return h
}

// attrs has all that every line is promised to carry, and of the rest what applies.
func (l *verdictLine) attrs() []slog.Attr {
	attrs := []slog.Attr{
		slog.String("domain", l.domain),
		slog.Bool("listed", l.isListed),
		slog.String("result", string(l.result)),
		slog.String("reason", string(l.reason)),
		slog.String("action", string(l.action)),
		slog.String("reply", l.reply.String()),
		slog.String("auth", string(l.auth)),
		slog.String("matched_name", l.name),
		slog.String("mode", string(l.mode)),
	}
	for _, optional := range []struct{ key, value string }{
		{"entry", l.entry}, {"tls", l.tls}, {"revocation", string(l.revocation)}, {"connector", l.connector},
	} {
		if optional.value != "" && optional.value != l.domain {
			attrs = append(attrs, slog.String(optional.key, optional.value))
		}
	}
	if l.also.escalated {
		attrs = append(attrs, slog.Bool("escalated", true))
	}
	if l.also.stamped {
		attrs = append(attrs, slog.Bool("stamped", true))
	}
	return attrs
}

// clip bounds what a client can have logged or remembered, in octets: an address
// has at most 320 (RFC 5321 section 4.5.3.1).
func clip(s string) string { return s[:min(len(s), 320)] }

// sender is the sender's address, whichever door told it.
func sender(f *policy.Facts) string {
	if f.MailAddr != "" {
		return clip(f.MailAddr)
	}
	if bare, ok := strings.CutPrefix(f.Sender, "<"); ok && f.ToEnd {
		return clip(strings.TrimSuffix(bare, ">")) // as the client wrote it
	}
	return clip(f.Sender)
}

// sentReply is the reply that refused the message, none if it was not refused.
func sentReply(v *policy.Verdict) policy.Reply {
	if v.Refused() {
		return v.Reply
	}
	return policy.Reply{}
}

// logUnlisted has unlisted mail in the log of who debugs.
func (g *Gate) logUnlisted(f *policy.Facts) {
	if g.log.Enabled(context.Background(), slog.LevelDebug) {
		g.log.Debug("not listed", "sender", sender(f), "queue_id", f.QueueID, "client", f.Client)
	}
}

// survive ends a panic, if it is deferred.
func (g *Gate) survive() {
	if r := recover(); r != nil {
		g.logPanic(r)
	}
}

func (g *Gate) logPanic(reason any) {
	g.log.Error("panic while judging", "panic", reason, "stack", string(debug.Stack()))
}
