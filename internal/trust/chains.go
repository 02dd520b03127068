package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"sync"
	"time"
)

// Chains builds chains from stored certificates and remembers them, for
// verifying one takes longer than everything else in a verdict together.
type Chains struct {
	store *Store

	mu      sync.RWMutex
	known   map[chainKey]chainEntry
	changes uint64 // of the store, when known was filled
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
	before, after time.Time // all certificates are valid from before until after
}

// maxChains bounds what is remembered; when it is full, it starts again.
const maxChains = 10_000

// NewChains returns a builder of chains that completes them with CA certificates
// of the store.
func NewChains(store *Store) *Chains {
	return &Chains{store: store, known: make(map[chainKey]chainEntry)}
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
	if chains := b.remembered(key, c.Presented, at); chains != nil {
		return chains, nil
	}
	cas, changes := b.store.importedCAs()
	intermediates := x509.NewCertPool()
	for _, presented := range c.Presented {
		intermediates.AddCert(presented)
	}
	for _, ca := range cas {
		intermediates.AddCert(ca.X509)
	}
	chains, err := c.X509.Verify(x509.VerifyOptions{
		Roots:         roots.Pool,
		Intermediates: intermediates,
		KeyUsages:     usages,
		CurrentTime:   at,
	})
	if err != nil {
		return nil, err
	}
	if chains, err = withoutOddConstraints(chains); err != nil {
		return nil, err
	}
	b.remember(key, c.Presented, chains, changes)
	return chains, nil
}

// remembered returns chains that still hold at that time, and for these
// certificates: the very same ones in memory, which is quick to tell.
func (b *Chains) remembered(key chainKey, presented []*x509.Certificate, at time.Time) [][]*x509.Certificate {
	changes := b.store.changeCount()
	b.mu.RLock()
	defer b.mu.RUnlock()
	entry, ok := b.known[key]
	if !ok || b.changes != changes || at.Before(entry.before) || at.After(entry.after) || !slices.Equal(entry.presented, presented) {
		return nil
	}
	return entry.chains
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
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changes != changes || len(b.known) >= maxChains {
		clear(b.known)
		b.changes = changes
	}
	b.known[key] = entry
}

var oidNameConstraints = asn1.ObjectIdentifier{2, 5, 29, 30}

// errOddConstraints: crypto/x509 refuses such a chain itself if the extension is
// critical, as RFC 5280 section 4.2.1.10 wants it to be, but passes over it if
// it is not.
var errOddConstraints = errors.New("a CA of the chain has name constraints of a kind that cannot be checked")

// withoutOddConstraints drops the chains whose CAs limit names of a kind that
// crypto/x509 does not compare: directory names above all.
func withoutOddConstraints(chains [][]*x509.Certificate) ([][]*x509.Certificate, error) {
	var good [][]*x509.Certificate
	for _, chain := range chains {
		odd := false
		for _, ca := range chain[1:] {
			odd = odd || hasOddConstraints(ca)
		}
		if !odd {
			good = append(good, chain)
		}
	}
	if len(good) == 0 {
		return nil, errOddConstraints
	}
	return good, nil
}

func hasOddConstraints(ca *x509.Certificate) bool {
	for _, extension := range ca.Extensions {
		if !extension.Id.Equal(oidNameConstraints) {
			continue
		}
		var constraints struct {
			Permitted []subtree `asn1:"optional,tag:0"`
			Excluded  []subtree `asn1:"optional,tag:1"`
		}
		if rest, err := asn1.Unmarshal(extension.Value, &constraints); err != nil || len(rest) > 0 {
			return true
		}
		for _, tree := range append(constraints.Permitted, constraints.Excluded...) {
			switch tree.Base.Tag { // GeneralName, RFC 5280 section 4.2.1.6
			case 1, 2, 6, 7: // rfc822Name, dNSName, URI, iPAddress
			default:
				return true
			}
		}
	}
	return false
}

type subtree struct {
	Base asn1.RawValue
	Min  int `asn1:"optional,tag:0,default:0"`
	Max  int `asn1:"optional,tag:1,default:-1"`
}
