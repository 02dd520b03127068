package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"maps"
	"slices"
	"time"
)

type chainKey struct {
	leaf  Fingerprint
	roots [sha256.Size]byte
	usage x509.ExtKeyUsage // the first; sets of usages differ in it
}

type chainEntry struct {
	// presented is what the chains were built with: another who shows the same leaf
	// may show other certificates beside it.
	presented     []*x509.Certificate
	chains        [][]*x509.Certificate
	err           error     // why there are none
	before, after time.Time // it holds from before until after: no date lies between
}

const (
	// maxChains bounds what is remembered; when it is full, it starts again.
	maxChains = 10_000
	// firstSweep is how many are known before failures are forgotten.
	firstSweep = 100
)

// begin says that somebody looks for chains from now on, until [Chains.end]. Where
// somebody does already it returns what is closed then.
func (b *Chains) begin(key chainKey) (other <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if done := b.looking[key]; done != nil {
		return done
	}
	b.looking[key] = make(chan struct{})
	return nil
}

func (b *Chains) end(key chainKey) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.looking[key])
	delete(b.looking, key)
}

// remembered returns what still holds at that time, and for these certificates: the
// very same ones in memory, which is quick to tell.
func (b *Chains) remembered(key chainKey, presented []*x509.Certificate, at time.Time) (chainEntry, bool) {
	changes := b.store.changeCount()
	b.mu.RLock()
	defer b.mu.RUnlock()
	entry, ok := b.known[key]
	if !ok || b.changes != changes || at.Before(entry.before) || at.After(entry.after) || !slices.Equal(entry.presented, presented) {
		return chainEntry{}, false
	}
	return entry, true
}

func (b *Chains) remember(key chainKey, presented []*x509.Certificate, chains [][]*x509.Certificate, changes uint64) {
	entry := chainEntry{presented: presented, chains: chains, before: chains[0][0].NotBefore, after: chains[0][0].NotAfter}
	for _, chain := range chains {
		for _, c := range chain {
			if c.NotBefore.After(entry.before) {
				entry.before = c.NotBefore
			}
			if c.NotAfter.Before(entry.after) {
				entry.after = c.NotAfter
			}
		}
	}
	b.put(key, entry, changes)
}

// fail remembers that there is no chain: of what is in the store, which is bounded, and
// as long as none of the certificates that were looked at begins or ceases to be valid.
func (b *Chains) fail(key chainKey, c *Certificate, roots Roots, cas []*Certificate, why error, at time.Time, changes uint64) {
	if !b.stores(key, c.Presented) {
		return
	}
	all := turns(nil, roots.Certificates...)
	all = turns(all, c.X509)
	all = turns(all, c.Presented...)
	for _, ca := range cas {
		all = turns(all, ca.X509)
	}
	const long = 100 * 365 * 24 * time.Hour
	entry := chainEntry{presented: c.Presented, err: why, before: at.Add(-long), after: at.Add(long)}
	for _, turn := range all {
		switch {
		case turn.After(at):
			if turn = turn.Add(-1); turn.Before(entry.after) {
				entry.after = turn
			}
		case turn.After(entry.before):
			entry.before = turn
		}
	}
	b.put(key, entry, changes)
}

// turns adds the moments from which on certificates are, or are no longer, valid: the
// last moment of one is its notAfter (RFC 5280 section 4.1.2.5).
func turns(to []time.Time, certificates ...*x509.Certificate) []time.Time {
	for _, c := range certificates {
		to = append(to, c.NotBefore, c.NotAfter.Add(1))
	}
	return to
}

// stores reports whether a certificate is in the store as it was presented.
func (b *Chains) stores(key chainKey, presented []*x509.Certificate) bool {
	c := b.store.Get(key.leaf)
	return c != nil && slices.Equal(c.Presented, presented)
}

func (b *Chains) put(key chainKey, entry chainEntry, changes uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.known) >= b.sweep {
		maps.DeleteFunc(b.known, func(key chainKey, entry chainEntry) bool {
			return entry.err != nil && !b.stores(key, entry.presented)
		})
		b.sweep = max(firstSweep, 2*len(b.known))
	}
	if b.changes != changes || len(b.known) >= maxChains {
		clear(b.known)
		b.changes = changes
	}
	b.known[key] = entry
}
