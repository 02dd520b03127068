package outgoing

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"domain-secured/policy"
)

// maxSaid bounds what a line lists, and maxText how much of a stranger's words it has.
const (
	maxSaid = 10
	maxText = 400
)

// say has a line in the log when what is insisted on of a destination changes.
func (i *Insister) say(t *destination, entry string, p *policy.Partner, f found) {
	d := f.demand
	said := fmt.Sprint(p.Mode, entry, d.Wait, d.Names, d.Fingerprints, d.RootsFile, d.MinTLS, d.MinBits, f.doubt)
	if said == t.said {
		return
	}
	t.said = said
	attrs := []any{slog.String("domain", t.name)}
	if entry != t.name {
		attrs = append(attrs, slog.String("entry", entry))
	}
	attrs = append(attrs, slog.String("mode", string(p.Mode)), slog.String("verify", string(p.Sending())))
	if d.Wait != "" {
		attrs = append(attrs, slog.String("reason", d.Wait), slog.String("detail", clip(d.Detail)))
	} else if f.doubt != "" {
		attrs = append(attrs, slog.String("doubt", f.doubt), slog.String("detail", clip(f.about)))
	}
	if len(d.Names) > 0 {
		attrs = append(attrs, slog.Any("names", d.Names[:min(len(d.Names), maxSaid)]))
	}
	if len(d.Fingerprints) > 0 {
		var prints []string
		for _, h := range d.Fingerprints[:min(len(d.Fingerprints), maxSaid)] {
			prints = append(prints, h.String())
		}
		attrs = append(attrs, slog.Any("fingerprints", prints))
	}
	if len(t.view.hosts) > 0 {
		attrs = append(attrs, slog.Any("hosts", t.view.hosts[:min(len(t.view.hosts), maxSaid)]))
	}
	switch {
	case p.Mode == policy.ModeTesting:
		i.log.Warn("testing: mail leaves without what would be insisted on", attrs...)
	case d.Wait != "":
		i.log.Warn("mail waits", attrs...)
	case f.doubt != "":
		i.log.Warn("insisting, and some of the servers will not do", attrs...)
	default:
		i.log.Info("insisting", attrs...)
	}
}

func clip(s string) string { return s[:min(len(s), maxText)] }

// counts are the look-ups since the start, by what they were told.
type counts struct {
	unlisted, off, testing, names, vetted, pins atomic.Uint64
	waits                                       sync.Map // *atomic.Uint64 by why
}

// waiting is the counter of one reason to wait, of a closed set.
func (c *counts) waiting(why string) *atomic.Uint64 {
	n, _ := c.waits.LoadOrStore(why, new(atomic.Uint64))
	return n.(*atomic.Uint64)
}

// of is the counter of one answer.
func (c *counts) of(p *policy.Partner, d *policy.Demand) *atomic.Uint64 {
	switch {
	case d.Wait != "":
		return c.waiting(d.Wait)
	case p.Sending() == policy.SendVerifyPins:
		return &c.pins
	case p.Sending() == policy.SendVerifyVetted:
		return &c.vetted
	}
	return &c.names
}

// Counts are numbers of look-ups.
type Counts struct {
	Unlisted uint64 // nothing is known of the domain
	Off      uint64 // mode off
	Testing  uint64 // mode testing: told the same
	Names    uint64 // to insist on names
	Vetted   uint64 // to insist on certificates that were judged
	Pins     uint64 // to insist on pins
	Waiting  map[string]uint64
}

// Counts returns the numbers since the start.
func (i *Insister) Counts() Counts {
	c := &i.counts
	all := Counts{
		Unlisted: c.unlisted.Load(), Off: c.off.Load(), Testing: c.testing.Load(),
		Names: c.names.Load(), Vetted: c.vetted.Load(), Pins: c.pins.Load(), Waiting: make(map[string]uint64),
	}
	for why, n := range c.waits.Range {
		all.Waiting[why.(string)] = n.(*atomic.Uint64).Load()
	}
	return all
}

// LogValue implements [slog.LogValuer].
func (c Counts) LogValue() slog.Value {
	var waiting uint64
	for _, n := range c.Waiting {
		waiting += n
	}
	return slog.GroupValue(
		slog.Uint64("unlisted", c.Unlisted), slog.Uint64("off", c.Off), slog.Uint64("testing", c.Testing),
		slog.Uint64("names", c.Names), slog.Uint64("vetted", c.Vetted), slog.Uint64("pins", c.Pins), slog.Uint64("waiting", waiting),
	)
}
