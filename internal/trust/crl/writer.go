package crl

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// writeIndex writes what index.go describes.
func writeIndex(file io.Writer, s *spill, info *Info) error {
	bits := 0 // of the hash, beyond those that make the part
	for s.records > perBucket*parts<<bits {
		bits++
	}
	w := &indexWriter{
		out: bufio.NewWriterSize(file, 64<<10), keys: s.keys, bits: bits,
		ends: make([]int, 1<<bits),
	}
	var in []byte
	var err error
	for part := range parts {
		if in, err = s.load(part, in[:0]); err != nil {
			return err
		}
		if err := w.part(in); err != nil {
			return err
		}
	}
	if w.records != s.records {
		return fmt.Errorf("sorting the CRL: %d entries were written to the disk, %d came back", s.records, w.records)
	}
	data, err := info.marshal()
	if err != nil {
		return err
	}
	head := append(w.fence, data...)
	trailer := []byte(magic)
	trailer = binary.LittleEndian.AppendUint64(trailer, uint64(w.end))
	trailer = binary.LittleEndian.AppendUint32(trailer, uint32(parts<<bits))
	trailer = binary.LittleEndian.AppendUint32(trailer, uint32(len(data)))
	for _, key := range s.keys {
		trailer = binary.LittleEndian.AppendUint64(trailer, key)
	}
	trailer = append(trailer, make([]byte, trailerSize-len(trailer))...)
	copy(trailer[trailerSize-len(info.Sum):], headSum(head, trailer))
	// A bufio.Writer keeps its error.
	_, _ = w.out.Write(head)
	_, _ = w.out.Write(trailer)
	if err := w.out.Flush(); err != nil {
		return fmt.Errorf("writing the CRL's index: %w", err)
	}
	return nil
}

// An indexWriter sorts parts into buckets.
type indexWriter struct {
	out  *bufio.Writer
	keys hashKeys
	bits int

	// Of the parts so far.
	fence   []byte
	end     int // of their buckets
	records int

	of     []uint32 // the bucket of each record of a part
	ends   []int    // of each bucket of a part, in sorted
	sorted []byte
}

// part writes the buckets of one part.
func (w *indexWriter) part(in []byte) error {
	w.of = w.of[:0]
	clear(w.ends)
	total := 0
	for record := range records(in) {
		bucket := w.keys.sum(serialOf(record)) << 6 >> 6 >> (26 - w.bits)
		w.of = append(w.of, bucket)
		w.ends[bucket] += len(record)
		total += len(record)
		w.records++
	}
	if cap(w.sorted) < total {
		w.sorted = make([]byte, total)
	}
	w.sorted = w.sorted[:total]
	at := 0
	for i, size := range w.ends {
		if size > maxBucket {
			return fmt.Errorf("%w: it lists the same certificate over and over", ErrTooLarge)
		}
		w.ends[i], at = at, at+size
	}
	i := 0
	for record := range records(in) {
		bucket := w.of[i]
		w.ends[bucket] += copy(w.sorted[w.ends[bucket]:], record)
		i++
	}
	start := 0
	for _, end := range w.ends {
		sum := crc32.Checksum(w.sorted[start:end], castagnoli)
		w.fence = binary.LittleEndian.AppendUint32(w.fence, uint32(w.end+end))
		w.fence = binary.LittleEndian.AppendUint32(w.fence, sum)
		start = end
	}
	w.end += total
	if _, err := w.out.Write(w.sorted); err != nil {
		return fmt.Errorf("writing the CRL's index: %w", err)
	}
	return nil
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
