package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"domain-secured/internal/config"
	"domain-secured/internal/gate"
	"domain-secured/internal/ops"
	"domain-secured/internal/trust"
	"domain-secured/policy/delegation"
)

var serveCommand = &command{
	name:  "serve",
	short: "run the daemon",
	long: `
It logs to standard error; "ready" once every door listens. It takes changes of
the list files and of the certificate store by itself, within a second. SIGHUP
rereads the configuration and root certificates; if they are wrong, the old ones
stay. SIGTERM and SIGINT end it, after the requests in hand.`,
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

// shutdownTime bounds the end: requests in hand take no longer than an answer.
const shutdownTime = 6 * time.Second

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
	if cfg.Policy.Listen.IsZero() {
		return exitf(exitConfiguration, "%s: policy.listen is \"\": there is no door to serve", cfg.File)
	}
	for _, warning := range cfg.Warnings {
		log.Warn(warning)
	}
	store := trust.NewStore(storeDir(cfg))
	g := gate.New(cfg.Snapshot, store, time.Now, log)
	r := &reloader{config: cfg, watch: cfg.Watch(), gate: g, store: store, log: log}
	r.lookAtStore()
	listener, err := listen(cfg.Policy)
	if err != nil {
		code := exitConfiguration
		if errors.Is(err, fs.ErrPermission) {
			code = exitPermission
		}
		return exitf(code, "policy.listen = %q: %w", cfg.Policy.Listen, err)
	}
	door := delegation.NewServer(g, log)
	failed := make(chan error, 1)
	go func() { failed <- door.Serve(listener) }()
	log.Info("ready", "version", version, "policy", listener.Addr().String(),
		"receive", cfg.Snapshot.Receive.Len(), "send", cfg.Snapshot.Send.Len(), "certificates", len(store.All()))

	err = r.run(ctx, hangups, failed)
	stop()
	grace, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	if shutdown := door.Shutdown(grace); shutdown != nil {
		err = errors.Join(err, fmt.Errorf("closing the policy door: %w", shutdown))
	}
	log.Info("stopped", "judged", g.Counts())
	return err
}

func storeDir(cfg *config.Config) string { return filepath.Join(cfg.StateDir, "certificates") }
