package milter

import (
	"log/slog"
	"sync"
	"time"
)

// removals says in the log how many forged stamps were removed: a line a second
// at most, and none is left out.
type removals struct {
	mu               sync.Mutex
	fields, messages int  // not yet said
	waiting          bool // a line is due
	client, queueID  string
	last             time.Time
}

func (r *removals) add(m *message, log *slog.Logger) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fields += m.stamps
	r.messages++
	r.client, r.queueID = m.facts.Client.String(), m.facts.QueueID
	if r.waiting {
		return
	}
	if since := time.Since(r.last); since < time.Second {
		r.waiting = true
		time.AfterFunc(time.Second-since, func() {
			r.flush(log)
		})
		return
	}
	r.say(log)
}

// flush says what has not been said yet.
func (r *removals) flush(log *slog.Logger) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting {
		r.say(log)
	}
}

func (r *removals) say(log *slog.Logger) {
	log.Info("removed forged stamps", "fields", r.fields, "messages", r.messages, "last_client", r.client, "last_queue_id", r.queueID)
	r.fields, r.messages, r.waiting, r.last = 0, 0, false, time.Now()
}
