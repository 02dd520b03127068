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

// Bounds of what one certificate can have us try.
const (
	maxPlaces    = 16
	maxAddresses = 4 // of a place
)

// A place is where a list may be: the addresses of one distribution point, which
// all lead to the same list, or one file of the operator's.
type place struct {
	addresses []string
	file      bool
	delta     bool

	index   *crl.Index // the list, once it is at hand
	changed bool       // the file is not that list any more
	tried   bool
	err     error // why it cannot be had
}

// A hunt is for the lists that speak of one certificate.
type hunt struct {
	*inquiry
	issuer  *x509.Certificate
	signers []*x509.Certificate // issuer is the first
	places  []*place
	named   bool // the certificate names a place
}

// askLists asks CRLs about the first certificate of a chain: RFC 5280 section
// 6.3.3. What is at hand is asked first; if that does not decide, the rest is
// fetched, and the delta CRLs that it names after it.
func (i *inquiry) askLists(chain []*x509.Certificate) Answer {
	signers := i.signers(chain)
	q, err := crl.NewQuestion(chain[0], chain[1], signers...)
	if err != nil {
		return Answer{Status: Unknown, Detail: err.Error()}
	}
	h := &hunt{inquiry: i, issuer: chain[1], signers: append([]*x509.Certificate{chain[1]}, signers...)}
	h.take(q.Points(), false)
	h.named = len(q.Points()) > 0
	freshest, err := crl.FreshestPoints(chain[0])
	if err != nil {
		return Answer{Status: Unknown, Detail: err.Error()}
	}
	h.take(freshest, true)
	h.takeFiles(chain[0], q.Points())

	ask := func() crl.Answer { return q.Ask(i.at, i.settings.Grace, h.indexes()...) }
	h.look()
	a := ask()
	if errors.Is(a.Err, crl.ErrIndex) {
		h.discard()
		a = ask()
	}
	if slices.ContainsFunc(h.places, h.missing) {
		a = h.fetch(a, ask)
	}
	return h.answer(a)
}

// take adds places, those over HTTP first: they are the ones that can be asked
// whether anything has changed.
func (h *hunt) take(points []crl.Point, delta bool) {
	for _, point := range points {
		p := &place{delta: delta}
		for _, uri := range point.URIs() {
			if len(p.addresses) < maxAddresses && !h.has(uri) {
				p.addresses = append(p.addresses, uri)
			}
		}
		if len(p.addresses) > 0 && len(h.places) < maxPlaces {
			slices.SortStableFunc(p.addresses, func(a, b string) int { return rank(a) - rank(b) })
			h.places = append(h.places, p)
		}
	}
}

func (h *hunt) has(address string) bool {
	return slices.ContainsFunc(h.places, func(p *place) bool { return slices.Contains(p.addresses, address) })
}

func rank(uri string) int {
	if strings.HasPrefix(strings.ToLower(uri), "http") {
		return 0
	}
	return 1
}

// takeFiles adds the operator's files that somebody wrote who may speak of the
// certificate.
func (h *hunt) takeFiles(c *x509.Certificate, points []crl.Point) {
	for _, f := range h.files.all(h.settings.Files, h.Log) {
		// Nobody knows of whom one is that could never be read.
		if f.issuer == nil || f.speaksOf(c, points) {
			h.places = append(h.places, &place{addresses: []string{f.address()}, file: true, tried: f.err != nil, err: f.err})
		}
	}
}

// look takes what is at hand, and the places of delta CRLs that complete lists
// name.
func (h *hunt) look() {
	for n := 0; n < len(h.places); n++ { // it grows
		p := h.places[n]
		p.index = nil
		for _, address := range p.addresses {
			index := h.lists.get(h.key(address), h.Clock())
			if index == nil {
				continue
			}
			// What was read before stays if the file is spoilt.
			p.changed = p.file && !h.files.current(index.Info().Source)
			if p.index == nil || index.Info().ThisUpdate.After(p.index.Info().ThisUpdate) {
				p.index = index
			}
			if !h.over(p) {
				break
			}
		}
		if p.index != nil && !p.delta {
			h.take(p.index.Info().FreshestPoints(), true)
		}
	}
}

