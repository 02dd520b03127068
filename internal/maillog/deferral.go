package maillog

import (
	"hash/maphash"
	"strings"
	"time"
)

// deferrals are the messages that wait, by what the log has said of them.
type deferrals struct {
	seed     maphash.Seed
	waiting  map[string]map[string]*waiting // by queue id and entry
	messages int                            // of one queue id and entry
}

type waiting struct {
	since, heard time.Time
	recipients   map[uint64]struct{} // hashes of those that wait
}

func newDeferrals() deferrals {
	return deferrals{seed: maphash.MakeSeed(), waiting: make(map[string]map[string]*waiting)}
}

// add notes that a recipient waits: since the time that the line has, heard of now.
func (d *deferrals) add(queueID, entry, recipient string, at, now time.Time) {
	w := d.waiting[queueID][entry]
	if w == nil {
		if d.messages >= maxDeferred {
			d.expire(now)
		}
		if d.messages >= maxDeferred {
			return
		}
		if d.waiting[queueID] == nil {
			queueID = strings.Clone(queueID) // not the line that it is a part of
			d.waiting[queueID] = make(map[string]*waiting)
		}
		w = &waiting{since: at, recipients: make(map[uint64]struct{})}
		d.waiting[queueID][strings.Clone(entry)] = w
		d.messages++
	}
	w.heard = now
	if len(w.recipients) < maxRecipients {
		w.recipients[maphash.String(d.seed, recipient)] = struct{}{}
	}
}

// remove notes that a recipient waits no more.
func (d *deferrals) remove(queueID, entry, recipient string) {
	w := d.waiting[queueID][entry]
	if w == nil {
		return
	}
	delete(w.recipients, maphash.String(d.seed, recipient))
	if len(w.recipients) == 0 {
		d.forget(queueID, entry)
	}
}

// gone notes that a message has left the queue.
func (d *deferrals) gone(queueID string) {
	d.messages -= len(d.waiting[queueID])
	delete(d.waiting, queueID)
}

func (d *deferrals) forget(queueID, entry string) {
	delete(d.waiting[queueID], entry)
	d.messages--
	if len(d.waiting[queueID]) == 0 {
		delete(d.waiting, queueID)
	}
}

func (d *deferrals) expire(now time.Time) {
	for queueID, entries := range d.waiting {
		for entry, w := range entries {
			if now.Sub(w.heard) > deferredTime {
				d.forget(queueID, entry)
			}
		}
	}
}

// queued is what waits of one entry.
type queued struct {
	count int
	since time.Time
}

// by returns what waits by entry.
func (d *deferrals) by(now time.Time) map[string]queued {
	d.expire(now)
	all := make(map[string]queued)
	for _, entries := range d.waiting {
		for entry, w := range entries {
			q := all[entry]
			if q.count++; q.since.IsZero() || w.since.Before(q.since) {
				q.since = w.since
			}
			all[entry] = q
		}
	}
	return all
}
