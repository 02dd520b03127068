package milter

import "testing"

// TestIdleHoldNothing: a connection holds memory to read into only while there is
// a packet that has begun.
func TestIdleHoldNothing(t *testing.T) {
	s := newSite(t)
	rigs := make([]*rig, 1000)
	for i := range rigs {
		rigs[i] = newRig(t, s.Server)
	}
	large := header("Subject", string(make([]byte, 90<<10)))
	for _, c := range []struct{ name, sent, holds string }{
		{"after the negotiation", postfix, "nothing"},
		{"within a packet", client[:7], "a block"},
		{"after it", client[7:], "nothing"},
		{"after DATA", mail("pass@x") + data, "nothing"},
		{"within a packet larger than a block", large[:50<<10], "a buffer"},
		{"within what is passed over of it", large[50<<10 : 80<<10], "nothing"},
		{"after it", large[80<<10:], "nothing"},
		{"after a message", from + eom, "nothing"},
	} {
		for _, r := range rigs {
			r.send(t, c.sent)
		}
		expectHolding(t, rigs, c.name, c.holds)
	}
	for _, r := range rigs {
		r.finish()
	}
	expectHolding(t, rigs, "after the end", "nothing")
}

func expectHolding(t *testing.T, rigs []*rig, when, want string) {
	t.Helper()
	wrong := 0
	for _, r := range rigs {
		r.mu.Lock()
		if r.holding != want {
			wrong++
		}
		r.mu.Unlock()
	}
	if wrong > 0 {
		t.Errorf("%s: %d of %d hold something else than %s", when, wrong, len(rigs), want)
	}
}
