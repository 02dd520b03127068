package revocation

import (
	"context"
	"crypto/x509"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"domain-secured/internal/trust/fetch"
)

// Options are what a [Checker] keeps for its life.
type Options struct {
	// Dir is the folder for what is fetched, made when it is needed. It holds
	// nothing that cannot be fetched again, but forgets no CRL number.
	Dir string
	// Shared is the folder of another Checker, to be read and never written to; ""
	// for none.
	Shared string
	Clock  func() time.Time
	Log    *slog.Logger
	// Paths returns the valid paths of who signs lists for others to a root, over the
	// certificates that are given besides. If it is nil, lists are believed only by
	// the key of who issued the certificate.
	Paths func(signer, root *x509.Certificate, others []*x509.Certificate, at time.Time) [][]*x509.Certificate
}

// Settings are what a [Checker] goes by until it is told otherwise.
type Settings struct {
	// Fetch gets lists and answers; nil: only what is at hand is used.
	Fetch *fetch.Client
	// Order is who is asked, the first definite answer counts: "crl", "ocsp".
	Order []string
	// Files hold CRLs of the operator's own: one as DER, or several as PEM.
	Files []string
	// Grace is how long a list is believed after its nextUpdate.
	Grace time.Duration
}

// The elements of [Settings.Order], and where an answer is from.
const (
	CRL  = "crl"
	OCSP = "ocsp"
)

// A Checker says whether certificates are revoked. Its methods may be called at
// the same time.
type Checker struct {
	Options
	settings atomic.Pointer[Settings]

	lists   *lists
	answers *answers
	files   files
	jobs    *jobs

	preparations preparations
	// waiting bounds the questions that wait for the network: a server that is dead
	// must not occupy an MTA.
	waiting chan struct{}

	stopped sync.WaitGroup
}

const maxWaiting = 8

// New returns a Checker. It must be closed.
func New(o Options, s Settings) *Checker {
	c := &Checker{
		Options: o,
		lists:   newLists(o.Dir, o.Shared),
		answers: newAnswers(o.Dir, o.Shared),
		jobs:    newJobs(o.Clock, o.Log),
		waiting: make(chan struct{}, maxWaiting),
	}
	c.Use(s)
	return c
}

// Use makes s the settings for what is asked from now on. What has been fetched
// stays.
func (c *Checker) Use(s Settings) { c.settings.Store(&s) }

// closeTime bounds how long [Checker.Close] waits for what is being fetched.
const closeTime = 5 * time.Second

// Close ends the refreshing and every fetch.
func (c *Checker) Close() {
	c.jobs.stop()
	done := make(chan struct{})
	go func() {
		c.stopped.Wait()
		c.jobs.wait()
		c.lists.close()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(closeTime):
	}
}

// Status is the answer to "is it revoked?", from good to bad.
type Status int

// The statuses.
const (
	Good        Status = iota // it is not
	Unavailable               // it names no source, and no file of the operator speaks of it
	Unknown                   // a source is named but gave no usable answer
	OnHold                    // for now (certificateHold, RFC 5280 section 5.3.1)
	Revoked                   // it is
)

func (s Status) String() string {
	switch s {
	case Good:
		return "good"
	case Unavailable:
		return "unavailable"
	case OnHold:
		return "on hold"
	case Revoked:
		return "revoked"
	}
	return "unknown"
}

// A Question is whether one certificate is revoked.
type Question struct {
	// Chain is a valid one: the certificate, who issued it, ..., the root. A root
	// is never asked about.
	Chain []*x509.Certificate
	// Others are certificates that may sign lists, as they came with the leaf or
	// are known otherwise. They are believed only with a chain to the same root.
	Others []*x509.Certificate
	At     time.Time
}

// An Answer is what is known.
type Answer struct {
	Status Status
	Source string // [CRL] or [OCSP] where a definite answer is from, else ""
	Detail string // in a line: who was asked, what was said
}

// definite reports whether nobody else needs to be asked.
func (a Answer) definite() bool { return a.Source != "" }

// Ask answers a question. It waits for the network until ctx is done, if it has
// to; what is being fetched then goes on, for the next one who asks.
func (c *Checker) Ask(ctx context.Context, q Question) Answer {
	i := &inquiry{Checker: c, ctx: ctx, settings: c.settings.Load(), others: q.Others, at: q.At, trail: &trail{questions: maxQuestions}}
	return i.ask(q.Chain)
}
