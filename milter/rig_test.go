package milter

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// rig is a connection of its own, without a door, which knows how far it has read
// and what it holds meanwhile: so a test can send on when all was read.
type rig struct {
	*net.UnixConn // the milter's end
	c             *conn
	mta           *net.UnixConn
	replies       chan string // all of them, at the end
	done          chan struct{}

	mu      sync.Mutex
	changed *sync.Cond
	sent    int // by the MTA
	read    int // by the milter
	waiting int // how much was read when it last waited for more
	holding string
	ended   bool
	writes  []string
	reading []time.Duration // read deadlines from the time when they were set, 0 for none
	writing []time.Duration // write deadlines
}

// newRig returns one that is served, until the test ends it or the MTA does.
func newRig(t testing.TB, s *Server) *rig {
	t.Helper()
	var r *rig
	t.Cleanup(func() { // after both ends are closed
		<-r.done
		s.Shutdown(context.Background())
	})
	r = idleRig(t, s)
	go r.serve()
	go func() {
		b, _ := io.ReadAll(r.mta)
		r.replies <- string(b)
	}()
	return r
}

// idleRig returns one that is not served.
func idleRig(t testing.TB, s *Server) *rig {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{UnixConn: unixConn(t, fds[0]), mta: unixConn(t, fds[1]), replies: make(chan string, 1), done: make(chan struct{}), waiting: -1}
	r.changed = sync.NewCond(&r.mu)
	r.c = s.newConn(r)
	return r
}

func unixConn(t testing.TB, fd int) *net.UnixConn {
	t.Helper()
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.UnixConn)
}

// serve does what a door does.
func (r *rig) serve() {
	defer close(r.done)
	defer func() {
		r.Close()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ended, r.holding = true, r.held()
		r.changed.Broadcast()
	}()
	defer r.c.end()
	r.c.serve()
}

// send sends in one write, and returns when the milter has read it and waits for
// more: false if it has ended instead.
func (r *rig) send(t testing.TB, text string) bool {
	t.Helper()
	if text == "" {
		return true
	}
	if _, err := io.WriteString(r.mta, text); err != nil {
		return false // the milter hung up, and the test sees why
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent += len(text)
	for r.waiting != r.sent && !r.ended {
		r.changed.Wait()
	}
	return !r.ended
}

// finish says that the MTA sends no more, and returns all replies.
func (r *rig) finish() string {
	r.mta.CloseWrite()
	<-r.done
	return <-r.replies
}

func (r *rig) SyscallConn() (syscall.RawConn, error) {
	raw, err := r.UnixConn.SyscallConn()
	return rigRaw{raw, r}, err
}

type rigRaw struct {
	syscall.RawConn
	r *rig
}

func (w rigRaw) Read(f func(uintptr) bool) error {
	return w.RawConn.Read(func(fd uintptr) bool {
		done := f(fd)
		r := w.r
		r.mu.Lock()
		defer r.mu.Unlock()
		if done {
			r.read += r.c.in.n
			return true
		}
		r.waiting, r.holding = r.read, r.held()
		r.changed.Broadcast()
		return false
	})
}

// held is what memory to read into the milter holds.
func (r *rig) held() string {
	in := &r.c.in
	switch {
	case in.block == nil && in.buf == nil:
		return "nothing"
	case in.block == nil:
		return "a buffer"
	case cap(in.buf) == blockSize:
		return "a block"
	}
	return "both"
}

func (r *rig) Write(b []byte) (int, error) {
	r.mu.Lock()
	r.writes = append(r.writes, string(b))
	r.mu.Unlock()
	return r.UnixConn.Write(b)
}

func (r *rig) SetReadDeadline(t time.Time) error {
	r.note(&r.reading, t)
	return r.UnixConn.SetReadDeadline(t)
}

func (r *rig) SetWriteDeadline(t time.Time) error {
	r.note(&r.writing, t)
	return r.UnixConn.SetWriteDeadline(t)
}

func (r *rig) note(deadlines *[]time.Duration, t time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var in time.Duration
	if !t.IsZero() {
		in = time.Until(t)
	}
	*deadlines = append(*deadlines, in)
}
