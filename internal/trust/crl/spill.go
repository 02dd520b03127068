package crl

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
)

const (
	parts    = 64       // by the first octet of the serial number's hash
	slotSize = 16 << 10 // of a part, in memory until it is full
	// maxPart is the octets of a part. Hashes spread evenly, so only a list that has
	// the same serial number over and over gets there.
	maxPart = 8 << 20
)

// hashKeys are the random keys of a hash for serial numbers, Multilinear-HM (Lemire
// and Kaser 2014, Strongly universal string hashing is fast): nobody can choose
// serial numbers that fall together. The first is added, the second is for the
// length, and each word of eight octets has two.
type hashKeys [2 + maxSerial/4]uint64

func newHashKeys() (k hashKeys) {
	var b [8 * len(k)]byte
	rand.Read(b[:]) // never fails
	for i := range k {
		k[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return k
}

// sum hashes a serial number of at most maxSerial octets.
func (k *hashKeys) sum(serial []byte) uint32 {
	h := k[0] + k[1]*uint64(len(serial))
	if len(serial) < 8 {
		var word uint64
		for _, octet := range serial {
			word = word<<8 | uint64(octet)
		}
		return uint32((h + k.pair(2, word)) >> 32)
	}
	// The last word may have octets of the one before it again.
	last := binary.LittleEndian.Uint64(serial[len(serial)-8:])
	i := 2
	for ; len(serial) > 8; serial, i = serial[8:], i+2 {
		h += k.pair(i, binary.LittleEndian.Uint64(serial))
	}
	return uint32((h + k.pair(i, last)) >> 32)
}

func (k *hashKeys) pair(i int, word uint64) uint64 {
	return (k[i] + word&0xffffffff) * (k[i+1] + word>>32)
}

// A record is an entry in an index: its length, what it says, which issuer it is
// of if that is not the list's, and the serial number.
const (
	recordOther  = 0x80 // in the second octet: two octets of the issuer follow
	recordReason = 0x0f
	maxRecord    = 4 + maxSerial
)

// putRecord puts a record at the start of b, and returns its length.
func putRecord(b []byte, serial []byte, reason Reason, issuer int) int {
	b[1] = byte(reason)
	n := 2
	if issuer != 0 {
		b[1] |= recordOther
		b[2], b[3] = byte(issuer>>8), byte(issuer)
		n = 4
	}
	n += copy(b[n:], serial)
	b[0] = byte(n)
	return n
}

// recordLen returns the length of the record at the start of b, 0 if there is none.
func recordLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	n, head := int(b[0]), 2
	if b[1]&recordOther != 0 {
		head = 4
	}
	if n <= head || n > head+maxSerial || n > len(b) {
		return 0
	}
	return n
}

// serialOf returns the serial number of a record.
func serialOf(record []byte) []byte {
	if record[1]&recordOther != 0 {
		return record[4:]
	}
	return record[2:]
}

// A spill sorts records into parts, in little memory: what of a part does not fit
// into its slot is in a file that has no name.
type spill struct {
	keys    hashKeys
	dir     string
	file    *os.File
	slots   uint32
	records int
	part    [parts]part
}

// part is one part: the slots of it that are in the file, and the one that is not.
type part struct {
	slot  []byte // nil until there is a record, then slotSize
	n     int    // octets of it
	slots []uint32
	full  int // octets of those slots
}

// octets are those of all its records.
func (p *part) octets() int { return p.full + p.n }

func newSpill(dir string) *spill { return &spill{keys: newHashKeys(), dir: dir} }

func (s *spill) close() {
	if s.file != nil {
		s.file.Close()
	}
}

func (s *spill) add(serial []byte, reason Reason, issuer int) error {
	p := &s.part[s.keys.sum(serial)>>26]
	if len(p.slot)-p.n < maxRecord {
		if err := s.next(p); err != nil {
			return err
		}
	}
	p.n += putRecord(p.slot[p.n:], serial, reason, issuer)
	s.records++
	return nil
}

// next gives a part another slot.
func (s *spill) next(p *part) error {
	if p.slot == nil {
		p.slot = make([]byte, slotSize)
		return nil
	}
	if len(p.slots) == maxPart/slotSize {
		return fmt.Errorf("%w: it lists the same certificate over and over", ErrTooLarge)
	}
	if s.file == nil {
		if err := s.create(); err != nil {
			return err
		}
	}
	clear(p.slot[p.n:]) // zero is the length of no record
	if _, err := s.file.WriteAt(p.slot, int64(s.slots)*slotSize); err != nil {
		return fmt.Errorf("sorting the CRL: %w", err)
	}
	p.slots = append(p.slots, s.slots)
	s.slots++
	p.full, p.n = p.full+p.n, 0
	return nil
}

func (s *spill) create() error {
	file, err := os.CreateTemp(s.dir, tempPattern)
	if err != nil {
		return fmt.Errorf("sorting the CRL: %w", err)
	}
	s.file = file
	if err := os.Remove(file.Name()); err != nil {
		return fmt.Errorf("sorting the CRL: %w", err)
	}
	return nil
}

// load appends a part, slot after slot, to b.
func (s *spill) load(part int, b []byte) ([]byte, error) {
	p := &s.part[part]
	for _, slot := range p.slots {
		n := len(b)
		b = slices.Grow(b, slotSize)[:n+slotSize]
		if _, err := s.file.ReadAt(b[n:], int64(slot)*slotSize); err != nil {
			return nil, fmt.Errorf("sorting the CRL: %w", err)
		}
	}
	return append(b, p.slot[:p.n]...), nil
}
