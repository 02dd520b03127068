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
	before, after time.Time // it holds from before until after, see [steady]
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

// steady returns the first and the last moment around at between which none of the
// certificates begins or ceases to be valid: a chain may come or go then.
func steady(at time.Time, sets ...[]*x509.Certificate) (first, last time.Time) {
	const long = 100 * 365 * 24 * time.Hour
	first, last = at.Add(-long), at.Add(long)
	for _, set := range sets {
		for _, c := range set {
			// It is valid at its notAfter, too (RFC 5280 section 4.1.2.5).
			for _, turn := range [...]time.Time{c.NotBefore, c.NotAfter.Add(1)} {
				switch {
				case turn.After(at):
					if turn = turn.Add(-1); turn.Before(last) {
						last = turn
					}
				case turn.After(first):
					first = turn
				}
			}
		}
	}
	return first, last
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
