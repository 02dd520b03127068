package gate

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"domain-secured/internal/partner"
	"domain-secured/internal/trust"
	"domain-secured/policy"
)

const (
	// maxLearned bounds what is learned of one partner that is good for it, and
	// likewise what is not: its servers, twice over.
	maxLearned = 20
	// maxLearnedAll bounds what is learned of all.
	maxLearnedAll = 5000
	// maxPresented bounds the intermediates of one, and maxOctets what of them a server
	// may have stored: a chain that anybody uses has less than a tenth.
	maxPresented = 40
	maxOctets    = 64 << 10

	// unusedKept is how long a certificate is kept that no mail comes with.
	unusedKept = 30 * 24 * time.Hour
	// notGoodKept is the same for one that is good for no partner.
	notGoodKept = 7 * 24 * time.Hour
	// touchInterval is between two notes on the disk that one is in use.
	touchInterval = 24 * time.Hour
)

// learned are the certificates in the store that were learned, within bounds. What
// an operator imported is none of its business.
//
// Good is what reaches a root of a partner and has a name that speaks for it. Anybody
// can come as the partner with what is not, so that never takes the place of what is.
type learned struct {
	gate  *Gate
	store *trust.Store
	limit int // maxLearnedAll if it is 0

	changing sync.Mutex // what is counted stays so until there is room

	mu   sync.Mutex
	uses map[trust.Fingerprint]use
}

// use is when mail came with a certificate last, and for which list entry it passed
// last. The disk is told at leisure, in the file's modification time.
type use struct {
	at    time.Time
	entry string
}

// used notes that a verdict was about a certificate, and reports whether that was
// learned.
func (s *learned) used(v *policy.Verdict, now time.Time) bool {
	f := trust.Fingerprint(v.Fingerprint)
	if c := s.store.Get(f); c == nil || c.Source != trust.SourceProbe {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uses[f]
	u.at = now
	if v.Result == policy.ResultPass && (v.Auth == policy.AuthChain || v.Auth == policy.AuthProvider) && u.entry != v.Entry {
		u.entry = strings.Clone(v.Entry) // not the whole list that it is a part of
	}
	s.uses[f] = u
	return true
}

// last is when a certificate was used last, as far as is known.
func (s *learned) last(c *trust.Certificate) time.Time {
	touched := s.store.Touched(c.Fingerprint)
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.uses[c.Fingerprint]; u.at.After(touched) {
		return u.at
	}
	return touched
}

// certificate makes of a chain what may be stored.
func certificate(chain []partner.Certificate, domain string, at time.Time) *trust.Certificate {
	c := &trust.Certificate{
		Fingerprint: trust.Fingerprint(chain[0].SHA256), DER: chain[0].DER, X509: chain[0].X509,
		Source: trust.SourceProbe, Added: at.UTC().Truncate(time.Second), Domain: domain,
	}
	if c.X509 == nil {
		c.Err = fmt.Errorf("it does not parse: %s", chain[0].Error)
	}
	octets := 0
	for _, presented := range chain[1:] {
		if presented.X509 == nil || octets+len(presented.DER) > maxOctets {
			continue
		}
		octets += len(presented.DER)
		c.Presented = append(c.Presented, presented.X509)
	}
	return c
}

// best makes one certificate of the chains that showed it: with the intermediates
// of those that are good for the partner, else as it was shown first. A chain is
// shown before the key is proven, so a single one may be anybody's.
func (s *learned) best(ctx context.Context, domain string, shown [][]partner.Certificate, at time.Time) (best *trust.Certificate, good bool) {
	for _, chain := range shown {
		if ctx.Err() != nil {
			break
		}
		c := certificate(chain, domain, at)
		switch isGood := s.good(domain, c); {
		case isGood && !good:
			best, good = c, true
			s.trim(domain, c)
		case isGood:
			s.trim(domain, c)
			if len(best.Presented)+len(c.Presented) <= maxPresented {
				best.Keep(c)
			}
		case best == nil:
			best = c
		}
	}
	return best, good
}

// good reports whether a certificate reaches a root of the partner and has a name
// that speaks for it: rows 11 to 15.
func (s *learned) good(domain string, c *trust.Certificate) (good bool) {
	defer s.gate.survive() // what strangers made is taken apart here
	p := *s.gate.snapshot.Load().Partner(domain)
	p.Revocation = policy.RevocationOff // is asked when it comes with mail
	if p.Trust == policy.TrustPins || p.Evidence == policy.EvidenceMTA {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), waitTime)
	defer cancel()
	e, now := s.gate.evidence.until(time.Now().Add(waitTime)), s.gate.clock()
	return policy.Vet(ctx, e, &p, domain, asStored(c), &policy.Reported{}, now, false).Reason == policy.None
}

func asStored(c *trust.Certificate) *policy.Certificate {
	return &policy.Certificate{Fingerprint: policy.Hash(c.Fingerprint), X509: c.X509, Err: c.Err, Presented: c.Presented}
}

