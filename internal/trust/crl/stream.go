package crl

import (
	"errors"
	"fmt"
	"io"
)

const (
	blockSize = 256 << 10 // more than any element
	blocks    = 3
)

// A stream reads DER as it comes and hashes what of it is signed. When a block is
// full, another goroutine hashes it while the next one is read.
type stream struct {
	r        io.Reader
	buf      []byte // one block
	pos, end int    // what of it is read by the parser, what is filled
	hashed   int    // what of it has been handed to the hash
	base     int64  // offset of buf[0] in the list
	size     int64  // octets of the list, once its first header is read

	signed             io.Writer // set before the first block is full
	signedAt, signedTo int64

	work chan work // nil until there is a second block
	free chan []byte
	done chan struct{}
}

// work is octets to hash, and the block to be free after that.
type work struct{ signed, block []byte }

func newStream(r io.Reader) *stream {
	return &stream{r: r, buf: make([]byte, blockSize)}
}

// close ends the goroutine. The hash is complete after it.
func (s *stream) close() {
	s.flush(nil)
	if s.work != nil {
		close(s.work)
		<-s.done
		s.work = nil
	}
}

// offset is where the parser is in the list.
func (s *stream) offset() int64 { return s.base + int64(s.pos) }

// need makes the next n octets available, at most blockSize.
func (s *stream) need(n int) error {
	if s.end-s.pos >= n {
		return nil
	}
	if s.pos+n > len(s.buf) {
		s.nextBlock()
	}
	got, err := io.ReadAtLeast(s.r, s.buf[s.end:], s.pos+n-s.end)
	s.end += got
	if err != nil {
		return s.readError(err)
	}
	return nil
}

// readError tells a list that ended from a reader that failed.
func (s *stream) readError(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w after %d octets", ErrTruncated, s.base+int64(s.end))
	}
	return fmt.Errorf("reading the CRL: %w", err)
}

// nextBlock starts another block with what the parser has not read yet.
func (s *stream) nextBlock() {
	if s.work == nil {
		s.work, s.free, s.done = make(chan work), make(chan []byte, blocks), make(chan struct{})
		for range blocks - 1 {
			s.free <- make([]byte, blockSize)
		}
		go s.hash()
	}
	next := <-s.free
	s.end = copy(next, s.buf[s.pos:s.end])
	s.flush(s.buf)
	s.base += int64(s.pos)
	s.buf, s.pos, s.hashed = next, 0, 0
}

// flush has the signed part of what the parser has read hashed.
func (s *stream) flush(block []byte) {
	part := s.buf[s.hashed:s.pos]
	at := s.base + int64(s.hashed)
	from := min(max(s.signedAt-at, 0), int64(len(part)))
	to := min(max(s.signedTo-at, from), int64(len(part)))
	s.hashed = s.pos
	if s.work != nil {
		s.work <- work{part[from:to], block}
	} else if s.signed != nil {
		_, _ = s.signed.Write(part[from:to]) // neither a hash nor a buffer fails
	}
}

func (s *stream) hash() {
	defer close(s.done)
	for w := range s.work {
		_, _ = s.signed.Write(w.signed)
		if w.block != nil {
			s.free <- w.block
		}
	}
}

// A header is the start of an element (X.690 section 8.1).
type header struct {
	tag     byte
	octets  int   // its own
	content int64 // octets of what follows it
}

// peek looks at the next element's header. It must end at limit or before.
func (s *stream) peek(limit int64) (h header, err error) {
	if limit-s.offset() < 2 {
		return h, s.malformed("an element ends too early")
	}
	if err := s.need(2); err != nil {
		return h, err
	}
	h.tag, h.octets = s.buf[s.pos], 2
	if first := s.buf[s.pos+1]; first < 0x80 {
		h.content = int64(first)
	} else {
		more := int(first & 0x7f)
		if more == 0 || more > 4 {
			return h, s.malformed("a length is not DER, or exceeds 4 GB")
		}
		if err := s.need(2 + more); err != nil {
			return h, err
		}
		h.octets += more
		for _, octet := range s.buf[s.pos+2 : s.pos+2+more] {
			h.content = h.content<<8 | int64(octet)
		}
		if h.content < 0x80 || h.content>>(8*(more-1)) == 0 {
			return h, s.malformed("a length is not encoded in the shortest way")
		}
	}
	if h.content > limit-s.offset()-int64(h.octets) {
		return h, s.malformed("an element is longer than what it is in")
	}
	return h, nil
}

// enter steps into the next element, and returns where it ends.
func (s *stream) enter(tag byte, limit int64) (end int64, err error) {
	h, err := s.peek(limit)
	if err != nil {
		return 0, err
	}
	if h.tag != tag {
		return 0, s.malformed("tag %#02x instead of %#02x", h.tag, tag)
	}
	s.pos += h.octets
	return s.offset() + h.content, nil
}

// element steps over the next element, of at most so many octets, and returns it.
// What is returned holds until the next call.
func (s *stream) element(tag byte, limit int64, most int) (whole, content []byte, err error) {
	h, err := s.peek(limit)
	if err != nil {
		return nil, nil, err
	}
	if h.tag != tag {
		return nil, nil, s.malformed("tag %#02x instead of %#02x", h.tag, tag)
	}
	if h.content > int64(most) {
		return nil, nil, fmt.Errorf("%w: an element of %d octets at octet %d", ErrTooLarge, h.content, s.offset())
	}
	n := h.octets + int(h.content)
	if err := s.need(n); err != nil {
		return nil, nil, err
	}
	whole = s.buf[s.pos : s.pos+n]
	s.pos += n
	return whole, whole[h.octets:], nil
}

// shortSequence is element for a SEQUENCE of less than 128 octets that is in the
// block, as nearly all entries are. It returns nil for any other.
func (s *stream) shortSequence(limit int64) []byte {
	b := s.buf[s.pos:s.end]
	if len(b) < 2 || b[0] != tagSequence || b[1] >= 0x80 {
		return nil
	}
	n := 2 + int(b[1])
	if len(b) < n || limit-s.offset() < int64(n) {
		return nil
	}
	s.pos += n
	return b[2:n]
}

// next reports the tag of the next element, 0 at the end of what it is in.
func (s *stream) next(limit int64) (tag byte, err error) {
	if s.offset() == limit {
		return 0, nil
	}
	h, err := s.peek(limit)
	return h.tag, err
}

// finish makes sure that nothing follows.
func (s *stream) finish() error {
	if s.end == s.pos {
		var one [1]byte
		switch n, err := io.ReadFull(s.r, one[:]); {
		case err == io.EOF:
			return nil
		case n == 0:
			return s.readError(err)
		}
	}
	return s.malformed("something follows its end")
}

func (s *stream) malformed(format string, args ...any) error {
	return fmt.Errorf("%w: octet %d: %s", ErrMalformed, s.offset(), fmt.Sprintf(format, args...))
}
