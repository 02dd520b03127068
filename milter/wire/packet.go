package wire

import (
	"encoding/binary"
	"errors"
	"math"
)

// Code is the first octet of a packet: what it is.
type Code byte

// Commands, which the MTA sends (mfdef.h, SMFIC_*).
const (
	Abort       Code = 'A' // the message is given up, the connection goes on
	Body        Code = 'B'
	Connect     Code = 'C'
	Macro       Code = 'D' // values for the command that follows
	EndOfBody   Code = 'E' // the end of the message
	Helo        Code = 'H'
	QuitNew     Code = 'K' // the end of an SMTP session, another follows
	Header      Code = 'L'
	Mail        Code = 'M'
	EndOfHeader Code = 'N'
	Negotiate   Code = 'O'
	Quit        Code = 'Q'
	Rcpt        Code = 'R'
	Data        Code = 'T'
	Unknown     Code = 'U' // an SMTP command that the MTA does not know
)

// Replies (mfdef.h, SMFIR_*).
const (
	Continue     Code = 'c'
	Tempfail     Code = 't'
	ReplyCode    Code = 'y'
	InsertHeader Code = 'i'
	ChangeHeader Code = 'm'
)

// Packet is one packet without its length.
type Packet struct {
	Code Code
	Data []byte // what follows the code; valid as long as what it was taken from
}

// HeadSize is the number of octets before a packet's data: four of length, and the code.
const HeadSize = 5

var (
	errEmptyPacket = errors.New("a packet without a code")
	errHugePacket  = errors.New("a packet of more than 2 GiB")
)

// Next takes the first packet off b. size is how many octets of b it takes: 0 if
// b is too short to know. If size is larger than len(b), the packet is not whole:
// it has its code, and no data yet.
func Next(b []byte) (p Packet, size int, err error) {
	if len(b) < HeadSize {
		if len(b) >= 4 && binary.BigEndian.Uint32(b) == 0 {
			err = errEmptyPacket
		}
		return Packet{}, 0, err
	}
	n := binary.BigEndian.Uint32(b)
	switch {
	case n == 0:
		return Packet{}, 0, errEmptyPacket
	case n > math.MaxInt32-4:
		return Packet{}, 0, errHugePacket
	}
	p.Code, size = Code(b[4]), 4+int(n)
	if size <= len(b) {
		p.Data = b[HeadSize:size]
	}
	return p, size, nil
}

// Append appends a packet whose data are parts, one after the other.
func Append(b []byte, code Code, parts ...string) []byte {
	b, at := begin(b, code)
	for _, part := range parts {
		b = append(b, part...)
	}
	return end(b, at)
}

// begin appends a packet without data, whose length is not known yet.
func begin(b []byte, code Code) (with []byte, at int) {
	return append(b, 0, 0, 0, 0, byte(code)), len(b)
}

// end fills in the length of the packet that begins at b[at].
func end(b []byte, at int) []byte {
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}