func (h *hunt) key(address string) key { return keyOf(address, h.issuer) }

// missing reports whether there is no list, or only one that is believed no longer
// or not what the operator's file has now.
func (h *hunt) missing(p *place) bool { return p.changed || h.over(p) }

func (h *hunt) over(p *place) bool {
	return p.index == nil || h.at.After(p.index.Info().NextUpdate.Add(h.settings.Grace))
}

// indexes pairs every complete list with the delta CRLs that might go with it:
// which of them do is for crl to say.
func (h *hunt) indexes() []crl.List {
	var all []crl.List
	for _, base := range h.places {
		if base.index == nil || base.index.Info().Base != nil {
			continue
		}
		alone := true
		for _, delta := range h.places {
			if delta.index != nil && delta.index.Info().Base != nil {
				all = append(all, crl.List{Complete: base.index, Delta: delta.index})
				alone = false
			}
		}
		if alone {
			all = append(all, crl.List{Complete: base.index})
		}
	}
	return all
}

// discard forgets damaged indexes; which of them it is does not matter.
func (h *hunt) discard() {
	for _, p := range h.places {
		for _, address := range p.addresses {
			h.lists.drop(h.key(address))
		}
		p.index = nil
	}
}

// fetch gets what is missing, all places at once, until the lists decide. Then
// ask is asked again.
func (h *hunt) fetch(a crl.Answer, ask func() crl.Answer) crl.Answer {
	type result struct {
		*place
		urgent bool
		err    error
	}
	results := make(chan result, maxPlaces+len(h.settings.Files))
	release, wait := h.wait()
	defer release()
	running, urgent := 0, 0
	for {
		for _, p := range h.places {
			// Complete lists only until they decide, delta CRLs and changed files always.
			if p.tried || !h.missing(p) || !p.delta && !p.changed && a.Status != crl.Unknown {
				continue
			}
			if h.settings.Fetch == nil && !p.file {
				continue
			}
			p.tried = true
			running++
			now := p.delta || p.changed
			if now {
				urgent++
			}
			go func() { results <- result{p, now, h.fetchPlace(p, wait)} }()
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
		h.look()
		a = ask()
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

// fetchPlace tries the addresses of a place in turn. Who may not wait only has
// the fetch started.
func (h *hunt) fetchPlace(p *place, wait bool) error {
	var problems []error
	for _, address := range p.addresses {
		j := h.startList(p, address)
		if err := j.wait(h.ctx, wait); errors.Is(err, errNotWaiting) || errors.Is(err, errSlow) {
			return errors.Join(append(problems, fmt.Errorf("%q: %w", address, err))...)
		} else if err != nil {
			problems = append(problems, err)
			continue
		}
		return nil
	}
	return errors.Join(problems...)
}

func (h *hunt) startList(p *place, address string) *job {
	c, k, signers, client := h.Checker, h.key(address), h.signers, h.settings.Fetch
	return c.jobs.start(k, func(ctx context.Context) error {
		if p.file {
			err := c.readList(k, address, signers)
			if err != nil {
				c.Log.Warn("a CRL of revocation.crl_files cannot be used, what was read before stays", "error", err)
			}
			return err
		}
		return c.fetchList(ctx, client, k, address, signers)
	})
}

// answer says what came of it.
func (h *hunt) answer(a crl.Answer) Answer {
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
			details = append(details, p.err.Error())
		case p.index == nil && h.settings.Fetch == nil && !p.file:
			details = append(details, fmt.Sprintf("%q: nothing is fetched here", p.addresses[0]))
		}
	}
	return Answer{Status: Unknown, Detail: strings.Join(details, "; ")}
}
