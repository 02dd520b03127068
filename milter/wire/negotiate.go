package wire

import (
	"encoding/binary"
	"fmt"
)

// Versions of the protocol that are spoken here.
const (
	MinVersion = 2
	MaxVersion = 6
	// DataVersion is the first with the command DATA.
	DataVersion = 4
)

// Actions are what a filter may do to a message (mfdef.h, SMFIF_*).
type Actions uint32

const (
	AddHeaders    Actions = 0x001 // add and insert
	ChangeHeaders Actions = 0x010 // change and delete
	SetMacros     Actions = 0x100 // say which macros it wants
)

// Steps are commands that are not sent, and commands that are not replied to
// (mfdef.h, SMFIP_*).
type Steps uint32

const (
	NoRcpt         Steps = 0x00008
	NoBody         Steps = 0x00010
	NoEndOfHeader  Steps = 0x00040
	NoReplyHeader  Steps = 0x00080
	NoUnknown      Steps = 0x00100
	NoReplyConnect Steps = 0x01000
	NoReplyHelo    Steps = 0x02000
	NoReplyMail    Steps = 0x04000
	NoReplyRcpt    Steps = 0x08000
	NoReplyUnknown Steps = 0x20000
	NoReplyEOH     Steps = 0x40000
	NoReplyBody    Steps = 0x80000
)

// Offer is what one side of a negotiation can do, or wants.
type Offer struct {
	Version uint32
	Actions Actions
	Steps   Steps
}

// ParseOffer reads the data of a [Negotiate] packet. Data behind the offer is
// passed over.
func ParseOffer(data []byte) (Offer, error) {
	if len(data) < 12 {
		return Offer{}, fmt.Errorf("a negotiation of %d octets, want 12", len(data))
	}
	return Offer{
		Version: binary.BigEndian.Uint32(data),
		Actions: Actions(binary.BigEndian.Uint32(data[4:])),
		Steps:   Steps(binary.BigEndian.Uint32(data[8:])),
	}, nil
}

// Accept returns what of want an offer allows. An MTA drops a filter that
// answers with what was not offered.
func (o Offer) Accept(want Offer) (Offer, error) {
	if o.Version < MinVersion {
		return Offer{}, fmt.Errorf("milter protocol version %d: want %d to %d", o.Version, MinVersion, MaxVersion)
	}
	return Offer{min(o.Version, want.Version), o.Actions & want.Actions, o.Steps & want.Steps}, nil
}

// Stage is a time at which macros are sent, as the answer to a negotiation
// names it (mfapi.h, SMFIM_*).
type Stage uint32

const (
	StageConnect Stage = iota
	StageHelo
	StageMail
	StageRcpt
	StageData
	StageEOM
	StageEOH
)

// MacroList asks for macros at a stage: their names, separated by blanks. They
// replace those that the MTA's configuration names for it.
type MacroList struct {
	Stage Stage
	Names string
}

// AppendNegotiate appends a [Negotiate] packet, with the macros that are wanted.
func AppendNegotiate(b []byte, o Offer, lists ...MacroList) []byte {
	b, at := begin(b, Negotiate)
	b = binary.BigEndian.AppendUint32(b, o.Version)
	b = binary.BigEndian.AppendUint32(b, uint32(o.Actions))
	b = binary.BigEndian.AppendUint32(b, uint32(o.Steps))
	for _, list := range lists {
		b = binary.BigEndian.AppendUint32(b, uint32(list.Stage))
		b = append(b, list.Names...)
		b = append(b, 0)
	}
	return end(b, at)
}
