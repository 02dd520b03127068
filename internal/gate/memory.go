package gate

import (
	"sync"
	"time"
)

// memory keeps values for a while: the first for a key is kept, and no more than
// a fixed number at a time. When it is full, new ones are not kept.
type memory[K comparable, V any] struct {
	limit   int
	keepFor time.Duration

	mu     sync.Mutex
	values map[K]V
	order  []due[K] // all have the same time to live: the oldest is due first
}

type due[K comparable] struct {
	key K
	at  time.Time
}

func newMemory[K comparable, V any](limit int, keepFor time.Duration) *memory[K, V] {
	return &memory[K, V]{limit: limit, keepFor: keepFor, values: make(map[K]V)}
}

// keep remembers v if there is room and no value for the key, which is returned
// otherwise.
func (m *memory[K, V]) keep(key K, v V, now time.Time) (earlier V, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(now)
	if earlier, known = m.values[key]; known || len(m.values) >= m.limit {
		return earlier, known
	}
	m.values[key] = v
	m.order = append(m.order, due[K]{key, now.Add(m.keepFor)})
	return earlier, false
}

func (m *memory[K, V]) get(key K, now time.Time) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(now)
	v, known := m.values[key]
	return v, known
}

func (m *memory[K, V]) expire(now time.Time) {
	for len(m.order) > 0 && m.order[0].at.Before(now) {
		delete(m.values, m.order[0].key)
		m.order = m.order[1:]
	}
}
