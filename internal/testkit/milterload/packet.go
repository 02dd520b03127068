// Package milterload speaks the MTA's side of the milter protocol, version 6, fast and to any milter: it obeys
// what the milter negotiated, packet by packet as Postfix and Sendmail do, and measures. Its codec is its own, so
// that a mistake in the milter's cannot hide in it.
//
// The numbers and letters of the protocol are those of libmilter/mfdef.h and libmilter/mfapi.h.
package milterload

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Commands of the MTA.
const (
	cmdAbort   = 'A'
	cmdBody    = 'B'
	cmdConnect = 'C'
	cmdMacro   = 'D'
	cmdEOM     = 'E'
	cmdHelo    = 'H'
	cmdHeader  = 'L'
	cmdMail    = 'M'
	cmdEOH     = 'N'
	cmdOptneg  = 'O'
	cmdQuit    = 'Q'
	cmdRcpt    = 'R'
	cmdData    = 'T'
)

// Replies of the milter: what ends an event, and what may come before at the end of message.
const (
	Accept    = 'a'
	Continue  = 'c'
	Discard   = 'd'
	Reject    = 'r'
	Skip      = 's'
	Tempfail  = 't'
	ReplyCode = 'y'

	addHeader    = 'h'
	insertHeader = 'i'
	changeHeader = 'm'
	progress     = 'p'
)

// What version 6 offers: everything (SMFI_CURR_ACTS, SMFI_CURR_PROT).
const (
	offerVersion  = 6
	offerActions  = 0x1ff
	offerProtocol = 0x1fffff
)

// leadSpace keeps the space after a header field's colon in its value (SMFIP_HDR_LEADSPC).
const leadSpace = 0x100000

// An event is what the MTA tells, and how it can be negotiated away.
type event struct {
	command byte
	stage   int    // of its macros (SMFIM_*)
	no      uint32 // the bit that keeps it from being sent (SMFIP_NO*)
	noReply uint32 // the bit that keeps it from being answered (SMFIP_NR_*)
}

var (
	eventConnect = event{cmdConnect, 0, 0x1, 0x1000}
	eventHelo    = event{cmdHelo, 1, 0x2, 0x2000}
	eventMail    = event{cmdMail, 2, 0x4, 0x4000}
	eventRcpt    = event{cmdRcpt, 3, 0x8, 0x8000}
	eventData    = event{cmdData, 4, 0x200, 0x10000}
	eventHeader  = event{cmdHeader, 6, 0x20, 0x80}
	eventEOH     = event{cmdEOH, 6, 0x40, 0x40000}
	eventBody    = event{cmdBody, 5, 0x10, 0x80000}
	eventEOM     = event{cmdEOM, 5, 0, 0}
)

// appendPacket adds a packet: its length, which counts the command, the command, the rest.
func appendPacket(to []byte, command byte, rest ...string) []byte {
	size := 1
	for _, part := range rest {
		size += len(part)
	}
	to = append(binary.BigEndian.AppendUint32(to, uint32(size)), command)
	for _, part := range rest {
		to = append(to, part...)
	}
	return to
}

// zeroEnded joins texts, each ended by a NUL.
func zeroEnded(texts ...string) string {
	if len(texts) == 0 {
		return ""
	}
	return strings.Join(texts, "\x00") + "\x00"
}

// An Answer is what a milter answered to OPTNEG.
type Answer struct {
	Version, Actions, Protocol uint32
	Macros                     map[int]string // by stage (SMFIM_*), the list it asked for, as it wrote it
}

func parseAnswer(payload []byte) (Answer, error) {
	if len(payload) < 12 {
		return Answer{}, fmt.Errorf("milter: %d octets answer OPTNEG, want 12 or more", len(payload))
	}
	a := Answer{
		Version: binary.BigEndian.Uint32(payload), Actions: binary.BigEndian.Uint32(payload[4:]),
		Protocol: binary.BigEndian.Uint32(payload[8:]), Macros: map[int]string{},
	}
	for rest := payload[12:]; len(rest) > 0; {
		if len(rest) < 4 {
			return Answer{}, fmt.Errorf("milter: cut off list of macros in the answer to OPTNEG")
		}
		list, more, ended := strings.Cut(string(rest[4:]), "\x00")
		if !ended {
			return Answer{}, fmt.Errorf("milter: list of macros %q in the answer to OPTNEG has no end", list)
		}
		a.Macros[int(binary.BigEndian.Uint32(rest))] = list
		rest = []byte(more)
	}
	// What an MTA refuses: see milter_negotiate in Sendmail, milter8_connect in Postfix.
	switch {
	case a.Version < 2 || a.Version > offerVersion:
		return Answer{}, fmt.Errorf("milter: answers with protocol version %d, offered was %d", a.Version, offerVersion)
	case a.Actions&^offerActions != 0:
		return Answer{}, fmt.Errorf("milter: wants actions %#x, offered were %#x", a.Actions, offerActions)
	case a.Protocol&^offerProtocol != 0:
		return Answer{}, fmt.Errorf("milter: wants protocol %#x, offered was %#x", a.Protocol, offerProtocol)
	}
	return a, nil
}

// sends reports whether the milter is told of an event.
func (a Answer) sends(e event) bool {
	// Before version 4 there was no DATA.
	return a.Protocol&e.no == 0 && (e.command != cmdData || a.Version >= 4)
}

// replies reports whether the milter answers an event.
func (a Answer) replies(e event) bool { return a.Protocol&e.noReply == 0 }
