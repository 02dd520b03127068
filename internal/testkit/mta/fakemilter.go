package mta

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// What Postfix offers a milter (3.7 and later, milter_protocol = 6): every action and every step it knows.
const (
	offeredActions = 0x1ff
	offeredSteps   = 0x1fffff

	keepsLeadingSpace = 1 << 20 // SMFIP_HDR_LEADSPC
)

// milterTimeout is milter_command_timeout in postconf(5).
const milterTimeout = 30 * time.Second

// milterTempfail is what Postfix tells the client with milter_default_action = tempfail when a milter fails,
// and where a milter says no more than "not now".
const milterTempfail = "451 4.7.1 Service unavailable - try again later"

// milterMalformed is what it tells the client in place of a reply that is none.
const milterMalformed = "451 4.3.5 Server configuration problem - try again later"

// A fakeMilter is one connection to a milter, as a session of the fake server has it.
type fakeMilter struct {
	conn    net.Conn
	release func() bool // from the server's end
	in      *bufio.Reader
	timeout time.Duration
	actions uint32
	steps   uint32
	lists   [milterStages]string // of macros
}

// dialMilter connects to a milter and negotiates.
func dialMilter(ctx context.Context, e endpoint, timeout time.Duration) (*fakeMilter, error) {
	conn, err := e.dial(ctx, timeout)
	if err != nil {
		return nil, err
	}
	m := &fakeMilter{conn: conn, release: context.AfterFunc(ctx, func() { conn.Close() }), in: bufio.NewReader(conn), timeout: timeout, lists: milterDefaults}
	if err := m.negotiate(); err != nil {
		m.hangUp()
		return nil, err
	}
	return m, nil
}

func (m *fakeMilter) negotiate() error {
	offer := binary.BigEndian.AppendUint32(nil, milterVersion)
	offer = binary.BigEndian.AppendUint32(offer, offeredActions)
	offer = binary.BigEndian.AppendUint32(offer, offeredSteps)
	if err := m.send(MilterPacket{milterNegotiate, string(offer)}); err != nil {
		return err
	}
	answer, err := m.receive()
	if err != nil {
		return err
	}
	if answer.Code != milterNegotiate || len(answer.Data) < 12 {
		return fmt.Errorf("malformed negotiation: %s", answer)
	}
	data := []byte(answer.Data)
	version := binary.BigEndian.Uint32(data)
	m.actions, m.steps = binary.BigEndian.Uint32(data[4:]), binary.BigEndian.Uint32(data[8:])
	if version < 2 || version > milterVersion {
		return fmt.Errorf("protocol version %d conflict with MTA protocol version %d", version, milterVersion)
	}
	if m.actions&^offeredActions != 0 {
		return fmt.Errorf("request mask %#x conflict with MTA request mask %#x", m.actions, offeredActions)
	}
	if version < 4 { // where SMFIC_DATA came
		m.steps |= milterEvents[milterData].noEvent
	}
	return m.takeLists(data[12:])
}

// takeLists reads what SMFI_SETSYMLIST asks for: a stage's number, and a list that replaces the stage's own.
func (m *fakeMilter) takeLists(data []byte) error {
	for len(data) > 0 {
		if len(data) < 5 {
			return errors.New("malformed list of macros")
		}
		stage := binary.BigEndian.Uint32(data)
		list, rest, ended := strings.Cut(string(data[4:]), "\x00")
		if stage >= milterStages || !ended {
			return errors.New("malformed list of macros")
		}
		if list != "" {
			m.lists[stage] = list
		}
		data = []byte(rest)
	}
	return nil
}

// send sends packets in one write.
func (m *fakeMilter) send(packets ...MilterPacket) error {
	var wire []byte
	for _, p := range packets {
		wire = p.append(wire)
	}
	m.conn.SetDeadline(time.Now().Add(m.timeout))
	_, err := m.conn.Write(wire)
	return err
}

func (m *fakeMilter) receive() (MilterPacket, error) {
	m.conn.SetDeadline(time.Now().Add(m.timeout))
	return readMilterPacket(m.in)
}

// event tells of an event, its macros before it, and returns the answer: MilterContinue where the milter gives
// none. At the end of a message edit gets every answer before the last.
func (m *fakeMilter) event(code byte, data string, value func(macro string) (string, bool), edit func(MilterPacket) error) (MilterPacket, error) {
	event := milterEvents[code]
	if m.steps&event.noEvent != 0 && event.stage > milterEvents[milterData].stage {
		return MilterPacket{Code: MilterContinue}, nil // of the content, not even the macros
	}
	packets := []MilterPacket{{milterMacro, string(code) + m.macros(event.stage, value)}}
	if m.steps&event.noEvent == 0 {
		packets = append(packets, MilterPacket{code, data})
	}
	if err := m.send(packets...); err != nil {
		return MilterPacket{}, err
	}
	if m.steps&(event.noEvent|event.silent) != 0 {
		return MilterPacket{Code: MilterContinue}, nil
	}
	for {
		answer, err := m.receive()
		if err != nil {
			return MilterPacket{}, err
		}
		switch answer.Code {
		case MilterProgress:
		case MilterContinue, MilterAccept, MilterDiscard, MilterTempfail, MilterReject, MilterReplyCode, MilterSkip:
			return answer, nil
		default:
			if edit == nil {
				return MilterPacket{}, fmt.Errorf("unexpected filter response %s after event %c", answer, code)
			}
			if err := edit(answer); err != nil {
				return MilterPacket{}, err
			}
		}
	}
}

// macros returns names and values of a stage's macros, without those that have no value.
func (m *fakeMilter) macros(stage int, value func(string) (string, bool)) string {
	var texts []string
	for _, name := range strings.FieldsFunc(m.lists[stage], func(r rune) bool { return r == ' ' || r == ',' }) {
		if v, ok := value(name); ok {
			texts = append(texts, name, v)
		}
	}
	if texts == nil {
		return ""
	}
	return milterStrings(texts...)
}

// abort says that the message, if there is one, is over.
func (m *fakeMilter) abort() error { return m.send(MilterPacket{Code: milterAbort}) }

// close says goodbye.
func (m *fakeMilter) close() {
	_ = m.send(MilterPacket{Code: milterQuit}) // a courtesy: the milter may be gone
	m.hangUp()
}

func (m *fakeMilter) hangUp() {
	m.release()
	m.conn.Close()
}
