package trust

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"domain-secured/internal/testkit/pki"
)

// hopeless is a certificate that a stranger makes: whoever looks for its chain tries every
// signature that crypto/x509 allows, for all of its many authorities have one name.
func hopeless(t testing.TB, kind pki.KeyKind) *Certificate {
	t.Helper()
	authority := ca(t, nil, "Maze")
	for range 30 {
		var err error
		if authority, err = authority.Intermediate(pki.CAOptions{Name: "Maze", Key: kind}); err != nil {
			t.Fatal(err)
		}
	}
	return learned(t, leaf(t, authority, "mail1.woodgrovebank.com").PEM())
}

// effort is the number of allocations that looking for a chain takes: none where the
// answer is remembered.
func effort(b *Chains, c *Certificate, roots Roots, at time.Time) float64 {
	return testing.AllocsPerRun(5, func() { _, _ = b.Build(c, roots, usage("any"), at) })
}

// TestFailureIsRemembered: a certificate that has no chain costs the search for one once,
// not with each message that comes with it.
func TestFailureIsRemembered(t *testing.T) {
	w := newWorld(t)
	s := newStore(t)
	c, now := hopeless(t, ""), time.Now()
	learn(t, s, c)
	c = s.Get(c.Fingerprint)
	b, roots := NewChains(s), pool(w.root)
	_, first := b.Build(c, roots, usage("any"), now)
	_, again := b.Build(c, roots, usage("any"), now.Add(time.Minute))
	if first == nil || again == nil || again.Error() != first.Error() {
		t.Fatalf("%v, then %v", first, again)
	}
	remembered := func(what string) {
		t.Helper()
		_, _ = b.Build(c, roots, usage("any"), now)
		if n := effort(b, c, roots, now); n > 10 {
			t.Errorf("%s it is looked for each time: %v allocations", what, n)
		}
	}
	remembered("at first")
	// What is learned completes nobody else's chain: a stranger can have that at will.
	learn(t, s, learned(t, leaf(t, w.intermediate, "b.example").PEM()))
	if n := effort(b, c, roots, now); n > 10 {
		t.Errorf("looked for again after something was learned: %v allocations", n)
	}
	// An authority that is imported may.
	put(t, s, imported(t, block("CERTIFICATE", w.intermediate.DER)))
	refresh(t, s)
	remembered("after an import")
}

// TestFailureOfRoots says nothing about others, as they are after a reload, nor about
// other usages.
func TestFailureOfRoots(t *testing.T) {
	w := newWorld(t)
	s := newStore(t)
	other := ca(t, nil, "Other")
	server, err := other.Leaf(pki.LeafOptions{Usage: pki.UsageServer})
	if err != nil {
		t.Fatal(err)
	}
	learn(t, s, learned(t, server.PEM()))
	c, b := s.Get(sum(server.DER)), NewChains(s)
	for _, step := range []struct {
		roots Roots
		usage string
		good  bool
	}{
		{pool(w.root), "either", false}, {pool(), "either", false}, {pool(w.root, other), "client", false}, {pool(w.root, other), "either", true},
		{pool(w.root), "either", false}, {pool(w.root, other), "client", false}, {pool(w.root, other), "any", true},
	} {
		if _, err := b.Build(c, step.roots, usage(step.usage), time.Now()); (err == nil) != step.good {
			t.Errorf("%+v: %v", step, err)
		}
	}
}

// TestFailureOfDates is remembered until one of the dates has come that it may hang on,
// be it of the certificate, of an authority that was presented or imported, or of a root.
func TestFailureOfDates(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	soon := now.Add(time.Hour)
	for name, dates := range map[string][3]time.Time{
		"certificate": {now.Add(-time.Hour), now.Add(-time.Hour), soon},
		"authority":   {now.Add(-time.Hour), soon, now.Add(-time.Hour)},
		"root":        {soon, now.Add(-time.Hour), now.Add(-time.Hour)},
	} {
		for _, how := range []string{"presented", "imported"} {
			t.Run(name+" "+how, func(t *testing.T) {
				root, err := pki.NewCA(pki.CAOptions{NotBefore: dates[0]})
				if err != nil {
					t.Fatal(err)
				}
				authority, err := root.Intermediate(pki.CAOptions{NotBefore: dates[1], NotAfter: soon.Add(time.Hour)})
				if err != nil {
					t.Fatal(err)
				}
				leaf, err := authority.Leaf(pki.LeafOptions{NotBefore: dates[2]})
				if err != nil {
					t.Fatal(err)
				}
				s := newStore(t)
				if how == "presented" {
					learn(t, s, learned(t, leaf.PEM()))
				} else {
					learn(t, s, learned(t, block("CERTIFICATE", leaf.DER)))
					put(t, s, imported(t, block("CERTIFICATE", authority.DER)))
					refresh(t, s)
				}
				c, b, roots := s.Get(sum(leaf.DER)), NewChains(s), pool(root)
				for _, step := range []struct {
					at   time.Time
					good bool
				}{
					{now, false}, {now.Add(time.Minute), false}, {soon.Add(-time.Second), false}, {soon.Add(-time.Nanosecond), false},
					{soon, true}, {soon.Add(time.Second), true},
					{soon.Add(-time.Second), false}, {soon.Add(time.Hour), true}, {soon.Add(time.Hour + time.Nanosecond), false},
					{soon.Add(time.Hour + time.Minute), false}, {soon.Add(time.Hour), true}, {now, false},
				} {
					if _, err := b.Build(c, roots, usage("any"), step.at); (err == nil) != step.good {
						t.Errorf("%s after now: %v", step.at.Sub(now), err)
					}
				}
				if n := effort(b, c, roots, now); n > 10 {
					t.Errorf("it is looked for each time: %v allocations", n)
				}
			})
		}
	}
}

