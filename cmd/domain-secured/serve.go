package main

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"domain-secured/internal/config"
	"domain-secured/internal/gate"
	"domain-secured/internal/ops"
	"domain-secured/internal/outgoing"
	"domain-secured/internal/trust"
	"domain-secured/milter"
	"domain-secured/policy/delegation"
	"domain-secured/policy/tlsmap"
)

var serveCommand = &command{
	name:  "serve",
	short: "run the daemon",
	long: `
It logs to standard error; "ready" once every door listens. It takes changes of
the list files and of the certificate store by itself, within a second. SIGHUP
rereads the configuration and root certificates; if they are wrong, the old ones
stay. SIGTERM and SIGINT end it, after the messages in hand: 30 s at most.`,
	setup: func(flags *flag.FlagSet) func(*call) error {
		format := flags.String("log-format", "auto", "`FORMAT` of log lines: auto, text, json or color")
		level := flags.String("log-level", "info", "least `LEVEL` that is logged: debug, info, warn or error")
		return func(c *call) error {
			if len(c.args) > 0 {
				return usagef("serve: takes no arguments")
			}
			f, err := ops.ParseFormat(*format)
			if err != nil {
				return usagef("serve: %v", err)
			}
			var l slog.Level
			if err := l.UnmarshalText([]byte(*level)); err != nil {
				return usagef("serve: %q is not a log level: debug, info, warn or error", *level)
			}
			logger, log := ops.NewLog(c.err, f, l)
			defer log.Close()
			return serve(c.ctx, c.config, logger)
		}
	},
}

// serve runs the daemon until a signal or an error ends it.
func serve(ctx context.Context, file string, log *slog.Logger) error {
	// Signals are taken from the start: loading a large list takes a while.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	// A log that nobody reads any more is no reason to die (os/signal, "SIGPIPE").
	signal.Ignore(syscall.SIGPIPE)

	cfg, err := config.Load(file, gate.ReadRoots)
	if err != nil {
		return err
	}
	if err := haveDoor(cfg); err != nil {
		return err
	}
	for _, warning := range cfg.Warnings {
		log.Warn(warning)
	}
	store := trust.NewStore(storeDir(cfg))
	g := gate.New(cfg.Snapshot, store, time.Now, log)
	r := &reloader{config: cfg, watch: cfg.Watch(), gate: g, store: store, log: log, file: cfg.File, loaded: time.Now()}
	r.lookAtStore()
	r.outside = newOutside(cfg, g, log)
	defer r.outside.close()
	if r.checker, err = newChecker(cfg, log); err != nil {
		return err
	}
	defer r.checker.Close()
	g.CheckRevocation(r.checker)
	r.own = newOwn(cfg, g, log)
	defer r.own.close()
	r.insister = outgoing.New(g, sendingSettings(cfg, r.outside.view), time.Now, log)
	defer r.insister.Close()
	r.tlsmap = tlsmap.NewServer(r.insister, postfixVersion(cfg), log)
	if r.sent, err = newOutbound(cfg, g, log); err != nil {
		return err
	}
	defer r.sent.close()
	o := &overview{started: time.Now(), gate: g, insister: r.insister, reloader: r, sources: []source{r.sent}}
	d := doors{
		{name: "milter", config: cfg.Milter, server: milter.NewServer(g, log), grace: messageTime},
		{name: "policy", config: cfg.Policy, server: delegation.NewServer(g, log), grace: requestTime},
		{name: "tlsmap", config: cfg.TLSMap, server: r.tlsmap, grace: requestTime},
		// Last, so that it says until the end that there is nobody to ask any more.
		{name: "http", config: cfg.HTTP, server: ops.NewHTTP(o.ready.Load, o.status, cfg.AllowRemote, log), grace: time.Second},
	}
	o.doors = d
	if err := d.listen(); err != nil {
		return err
	}
	failed := d.serve()
	o.ready.Store(true)
	log.Info("ready", append(d.addresses(), "version", version, "receive", cfg.Snapshot.Receive.Len(),
		"send", cfg.Snapshot.Send.Len(), "certificates", len(store.All()))...)

	err = r.run(ctx, hangups, failed)
	stop()
	o.ready.Store(false)
	d.shutdown(log)
	g.Close()
	log.Info("stopped", "judged", g.Counts(), "sending", r.insister.Counts())
	return err
}

func storeDir(cfg *config.Config) string { return filepath.Join(cfg.StateDir, "certificates") }
