package milter

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"
)

// maxIdle is how many goroutines wait for something to judge. More are started
// when that many are busy, and end after it.
const maxIdle = 32

// judging does for connections what asks the judge, on goroutines of its own: that
// takes more stack than everything else, and a goroutine keeps what it once had.
// So ten thousand idle connections do not hold ten thousand large stacks.
type judging struct {
	asked chan *question
	idle  atomic.Int32
}

// question is what a connection has done there, one thing at a time.
type question struct {
	conn     *conn
	ask      func(*conn)
	answered chan struct{}
	panicked any
}

func newJudging() judging { return judging{asked: make(chan *question)} }

// do does what q asks, and returns when that is done. A panic is the caller's.
func (j *judging) do(q *question, ask func(*conn)) {
	q.ask = ask
	select {
	case j.asked <- q:
	default:
		go j.work(q)
	}
	<-q.answered
	if p := q.panicked; p != nil {
		q.panicked = nil
		panic(p)
	}
}

func (j *judging) work(q *question) {
	for q != nil {
		q.run()
		if j.idle.Add(1) > maxIdle {
			j.idle.Add(-1)
			return
		}
		q = <-j.asked // nil when it is closed
		j.idle.Add(-1)
	}
}

func (q *question) run() {
	defer func() {
		if p := recover(); p != nil {
			q.panicked = fmt.Sprintf("%v, at\n%s", p, debug.Stack())
		}
		q.answered <- struct{}{}
	}()
	q.ask(q.conn)
}

// close ends the goroutines that wait. Nothing must be asked any more.
func (j *judging) close() { close(j.asked) }
