package main

import (
	"log/slog"
	"path/filepath"

	"domain-secured/internal/config"
	"domain-secured/internal/gate"
	"domain-secured/internal/partner"
)

// outside has a gate look at partners, as the configuration says how.
type outside struct {
	gate    *gate.Gate
	log     *slog.Logger
	pending *partner.Pending
	end     func() // of the look that is in use, nil if there is none
}

func newOutside(cfg *config.Config, g *gate.Gate, log *slog.Logger) *outside {
	o := &outside{gate: g, log: log}
	o.pending = partner.OpenPending(pendingFile(cfg), func(err error) { log.Error("the list of unknown certificates", "error", err) })
	o.use(cfg)
	return o
}

// use looks at partners as cfg says from now on.
func (o *outside) use(cfg *config.Config) {
	resolver, err := partner.NewResolver(partner.ResolverConfig{Server: cfg.Resolver, TrustAD: cfg.TrustAD})
	if err != nil {
		// Mail goes on without: what is not known has to be imported.
		o.log.Error("partners cannot be looked at, check dns.resolver", "error", err)
		return
	}
	before := o.end
	o.end = o.gate.LookOutside(gate.Outside{
		Resolver: resolver, Pending: o.pending, Port: uint16(cfg.ProbePort), AllowPrivate: cfg.AllowPrivate, Hello: cfg.Hostname,
	})
	if before != nil {
		before()
	}
}

func (o *outside) close() {
	if o.end != nil {
		o.end()
	}
	o.pending.Close()
}

// pendingFile lists the certificates that came with mail and that nobody knows.
func pendingFile(cfg *config.Config) string { return filepath.Join(cfg.StateDir, "pending.json") }
