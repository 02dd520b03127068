package partner

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// panicError is a panic, and where it was.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

// guard calls do, and returns its panic: whatever strangers send, it must not take
// the daemon down.
func guard(do func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *panicError: // of a goroutine that do waited for
			err = r
		default:
			err = &panicError{r, debug.Stack()}
		}
	}()
	do()
	return nil
}

// each calls do for 0 to n-1, some at the same time, and waits for all. If one
// panics, so does each then, where it can be guarded against.
func each(parallel, n int, do func(i int)) {
	var work sync.WaitGroup
	slots := make(chan struct{}, parallel)
	faults := make(chan error, n)
	for i := range n {
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			if err := guard(func() { do(i) }); err != nil {
				faults <- err
			}
		})
	}
	work.Wait()
	select {
	case err := <-faults:
		panic(err)
	default:
	}
}

// errFault is what others are told of a panic; the log has all of it.
var errFault = errors.New("a fault of domain-secured itself: see its log")
