package mta

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// milterPacketSize bounds a packet in either direction: its code and its data.
const milterPacketSize = 1 << 20

// milterVersion is the version of the protocol that Postfix offers (milter_protocol = 6).
const milterVersion = 6

// Codes of what a milter is told (SMFIC_…); see libmilter's mfdef.h.
const (
	milterAbort       = 'A'
	milterBody        = 'B'
	milterConnect     = 'C'
	milterMacro       = 'D'
	MilterEnd         = 'E' // of message
	milterHello       = 'H'
	milterHeader      = 'L'
	milterMail        = 'M'
	milterEndOfHeader = 'N'
	milterNegotiate   = 'O'
	milterQuit        = 'Q'
	milterRcpt        = 'R'
	milterData        = 'T'
)

// Codes of what a milter answers (SMFIR_…).
const (
	MilterContinue     = 'c'
	MilterAccept       = 'a'
	MilterDiscard      = 'd'
	MilterTempfail     = 't'
	MilterReject       = 'r'
	MilterReplyCode    = 'y' // Data is "450 4.7.1 text"
	MilterProgress     = 'p'
	MilterSkip         = 's'
	MilterAddHeader    = 'h'
	MilterInsertHeader = 'i' // see InsertHeader
	MilterChangeHeader = 'm' // see ChangeHeader
)

// milterStages is the number of macro lists: connect, helo, mail, rcpt, data, end of message, end of header.
const milterStages = 7

// milterEvents tells of every event that a milter may be asked about to which list its macros belong, and the
// bits (SMFIP_…) by which the milter declines the event itself, and the reply to it.
var milterEvents = map[byte]struct {
	stage           int
	noEvent, silent uint32
}{
	milterConnect:     {0, 1 << 0, 1 << 12},
	milterHello:       {1, 1 << 1, 1 << 13},
	milterMail:        {2, 1 << 2, 1 << 14},
	milterRcpt:        {3, 1 << 3, 1 << 15},
	milterData:        {4, 1 << 9, 1 << 16},
	milterHeader:      {6, 1 << 5, 1 << 7},
	milterEndOfHeader: {6, 1 << 6, 1 << 18},
	milterBody:        {5, 1 << 4, 1 << 19},
	MilterEnd:         {5, 0, 0},
}

// A MilterPacket is one packet of the milter protocol.
type MilterPacket struct {
	Code byte
	Data string // strings in it end with a NUL
}

// Strings returns the strings that Data is made of.
func (p MilterPacket) Strings() []string {
	if p.Data == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(p.Data, "\x00"), "\x00")
}

// String returns the packet for people: code and strings, numbers quoted.
func (p MilterPacket) String() string {
	return fmt.Sprintf("%c %q", p.Code, p.Strings())
}

// milterStrings is the data of a packet made of strings.
func milterStrings(texts ...string) string {
	return strings.Join(texts, "\x00") + "\x00"
}

// readMilterPacket fails with io.EOF where the other end has closed the connection between two packets.
func readMilterPacket(in io.Reader) (MilterPacket, error) {
	var head [4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return MilterPacket{}, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size == 0 || size > milterPacketSize {
		return MilterPacket{}, fmt.Errorf("milter packet of %d octets", size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(in, body); err != nil {
		return MilterPacket{}, fmt.Errorf("milter packet of %d octets: %w", size, err)
	}
	return MilterPacket{body[0], string(body[1:])}, nil
}

// append returns the packet as it goes over the wire, after what is in b.
func (p MilterPacket) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(p.Data)+1))
	return append(append(b, p.Code), p.Data...)
}

// InsertHeader has a field inserted: index 0 is above all others, 1 below the first.
func InsertHeader(index uint32, name, value string) MilterPacket {
	return MilterPacket{MilterInsertHeader, string(binary.BigEndian.AppendUint32(nil, index)) + milterStrings(name, value)}
}

// ChangeHeader has the value of a name's field replaced, or the field deleted if value is empty. Index counts
// from 1.
func ChangeHeader(index uint32, name, value string) MilterPacket {
	p := InsertHeader(index, name, value)
	p.Code = MilterChangeHeader
	return p
}
