package crl

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/big"
	"math/bits"
	"os"
	"runtime/debug"
	"sync"

	"domain-secured/internal/trust/dn"
)

// An index file is
//
//	buckets   records, in the bucket that the first bits of their hash say
//	fence     for each bucket where it ends and its checksum, four octets each
//	info      as JSON
//	trailer   magic, octets of the buckets, how many, octets of info, keys,
//	          SHA-256 of everything from the fence on
//
// with numbers in little-endian order. What is cut off has no trailer, what is
// damaged has another checksum: neither is ever taken for "not listed".
const (
	magic       = "crlidx1\n"
	trailerSize = len(magic) + 8 + 4 + 4 + 8*len(hashKeys{}) + sha256.Size
	fenceSize   = 8

	perBucket  = 32 // records, at most on average
	maxBucket  = 1 << 20
	maxBuckets = 1 << 24
	maxInfo    = 8 << 20
)

// tempPattern is how files are named that are being written. One that is there
// while no list is being built was left by a crash.
const tempPattern = ".new-*"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// An Index answers whether a certificate is on a list. Its methods may be called at
// the same time.
type Index struct {
	info  Info
	file  *os.File
	fence []fence
	keys  hashKeys
	shift int // of a hash, to its bucket

	mu     sync.RWMutex // held for writing while it is being closed
	closed bool
	mapped []byte // the buckets and what follows, nil if they cannot be mapped
}

// A fence says where a bucket ends, and so where the next begins.
type fence struct{ end, sum uint32 }

// Open opens an index that [Build] left in a file. If it is damaged, the error is
// [ErrIndex].
func Open(path string) (*Index, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the CRL's index: %w", err)
	}
	x, err := load(file)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return x, nil
}

// load reads everything but the buckets.
func load(file *os.File) (*Index, error) {
	stat, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("opening the CRL's index: %w", err)
	}
	var trailer [trailerSize]byte
	at := stat.Size() - int64(trailerSize)
	if at < 0 {
		return nil, fmt.Errorf("%w: it is cut off", ErrIndex)
	}
	if _, err := file.ReadAt(trailer[:], at); err != nil {
		return nil, readError(err)
	}
	rest, ok := bytes.CutPrefix(trailer[:], []byte(magic))
	if !ok {
		return nil, fmt.Errorf("%w: it is cut off, or of another version", ErrIndex)
	}
	body := binary.LittleEndian.Uint64(rest)
	buckets := binary.LittleEndian.Uint32(rest[8:])
	infoSize := binary.LittleEndian.Uint32(rest[12:])
	if body > 2*MaxSize || buckets > maxBuckets || bits.OnesCount32(buckets) != 1 || buckets < parts || infoSize > maxInfo ||
		int64(body)+int64(buckets)*fenceSize+int64(infoSize) != at {
		return nil, fmt.Errorf("%w: its sizes do not add up", ErrIndex)
	}
	head := make([]byte, at-int64(body))
	if _, err := file.ReadAt(head, int64(body)); err != nil {
		return nil, readError(err)
	}
	if !bytes.Equal(trailer[trailerSize-sha256.Size:], headSum(head, trailer[:])) {
		return nil, fmt.Errorf("%w: its checksum is wrong", ErrIndex)
	}
	x := &Index{file: file, fence: make([]fence, buckets), shift: 32 - bits.TrailingZeros32(buckets)}
	for i := range x.keys {
		x.keys[i] = binary.LittleEndian.Uint64(rest[16+8*i:])
	}
	for i := range x.fence {
		f := head[i*fenceSize:]
		x.fence[i] = fence{binary.LittleEndian.Uint32(f), binary.LittleEndian.Uint32(f[4:])}
	}
	if err := x.info.unmarshal(head[int(buckets)*fenceSize:]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIndex, err)
	}
	x.mapInto(int(stat.Size()))
	return x, nil
}

// readError tells a file that ended from a disk that failed.
func readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it is cut off", ErrIndex)
	}
	return fmt.Errorf("reading the CRL's index: %w", err)
}

