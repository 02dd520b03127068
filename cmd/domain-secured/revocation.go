package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"domain-secured/internal/config"
	"domain-secured/internal/gate"
	"domain-secured/internal/trust"
	"domain-secured/internal/trust/fetch"
	"domain-secured/internal/trust/revocation"
)

// revocationSettings are what the configuration says about revocation. The error
// is for what only the package that fetches can tell.
func revocationSettings(cfg *config.Config) (revocation.Settings, error) {
	client, err := fetch.New(fetch.Options{
		Proxy: cfg.Proxy, NoProxy: cfg.NoProxy, LDAPServer: cfg.LDAPServer, AllowPrivate: cfg.AllowPrivate, Resolver: resolver(cfg),
	})
	if err != nil {
		return revocation.Settings{}, exitf(exitConfiguration, "%s: [revocation]: %w", cfg.File, err)
	}
	return revocation.Settings{Fetch: client, Order: cfg.RevocationOrder, Files: cfg.CRLFiles, Grace: cfg.RevocationGrace}, nil
}

// resolver is who looks up the hosts of what is fetched: nil is the system's.
func resolver(cfg *config.Config) *net.Resolver {
	if cfg.Resolver == "" {
		return nil
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, cfg.Resolver)
	}}
}

// newChecker is the daemon's.
func newChecker(cfg *config.Config, log *slog.Logger) (*revocation.Checker, error) {
	s, err := revocationSettings(cfg)
	if err != nil {
		return nil, err
	}
	c := revocation.New(revocation.Options{Dir: revocationDir(cfg), Clock: time.Now, Paths: trust.SignerPaths, Log: log}, s)
	c.Start()
	return c, nil
}

// newReader is one for a verb: it reads what the daemon has fetched into shared, ""
// for nothing, and leaves nothing behind, which is why a signal ends the context of
// the call and not the process. A second one does.
func newReader(c *call, s revocation.Settings, shared string, clock func() time.Time) (checker *revocation.Checker, end func()) {
	before := c.ctx
	ctx, stop := signal.NotifyContext(before, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	c.ctx = ctx
	// It is made when there is something to put into it.
	dir := filepath.Join(os.TempDir(), "domain-secured-"+rand.Text())
	checker = revocation.New(revocation.Options{Dir: dir, Shared: shared, Clock: clock, Paths: trust.SignerPaths, Log: slog.New(slog.DiscardHandler)}, s)
	return checker, func() {
		checker.Close()
		os.RemoveAll(dir)
		stop()
		c.ctx = before
	}
}

// newJudge is a gate that judges for a verb as the daemon would: by the configuration,
// the store, and what the daemon has fetched. Only with fetching does a question about
// revocation leave the machine.
func newJudge(c *call, cfg *config.Config, store *trust.Store, fetching bool) (g *gate.Gate, end func(), err error) {
	settings, err := revocationSettings(cfg)
	if err != nil {
		return nil, nil, err
	}
	if !fetching {
		settings.Fetch = nil
	}
	checker, end := newReader(c, settings, revocationDir(cfg), time.Now)
	g = gate.New(cfg.Snapshot, store, time.Now, slog.New(slog.DiscardHandler))
	g.CheckRevocation(checker)
	return g, end, nil
}

// interrupted is for a verb whose answer would be that of a question half asked.
func (c *call) interrupted() error {
	if c.ctx.Err() != nil {
		return exitf(exitNotNow, "interrupted")
	}
	return nil
}

func revocationDir(cfg *config.Config) string { return filepath.Join(cfg.StateDir, "revocation") }

// route says in words how CRLs and OCSP answers are fetched.
func route(cfg *config.Config) string {
	switch {
	case cfg.Proxy == "":
		return "directly"
	case len(cfg.NoProxy) == 0:
		return "through " + cfg.Proxy
	}
	return fmt.Sprintf("through %s, except %s", cfg.Proxy, strings.Join(cfg.NoProxy, ", "))
}
