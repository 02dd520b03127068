package crl

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
)

// RFC 7468 section 6.
const (
	pemBegin = "-----BEGIN X509 CRL-----"
	pemEnd   = "-----END X509 CRL-----"
)

// maxText is the octets of a file with PEM, and with the list in words before it.
const maxText = 8 * MaxSize

// der returns the list in r as DER, which r may hold itself or as PEM.
func der(r io.Reader) (io.Reader, error) {
	var first [1]byte
	if _, err := io.ReadFull(r, first[:]); err != nil {
		if err == io.EOF {
			return nil, fmt.Errorf("%w after 0 octets", ErrTruncated)
		}
		return nil, fmt.Errorf("reading the CRL: %w", err)
	}
	r = io.MultiReader(bytes.NewReader(first[:]), r)
	if first[0] == tagSequence {
		return r, nil
	}
	p := &pemReader{text: bufio.NewReaderSize(io.LimitReader(r, maxText), maxElement)}
	if err := p.begin(); err != nil {
		return nil, err
	}
	p.octets = base64.NewDecoder(base64.StdEncoding, (*pemBody)(p))
	return p, nil
}

// A pemReader decodes one block, which is all that may be there: see [Blocks].
type pemReader struct {
	text   *bufio.Reader
	octets io.Reader
}

// begin skips what is before the block: openssl writes the list in words there.
func (p *pemReader) begin() error {
	for {
		line, err := p.text.ReadSlice('\n')
		if bytes.Equal(bytes.TrimSpace(line), []byte(pemBegin)) {
			return nil
		}
		switch {
		case err == io.EOF:
			return fmt.Errorf("%w: it is neither DER nor PEM with a line %q", ErrMalformed, pemBegin)
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("reading the CRL: %w", err)
		case bytes.HasPrefix(line, []byte("-----BEGIN ")):
			return fmt.Errorf("%w: it begins with %q, not %q", ErrMalformed, bytes.TrimSpace(line), pemBegin)
		}
	}
}

func (p *pemReader) Read(b []byte) (int, error) {
	n, err := p.octets.Read(b)
	var corrupt base64.CorruptInputError
	switch {
	case errors.As(err, &corrupt):
		err = fmt.Errorf("%w: its PEM is damaged: %w", ErrMalformed, err)
	case err == io.EOF:
		if err := p.finish(); err != nil {
			return n, err
		}
	}
	return n, err
}

// finish looks at what follows the block.
func (p *pemReader) finish() error {
	line, err := p.text.ReadSlice('\n')
	if err != nil && err != io.EOF {
		return fmt.Errorf("reading the CRL: %w", err)
	}
	if !bytes.Equal(bytes.TrimSpace(line), []byte(pemEnd)) {
		return fmt.Errorf("%w: its PEM has no line %q", ErrTruncated, pemEnd)
	}
	for {
		octet, err := p.text.ReadByte()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("reading the CRL: %w", err)
		case !isSpace(octet):
			return fmt.Errorf("%w: something follows its PEM", ErrMalformed)
		}
	}
}

// A pemBody reads base64 up to the dashes after it, without white space.
type pemBody pemReader

func (p *pemBody) Read(b []byte) (int, error) {
	if _, err := p.text.Peek(1); err != nil {
		return 0, err
	}
	ready, _ := p.text.Peek(min(p.text.Buffered(), len(b)))
	n := 0
	for i, octet := range ready {
		switch {
		case octet == '-':
			_, _ = p.text.Discard(i) // they are in the buffer
			if n == 0 {
				return 0, io.EOF
			}
			return n, nil
		case !isSpace(octet):
			b[n] = octet
			n++
		}
	}
	_, _ = p.text.Discard(len(ready))
	return n, nil
}

func isSpace(octet byte) bool {
	return octet == ' ' || octet == '\n' || octet == '\r' || octet == '\t'
}
