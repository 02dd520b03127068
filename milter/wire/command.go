package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"iter"
	"strings"
)

// Peer is the data of a [Connect] packet: who connected to the MTA.
type Peer struct {
	Host   []byte // its name, or its address in brackets
	Family byte   // '4', '6', 'L' for a unix socket, 'U' for unknown
	Port   uint16 // of the peer; 0 if unknown
	Addr   []byte // nil if unknown
}

var errNoNUL = errors.New("a string without the NUL at its end")

// ParseConnect reads the data of a [Connect] packet.
func ParseConnect(data []byte) (Peer, error) {
	host, rest, ok := bytes.Cut(data, nul)
	if !ok || len(rest) == 0 {
		return Peer{}, errNoNUL
	}
	p := Peer{Host: host, Family: rest[0]}
	if p.Family == 'U' {
		return p, nil
	}
	if len(rest) < 3 {
		return Peer{}, errors.New("a peer without a port")
	}
	p.Port = binary.BigEndian.Uint16(rest[1:])
	addr, _, ok := bytes.Cut(rest[3:], nul)
	if !ok {
		return Peer{}, errNoNUL
	}
	p.Addr = addr
	return p, nil
}

// ParseMail reads the sender of a [Mail] packet, as the client wrote it. The
// parameters behind it are passed over.
func ParseMail(data []byte) (sender []byte, err error) {
	sender, _, ok := bytes.Cut(data, nul)
	if !ok {
		return nil, errNoNUL
	}
	return sender, nil
}

// ParseHeader reads the data of a [Header] packet. Of a body that was cut short,
// what is there is read.
func ParseHeader(data []byte) (name, body []byte, err error) {
	name, rest, ok := bytes.Cut(data, nul)
	if !ok {
		return nil, nil, errNoNUL
	}
	return name, bytes.TrimSuffix(rest, nul), nil
}

// ParseMacros reads the data of a [Macro] packet: the command that the macros
// belong to, and what [Macros] takes.
func ParseMacros(data []byte) (command Code, macros []byte, err error) {
	if len(data) == 0 {
		return 0, nil, errors.New("macros for no command")
	}
	macros = data[1:]
	if len(macros) > 0 && macros[len(macros)-1] != 0 {
		return 0, nil, errNoNUL
	}
	return Code(data[0]), macros, nil
}

// Macros yields the names and values in the macros of a packet. Names are
// without the braces that some MTAs send and others do not. A name without a
// value is the end.
func Macros(macros string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for macros != "" {
			name, rest, ok := cutNUL(macros)
			if !ok {
				return
			}
			value, rest, ok := cutNUL(rest)
			if !ok || !yield(withoutBraces(name), value) {
				return
			}
			macros = rest
		}
	}
}

func withoutBraces(name string) string {
	if len(name) > 2 && name[0] == '{' && name[len(name)-1] == '}' {
		return name[1 : len(name)-1]
	}
	return name
}

var nul = []byte{0}

func cutNUL(s string) (before, after string, found bool) {
	if i := strings.IndexByte(s, 0); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
