package crl

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"time"

	"domain-secured/internal/trust/dn"
)

// Tags (X.690 section 8).
const (
	tagInteger     = 0x02
	tagBitString   = 0x03
	tagUTCTime     = 0x17
	tagGeneralized = 0x18
	tagSequence    = 0x30
	tagExtensions  = 0xa0 // [0] of TBSCertList
)

// A list is a CertificateList without its entries (RFC 5280 section 5.1).
type list struct {
	issuer                 []byte // a Name
	thisUpdate, nextUpdate time.Time
	extensions             extensions

	algorithm algorithm
	digest    []byte // of the signed part, or for Ed25519 the signed part itself
	signature []byte
	sum       [sha256.Size]byte // of digest and signature: no other list has it
	size      int64
}

// read reads a CertificateList and hands over its entries as they come, which
// nothing has vouched for yet: the signature is at the end.
func read(r io.Reader, take func(*entry) error) (*list, error) {
	r, err := der(r)
	if err != nil {
		return nil, err
	}
	s := newStream(r)
	defer s.close()
	var l list
	s.size = math.MaxInt64
	if s.size, err = s.enter(tagSequence, s.size); err != nil {
		return nil, err
	}
	if s.size > MaxSize {
		return nil, fmt.Errorf("%w: %d octets, not %d at most", ErrTooLarge, s.size, MaxSize)
	}
	l.size = s.size
	s.signedAt = s.offset()
	if s.signedTo, err = s.enter(tagSequence, s.size); err != nil {
		return nil, err
	}
	stated, err := l.readSigned(s, take)
	if err != nil {
		return nil, err
	}
	if err := l.readSignature(s, stated); err != nil {
		return nil, err
	}
	s.close()
	l.digest = l.algorithm.digest(s.signed)
	l.sum = sha256.Sum256(append(bytes.Clone(l.digest), l.signature...))
	return &l, nil
}

// Issuer reads who wrote a list, DER or PEM, from its start: DER of Name. Nothing
// vouches for it.
func Issuer(r io.Reader) ([]byte, error) {
	r, err := der(r)
	if err != nil {
		return nil, err
	}
	s := newStream(r)
	defer s.close()
	size, err := s.enter(tagSequence, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	if s.signedTo, err = s.enter(tagSequence, size); err != nil {
		return nil, err
	}
	var l list
	if _, err := l.readVersion(s); err != nil {
		return nil, err
	}
	if _, _, err := s.element(tagSequence, s.signedTo, maxAlgorithm); err != nil {
		return nil, err
	}
	issuer, _, err := s.element(tagSequence, s.signedTo, maxElement)
	if err != nil {
		return nil, err
	}
	if !dn.Valid(issuer) {
		return nil, s.malformed("the issuer is not a name")
	}
	return bytes.Clone(issuer), nil
}

// readSigned reads TBSCertList, and returns the algorithm that it states.
func (l *list) readSigned(s *stream, take func(*entry) error) (stated []byte, err error) {
	second, err := l.readVersion(s)
	if err != nil {
		return nil, err
	}
	stated, _, err = s.element(tagSequence, s.signedTo, maxAlgorithm)
	if err != nil {
		return nil, err
	}
	stated = bytes.Clone(stated)
	if l.algorithm, err = parseAlgorithm(stated); err != nil {
		return nil, err
	}
	if s.signed, err = l.algorithm.sink(s.signedTo - s.signedAt); err != nil {
		return nil, err
	}
	issuer, _, err := s.element(tagSequence, s.signedTo, maxElement)
	if err != nil {
		return nil, err
	}
	if l.issuer = bytes.Clone(issuer); !dn.Valid(l.issuer) {
		return nil, s.malformed("the issuer is not a name")
	}
	if err := l.readTimes(s); err != nil {
		return nil, err
	}
	tag, err := s.next(s.signedTo)
	if err != nil {
		return nil, err
	}
	if tag == tagSequence {
		if err := readEntries(s, second, take); err != nil {
			return nil, err
		}
		if tag, err = s.next(s.signedTo); err != nil {
			return nil, err
		}
	}
	if tag == tagExtensions {
		_, content, err := s.element(tagExtensions, s.signedTo, maxExtensions)
		if err != nil {
			return nil, err
		}
		if !second {
			return nil, s.malformed("extensions in a list of version 1")
		}
		if l.extensions, err = parseExtensions(content, l.issuer); err != nil {
			return nil, err
		}
	}
	// RFC 5280 section 5.2.3: every list that can have one has one.
	if second && l.extensions.number == nil {
		return nil, s.malformed("no CRL number")
	}
	if s.offset() != s.signedTo {
		return nil, s.malformed("something follows the list")
	}
	return stated, nil
}

// readVersion reports whether the list is of version 2, and may have extensions.
// RFC 5280 section 5 has us take version 1, too.
func (l *list) readVersion(s *stream) (second bool, err error) {
	tag, err := s.next(s.signedTo)
	if err != nil || tag != tagInteger {
		return false, err
	}
	_, version, err := s.element(tagInteger, s.signedTo, 8)
	if err != nil {
		return false, err
	}
	if len(version) != 1 || version[0] != 1 {
		return false, s.malformed("a version other than 1 and 2")
	}
	return true, nil
}

func (l *list) readTimes(s *stream) (err error) {
	if l.thisUpdate, err = readTime(s); err != nil {
		return err
	}
	switch tag, err := s.next(s.signedTo); {
	case err != nil:
		return err
	case tag != tagUTCTime && tag != tagGeneralized:
		return ErrNoNextUpdate
	}
	l.nextUpdate, err = readTime(s)
	return err
}

// readTime reads a Time as RFC 5280 section 4.1.2.5 has it.
func readTime(s *stream) (time.Time, error) {
	tag, err := s.next(s.signedTo)
	if err != nil {
		return time.Time{}, err
	}
	layout := "20060102150405Z"
	switch tag {
	case tagUTCTime, tagGeneralized:
	default:
		return time.Time{}, s.malformed("tag %#02x instead of a time", tag)
	}
	_, content, err := s.element(tag, s.signedTo, 64)
	if err != nil {
		return time.Time{}, err
	}
	text := string(content)
	if tag == tagUTCTime {
		// Two digits from 50 on are of the last century.
		century := "20"
		if text >= "50" {
			century = "19"
		}
		text = century + text
	}
	t, err := time.Parse(layout, text)
	// time.Parse takes fractions of a second, which are not allowed here.
	if err != nil || len(text) != len(layout) {
		return time.Time{}, s.malformed("%q is not a time", content)
	}
	return t, nil
}

// readSignature reads what follows TBSCertList.
func (l *list) readSignature(s *stream, stated []byte) error {
	outer, _, err := s.element(tagSequence, s.size, maxAlgorithm)
	if err != nil {
		return err
	}
	// RFC 5280 section 5.1.1.2.
	if !bytes.Equal(outer, stated) {
		return s.malformed("two signature algorithms")
	}
	_, bits, err := s.element(tagBitString, s.size, maxSignature)
	if err != nil {
		return err
	}
	if len(bits) < 2 || bits[0] != 0 {
		return s.malformed("the signature is not whole octets")
	}
	l.signature = bytes.Clone(bits[1:])
	if s.offset() != s.size {
		return s.malformed("something follows the signature")
	}
	return s.finish()
}