// headSum is the SHA-256 of fence, info and trailer.
func headSum(head, trailer []byte) []byte {
	h := sha256.New()
	h.Write(head)
	h.Write(trailer[:trailerSize-sha256.Size])
	return h.Sum(nil)
}

// Info tells about the list.
func (x *Index) Info() *Info { return &x.info }

// Close closes the file. Every question after that is an error.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed = true
	x.unmap()
	if err := x.file.Close(); err != nil {
		return fmt.Errorf("closing the CRL's index: %w", err)
	}
	return nil
}

// Lookup reports whether the certificate with this serial number and issuer (DER of
// Name) is listed, and why. If it is more than once, the reason is the one that
// weighs most. An error says that the index cannot tell: [ErrIndex] if it is
// damaged.
//
// That is all it does. What it means, [Question] says.
func (x *Index) Lookup(issuer []byte, serial *big.Int) (reason Reason, listed bool, err error) {
	var space [maxSerial]byte
	key, err := serialKey(serial, space[:])
	if err != nil {
		return 0, false, err
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.closed {
		return 0, false, fmt.Errorf("reading the CRL's index: %w", os.ErrClosed)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer notReadable(&err)
	bucket, err := x.bucket(int(x.keys.sum(key) >> x.shift))
	if err != nil {
		return 0, false, err
	}
	return x.search(bucket, issuer, key)
}

// bucket returns a bucket whose checksum is right.
func (x *Index) bucket(number int) (bucket []byte, err error) {
	var start uint32
	if number > 0 {
		start = x.fence[number-1].end
	}
	end := x.fence[number].end
	if end < start || end-start > maxBucket {
		return nil, fmt.Errorf("%w: a bucket of it does not add up", ErrIndex)
	}
	if int(end) <= len(x.mapped) {
		bucket = x.mapped[start:end]
	} else {
		bucket = make([]byte, end-start)
		if _, err := x.file.ReadAt(bucket, int64(start)); err != nil {
			return nil, readError(err)
		}
	}
	if crc32.Checksum(bucket, castagnoli) != x.fence[number].sum {
		return nil, fmt.Errorf("%w: the checksum of a bucket is wrong", ErrIndex)
	}
	return bucket, nil
}

// search looks for a serial number in a bucket.
func (x *Index) search(bucket, issuer, key []byte) (reason Reason, listed bool, err error) {
	last := key[len(key)-1]
	for len(bucket) > 0 {
		n := recordLen(bucket)
		if n == 0 {
			return 0, false, fmt.Errorf("%w: a record of it is none", ErrIndex)
		}
		record := bucket[:n]
		bucket = bucket[n:]
		// The last octet alone tells most of them apart.
		if record[n-1] != last || !bytes.Equal(serialOf(record), key) {
			continue
		}
		same, err := x.sameIssuer(record, issuer)
		if err != nil {
			return 0, false, err
		}
		if r := Reason(record[1] & recordReason); same && (!listed || r.worse(reason)) {
			reason, listed = r, true
		}
	}
	return reason, listed, nil
}

func (x *Index) sameIssuer(record, issuer []byte) (bool, error) {
	if record[1]&recordOther == 0 {
		return dn.Same(x.info.Issuer, issuer), nil
	}
	n := int(record[2])<<8 | int(record[3])
	if n == 0 || n > len(x.info.issuers) {
		return false, fmt.Errorf("%w: a record of it has no issuer", ErrIndex)
	}
	for _, name := range x.info.issuers[n-1] {
		if dn.Same(name, issuer) {
			return true, nil
		}
	}
	return false, nil
}

// serialKey puts a serial number, as the content of an INTEGER, at the start of b.
func serialKey(serial *big.Int, b []byte) ([]byte, error) {
	magnitude := serial
	if serial.Sign() < 0 {
		magnitude = new(big.Int).Not(serial)
	}
	n := magnitude.BitLen()/8 + 1
	if n > len(b) {
		return nil, fmt.Errorf("the certificate's serial number has %d octets, %d at most", n, len(b))
	}
	b = magnitude.FillBytes(b[:n])
	if serial.Sign() < 0 {
		for i := range b {
			b[i] = ^b[i]
		}
	}
	return b, nil
}
