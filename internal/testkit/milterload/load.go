package milterload

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Measure is how long messages took.
type Measure struct {
	Elapsed    time.Duration
	EOM, Total []time.Duration // of each message, see Result; sorted
}

// Rate returns messages per second.
func (m Measure) Rate() float64 { return float64(len(m.Total)) / m.Elapsed.Seconds() }

// Quantile returns the q-th of sorted durations, q from 0 to 1.
func Quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

// dialers bounds how many connections are made at once: a backlog of connections may be short.
const dialers = 16

// DialAll makes n connections.
func DialAll(p Peer, n int) ([]*Conn, error) {
	conns := make([]*Conn, n)
	err := inParallel(min(n, dialers), func(worker int) (err error) {
		for i := worker; i < n && err == nil; i += dialers {
			conns[i], err = Dial(p)
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(err, CloseAll(conns))
	}
	return conns, nil
}

// CloseAll closes connections; nil ones it leaves out.
func CloseAll(conns []*Conn) error {
	var errs []error
	for _, c := range conns {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// queueIDs are the numbers of all messages of this process.
var queueIDs atomic.Uint64

// Kept sends messages over each of the connections, over all of them at once. check, if set, says what is wrong
// with a result.
func Kept(conns []*Conn, messages int, check func(Result) error) (Measure, error) {
	return measure(len(conns), messages, func(worker int, id uint64) (Result, error) {
		return conns[worker].Send(id)
	}, check)
}

// Fresh sends messages over a connection each, with so many senders at once. Result.Total has the connecting
// and the end of the connection in it.
func Fresh(p Peer, senders, messages int, check func(Result) error) (Measure, error) {
	return measure(senders, messages, func(_ int, id uint64) (Result, error) {
		began := time.Now()
		c, err := Dial(p)
		if err != nil {
			return Result{}, err
		}
		result, err := c.Send(id)
		err = errors.Join(err, c.Close())
		result.Total = time.Since(began)
		return result, err
	}, check)
}

func measure(senders, messages int, send func(sender int, id uint64) (Result, error), check func(Result) error) (Measure, error) {
	first := queueIDs.Add(uint64(senders*messages)) - uint64(senders*messages)
	m := Measure{EOM: make([]time.Duration, senders*messages), Total: make([]time.Duration, senders*messages)}
	began := time.Now()
	err := inParallel(senders, func(sender int) error {
		for i := sender * messages; i < (sender+1)*messages; i++ {
			result, err := send(sender, first+uint64(i))
			if err == nil && check != nil {
				err = check(result)
			}
			if err != nil {
				return err
			}
			m.EOM[i], m.Total[i] = result.EOM, result.Total
		}
		return nil
	})
	m.Elapsed = time.Since(began)
	slices.Sort(m.EOM)
	slices.Sort(m.Total)
	return m, err
}

// inParallel runs work n times at once, and returns the errors.
func inParallel(n int, work func(worker int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = work(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
