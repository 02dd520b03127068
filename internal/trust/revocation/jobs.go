package revocation

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// A key names what is fetched: a list by its address, an answer by its subject,
// and both by who issued the certificate that they are about. A server cannot
// make what it says of one issuer take the place of what is said of another.
type key [sha256.Size]byte

func keyOf(what string, issuer *x509.Certificate) (k key) {
	h := sha256.New()
	fmt.Fprintf(h, "%d %s", len(what), what)
	h.Write(issuer.RawSubject)
	h.Write(issuer.RawSubjectPublicKeyInfo)
	h.Sum(k[:0])
	return k
}

// with names the same for those who know these certificates to sign lists.
func (k key) with(signers []*x509.Certificate) (with key) {
	h := sha256.New()
	h.Write(k[:])
	for _, signer := range signers {
		sum := sha256.Sum256(signer.Raw)
		h.Write(sum[:])
	}
	h.Sum(with[:0])
	return with
}

func (k key) String() string { return hex.EncodeToString(k[:]) }

// parse reads what String writes.
func (k *key) parse(s string) bool {
	n, err := hex.Decode(k[:], []byte(s[:min(len(s), 2*len(k))]))
	return err == nil && n == len(k) && len(s) == 2*n
}

const (
	maxJobs     = 256              // at a time
	maxRunning  = 8                // of them that fetch
	jobTime     = 5 * time.Minute  // of one
	failureTime = 60 * time.Second // for which a failure is remembered
	maxFailures = 10_000
)

var errBusy = fmt.Errorf("%d fetches are waiting already: try again", maxJobs)

// jobs are the fetches that go on: one for each key at a time.
type jobs struct {
	ctx    context.Context
	cancel context.CancelFunc
	clock  func() time.Time
	log    *slog.Logger
	turns  chan struct{}
	all    sync.WaitGroup

	mu      sync.Mutex
	running map[key]*job
	failed  map[key]failure
}

// A job is done when done is closed; err may be read then.
type job struct {
	done  chan struct{}
	err   error
	again bool // it failed the last time
}

type failure struct {
	until time.Time
	err   error
}

func newJobs(clock func() time.Time, log *slog.Logger) *jobs {
	ctx, cancel := context.WithCancel(context.Background())
	return &jobs{
		ctx: ctx, cancel: cancel, clock: clock, log: log, turns: make(chan struct{}, maxRunning),
		running: make(map[key]*job), failed: make(map[key]failure),
	}
}

// start has run called, unless that goes on already or failed a short while ago.
func (js *jobs) start(k key, run func(context.Context) error) *job { return js.startWith(k, k, run) }

// startWith is start for what may fail for one who asks and not for another: with
// stands for what he brings along, and a failure is remembered by that.
func (js *jobs) startWith(k, with key, run func(context.Context) error) *job {
	js.mu.Lock()
	defer js.mu.Unlock()
	if j := js.running[k]; j != nil {
		return j
	}
	f, known := js.failed[with]
	j := &job{done: make(chan struct{}), again: known}
	switch {
	case known && js.clock().Before(f.until):
		j.err = f.err
	case len(js.running) >= maxJobs:
		j.err = errBusy
	case js.ctx.Err() != nil:
		j.err = js.ctx.Err()
	}
	if j.err != nil {
		close(j.done)
		return j
	}
	js.running[k] = j
	js.all.Add(1)
	go js.run(k, with, j, run)
	return j
}

func (js *jobs) run(k, with key, j *job, run func(context.Context) error) {
	defer js.all.Done()
	j.err = js.guard(run)
	js.mu.Lock()
	defer js.mu.Unlock()
	delete(js.running, k)
	delete(js.failed, with)
	if j.err != nil {
		js.remember(with, j.err)
	}
	close(j.done)
}

// guard runs what reads what strangers wrote.
func (js *jobs) guard(run func(context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(js.ctx, jobTime)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			js.log.Error("a panic while fetching, please report it", "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("a panic while fetching, see the log")
		}
	}()
	return run(ctx)
}

// turn is for what takes long because somebody else is slow: few do so at a time.
func (js *jobs) turn(ctx context.Context) (release func(), err error) {
	select {
	case js.turns <- struct{}{}:
		return func() { <-js.turns }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for a turn to fetch: %w", ctx.Err())
	}
}

// remember keeps a failure, and forgets those that are over when there are many.
func (js *jobs) remember(k key, err error) {
	now := js.clock()
	if len(js.failed) >= maxFailures {
		for k, f := range js.failed {
			if !now.Before(f.until) {
				delete(js.failed, k)
			}
		}
		if len(js.failed) >= maxFailures {
			clear(js.failed)
		}
	}
	js.failed[k] = failure{now.Add(failureTime), err}
}

// stop ends every job, and no other starts.
func (js *jobs) stop() {
	js.mu.Lock()
	defer js.mu.Unlock()
	js.cancel()
}

// wait waits until every job has ended.
func (js *jobs) wait() { js.all.Wait() }

// wait returns what came of a job, or why it is not waited for any longer.
func (j *job) wait(ctx context.Context, may bool) error {
	select {
	case <-j.done:
		return j.err
	default:
	}
	if !may {
		return errNotWaiting
	}
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
		if ctx.Err() == context.DeadlineExceeded {
			return errSlow
		}
		return ctx.Err()
	}
}
