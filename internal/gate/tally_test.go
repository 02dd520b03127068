package gate

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"domain-secured/policy"
)

func tallies(g *Gate) map[string]Tally {
	all := maps.Collect(g.Tallies)
	if all[""].LastRefusal == (Last{}) {
		delete(all, "")
	}
	return all
}

func TestTally(t *testing.T) {
	w := newWorld(t)
	f := facts(t, w.leaf)
	w.Envelope(f)
	w.Envelope(plain(t, w.leaf))
	unlisted := facts(t, w.leaf)
	unlisted.Sender = "alice@fabrikam.com"
	w.Envelope(unlisted)
	all := tallies(w.Gate)
	got := all["woodgrovebank.com"]
	if len(all) != 1 || got.Passed != 1 || got.None != 0 || len(got.Failed) != 1 || got.Failed[policy.TLSNotUsed] != (Failures{Tempfailed: 1}) {
		t.Fatalf("%+v", all)
	}
	if got.LastPass.QueueID != f.QueueID || got.LastPass.Client != f.Client.Addr() || !got.LastPass.Time.Equal(w.now) || got.LastPass.Reason != policy.None {
		t.Errorf("%+v", got.LastPass)
	}
	if r := got.LastRefusal; r.Reason != policy.TLSNotUsed || r.Action != policy.ActionTempfail {
		t.Errorf("%+v", r)
	}
	if c := w.Counts(); c != (Totals{Unlisted: 1, Passed: 1, Secured: 1, Tempfailed: 1}) {
		t.Errorf("%+v", c)
	}
	// Who reads has a copy: the next message does not change it.
	w.partner.Mode = policy.ModeTesting
	w.Envelope(facts(t, w.leaf))
	w.Envelope(plain(t, w.leaf))
	if got.Failed[policy.TLSNotUsed] != (Failures{Tempfailed: 1}) {
		t.Error("a tally changes while it is read")
	}
	got = tallies(w.Gate)["woodgrovebank.com"]
	if got.Passed != 2 || got.Failed[policy.TLSNotUsed] != (Failures{Tempfailed: 1, Tested: 1}) || got.LastRefusal.Action != policy.ActionNone {
		t.Errorf("%+v", got)
	}
	if c := w.Counts(); c.Secured != 1 || c.Passed != 2 || c.Tested != 1 {
		t.Errorf("mail in testing counts as secured: %+v", c)
	}
}

// TestTallyBounds: of a large list not every domain has counts of its own.
func TestTallyBounds(t *testing.T) {
	w := newWorld(t)
	var text strings.Builder
	for i := range maxTallies + 100 {
		fmt.Fprintf(&text, "m%d.example\n", i)
	}
	list, err := policy.ParseList(text.String())
	if err != nil {
		t.Fatal(err)
	}
	w.Replace(policy.NewSnapshot(list, nil, w.partner, nil, nil))
	var wg sync.WaitGroup
	for part := range 4 {
		wg.Go(func() {
			for i := part; i < maxTallies+100; i += 4 {
				f := &policy.Facts{Sender: fmt.Sprintf("alice@m%d.example", i)}
				w.Envelope(f)
			}
		})
	}
	wg.Wait()
	// Those who come at the same moment may all find the last place.
	all := tallies(w.Gate)
	if n := len(all) - 1; n < maxTallies || n > maxTallies+4 {
		t.Errorf("%d tallies", n)
	}
	var sum uint64
	for _, tally := range all {
		sum += tally.Failed[policy.TLSNotUsed].Tempfailed
	}
	if sum != maxTallies+100 {
		t.Errorf("%d failures in all", sum)
	}
	if c := w.Counts(); c.Tempfailed != maxTallies+100 {
		t.Errorf("%+v", c)
	}
}
