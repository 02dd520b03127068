package trust

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
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
	anchors map[[sha256.Size]byte]*certPool // of sets of roots
}

// maxAnchors is how many sets of roots are kept as crypto/x509 wants them. The system's
// take a megabyte and a few milliseconds, and those of earlier configurations are among
// them.
const maxAnchors = 100

// NewChains returns a builder of chains that completes them with CA certificates
// of the store.
func NewChains(store *Store) *Chains {
	return &Chains{
		store: store,
		known: make(map[chainKey]chainEntry), sweep: firstSweep, looking: make(map[chainKey]chan struct{}),
		anchors: make(map[[sha256.Size]byte]*certPool),
	}
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
	intermediates := newCertPool()
	for _, presented := range c.Presented {
		intermediates.addIntermediate(presented)
	}
	for _, ca := range cas {
		intermediates.addIntermediate(ca)
	}
	chains, err := verify(c.X509, b.anchorsOf(roots), intermediates, usages, at)
	if err == nil {
		err = checkTLS(c.X509)
	}
	if err != nil {
		chains = nil
	}
	// Of what is not in the store, which is bounded, a failure is not remembered.
	if err == nil || b.stores(key, c.Presented) {
		entry := chainEntry{presented: c.Presented, chains: chains, err: err}
		entry.before, entry.after = steady(at, roots.Certificates, c.Presented, cas, []*x509.Certificate{c.X509})
		b.put(key, entry, changes)
	}
	return chains, err
}

// anchorsOf returns the roots as crypto/x509 wants them.
func (b *Chains) anchorsOf(roots Roots) *certPool {
	b.mu.RLock()
	p := b.anchors[roots.ID]
	b.mu.RUnlock()
	if p != nil {
		return p
	}
	p = newCertPool(roots.Certificates...)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.anchors) >= maxAnchors {
		clear(b.anchors)
	}
	b.anchors[roots.ID] = p
	return p
}

// verify has crypto/x509 build the chains and keeps those that pass what it does
// not look at. The error is about the first that does not, if none does.
func verify(leaf *x509.Certificate, roots, intermediates *certPool, usages []x509.ExtKeyUsage, at time.Time) ([][]*x509.Certificate, error) {
	chains, err := prepare(leaf).Verify(x509.VerifyOptions{
		Roots: roots.prepared, Intermediates: intermediates.prepared, KeyUsages: usages, CurrentTime: at,
	})
	if err != nil {
		return nil, dated(err, at)
	}
	var good [][]*x509.Certificate
	comparisons := 0
	for _, chain := range chains {
		chain[0] = leaf
		selfIssued := make([]bool, len(chain))
		for i, c := range chain[1:] {
			selfIssued[i+1] = bytes.Equal(c.RawSubject, c.RawIssuer) // as prepared, which is quick
			chain[i+1] = cmp.Or(intermediates.original[c], roots.original[c])
		}
		why := checkPath(chain, selfIssued, &comparisons)
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

// dated says whose dates are wrong. crypto/x509 would say what time it is instead, which is
// no longer true when the error is remembered.
func dated(err error, at time.Time) error {
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		return err
	}
	c := invalid.Cert
	dates := "it is valid from " + c.NotBefore.UTC().Format(time.RFC3339)
	if at.After(c.NotAfter) {
		dates = "it expired at " + c.NotAfter.UTC().Format(time.RFC3339)
	}
	return fmt.Errorf("in the chain, %.200q: %s", c.Subject, dates)
}

// SignerPaths returns every valid path of a certificate to one root, over the others
// that are given: of somebody who signs revocation lists, and needs no usage of TLS.
func SignerPaths(signer, root *x509.Certificate, others []*x509.Certificate, at time.Time) [][]*x509.Certificate {
	intermediates := newCertPool()
	for _, other := range others {
		intermediates.addIntermediate(other)
	}
	paths, err := verify(signer, newCertPool(root), intermediates, []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, at)
	if err != nil {
		return nil
	}
	return paths
}