// TestFailuresAreBounded: what is not in the store, or not any more, is not remembered to
// have no chain, and takes no memory.
func TestFailuresAreBounded(t *testing.T) {
	w := newWorld(t)
	s := newStore(t)
	b, roots := NewChains(s), pool(ca(t, nil, "Other"))
	another := func() *Certificate { return learned(t, leaf(t, w.root, "a.example").PEM()) }
	for range 3 * firstSweep {
		c := another()
		_, _ = b.Build(c, roots, usage("any"), time.Now())
		s.keep(c.Fingerprint, &kept{certificate: c}) // in memory, which is what counts
		_, _ = b.Build(c, roots, usage("any"), time.Now())
		s.keep(c.Fingerprint, nil)
	}
	if n := len(b.known); n > firstSweep || n == 0 {
		t.Errorf("%d are remembered", n)
	}
	// Those that are stay, as many as they be.
	var all []*Certificate
	for range 3 * firstSweep {
		c := another()
		s.keep(c.Fingerprint, &kept{certificate: c})
		all = append(all, c)
		_, _ = b.Build(c, roots, usage("any"), time.Now())
	}
	for _, c := range all {
		if _, known := b.known[chainKey{c.Fingerprint, roots.ID, usage("any")[0]}]; !known {
			t.Fatalf("one of %d is forgotten, of %d", len(all), len(b.known))
		}
	}
}

// TestOneLooksForAChain: those who ask for the same meanwhile wait for what it finds.
func TestOneLooksForAChain(t *testing.T) {
	w := newWorld(t)
	s := newStore(t)
	c, roots, now := learned(t, w.leaf.PEM()), pool(ca(t, nil, "Other")), time.Now()
	s.keep(c.Fingerprint, &kept{certificate: c})
	synctest.Test(t, func(t *testing.T) {
		b := NewChains(s)
		key := chainKey{c.Fingerprint, roots.ID, usage("any")[0]}
		if b.begin(key) != nil {
			t.Fatal("somebody looks already")
		}
		found := errors.New("what was found")
		var wait sync.WaitGroup
		for range 10 {
			wait.Go(func() {
				if _, err := b.Build(c, roots, usage("any"), now); err != found {
					t.Errorf("%v", err)
				}
			})
		}
		synctest.Wait() // until all of them do
		b.put(key, chainEntry{presented: c.Presented, err: found, before: now, after: now}, s.changeCount())
		b.end(key)
		wait.Wait()
		// Where nothing came of it, each looks for itself.
		b = NewChains(s)
		if b.begin(key) != nil {
			t.Fatal("somebody looks already")
		}
		wait.Go(func() {
			if _, err := b.Build(c, roots, usage("any"), now); err == nil || err == found {
				t.Errorf("%v", err)
			}
		})
		synctest.Wait()
		b.end(key)
		wait.Wait()
		if len(b.looking) != 0 {
			t.Errorf("%d still look", len(b.looking))
		}
	})
}

// BenchmarkHopeless measures what a message costs that comes with a certificate that has
// no chain and many authorities. "ratio" is the first one by any other.
func BenchmarkHopeless(b *testing.B) {
	w := newWorld(b)
	s := newStore(b)
	learn(b, s, hopeless(b, pki.ECDSAP384))
	c, roots, now := s.All()[0], pool(w.root), time.Now()
	build := func(chains *Chains) time.Duration {
		began := time.Now()
		if _, err := chains.Build(c, roots, usage("any"), now); err == nil {
			b.Fatal("there is a chain")
		}
		return time.Since(began)
	}
	var first, again time.Duration
	rounds := 0
	for b.Loop() {
		chains := NewChains(s)
		first += build(chains)
		again += build(chains)
		rounds++
	}
	b.ReportMetric(float64(first.Milliseconds())/float64(rounds), "first-ms")
	b.ReportMetric(float64(again.Nanoseconds())/float64(rounds), "again-ns")
	b.ReportMetric(float64(first)/float64(again), "ratio")
	b.ReportMetric(0, "ns/op")
}