// trim leaves of what a good certificate was presented with only what its chains are
// made of.
func (s *learned) trim(domain string, c *trust.Certificate) {
	p := s.gate.snapshot.Load().Partner(domain)
	chains, _, err := s.gate.evidence.Chains(context.Background(), asStored(c), p.Roots, p.Usage, s.gate.clock())
	if err != nil || len(chains) == 0 {
		return // the snapshot has changed: then the next look does it
	}
	c.Presented = slices.DeleteFunc(slices.Clone(c.Presented), func(presented *x509.Certificate) bool {
		return !slices.ContainsFunc(chains, func(chain policy.Chain) bool { return slices.ContainsFunc(chain, presented.Equal) })
	})
}

// goodFor returns the list entry that a certificate is good for, "" if there is none:
// the one it was learned for, or the one it passed for last, as where a provider has
// one certificate for many.
func (s *learned) goodFor(c *trust.Certificate) string {
	if s.good(c.Domain, c) {
		return c.Domain
	}
	s.mu.Lock()
	entry := s.uses[c.Fingerprint].entry
	s.mu.Unlock()
	if entry != "" && s.good(entry, c) {
		return entry
	}
	return ""
}

// keep stores what was found, unless what is stored does as well. It reports whether
// it did.
func (s *learned) keep(domain string, c *trust.Certificate, good bool) (bool, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	stored, err := s.store.Load(c.Fingerprint)
	switch {
	case err != nil:
		return false, err
	case stored == nil:
		if err := s.makeRoom(domain, good); err != nil {
			return false, err
		}
	case stored.Source != trust.SourceProbe || !good:
		return false, nil
	default:
		// What is stored and good stays, beside what was shown now: to others it may
		// lead to other roots. What is not good may have been shown by anybody.
		if entry := s.goodFor(stored); entry != "" {
			c.Keep(stored)
			if entry == stored.Domain && len(c.Presented) == len(stored.Presented) || len(c.Presented) > maxPresented {
				return false, nil
			}
			c.Domain, c.Added = entry, stored.Added
		}
	}
	if err := s.store.Learn(c); errors.Is(err, fs.ErrExist) {
		return false, nil // imported a moment ago
	} else if err != nil {
		return false, err
	}
	return true, nil
}

// errFull: there is room for what is good, always.
var errFull = errors.New("the store is full of certificates that are good for partners: cert forget those that are not needed")

// makeRoom has room made for one more: by a certificate of the same partner and kind
// if there are too many of these, and by any that is not good if there are too many
// in all. The one not used for longest has to go.
func (s *learned) makeRoom(domain string, good bool) error {
	all := s.all()
	var same []*trust.Certificate
	for _, c := range all {
		if c.Domain == domain && (s.goodFor(c) != "") == good {
			same = append(same, c)
		}
	}
	for ; len(same) >= maxLearned; same = same[1:] {
		if err := s.forget(same[0]); err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(c *trust.Certificate) bool { return c == same[0] })
	}
	limit := s.limit
	if limit == 0 {
		limit = maxLearnedAll
	}
	for len(all) >= limit {
		victim := slices.IndexFunc(all, func(c *trust.Certificate) bool { return s.goodFor(c) == "" })
		switch {
		case victim >= 0:
		case good:
			victim = 0
		default:
			return fmt.Errorf("%d have been learned already: %w", len(all), errFull)
		}
		if err := s.forget(all[victim]); err != nil {
			return err
		}
		all = slices.Delete(all, victim, victim+1)
	}
	return nil
}

// all returns what was learned, the one not used for longest first.
func (s *learned) all() []*trust.Certificate {
	all := slices.DeleteFunc(s.store.All(), func(c *trust.Certificate) bool { return c.Source != trust.SourceProbe })
	last := make(map[*trust.Certificate]time.Time, len(all))
	for _, c := range all {
		last[c] = s.last(c)
	}
	slices.SortFunc(all, func(a, b *trust.Certificate) int {
		if order := last[a].Compare(last[b]); order != 0 {
			return order
		}
		return a.Added.Compare(b.Added)
	})
	return all
}

func (s *learned) forget(c *trust.Certificate) error {
	s.mu.Lock()
	delete(s.uses, c.Fingerprint)
	s.mu.Unlock()
	return s.store.Unlearn(c.Fingerprint)
}

// tidy forgets what has not been used for long, notes on the disk what is in use, and
// under which list entry what is good for another than it was learned for. It ends
// with ctx, and returns how many it forgot.
func (s *learned) tidy(ctx context.Context, now time.Time) (expired int, err error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	var problems []error
	for _, c := range s.all() {
		if ctx.Err() != nil {
			break
		}
		last, entry := s.last(c), s.goodFor(c)
		kept := unusedKept
		if entry == "" {
			kept = notGoodKept
		}
		var err error
		switch {
		case now.Sub(last) > kept:
			expired++
			err = s.forget(c)
		case entry != "" && entry != c.Domain:
			moved := *c
			moved.Domain = entry
			if err = s.store.Learn(&moved); errors.Is(err, fs.ErrExist) {
				err = nil // imported a moment ago
			}
		case last.Sub(s.store.Touched(c.Fingerprint)) >= touchInterval:
			err = s.store.Touch(c.Fingerprint, last)
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for f := range s.uses {
		if c := s.store.Get(f); c == nil || c.Source != trust.SourceProbe {
			delete(s.uses, f) // somebody else has forgotten or imported it
		}
	}
	return expired, errors.Join(problems...)
}
