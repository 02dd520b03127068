package trust

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"maps"
	"slices"
	"sync"
	"time"
)

// Chains builds chains from stored certificates and remembers them, for
// verifying one takes longer than everything else in a verdict together. It
// remembers, too, that a stored certificate has none: a stranger can make one for
// which half a second is looked, and come with it as often as he likes.
type Chains struct {
	store *Store

	mu      sync.RWMutex
	known   map[chainKey]chainEntry
	sweep   int    // so many are known when failures that have become useless are forgotten
	changes uint64 // of the store, when known was filled
	looking map[chainKey]chan struct{}
}

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

// NewChains returns a builder of chains that completes them with CA certificates
// of the store.
func NewChains(store *Store) *Chains {
	return &Chains{store: store, known: make(map[chainKey]chainEntry), sweep: firstSweep, looking: make(map[chainKey]chan struct{})}
}

// Build returns every chain from c to one of the roots that is valid at that
// time and allows one of the usages: leaf first, root last (RFC 5280 section 6).
// It uses what c was presented with and the CA certificates that an operator
// imported, never what another leaf was presented with. The error, if there is
// none, says why. usages must not be empty: crypto/x509 would take that for
// serverAuth.
func (b *Chains) Build(c *Certificate, roots Roots, usages []x509.ExtKeyUsage, at time.Time) ([][]*x509.Certificate, error) {
	if c.X509 == nil {
		return nil, c.Err
	}
	key := chainKey{c.Fingerprint, roots.ID, usages[0]}
	if entry, ok := b.remembered(key, c.Presented, at); ok {
		return entry.chains, entry.err
	}
	if other := b.begin(key); other == nil {
		defer b.end(key)
	} else {
		<-other
		// What it found may be of another time, or of other certificates.
		if entry, ok := b.remembered(key, c.Presented, at); ok {
			return entry.chains, entry.err
		}
	}
	cas, changes := b.store.importedCAs()
	intermediates := x509.NewCertPool()
	for _, presented := range c.Presented {
		addIntermediate(intermediates, presented)
	}
	for _, ca := range cas {
		addIntermediate(intermediates, ca.X509)
	}
	chains, err := verify(c.X509, x509.VerifyOptions{
		Roots:         roots.Pool,
		Intermediates: intermediates,
		KeyUsages:     usages,
		CurrentTime:   at,
	})
	if err == nil {
		err = checkTLS(c.X509)
	}
	if err != nil {
		b.fail(key, c, roots, cas, err, at, changes)
		return nil, err
	}
	b.remember(key, c.Presented, chains, changes)
	return chains, nil
}

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
	if roots.Turns == nil || !b.stores(key, c.Presented) {
		return
	}
	all := turns(roots.Turns[:len(roots.Turns):len(roots.Turns)], c.X509)
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

// maxModulus is what OpenSSL takes, too; one signature by a key of a certificate
// as long as a file may be takes a minute.
const maxModulus = 16384 // bits

func addIntermediate(pool *x509.CertPool, c *x509.Certificate) {
	if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxModulus {
		return
	}
	pool.AddCert(constraintsHandled(c))
}

// verify has crypto/x509 build the chains and keeps those that pass what it does
// not look at. The error is about the first that does not, if none does.
func verify(leaf *x509.Certificate, options x509.VerifyOptions) ([][]*x509.Certificate, error) {
	chains, err := constraintsHandled(leaf).Verify(options)
	if err != nil {
		return nil, err
	}
	var good [][]*x509.Certificate
	comparisons := 0
	for _, chain := range chains {
		why := checkPath(chain, &comparisons)
		if why == nil {
			good = append(good, chain)
		} else if err == nil {
			err = why
		}
	}
	if len(good) == 0 {
		return nil, err
	}
	return good, nil
}

// SignerPaths returns every valid path of a certificate to one root, over the others
// that are given: of somebody who signs revocation lists, and needs no usage of TLS.
func SignerPaths(signer, root *x509.Certificate, others []*x509.Certificate, at time.Time) [][]*x509.Certificate {
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(constraintsHandled(root))
	for _, other := range others {
		addIntermediate(intermediates, other)
	}
	paths, err := verify(signer, x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil
	}
	return paths
}

// constraintsHandled returns c, or a copy that crypto/x509 does not refuse for
// critical name constraints of a kind that it does not know: [checkPath] does.
func constraintsHandled(c *x509.Certificate) *x509.Certificate {
	handled := func(id asn1.ObjectIdentifier) bool { return id.Equal(oidNameConstraints) }
	if !slices.ContainsFunc(c.UnhandledCriticalExtensions, handled) {
		return c
	}
	other := *c
	other.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(c.UnhandledCriticalExtensions), handled)
	return &other
}
