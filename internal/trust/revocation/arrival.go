package revocation

import (
	"context"
	"errors"
	"io"
	"iter"

	"domain-secured/internal/trust/crl"
	"domain-secured/internal/trust/fetch"
)

// An arrival is what is being fetched, read as it comes. It ends with [io.EOF] only
// if all of it came as it should: what was read before another error is worth
// nothing.
type arrival struct {
	next   func() ([]byte, bool)
	stop   func() // the fetch, if it has not ended
	some   []byte // of what came, not read yet
	result fetch.Result
	err    error
}

// errNotModified is how an arrival ends if what is there is still the current one.
var errNotModified = errors.New("it has not changed")

// notFetched is how an arrival ends if it failed. It hides what it is about, so that
// nobody takes a connection that ended early for the end of a list.
type notFetched struct{ err error }

func (n *notFetched) Error() string { return n.err.Error() }

// arrive fetches the list while it is read. It must be stopped.
func (l *listing) arrive(ctx context.Context, previous fetch.Validators) *arrival {
	a := new(arrival)
	a.next, a.stop = iter.Pull(func(yield func([]byte) bool) {
		a.result, a.err = l.client.Get(ctx, l.address, previous, taker(yield), crl.MaxSize)
	})
	return a
}

// A taker is called with what comes until it wants no more.
type taker func([]byte) bool

func (t taker) Write(b []byte) (int, error) {
	if !t(b) {
		return 0, errors.New("the rest of it is not wanted")
	}
	return len(b), nil
}

func (a *arrival) Read(b []byte) (int, error) {
	for len(a.some) == 0 {
		some, more := a.next()
		switch {
		case more:
			a.some = some
		case a.err != nil:
			return 0, &notFetched{a.err}
		case a.result.NotModified:
			return 0, errNotModified
		default:
			return 0, io.EOF
		}
	}
	n := copy(b, a.some)
	a.some = a.some[n:]
	return n, nil
}
