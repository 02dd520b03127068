package revocation

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"domain-secured/internal/trust/crl"
)

// A hunt is for the lists that speak of one certificate.
type hunt struct {
	*inquiry
	chain    []*x509.Certificate
	question *crl.Question
	signers  []*x509.Certificate // who issued the certificate is the first
	places   []*place
	named    bool // the certificate names a place

	space struct { // enough for nearly every certificate
		places   [1]place
		pointers [2]*place
	}
}

// askLists asks CRLs about the first certificate of a chain: RFC 5280 section
// 6.3.3. What is at hand is asked first; if that does not decide, the rest is
// fetched, and the delta CRLs that it names after it.
func (i *inquiry) askLists(chain []*x509.Certificate) Answer {
	ready := i.preparations.of(chain[0], chain[1])
	if ready.err != nil {
		return Answer{Status: Unknown, Detail: ready.err.Error()}
	}
	h := &hunt{inquiry: i, chain: chain, question: ready.question, signers: chain[1:2]}
	points := h.question.Points()
	h.named = len(points) > 0
	places := append(h.space.places[:0], ready.places...)
	h.places = h.space.pointers[:0]
	for n := range places {
		h.places = append(h.places, &places[n])
	}
	h.takeFiles(ready.issuer, points)

	h.look()
	a := h.ask()
	if errors.Is(a.Err, crl.ErrIndex) {
		h.discard()
		a = h.ask()
	}
	// Who else may sign leads to further questions, so it is asked only if it matters.
	wants := h.wants(a)
	if a.Status == crl.Unknown || wants || slices.ContainsFunc(h.places, h.foreign) {
		if others := i.signers(chain); len(others) > 0 {
			h.signers = append(slices.Clip(h.signers), others...)
			h.question, _ = crl.NewQuestion(chain[0], chain[1], others...) // it has been made before
			a = h.ask()
			wants = h.wants(a)
		}
	}
	if wants {
		a = h.fetch(a)
	}
	return h.answer(a)
}

// ask asks what is at hand.
func (h *hunt) ask() crl.Answer {
	var space [2]crl.List
	return h.question.Ask(h.at, h.settings.Grace, h.indexes(space[:0])...)
}

// maxReading bounds the files that are read at the same time for one question.
const maxReading = 8

// fetch gets what is wanted, all places at once, until the lists decide.
func (h *hunt) fetch(a crl.Answer) crl.Answer {
	type result struct {
		*place
		urgent bool
		err    error
	}
	results := make(chan result, maxPlaces+len(h.places)) // what is not waited for must not wait
	release, wait := h.wait()
	defer release()
	running, urgent, reading := 0, 0, 0
	for {
		for _, p := range h.places {
			if !h.wanted(p, a) || p.file && reading == maxReading {
				continue
			}
			p.tried = true
			running++
			if p.file {
				reading++
			}
			now := p.delta || p.changed || p.file
			if now {
				urgent++
			}
			go func() {
				err := h.jobs.guard(func(context.Context) error { return h.fetchPlace(p, wait, now) })
				results <- result{p, now, err}
			}()
		}
		if running == 0 || a.Status != crl.Unknown && urgent == 0 {
			return a
		}
		r := <-results
		r.place.err = r.err
		running--
		if r.urgent {
			urgent--
		}
		if r.place.file {
			reading--
		}
		h.look()
		a = h.ask()
	}
}

// wait takes one of the places of those who wait for the network, if there is one.
func (c *Checker) wait() (release func(), ok bool) {
	select {
	case c.waiting <- struct{}{}:
		return func() { <-c.waiting }, true
	default:
		return func() {}, false
	}
}

var (
	errNotWaiting = errors.New("it is being fetched, and as many messages wait for such as may: try again")
	errSlow       = errors.New("it takes longer than a message may wait, and goes on: try again")
)

// fetchPlace tries the addresses of a place in turn, and gives each its share of
// the time: one that is dead must not keep us from another one. Who may not wait
// only has the fetch started. extra says that there may be an answer without it.
func (h *hunt) fetchPlace(p *place, wait, extra bool) error {
	var problems []error
	for n, address := range p.addresses {
		j := h.startList(p, n)
		ctx, cancel := share(h.ctx, len(p.addresses)-n)
		// What could not be had the last time keeps nobody waiting. A file is here, and
		// waited for.
		err := j.wait(ctx, p.file || wait && !(extra && j.again))
		cancel()
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errNotWaiting), errors.Is(err, errSlow):
			err = fmt.Errorf("%q: %w", address, err)
		}
		problems = append(problems, err)
		if errors.Is(err, errNotWaiting) {
			break
		}
	}
	return errors.Join(problems...)
}

func (h *hunt) startList(p *place, n int) *job {
	l := listing{
		Checker: h.Checker, client: h.settings.Fetch, key: p.keys[n], address: p.addresses[n], part: p.part, signers: h.signers,
		useless: func(info *crl.Info) error { return useless(info, h.question, p.delta) },
	}
	with := l.key
	if p.file { // it is asked for lists of several scopes, by others for each
		with = l.key.with(l.signers)
	}
	return h.jobs.startWith(l.key, with, func(ctx context.Context) error {
		if !p.file {
			return l.fetch(ctx)
		}
		l.useless = nil
		err := l.readFile()
		if err != nil {
			h.Log.Warn("a CRL of revocation.crl_files cannot be used, what was read before stays", "error", err)
		}
		return err
	})
}

// answer says what came of it.
func (h *hunt) answer(a crl.Answer) Answer {
	if n := slices.IndexFunc(h.places, (*place).unread); n >= 0 && a.Status == crl.Good {
		return Answer{Status: Unknown, Detail: h.places[n].err.Error()}
	}
	switch a.Status {
	case crl.Good:
		return Answer{Status: Good, Source: CRL, Detail: a.Detail()}
	case crl.Hold:
		return Answer{Status: OnHold, Source: CRL, Detail: a.Detail()}
	case crl.Revoked:
		return Answer{Status: Revoked, Source: CRL, Detail: a.Detail()}
	}
	if !h.named && len(h.places) == 0 {
		return Answer{Status: Unavailable, Detail: "it names no CRL"}
	}
	details := []string{a.Detail()}
	for _, p := range h.places {
		switch {
		case p.err != nil:
			if problem := p.err.Error(); !slices.Contains(details, problem) { // a file may have many lists
				details = append(details, problem)
			}
		case p.index == nil && h.settings.Fetch == nil && !p.file:
			details = append(details, fmt.Sprintf("%q: nothing is fetched here", p.addresses[0]))
		}
	}
	return Answer{Status: Unknown, Detail: strings.Join(details, "; ")}
}
