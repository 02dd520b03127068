package revocation

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/trust/crl"
)

// TestRefreshOutlivesPanics, at the start, too, and goes on.
func TestRefreshOutlivesPanics(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		var out strings.Builder
		c := New(Options{Dir: dir, Log: slog.New(slog.NewTextHandler(&out, nil)), Clock: func() time.Time {
			if asked.Add(1) <= 2 { // the first is of the start
				panic("as asked")
			}
			return time.Now()
		}}, Settings{})
		c.Start()
		time.Sleep(3*lookEvery + time.Second)
		c.Close()
		if n := asked.Load(); n != 4 {
			t.Errorf("looked %d times", n-1)
		}
		if text := out.String(); strings.Count(text, "as asked") != 2 || !strings.Contains(text, "CRLs of before are not used") {
			t.Errorf("log:\n%s", text)
		}
	})
}

// TestFetchOutlivesPanics: places are fetched beside the verdict that asks, and a panic
// there is a list that cannot be had.
func TestFetchOutlivesPanics(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
	w.serveList("/ca.crl", w.list(w.ca))
	q := w.question(leaf)
	i := &inquiry{Checker: w.checker, ctx: context.Background(), settings: w.checker.settings.Load(), at: q.At, trail: &trail{questions: maxQuestions}}
	ready := w.checker.preparations.of(q.Chain[0], q.Chain[1])
	broken := ready.places[0]
	broken.keys = nil // as no place is
	h := &hunt{inquiry: i, chain: q.Chain, question: ready.question, signers: q.Chain[1:2], places: []*place{&broken}}
	if a := h.fetch(h.ask()); a.Status != crl.Unknown || broken.err == nil || !strings.Contains(broken.err.Error(), "see the log") {
		t.Errorf("%v, %v", a.Status, broken.err)
	}
	w.want(q, Good, CRL)
}
