package main

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"sync"
	"time"

	"domain-secured/internal/config"
	"domain-secured/internal/export"
	"domain-secured/internal/gate"
	"domain-secured/internal/ops"
	"domain-secured/internal/outgoing"
	"domain-secured/internal/trust"
	"domain-secured/policy"
)

const exportLong = `
The servers of every domain on the send list are looked at, as the daemon does when
mail is sent, which takes up to half a minute for a domain whose servers do not
answer. What the daemon would insist on is printed when all of it is known; for a
domain whose mail would have to wait now there is a line that makes it wait, and a
word about it on standard error. What the lines cannot say stands on top of them.

The exit code is 0 also if some domains wait. Nothing is printed if it is not 0.`

var exportPostfixCommand = &command{
	name:  "export postfix",
	short: "what to insist on, as a table for Postfix's smtp_tls_policy_maps",
	long: exportLong + `

  domain-secured export postfix > new && mv new /etc/postfix/domain-secured-send
  postfix reload`,
	setup: exportSetup("export postfix", func(cfg *config.Config, entries []export.Entry) string {
		return export.Postfix(entries, postfixVersion(cfg))
	}),
}

var exportSendmailCommand = &command{
	name:  "export sendmail",
	short: "what to insist on, as lines for Sendmail's access map",
	long:  exportLong,
	setup: exportSetup("export sendmail", func(_ *config.Config, entries []export.Entry) string {
		return export.Sendmail(entries)
	}),
}

func exportSetup(name string, render func(*config.Config, []export.Entry) string) func(*flag.FlagSet) func(*call) error {
	return func(*flag.FlagSet) func(*call) error {
		return func(c *call) error {
			if len(c.args) > 0 {
				return usagef("%s: takes no arguments", name)
			}
			cfg, err := config.Load(c.config, gate.ReadRoots)
			if err != nil {
				return err
			}
			entries, err := sendEntries(c, cfg)
			if err != nil {
				return err
			}
			_, err = io.WriteString(c.out, render(cfg, entries))
			return err
		}
	}
}

// exportsAtOnce are the domains that are looked at at the same time.
const exportsAtOnce = 32

// sendEntries finds out what to insist on of every domain on the send list.
func sendEntries(c *call, cfg *config.Config) ([]export.Entry, error) {
	resolver, err := newResolver(cfg)
	if err != nil {
		return nil, exitf(exitConfiguration, "export: dns.resolver: %w", err)
	}
	logger, log := ops.NewLog(c.err, ops.FormatText, slog.LevelWarn)
	defer log.Close()
	store := trust.NewStore(storeDir(cfg))
	if _, err := store.Refresh(); err != nil {
		logger.Warn("reading the certificate store", "error", err)
	}
	g, end, err := newJudge(c, cfg, store, true)
	if err != nil {
		return nil, err
	}
	defer end()
	settings := sendingSettings(cfg, &gate.Outside{
		Resolver: resolver, Port: uint16(cfg.ProbePort), AllowPrivate: cfg.AllowPrivate, Hello: cfg.Hostname,
	})
	settings.Bundles.Keep = true // the daemon may need what this configuration does not
	insister := outgoing.New(g, settings, time.Now, logger)
	defer insister.Close()

	var entries []export.Entry
	for domain := range cfg.Snapshot.Send.All() {
		entries = append(entries, export.Entry{Domain: domain, Partner: cfg.Snapshot.Partner(domain)})
	}
	if err := complete(c.ctx, insister, entries); err != nil {
		return nil, exitf(exitNotNow, "export: %w", err)
	}
	return entries, nil
}

// complete asks about every entry that is held to something.
func complete(ctx context.Context, insister *outgoing.Insister, entries []export.Entry) error {
	slots, failed := make(chan struct{}, exportsAtOnce), make(chan error, 1)
	var asked sync.WaitGroup
	for i := range entries {
		e := &entries[i]
		if e.Partner.Mode != policy.ModeEnforce {
			continue
		}
		slots <- struct{}{}
		asked.Go(func() {
			defer func() { <-slots }()
			found, err := insister.Complete(ctx, e.Domain)
			if err != nil {
				select {
				case failed <- err:
				default: // one is enough
				}
				return
			}
			e.Demand, e.Names = found.Demand, found.Names
		})
	}
	asked.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}
