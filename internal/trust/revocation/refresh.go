package revocation

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// lookEvery is how often it is looked for what is due.
	lookEvery = 15 * time.Second
	// maxFresh is how long a list is taken for current at most: an issuer may revoke
	// long before the next list is due.
	maxFresh = 24 * time.Hour
	minFresh = time.Minute
	maxBack  = time.Hour // between two attempts that fail
)

// dueAt is when something is fetched again: when half of its life is over, give
// or take a tenth, so that not all who have it ask at once.
func dueAt(from, to, now time.Time) time.Time {
	life := to.Sub(from)
	due := from.Add(life/2 + time.Duration((rand.Float64()-0.5)*0.1*float64(life)))
	if wait := due.Sub(now); wait > maxFresh {
		due = now.Add(maxFresh - time.Duration(rand.Float64()*0.1*float64(maxFresh)))
	} else if wait <= 0 {
		// Half of what is left.
		due = now.Add(max(to.Sub(now)/2, minFresh))
	}
	return due
}

// Start has what was used lately fetched again before it ends, until the Checker
// is closed. What an earlier process left in the folder is part of that.
func (c *Checker) Start() {
	// A list that brings this down would do so again at each start.
	if err := c.jobs.guard(func(context.Context) error { return c.lists.load(c.Clock()) }); err != nil {
		c.Log.Error("CRLs of before are not used", "error", err)
	}
	c.stopped.Add(1)
	go func() {
		defer c.stopped.Done()
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-c.jobs.ctx.Done():
				return
			case <-tick.C:
				_ = c.jobs.guard(func(context.Context) error { // which is in the log
					c.refresh(c.Clock())
					return nil
				})
			}
		}
	}()
}

// maxRefreshing bounds what is fetched again at the same time, and leaves the rest
// of the turns to questions that wait.
const maxRefreshing = maxRunning / 2

// refresh fetches what is due.
func (c *Checker) refresh(now time.Time) {
	client := c.settings.Load().Fetch
	if client == nil {
		return
	}
	turns := make(chan struct{}, maxRefreshing)
	var all sync.WaitGroup
	defer all.Wait()
	start := func(k key, run func(context.Context) error) {
		turns <- struct{}{}
		j := c.jobs.start(k, run)
		all.Go(func() {
			<-j.done
			<-turns
		})
	}
	for k, due := range c.lists.dueBy(now) {
		l := listing{Checker: c, client: client, key: k, address: due.index.Info().Source.URL, signers: due.signers}
		start(k, func(ctx context.Context) error {
			err := l.fetch(ctx)
			if err != nil {
				failures := c.lists.failed(k, err, c.Clock())
				c.Log.Warn("a CRL cannot be refreshed", "url", l.address, "valid_until", due.index.Info().NextUpdate, "failures", failures, "error", err)
			}
			return err
		})
	}
	for k, a := range c.answers.dueBy(now) {
		start(k, func(ctx context.Context) error {
			err := c.fetchAnswer(ctx, client, k, a.subject, a.issuer)
			if err != nil {
				c.answers.failed(k, c.Clock())
				c.Log.Warn("an OCSP answer cannot be refreshed", "valid_until", a.answer.Until, "error", err)
			}
			return err
		})
	}
}

// back is when to try again after so many failures.
func back(failures int, now time.Time) time.Time {
	return now.Add(min(minFresh<<min(failures, 10), maxBack))
}
