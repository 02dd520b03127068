package main

import (
	"context"
	"log/slog"
	"time"

	"domain-secured/internal/config"
	"domain-secured/internal/gate"
)

// ownInterval is how often our own certificates are looked at.
const ownInterval = 12 * time.Hour

// own watches our own certificates: it says in the log what partners will find wrong
// with them.
type own struct {
	gate  *gate.Gate
	log   *slog.Logger
	files chan []string // that are to be watched from now on
	end   context.CancelFunc
	done  chan struct{}
}

func newOwn(cfg *config.Config, g *gate.Gate, log *slog.Logger) *own {
	ctx, end := context.WithCancel(context.Background())
	o := &own{gate: g, log: log, files: make(chan []string, 1), end: end, done: make(chan struct{})}
	go o.run(ctx, cfg.OwnCertificates)
	return o
}

// use watches the files that cfg names from now on.
func (o *own) use(cfg *config.Config) {
	select {
	case <-o.files: // those are not to be looked at any more
	default:
	}
	o.files <- cfg.OwnCertificates
}

func (o *own) run(ctx context.Context, files []string) {
	defer close(o.done)
	tick := time.NewTicker(ownInterval)
	defer tick.Stop()
	for {
		problems := o.gate.CheckOwn(ctx, files, time.Now())
		if ctx.Err() != nil {
			return
		}
		for _, problem := range problems {
			o.log.Warn(problem)
		}
		select {
		case <-ctx.Done():
			return
		case files = <-o.files:
		case <-tick.C:
		}
	}
}

// close ends it. A disk that hangs is not waited for.
func (o *own) close() {
	o.end()
	select {
	case <-o.done:
	case <-time.After(closeTime):
	}
}
