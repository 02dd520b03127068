package milter

import (
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"

	"domain-secured/milter/wire"
)

const (
	// maxFirst bounds the packet that begins a connection, an offer, in octets.
	maxFirst = 256
	// maxPacket bounds what is kept of a packet: an MTA cuts a body into pieces of
	// 64 KiB (mfapi.h, MILTER_CHUNK_SIZE), and the rest is slack for names and NULs.
	maxPacket = 68 << 10
	// maxHeader bounds a header that is longer: it is read, and its first maxPacket
	// octets are looked at (postconf(5) header_size_limit, 102400 unless changed).
	maxHeader = 16 << 20
	// blockSize holds what an MTA usually sends at a time.
	blockSize = 16 << 10
)

// block is memory to read into. A connection holds one only while it has
// something to do: ten thousand idle ones cost none.
type block [blockSize]byte

var blocks = sync.Pool{New: func() any { return new(block) }}

// input cuts what a connection sends into packets.
type input struct {
	raw syscall.RawConn
	// read is the method of its name, made once.
	read func(fd uintptr) bool
	n    int // what the last call of read returned
	err  error

	block *block
	buf   []byte // what was read and not yet dealt with begins at off
	off   int
	skip  int  // octets that are still to come of a header that is too long
	cut   bool // the last packet was one
	limit int
	tcp   bool
}

func (in *input) open(c net.Conn) (err error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return fmt.Errorf("a %T is neither a TCP nor a unix socket", c)
	}
	if in.raw, err = sc.SyscallConn(); err != nil {
		return err
	}
	in.limit = maxFirst
	_, in.tcp = c.(*net.TCPConn)
	in.read = in.readFD
	return nil
}

// next returns the next packet, if all of it is there. It is valid until the next
// call of fill.
func (in *input) next() (p wire.Packet, ok bool, err error) {
	b := in.buf[in.off:]
	p, size, err := wire.Next(b)
	if err != nil || size == 0 {
		return p, false, err
	}
	whole := size
	if size > in.limit {
		if p.Code != wire.Header || size > maxHeader || in.limit < maxPacket {
			return p, false, fmt.Errorf("a packet %q of %d octets, at most %d are taken", string(rune(p.Code)), size, in.limit)
		}
		size = in.limit
	}
	if len(b) < size {
		return p, false, nil
	}
	if in.cut = whole > size; in.cut {
		p.Data = b[wire.HeadSize:size]
		size = min(whole, len(b))
		in.skip = whole - size
	}
	in.off += size
	return p, true, nil
}

// fill reads what the MTA sends next.
func (in *input) fill() error {
	in.makeRoom()
	for {
		if err := in.raw.Read(in.read); err != nil {
			return err
		}
		switch {
		case in.err != nil:
			return in.err
		case in.n == 0:
			return io.EOF
		}
		skipped := min(in.skip, in.n)
		in.skip -= skipped
		end := len(in.buf)
		copy(in.buf[end:cap(in.buf)], in.buf[end+skipped:end+in.n])
		in.buf = in.buf[:end+in.n-skipped]
		if in.n > skipped {
			return nil
		}
	}
}

// makeRoom moves what is left to the front, into memory that can take the packet
// it is the beginning of.
func (in *input) makeRoom() {
	left := in.buf[in.off:]
	in.off = 0
	if len(left) == 0 {
		in.release()
		return
	}
	_, size, _ := wire.Next(left)
	if size = min(size, in.limit); size > cap(in.buf) {
		in.buf = append(make([]byte, 0, in.limit), left...)
		in.giveBack()
		return
	}
	in.buf = in.buf[:copy(in.buf[:cap(in.buf)], left)]
}

// release lets go of memory that nothing is in.
func (in *input) release() {
	in.buf = nil
	in.giveBack()
}

func (in *input) giveBack() {
	if in.block != nil {
		blocks.Put(in.block)
		in.block = nil
	}
}

// readFD reads once there is something to read; it holds no memory while it waits.
func (in *input) readFD(fd uintptr) bool {
	if in.buf == nil {
		in.block = blocks.Get().(*block)
		in.buf = in.block[:0]
	}
	for {
		in.n, in.err = syscall.Read(int(fd), in.buf[len(in.buf):cap(in.buf)])
		if in.err != syscall.EINTR {
			break
		}
	}
	if in.err == syscall.EAGAIN {
		if len(in.buf) == 0 {
			in.release()
		}
		if in.tcp {
			acknowledge(int(fd))
		}
		return false
	}
	in.n = max(in.n, 0)
	return true
}
