package main

import (
	"log/slog"
	"path/filepath"
	"time"

	"domain-secured/internal/config"
	"domain-secured/internal/gate"
	"domain-secured/internal/partner"
	"domain-secured/internal/trust"
)

// outside has a gate look at partners, as the configuration says how.
type outside struct {
	log     *slog.Logger
	pending *partner.Pending
	lookout *gate.Lookout
	view    *gate.Outside // nil if nobody can be looked at
}

func newOutside(cfg *config.Config, g *gate.Gate, log *slog.Logger) *outside {
	pending := partner.OpenPending(pendingFile(cfg), func(err error) { log.Error("the list of unknown certificates", "error", err) })
	o := &outside{log: log, pending: pending, lookout: g.LookOut(pending)}
	o.use(cfg)
	return o
}

// use looks at partners as cfg says from now on.
func (o *outside) use(cfg *config.Config) {
	resolver, err := newResolver(cfg)
	if err != nil {
		// Mail goes on without: what is not known has to be imported.
		o.log.Error("partners cannot be looked at, check dns.resolver", "error", err)
		return
	}
	o.view = &gate.Outside{Resolver: resolver, Port: uint16(cfg.ProbePort), AllowPrivate: cfg.AllowPrivate, Hello: cfg.Hostname}
	o.lookout.Use(*o.view)
}

func newResolver(cfg *config.Config) (*partner.Resolver, error) {
	return partner.NewResolver(partner.ResolverConfig{Server: cfg.Resolver, TrustAD: cfg.TrustAD})
}

// clearKnown drops from the list what has been stored.
func (o *outside) clearKnown(store *trust.Store) {
	o.pending.ClearKnown(func(f partner.Fingerprint) bool { return store.Has(trust.Fingerprint(f)) })
}

// closeTime is how long a look, or the disk, may hold up the end.
const closeTime = 5 * time.Second

func (o *outside) close() {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		o.lookout.Close()
		o.pending.Close()
	}()
	select {
	case <-closed:
	case <-time.After(closeTime):
		o.log.Warn("a look at a partner does not end, or the disk does not answer: not waiting for it any longer")
	}
}

// pendingFile lists the certificates that came with mail and that nobody knows.
func pendingFile(cfg *config.Config) string { return filepath.Join(cfg.StateDir, "pending.json") }
