package crl

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// MaxBlocks bounds the lists in one file.
const MaxBlocks = 1000

// A Block is where in a file one of its lists is.
type Block struct {
	Issuer       []byte // DER of Name, which nothing vouches for
	Offset, Size int64
}

// Blocks finds the lists in a file: the one that it is, if that is DER, or one for each
// PEM block. What is between blocks does not count, as it does not to openssl; a block of
// another type is an error, and so is one that cannot be told from the next. The file is read as
// a stream, and of each list no more than its beginning is looked at: [Build] reads it,
// from a section of the file.
func Blocks(file io.ReaderAt, size int64) ([]Block, error) {
	text := bufio.NewReaderSize(io.NewSectionReader(file, 0, size), maxElement)
	first, err := text.Peek(2)
	switch {
	case err == io.EOF:
		return nil, fmt.Errorf("%w after %d octets", ErrTruncated, len(first))
	case err != nil:
		return nil, fmt.Errorf("reading the CRL: %w", err)
	case first[0] == tagSequence && first[1] >= 0x80: // no list is shorter, and no text goes on like this
		issuer, err := Issuer(io.NewSectionReader(file, 0, size))
		return []Block{{issuer, 0, size}}, err
	case size > maxText:
		return nil, fmt.Errorf("%w: a file of %d octets, not %d at most", ErrTooLarge, size, int64(maxText))
	}
	f := finder{file: file, begun: -1}
	for whole := true; err != io.EOF; {
		var line []byte
		line, err = text.ReadSlice('\n')
		if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, fmt.Errorf("reading the CRL: %w", err)
		}
		f.start, f.end = f.end, f.end+int64(len(line))
		if whole && len(line) > 0 && (line[0] == dashes[0] || isSpace(line[0])) { // nearly all lines are base64
			if line = bytes.TrimSpace(line); bytes.HasPrefix(line, dashes) {
				if err := f.boundary(line); err != nil {
					return nil, err
				}
			}
		}
		whole = !errors.Is(err, bufio.ErrBufferFull)
	}
	switch {
	case f.begun >= 0:
		return nil, f.noEnd()
	case len(f.blocks) == 0:
		return nil, fmt.Errorf("%w: it is neither DER nor PEM with a line %q", ErrMalformed, pemBegin)
	}
	return f.blocks, nil
}

var dashes = []byte("-----")

// A finder goes over the lines of a file.
type finder struct {
	file       io.ReaderAt
	start, end int64 // of the line
	begun      int64 // where the block began that the line is in, -1 for none
	blocks     []Block
}

// boundary takes a line of which a block may consist no more.
func (f *finder) boundary(line []byte) error {
	number := len(f.blocks) + 1
	switch {
	case f.begun >= 0 && string(line) != pemEnd:
		return f.noEnd()
	case f.begun >= 0:
		b := Block{Offset: f.begun, Size: f.end - f.begun}
		var err error
		if b.Issuer, err = Issuer(io.NewSectionReader(f.file, b.Offset, b.Size)); err != nil {
			return fmt.Errorf("CRL %d: %w", number, err)
		}
		f.blocks, f.begun = append(f.blocks, b), -1
	case string(line) == pemBegin && number > MaxBlocks:
		return fmt.Errorf("%w: there are more than %d CRLs in the file", ErrTooLarge, MaxBlocks)
	case string(line) == pemBegin:
		f.begun = f.start
	case string(line) == pemEnd: // else a list would be lost with the line that begins it
		return fmt.Errorf("%w: CRL %d has no line %q before its line %q", ErrMalformed, number, pemBegin, pemEnd)
	case bytes.HasPrefix(line, []byte("-----BEGIN ")) && bytes.HasSuffix(line, dashes):
		return fmt.Errorf("%w: there is a block %q where CRL %d could be, and only %q may be there", ErrMalformed, line, number, pemBegin)
	}
	return nil
}

func (f *finder) noEnd() error {
	return fmt.Errorf("%w: CRL %d has no line %q", ErrTruncated, len(f.blocks)+1, pemEnd)
}
