package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"domain-secured/internal/config"
	"domain-secured/internal/gate"
	"domain-secured/internal/ops"
	"domain-secured/internal/outgoing"
	"domain-secured/internal/trust"
	"domain-secured/internal/trust/revocation"
	"domain-secured/policy/tlsmap"
)

const (
	lookTime = time.Second            // between looks at list files and store
	soonTime = 100 * time.Millisecond // the same, while a file is being written
)

// reloader takes over changes while the daemon runs. Whatever is wrong with
// them, what was there before stays.
type reloader struct {
	config *config.Config
	watch  *config.ListWatch
	gate   *gate.Gate
	store  *trust.Store
	log    *slog.Logger
	file   string // the configuration

	outside  *outside
	checker  *revocation.Checker
	own      *own
	insister *outgoing.Insister
	tlsmap   *tlsmap.Server
	sent     *outbound

	reread bool // the configuration is to be read again
	// What the log was last told is wrong, "" for nothing: it is said once.
	wrongStore, wrongLists string

	// What /status says of it.
	mu        sync.Mutex
	loaded    time.Time
	problem   string // why what was changed since could not be taken over
	problemAt time.Time
}

// run looks for changes until ctx ends or a door fails.
func (r *reloader) run(ctx context.Context, hangups <-chan os.Signal, failed <-chan error) error {
	timer := time.NewTimer(lookTime)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case <-hangups:
			r.reread = true
		case <-timer.C:
		}
		// A disk that hangs holds up a look, but not the end.
		looked := make(chan bool, 1)
		go func() { looked <- r.look() }()
		wait := lookTime
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case soon := <-looked:
			if soon {
				wait = soonTime
			}
		}
		timer.Reset(wait)
	}
}

// look takes changes of lists and store, and rereads the configuration if that
// was asked for. It returns true to be called again soon.
func (r *reloader) look() (soon bool) {
	r.lookAtStore()
	changed, soon := r.watch.Changed()
	switch {
	case soon: // a list is being written: neither it nor what names it is read now
	case r.reread:
		r.reread = false
		r.reload()
	case changed:
		r.readLists()
	}
	return soon
}

func (r *reloader) lookAtStore() {
	changed, err := r.store.Refresh()
	wrong := ""
	if err != nil {
		if wrong = err.Error(); wrong != r.wrongStore {
			r.log.Error("some stored certificates cannot be used", "error", err)
		}
	}
	r.wrongStore = wrong
	if changed > 0 {
		if r.outside != nil { // what was imported is not unknown any more
			r.outside.clearKnown(r.store)
		}
		r.log.Info("certificates changed", "changed", changed, "certificates", len(r.store.All()))
	}
}

func (r *reloader) readLists() {
	next, err := r.config.WithLists()
	if err != nil {
		if err.Error() != r.wrongLists {
			r.wrongLists = err.Error()
			r.complain("a list changed and cannot be used: the lists read before stay", err)
		}
		return
	}
	r.wrongLists = ""
	was := r.config.Snapshot
	if next.Snapshot.Receive.Equal(was.Receive) && next.Snapshot.Send.Equal(was.Send) {
		// A comment, or a second look at a file that was new: nothing is judged anew.
		next.Snapshot, r.config = was, next
		return
	}
	r.use(next)
	r.log.Info("lists read", "receive", next.Snapshot.Receive.Len(), "send", next.Snapshot.Send.Len())
}

// reload rereads the configuration.
func (r *reloader) reload() {
	next, err := config.Load(r.config.File, gate.ReadRoots)
	if err != nil {
		r.complain("the configuration cannot be used: the one read before stays", err)
		return
	}
	settings, err := revocationSettings(next)
	if err != nil {
		r.complain("the configuration cannot be used: the one read before stays", err)
		return
	}
	for _, key := range next.KeepFixed(r.config) {
		r.log.Warn(key + " has changed: that takes a restart, until then the old value holds")
	}
	again := next.Resolver != r.config.Resolver || next.TrustAD != r.config.TrustAD || next.ProbePort != r.config.ProbePort ||
		next.AllowPrivate != r.config.AllowPrivate || next.Hostname != r.config.Hostname
	if again {
		r.outside.use(next)
	}
	r.use(next)
	r.checker.Use(settings)
	r.own.use(next)
	if err := r.sent.use(next); err != nil {
		r.complain("TLS reports are not heard", err)
	}
	r.tlsmap.Use(postfixVersion(next))
	r.watch, r.wrongLists = next.Watch(), ""
	for _, warning := range next.Warnings {
		r.log.Warn(warning)
	}
	r.log.Info("configuration read", "receive", next.Snapshot.Receive.Len(), "send", next.Snapshot.Send.Len())
}

func (r *reloader) use(next *config.Config) {
	r.config = next
	r.gate.Replace(next.Snapshot)
	r.insister.Use(sendingSettings(next, r.outside.view))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loaded, r.problem, r.problemAt = time.Now(), "", time.Time{}
}

// status is what /status says of the configuration.
func (r *reloader) status() ops.Config {
	s := r.gate.Snapshot()
	r.mu.Lock()
	defer r.mu.Unlock()
	return ops.Config{
		File: r.file, Loaded: r.loaded, Receive: s.Receive.Len(), Send: s.Send.Len(), Certificates: len(r.store.All()),
		Problem: r.problem, ProblemAt: ops.At(r.problemAt),
	}
}

// complain logs each problem on a line of its own.
func (r *reloader) complain(what string, err error) {
	r.mu.Lock()
	r.problem, r.problemAt = what+": "+strings.TrimSpace(err.Error()), time.Now()
	r.mu.Unlock()
	var problems config.Problems
	if !errors.As(err, &problems) {
		r.log.Error(what, "error", err)
		return
	}
	for _, p := range problems {
		r.log.Error(what, "problem", strings.TrimSpace(p.String()))
	}
}
