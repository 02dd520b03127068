package main

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"domain-secured/internal/gate"
	"domain-secured/internal/ops"
	"domain-secured/internal/outgoing"
)

// source adds what it has counted to a status: partner returns where it goes for a list
// entry.
type source interface {
	addTo(status *ops.Status, partner func(entry string) *ops.Partner)
}

// overview puts together what /status answers.
type overview struct {
	started  time.Time
	gate     *gate.Gate
	insister *outgoing.Insister
	reloader *reloader
	doors    doors
	sources  []source // besides the gate
	ready    atomic.Bool
}

// maxQuiet bounds the listed domains without any mail that are told of: a list may be
// of a million.
const maxQuiet = 1000

func (o *overview) status() *ops.Status {
	now := time.Now()
	totals := o.gate.Counts()
	s := &ops.Status{
		Version: version, Started: o.started, UptimeSeconds: int64(now.Sub(o.started).Seconds()), Ready: o.ready.Load(),
		Config: o.reloader.status(), Doors: make(map[string]ops.Door),
		MessagesReceived: &totals.Secured,
		Received: ops.Received{
			Unlisted: totals.Unlisted, Passed: totals.Passed, Tempfailed: totals.Tempfailed, Rejected: totals.Rejected,
			Testing: totals.Tested, NoOpinion: totals.None,
		},
		Lookups:  ops.Lookups(o.insister.Counts()),
		Partners: []*ops.Partner{},
	}
	for _, d := range o.doors {
		if counted, ok := d.server.(interface{ Connections() int }); ok && d.listener != nil {
			s.Doors[d.name] = ops.Door{Listen: d.config.Listen.String(), Connections: counted.Connections()}
		}
	}
	o.addPartners(s)
	return s
}

// addPartners adds the partners there is mail of, and the first of those there is none of.
func (o *overview) addPartners(s *ops.Status) {
	snapshot := o.gate.Snapshot()
	partners := make(map[string]*ops.Partner)
	// What is not listed any more is summed with the others.
	partner := func(entry string) *ops.Partner {
		receive, send := snapshot.Receive.Contains(entry), snapshot.Send.Contains(entry)
		switch {
		case partners[entry] != nil:
			return partners[entry]
		case !receive && !send && snapshot.Partners[entry] == nil:
			return &s.Others
		}
		p := &ops.Partner{Domain: entry, Receive: receive, Send: send, Mode: string(snapshot.Partner(entry).Mode)}
		partners[entry] = p
		return p
	}
	for entry, t := range o.gate.Tallies {
		addReceived(partner(entry), &t)
	}
	for _, source := range o.sources {
		source.addTo(s, partner)
	}
	for _, quiet := range []iter.Seq[string]{maps.Keys(snapshot.Partners), snapshot.Receive.All(), snapshot.Send.All()} {
		for entry := range quiet {
			if len(partners) >= maxQuiet {
				break
			}
			partner(entry)
		}
	}
	for _, p := range partners {
		s.Partners = append(s.Partners, p)
	}
	slices.SortFunc(s.Partners, func(a, b *ops.Partner) int { return cmp.Compare(a.Domain, b.Domain) })
}

func addReceived(p *ops.Partner, t *gate.Tally) {
	to := &p.Received
	to.Passed += t.Passed
	to.NoOpinion += t.None
	for reason, n := range t.Failed {
		if to.Failed == nil {
			to.Failed = make(map[string]ops.Failures)
		}
		sum := to.Failed[string(reason)]
		sum.Tempfailed += n.Tempfailed
		sum.Rejected += n.Rejected
		sum.Testing += n.Tested
		to.Failed[string(reason)] = sum
	}
	if p.Domain != "" { // there is no last one of several
		to.LastPass, to.LastRefusal = lastIncoming(t.LastPass), lastIncoming(t.LastRefusal)
	}
}

func lastIncoming(l gate.Last) *ops.Incoming {
	if l.Time.IsZero() {
		return nil
	}
	m := &ops.Incoming{Time: l.Time, QueueID: l.QueueID, Reason: string(l.Reason), Action: string(l.Action)}
	if l.Client.IsValid() {
		m.Client = l.Client.String()
	}
	return m
}
