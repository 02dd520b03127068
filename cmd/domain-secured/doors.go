package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"time"

	"domain-secured/internal/config"
)

const (
	// messageTime bounds the end of the milter: messages in hand may take so long.
	messageTime = 30 * time.Second
	// requestTime bounds the end of other doors: no answer takes longer.
	requestTime = 6 * time.Second
)

// doors are the servers that MTAs talk to, in the order in which they end: the
// messages that the milter still has in hand are asked about at the next one.
type doors []*openDoor

type openDoor struct {
	name   string
	config config.Door
	server interface {
		Serve(net.Listener) error
		Shutdown(context.Context) error
	}
	grace    time.Duration
	listener net.Listener // nil if the door is off
}

// listen opens the sockets of those doors that are not off.
func (d doors) listen() error {
	for i, door := range d {
		if door.config.Listen.IsZero() {
			continue
		}
		var err error
		if door.listener, err = listen(door.config); err == nil {
			continue
		}
		for _, earlier := range d[:i] {
			if earlier.listener != nil {
				earlier.listener.Close()
			}
		}
		return exitf(listenCode(err), "%s.listen = %q: %w", door.name, door.config.Listen, err)
	}
	return nil
}

// listenCode is the exit code when a socket cannot be opened.
func listenCode(err error) int {
	if errors.Is(err, fs.ErrPermission) {
		return exitPermission
	}
	return exitConfiguration
}

// serve serves the doors, and returns where to hear of one that failed.
func (d doors) serve() <-chan error {
	failed := make(chan error, len(d))
	for _, door := range d {
		if door.listener == nil {
			continue
		}
		go func() {
			if err := door.server.Serve(door.listener); err != nil {
				failed <- fmt.Errorf("the %s door failed: %w", door.name, err)
			}
		}()
	}
	return failed
}

// shutdown ends one door after the other.
func (d doors) shutdown(log *slog.Logger) {
	for _, door := range d {
		ctx, cancel := context.WithTimeout(context.Background(), door.grace)
		if err := door.server.Shutdown(ctx); err != nil {
			log.Warn("closed a door with messages in hand", "door", door.name, "waited", door.grace)
		}
		cancel()
	}
}

// addresses are where the doors listen, for the log.
func (d doors) addresses() []any {
	var all []any
	for _, door := range d {
		if door.listener != nil {
			all = append(all, door.name, door.listener.Addr().String())
		}
	}
	return all
}

// haveDoor makes sure that there is something to serve.
func haveDoor(cfg *config.Config) error {
	if cfg.Milter.Listen.IsZero() && cfg.Policy.Listen.IsZero() && cfg.TLSMap.Listen.IsZero() {
		return exitf(exitConfiguration, "%s: milter.listen, policy.listen and tlsmap.listen are \"\": there is no door to serve", cfg.File)
	}
	return nil
}
