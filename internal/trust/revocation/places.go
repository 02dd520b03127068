package revocation

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
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
	keys      []key // of the addresses
	file      bool
	part      *part // of the file
	delta     bool

	index   *crl.Index // the list, once it is at hand
	changed bool       // the file is not that list any more, or somebody else signs it now
	tried   bool
	err     error // why it cannot be had
}

// take adds places, those over HTTP first: they are the ones that can be asked
// whether anything has changed.
func take(places []*place, points []crl.Point, delta bool, issuer *x509.Certificate) []*place {
	for _, point := range points {
		p := &place{delta: delta}
		for _, uri := range point.URIs() {
			known := func(p *place) bool { return slices.Contains(p.addresses, uri) }
			if len(p.addresses) < maxAddresses && !known(p) && !slices.ContainsFunc(places, known) {
				p.addresses = append(p.addresses, uri)
			}
		}
		if len(p.addresses) > 0 && fetched(places) < maxPlaces {
			slices.SortStableFunc(p.addresses, func(a, b string) int { return rank(a) - rank(b) })
			for _, address := range p.addresses {
				p.keys = append(p.keys, keyOf(address, issuer))
			}
			places = append(places, p)
		}
	}
	return places
}

// fetched counts those that are not files.
func fetched(places []*place) (n int) {
	for _, p := range places {
		if !p.file {
			n++
		}
	}
	return n
}

func rank(uri string) int {
	if strings.HasPrefix(strings.ToLower(uri), "http") {
		return 0
	}
	return 1
}

// takeFiles adds the operator's files that somebody wrote who may speak of the
// certificate, by an issuer with this key of a name.
func (h *hunt) takeFiles(issuer string, points []crl.Point) {
	for _, f := range h.files.all(h.settings.Files, h.Log) {
		parts := f.lists
		if parts == nil { // nobody knows of whom one is that could never be read
			parts = h.partsBefore(f.name, points)
		}
		for i := range parts {
			if part := &parts[i]; f.lists == nil || part.speaksOf(issuer, points) {
				h.places = append(h.places, &place{
					addresses: []string{part.address()}, keys: []key{part.key(h.chain[1])}, file: true, part: part, tried: f.err != nil, err: f.err,
				})
			}
		}
	}
}

// partsBefore are those that an earlier process read of a file that cannot be read now, or
// one of which nothing is known.
func (h *hunt) partsBefore(name string, points []crl.Point) (parts []part) {
	issuers := [][]byte{h.chain[1].RawSubject}
	for _, point := range points {
		for _, issuer := range point.CRLIssuer {
			issuers = append(issuers, issuer.Value)
		}
	}
	for _, issuer := range issuers {
		for nth := 1; nth <= crl.MaxBlocks; nth++ {
			p := part{name: name, Block: crl.Block{Issuer: issuer}, nth: nth, alone: true}
			if index, _ := h.lists.get(p.key(h.chain[1]), h.Clock()); index == nil {
				break
			}
			parts = append(parts, p)
		}
	}
	if parts == nil {
		parts = []part{{name: name, alone: true}}
	}
	return parts
}

// look takes what is at hand, and the places of delta CRLs that complete lists
// name.
func (h *hunt) look() {
	now := h.Clock()
	for n := 0; n < len(h.places); n++ { // it grows
		p := h.places[n]
		p.index, p.changed = nil, false
		for _, k := range p.keys {
			index, lost := h.lists.get(k, now)
			if index == nil {
				continue
			}
			// What was read before stays if the file is spoilt.
			if p.file {
				p.changed = !h.files.current(p.part.name, index.Info().Source)
			} else {
				p.changed = p.changed || lost
			}
			// All of the addresses: the first may be behind what another one has said.
			if p.index == nil || h.better(index.Info(), p.index.Info()) {
				p.index = index
			}
		}
		if p.index != nil && !p.delta && p.index.Info().FreshestCRL != nil {
			h.places = take(h.places, p.index.Info().FreshestPoints(), true, h.chain[1])
		}
	}
}

// better reports whether one list is to be asked rather than another one of the
// same place.
func (h *hunt) better(one, other *crl.Info) bool {
	useful, otherUseful := h.question.Concerns(one) == nil, h.question.Concerns(other) == nil
	if useful != otherUseful {
		return useful
	}
	return one.ThisUpdate.After(other.ThisUpdate)
}

// foreign reports whether somebody else than who issued the certificate signed what
// is at hand.
func (h *hunt) foreign(p *place) bool {
	return p.index != nil && !bytes.Equal(p.index.Info().Signer, h.chain[1].Raw)
}

// over reports whether there is no list, or only one that is believed no longer.
func (h *hunt) over(p *place) bool {
	return p.index == nil || h.at.After(p.index.Info().NextUpdate.Add(h.settings.Grace))
}

// wanted reports whether a place is to be asked for its list: for complete lists
// only until they decide, for delta CRLs always. So it is for files, all of which
// are read before one of them decides: another may be newer, or a delta CRL.
func (h *hunt) wanted(p *place, a crl.Answer) bool {
	switch {
	case p.tried, h.settings.Fetch == nil && !p.file:
		return false
	case p.changed:
		return true
	case p.file:
		return p.index == nil
	case p.delta:
		return h.over(p)
	}
	return a.Status == crl.Unknown && (h.over(p) || p.useless(h.question) != nil)
}

// wants reports whether there is a place that is.
func (h *hunt) wants(a crl.Answer) bool {
	return slices.ContainsFunc(h.places, func(p *place) bool { return h.wanted(p, a) })
}

// unread reports whether a file is there that could not be waited for: it may have
// what no other list has.
func (p *place) unread() bool {
	late := func(err error) bool { return errors.Is(p.err, err) }
	return p.file && (p.index == nil || p.changed) && slices.ContainsFunc([]error{errSlow, errBusy, context.Canceled}, late)
}

// useless says why what is at hand has no say.
func (p *place) useless(q *crl.Question) error { return useless(p.index.Info(), q, p.delta) }

// useless says why a list has no say about a certificate, whatever its dates: it is
// not the one that belongs where it was fetched.
func useless(info *crl.Info, q *crl.Question, delta bool) error {
	if info.Base != nil && !delta {
		return errors.New("it is a delta CRL, and no complete one")
	}
	return q.Concerns(info)
}

// indexes pairs every complete list with the delta CRLs of its scope, and appends them
// to all: which of them go with it is for crl to say.
func (h *hunt) indexes(all []crl.List) []crl.List {
	for _, base := range h.places {
		if base.index == nil || base.index.Info().Base != nil {
			continue
		}
		alone := true
		for _, delta := range h.places {
			if delta.index != nil && delta.index.Info().Base != nil && sameScope(base.index.Info(), delta.index.Info()) {
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

// sameScope reports whether two lists are for the same: RFC 5280 section 6.3.3 (c)(2).
func sameScope(a, b *crl.Info) bool {
	return bytes.Equal(a.IssuingDistributionPoint, b.IssuingDistributionPoint)
}

// discard forgets damaged indexes; which of them it is does not matter.
func (h *hunt) discard() {
	for _, p := range h.places {
		for _, k := range p.keys {
			h.lists.drop(k)
		}
		p.index = nil
	}
}
