package main

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/config"
	"domain-secured/internal/gate"
	"domain-secured/internal/outgoing"
	"domain-secured/internal/trust"
	"domain-secured/policy"
)

// TestLookupsInStatus: what was asked before sending is told with everything else.
func TestLookupsInStatus(t *testing.T) {
	send, err := policy.ParseList("woodgrovebank.com\n")
	if err != nil {
		t.Fatal(err)
	}
	p := &policy.Partner{Mode: policy.ModeEnforce, Trust: policy.TrustPins, Pins: []policy.Hash{{1}}, MinTLS: 0x0303, MinBits: 128}
	s := policy.NewSnapshot(nil, send, p, nil, nil)
	log := slog.New(slog.DiscardHandler)
	store := trust.NewStore(filepath.Join(t.TempDir(), "certificates"))
	g := gate.New(s, store, time.Now, log)
	insister := outgoing.New(g, outgoing.Settings{Snapshot: s}, time.Now, log)
	defer insister.Close()
	for _, name := range []string{"woodgrovebank.com", "fabrikam.com", "contoso.com"} {
		insister.Insist(policy.Destination{Name: name})
	}
	o := &overview{started: time.Now(), gate: g, insister: insister, reloader: &reloader{config: &config.Config{Snapshot: s}, gate: g, store: store}}
	all := o.status()
	if l := all.Lookups; l.Pins != 1 || l.Unlisted != 2 || len(l.Waiting) != 0 {
		t.Errorf("%+v", l)
	}
	var text strings.Builder
	if err := printStatus(&text, all, time.Now()); err != nil {
		t.Fatal(err)
	}
	if want := "Asked before sending                      1 told what to insist on, 0 to wait, 2 not listed\n"; !strings.Contains(text.String(), want) {
		t.Errorf("no %q in\n%s", want, text.String())
	}
}
