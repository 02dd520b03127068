package main

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/gate"
	"domain-secured/internal/partner"
	"domain-secured/internal/trust"
	"domain-secured/policy"
)

// TestCloseDoesNotWaitForTheDisk: the daemon ends, also when a disk does not answer
// any more.
func TestCloseDoesNotWaitForTheDisk(t *testing.T) {
	t.Parallel()
	blocked, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	pending := partner.OpenPending(filepath.Join(t.TempDir(), "gone", "pending.json"), func(error) {
		close(blocked)
		<-release
	})
	var out strings.Builder
	log := slog.New(slog.NewTextHandler(&out, nil))
	list, err := policy.ParseList("woodgrovebank.com\n")
	if err != nil {
		t.Fatal(err)
	}
	g := gate.New(policy.NewSnapshot(list, nil, &policy.Partner{}, nil, nil), trust.NewStore(t.TempDir()), time.Now, log)
	o := &outside{log: log, pending: pending, lookout: g.LookOut(pending)}
	pending.Add("woodgrovebank.com", partner.Fingerprint{1}, netip.MustParseAddr("192.0.2.7"))
	<-blocked
	begin := time.Now()
	o.close()
	if took := time.Since(begin); took < closeTime || took > 2*closeTime || !strings.Contains(out.String(), "level=WARN") {
		t.Errorf("it took %s, log: %s", took, out.String())
	}
}
