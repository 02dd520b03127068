package fetch

import (
	"fmt"
	"io"
)

// capped reads at most left octets and is an error after that, where
// [io.LimitedReader] is an end.
type capped struct {
	r           io.Reader
	left, limit int64
}

func (c *capped) Read(p []byte) (int, error) {
	if c.left == 0 {
		var more [1]byte
		n, err := c.r.Read(more[:])
		if n > 0 {
			return 0, tooLarge(c.limit)
		}
		return 0, err
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.r.Read(p)
	c.left -= int64(n)
	return n, err
}

func tooLarge(limit int64) error {
	return &trouble{ErrTooLarge, fmt.Sprintf("it has more than %d octets", limit)}
}

// storer tells errors of the caller's writer from those of the network.
type storer struct{ w io.Writer }

func (s storer) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err != nil {
		err = &storing{err}
	}
	return n, err
}
