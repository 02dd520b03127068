package outgoing

import (
	"context"
	"errors"

	"domain-secured/policy"
)

// Complete is what is known of a list entry when all its servers have been looked at.
type Complete struct {
	Demand *policy.Demand
	// Names are those that speak for the domain, of each trusted certificate that the
	// servers showed, its common name first if that does. A name may be a wildcard.
	Names [][]string
}

// Complete is [Insister.Insist] for who has time: it waits until every server of an entry
// of the send list has been looked at, which takes half a minute at most. The error says
// that there is no answer: ctx ended, or the entry is not held to anything.
func (i *Insister) Complete(ctx context.Context, entry string) (c Complete, err error) {
	s := i.settings.Load()
	p := s.Snapshot.Partner(entry)
	if !s.Snapshot.Send.Contains(entry) || p.Mode != policy.ModeEnforce {
		return c, errors.New("nothing is insisted on of " + entry)
	}
	t := i.destination(key{name: entry}, i.clock())
	select {
	case <-i.prepare(t):
	case <-ctx.Done():
		return c, ctx.Err()
	}
	a := t.answer.Load()
	if a == nil || a.settings != s.number {
		return c, errors.New("the settings changed, or the insister was closed")
	}
	t.mu.Lock() // nobody begins to make an answer
	defer t.mu.Unlock()
	c.Demand = a.demand
	if t.making == nil {
		i.survive(func() { c.Names = t.view.names(i.inspector, entry, p, i.clock()) })
	}
	return c, nil
}
