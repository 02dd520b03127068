package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"domain-secured/internal/config"
	"domain-secured/internal/gate"
	"domain-secured/internal/ops"
)

var statusCommand = &command{
	name:  "status",
	short: "what the running daemon has seen: connections, counts, partners",
	long: `
It asks the daemon at [http] listen. Counts are since its start. What came of mail
that was sent is known where [send] maillog is set.

The exit code is 0 if the daemon answered, 69 if it cannot be reached.`,
	setup: func(flags *flag.FlagSet) func(*call) error {
		asJSON := flags.Bool("json", false, "print what the daemon answered, JSON")
		return func(c *call) error {
			if len(c.args) > 0 {
				return usagef("status: takes no arguments")
			}
			cfg, err := config.Read(c.config, gate.ReadRoots)
			if err != nil {
				return err
			}
			if cfg.HTTP.Listen.IsZero() {
				return exitf(exitConfiguration, `status: %s: http.listen is "": there is nobody to ask`, cfg.File)
			}
			text, err := askStatus(c.ctx, cfg.HTTP.Listen)
			if err != nil {
				return exitf(exitUnreachable, "status: the daemon does not answer at %s, is it running? %w", cfg.HTTP.Listen, err)
			}
			var s ops.Status
			if err := json.Unmarshal(text, &s); err != nil || s.Version == "" {
				return exitf(exitUnreachable, "status: at %s answers something else than domain-secured", cfg.HTTP.Listen)
			}
			if *asJSON {
				_, err = c.out.Write(text)
				return err
			}
			return printStatus(c.out, &s, time.Now())
		}
	},
}

const (
	statusTime = 15 * time.Second
	maxStatus  = 64 << 20 // octets of an answer
)

// askStatus returns what the daemon answers.
func askStatus(ctx context.Context, at config.Address) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	// No proxy: it is asked for on this machine, whatever the environment says.
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, at.Network, at.Address)
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/status", nil)
	if err != nil {
		return nil, err
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it says %s", answer.Status)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxStatus+1))
	if err == nil && len(text) > maxStatus {
		err = fmt.Errorf("its answer has more than %d bytes", maxStatus)
	}
	return text, err
}
