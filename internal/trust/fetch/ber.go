package fetch

import (
	"errors"
	"io"
)

// errMalformed is for an answer that is no LDAP.
var errMalformed = errors.New("not BER as LDAP wants it")

// element is one element of BER as LDAP restricts it: RFC 4511 section 5.1, only
// definite lengths. Its contents are read as they come, never held.
type element struct {
	tag  byte
	body *io.LimitedReader
}

// readElement reads the head of the next element. r is a connection, or the body
// of the element around it, which it may not reach out of. io.EOF means that
// there is none.
func readElement(r io.Reader) (element, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:1]); err != nil {
		return element{}, err
	}
	if _, err := io.ReadFull(r, head[1:]); err != nil {
		return element{}, early(err)
	}
	const highTag, long = 0x1f, 0x80
	length := int64(head[1])
	if head[0]&highTag == highTag || head[1] == long {
		return element{}, errMalformed
	}
	if head[1] > long {
		n := int(head[1] &^ long)
		if n > 8 {
			return element{}, errMalformed
		}
		var octets [8]byte
		if _, err := io.ReadFull(r, octets[:n]); err != nil {
			return element{}, early(err)
		}
		length = 0
		for _, octet := range octets[:n] {
			length = length<<8 | int64(octet)
		}
	}
	if around, ok := r.(*io.LimitedReader); length < 0 || ok && length > around.N {
		return element{}, errMalformed
	}
	return element{head[0], &io.LimitedReader{R: r, N: length}}, nil
}

// child reads the next element within e, which must have that tag.
func (e element) child(tag byte) (element, error) {
	inner, err := readElement(e.body)
	if err != nil {
		return element{}, early(err)
	}
	if inner.tag != tag {
		return element{}, errMalformed
	}
	return inner, nil
}

// number reads the contents of an INTEGER or ENUMERATED that is not negative.
func (e element) number() (int64, error) {
	if e.body.N < 1 || e.body.N > 4 {
		return 0, errMalformed
	}
	var octets [4]byte
	read := octets[4-e.body.N:]
	if _, err := io.ReadFull(e.body, read); err != nil {
		return 0, early(err)
	}
	if read[0] >= 0x80 {
		return 0, errMalformed
	}
	var n int64
	for _, octet := range octets {
		n = n<<8 | int64(octet)
	}
	return n, nil
}

// skip reads what is left of e.
func (e element) skip() error {
	_, err := e.copyTo(io.Discard)
	return err
}

// copyTo writes what is left of e to w.
func (e element) copyTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, e.body)
	if err == nil && e.body.N > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// early makes an end where more must come an error.
func early(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
