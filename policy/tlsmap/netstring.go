package tlsmap

import (
	"errors"
	"fmt"
)

// maxNetstring bounds a request and an answer, in octets (socketmap_table(5): 100000).
const maxNetstring = 100_000

var (
	errNoLength   = errors.New("a netstring begins with its length in decimal, without zeros before it")
	errTooLong    = fmt.Errorf("a netstring is longer than %d octets", maxNetstring)
	errNoComma    = errors.New("a netstring does not end with a comma")
	errUnfinished = errors.New("unfinished")
)

// cutNetstring takes the first netstring, "5:hello,", off what was read:
// https://cr.yp.to/proto/netstrings.txt. The error is errUnfinished if more is to be
// read before anything can be said.
func cutNetstring(in []byte) (text, rest []byte, err error) {
	length, i := 0, 0
	for ; i < len(in) && '0' <= in[i] && in[i] <= '9'; i++ {
		if length = length*10 + int(in[i]-'0'); length > maxNetstring {
			return nil, in, errTooLong
		}
		if i > 0 && in[0] == '0' {
			return nil, in, errNoLength
		}
	}
	switch {
	case i == len(in):
		return nil, in, errUnfinished
	case i == 0 || in[i] != ':':
		return nil, in, errNoLength
	case len(in) < i+1+length+1:
		return nil, in, errUnfinished
	case in[i+1+length] != ',':
		return nil, in, errNoComma
	}
	return in[i+1 : i+1+length], in[i+1+length+1:], nil
}
