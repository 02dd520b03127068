package gate

import (
	"slices"
	"sync"
	"time"
)

// memory keeps values for a while: the first for a key is kept, and no more than
// a fixed number at a time. When it is full, the oldest has to go: were new ones
// not kept, anybody could keep them out by making it full.
type memory[K comparable, V any] struct {
	limit   int
	keepFor time.Duration

	mu     sync.Mutex
	values map[K]held[V]
	order  []due[K] // all have the same time to live: the oldest is due first
}

type held[V any] struct {
	value V
	until time.Time
}

type due[K comparable] struct {
	key K
	at  time.Time
}

func newMemory[K comparable, V any](limit int, keepFor time.Duration) *memory[K, V] {
	return &memory[K, V]{limit: limit, keepFor: keepFor, values: make(map[K]held[V])}
}

// keep remembers v if there is no value for the key, which is returned otherwise.
// gone, if not nil, is told of the value that had to go.
func (m *memory[K, V]) keep(key K, v V, now time.Time, gone func(V)) (earlier V, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(now)
	if h, known := m.values[key]; known {
		return h.value, true
	}
	if len(m.values) >= m.limit {
		oldest := m.order[0].key // expire has seen to it that this one is held
		if gone != nil {
			gone(m.values[oldest].value)
		}
		delete(m.values, oldest)
		m.order = m.order[1:]
	}
	until := now.Add(m.keepFor)
	m.values[key] = held[V]{v, until}
	m.order = append(m.order, due[K]{key, until})
	return earlier, false
}

func (m *memory[K, V]) get(key K, now time.Time) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(now)
	h, known := m.values[key]
	return h.value, known
}

// take returns the value for a key and forgets it.
func (m *memory[K, V]) take(key K, now time.Time) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(now)
	h, known := m.values[key]
	delete(m.values, key)
	return h.value, known
}

// older calls use for each value that was kept before a time, forgets those that
// are due, and reports whether any are left.
func (m *memory[K, V]) older(than, now time.Time, use func(*V)) (left bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.order {
		if !d.at.Add(-m.keepFor).Before(than) {
			break
		}
		if m.holds(d) {
			h := m.values[d.key]
			use(&h.value)
			m.values[d.key] = h
		}
	}
	m.expire(now)
	return len(m.values) > 0
}

func (m *memory[K, V]) expire(now time.Time) {
	for len(m.order) > 0 && (m.order[0].at.Before(now) || !m.holds(m.order[0])) {
		if m.holds(m.order[0]) {
			delete(m.values, m.order[0].key)
		}
		m.order = m.order[1:]
	}
	// Behind one that nobody takes, those taken must not pile up.
	if len(m.order) > 2*m.limit {
		m.order = slices.DeleteFunc(m.order, func(d due[K]) bool { return !m.holds(d) })
	}
}

// holds reports whether the value that is due then is still there.
func (m *memory[K, V]) holds(d due[K]) bool {
	h, known := m.values[d.key]
	return known && h.until.Equal(d.at)
}
