package outgoing

import (
	"sync"
	"sync/atomic"
	"time"

	"domain-secured/policy"
)

// destination is what is remembered of where mail goes.
type destination struct {
	key
	asked  atomic.Int64 // when last, in seconds since 1970
	answer atomic.Pointer[answer]

	mu     sync.Mutex
	making chan struct{} // closed when the answer that is being made is there
	again  chan struct{} // what is known so far is to be judged again

	// Of who makes the answer:
	view view
	said string // what the log was told
}

// answer is what a look-up is told, and for how long.
type answer struct {
	settings uint64 // the number of those by which it was made, which are not kept for it
	demand   *policy.Demand
	counted  *atomic.Uint64
	ages     time.Time // another is made then, while this one still holds
	due      time.Time // who asks then waits for the other one
	until    time.Time // and gets this one if that takes too long; never after this
}

// wait is a demand that mail waits.
func wait(why, detail string) *policy.Demand { return &policy.Demand{Wait: why, Detail: detail} }

func faulty() *policy.Demand {
	return wait(string(policy.InternalError), "a fault of domain-secured itself, see its log")
}

// refusal is an answer that is not remembered.
func (i *Insister) refusal(d *policy.Demand) *answer {
	return &answer{demand: d, counted: i.counts.waiting(d.Wait)}
}
