package crl

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// maxSorters is how many parts are sorted at the same time.
const maxSorters = 2

// writeIndex writes what index.go describes.
func writeIndex(file io.WriterAt, s *spill, info *Info) error {
	bits := 0 // of the hash, beyond those that make the part
	for s.records > perBucket*parts<<bits {
		bits++
	}
	w := &indexWriter{file: file, spill: s, bits: bits, fence: make([]byte, parts<<bits*fenceSize)}
	end := 0
	for i := range w.from {
		w.from[i] = end
		end += s.part[i].octets()
	}
	var problems [maxSorters]error
	var all sync.WaitGroup
	var fault atomic.Value
	for i := range min(maxSorters, runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			defer func() {
				if r := recover(); r != nil {
					fault.Store(fmt.Sprintf("%v\n%s", r, debug.Stack()))
				}
			}()
			problems[i] = w.sort()
		})
	}
	all.Wait()
	if r := fault.Load(); r != nil {
		panic(r) // here, where whoever asked for the list can guard against it
	}
	if err := cmp.Or(problems[:]...); err != nil {
		return err
	}
	if n := int(w.records.Load()); n != s.records {
		return fmt.Errorf("sorting the CRL: %d entries were written to the disk, %d came back", s.records, n)
	}
	data, err := info.marshal()
	if err != nil {
		return err
	}
	trailer := []byte(magic)
	trailer = binary.LittleEndian.AppendUint64(trailer, uint64(end))
	trailer = binary.LittleEndian.AppendUint32(trailer, uint32(parts<<bits))
	trailer = binary.LittleEndian.AppendUint32(trailer, uint32(len(data)))
	for _, key := range s.keys {
		trailer = binary.LittleEndian.AppendUint64(trailer, key)
	}
	trailer = append(trailer, make([]byte, trailerSize-len(trailer))...)
	head := append(w.fence, data...)
	copy(trailer[trailerSize-len(info.Sum):], headSum(head, trailer))
	return w.write(append(head, trailer...), end)
}

// An indexWriter sorts parts into buckets, each part where it belongs in the file.
type indexWriter struct {
	file  io.WriterAt
	spill *spill
	bits  int
	from  [parts]int // where the buckets of a part begin
	fence []byte

	next    atomic.Int32 // the part that nobody has begun with
	records atomic.Int64 // of the parts so far
}

func (w *indexWriter) write(b []byte, at int) error {
	if _, err := w.file.WriteAt(b, int64(at)); err != nil {
		return fmt.Errorf("writing the CRL's index: %w", err)
	}
	return nil
}

// sort sorts one part after the other, until there is none left.
func (w *indexWriter) sort() error {
	s := sorter{indexWriter: w, ends: make([]int, 1<<w.bits)}
	for {
		part := int(w.next.Add(1)) - 1
		if part >= parts {
			return nil
		}
		if err := s.part(part); err != nil {
			w.next.Store(parts)
			return err
		}
	}
}

// A sorter is what one of those who sort needs.
type sorter struct {
	*indexWriter
	in     []byte
	of     []uint32 // the bucket of each record
	ends   []int    // of each bucket, in sorted
	sorted []byte
}

func (s *sorter) part(part int) (err error) {
	if s.in, err = s.spill.load(part, s.in[:0]); err != nil {
		return err
	}
	s.of = s.of[:0]
	clear(s.ends)
	total := 0
	for record := range records(s.in) {
		bucket := s.spill.keys.sum(serialOf(record)) << 6 >> 6 >> (26 - s.bits)
		s.of = append(s.of, bucket)
		s.ends[bucket] += len(record)
		total += len(record)
	}
	// What is longer would get into the next part's place.
	if written := s.spill.part[part].octets(); total != written {
		return fmt.Errorf("sorting the CRL: %d octets were written to the disk, %d came back", written, total)
	}
	s.records.Add(int64(len(s.of)))
	if cap(s.sorted) < total {
		s.sorted = make([]byte, total)
	}
	s.sorted = s.sorted[:total]
	at := 0
	for i, size := range s.ends {
		if size > maxBucket {
			return fmt.Errorf("%w: it lists the same certificate over and over", ErrTooLarge)
		}
		s.ends[i], at = at, at+size
	}
	i := 0
	for record := range records(s.in) {
		bucket := s.of[i]
		s.ends[bucket] += copy(s.sorted[s.ends[bucket]:], record)
		i++
	}
	start, from := 0, s.from[part]
	fence := s.fence[part<<s.bits*fenceSize:]
	for i, end := range s.ends {
		binary.LittleEndian.PutUint32(fence[i*fenceSize:], uint32(from+end))
		binary.LittleEndian.PutUint32(fence[i*fenceSize+4:], crc32.Checksum(s.sorted[start:end], castagnoli))
		start = end
	}
	return s.write(s.sorted, from)
}

// records are those of a part, without what fills its slots. They end at one that
// is none.
func records(in []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for at := 0; at < len(in); {
			if in[at] == 0 {
				at = (at/slotSize + 1) * slotSize
				continue
			}
			n := recordLen(in[at:])
			if n == 0 || !yield(in[at:at+n]) {
				return
			}
			at += n
		}
	}
}
