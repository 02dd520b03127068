package milterload

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
)

// A Style is how an MTA speaks to a milter.
type Style int

// The styles.
const (
	// Postfix keeps what needs no reply in a buffer, and sends it with the next command that does. It sends the
	// macros of every event that is not negotiated away, and of RCPT always, and ABORT before the next MAIL.
	Postfix Style = iota
	// Sendmail writes every packet by itself, macros too, and sends no macros for header fields and body.
	Sendmail
)

// lists are the macros that each stage has if the milter asks for none (milter_*_macros in postconf(5);
// confMILTER_MACROS_* of Sendmail's cf/m4/cfhead.m4).
func (s Style) lists() map[int]string {
	lists := map[int]string{
		eventConnect.stage: "j {daemon_name} {daemon_addr} v _",
		eventHelo.stage:    "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}",
		eventMail.stage:    "i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}",
		eventRcpt.stage:    "i {rcpt_addr} {rcpt_host} {rcpt_mailer}",
		eventData.stage:    "i",
		eventEOM.stage:     "i",
		eventEOH.stage:     "i",
	}
	if s == Sendmail {
		maps.Copy(lists, map[int]string{
			eventConnect.stage: "j, _, {daemon_name}, {if_name}, {if_addr}",
			eventRcpt.stage:    "{rcpt_mailer}, {rcpt_host}, {rcpt_addr}",
			eventEOM.stage:     "{msg_id}",
		})
		delete(lists, eventData.stage)
		delete(lists, eventEOH.stage)
	}
	return lists
}

// queueID is where a message's own id comes to stand.
const queueID = "0000000000"

// A packet is one that the MTA sends.
type packet struct {
	of    byte   // the command that it is, or that its macros belong to
	text  []byte // with its length
	reply bool   // the milter answers it
	id    int    // where in text the queue id stands, -1 if nowhere
}

// A script is what an MTA sends: once a connection, and for each message.
type script struct {
	style         Style
	opening, mail []packet
}

// scriptOf writes the script for a milter with this answer. The packets are the connection's own: their queue
// ids change.
func scriptOf(style Style, a Answer, c Client, m Mail) *script {
	w := writer{style: style, answer: a, lists: style.lists(), values: macros(c, m)}
	maps.Copy(w.lists, a.Macros)

	plain := w
	plain.values = macros(Client{Hello: c.Hello, Address: c.Address, Port: c.Port}, m)
	port := string([]byte{byte(c.Port >> 8), byte(c.Port)})
	plain.event(eventConnect, c.Hello+"\x00"+"4"+port+c.Address+"\x00")
	plain.event(eventHelo, c.Hello+"\x00")
	w.packets = plain.packets
	if c.TLS != nil {
		// The second EHLO, after STARTTLS.
		if style == Postfix {
			w.packet(packet{of: cmdAbort, text: appendPacket(nil, cmdAbort)})
		}
		w.event(eventHelo, c.Hello+"\x00")
	}
	s := &script{style: style, opening: w.packets}

	w.packets = nil
	w.event(eventMail, zeroEnded("<"+m.Sender+">", fmt.Sprintf("SIZE=%d", len(m.Body)+2000)))
	w.event(eventRcpt, zeroEnded("<"+m.Recipient+">"))
	w.event(eventData, "")
	for _, field := range m.Header {
		value := field[1]
		if a.Protocol&leadSpace != 0 {
			value = " " + value
		}
		w.event(eventHeader, zeroEnded(field[0], value))
	}
	w.event(eventEOH, "")
	w.event(eventBody, m.Body)
	w.event(eventEOM, "")
	s.mail = w.packets
	return s
}

// A writer collects packets.
type writer struct {
	style   Style
	answer  Answer
	lists   map[int]string
	values  map[string]string
	packets []packet
}

func (w *writer) packet(p packet) {
	p.id = bytes.Index(p.text, []byte(queueID))
	w.packets = append(w.packets, p)
}

// event adds the macros of an event, and the event, as far as the milter wants them.
func (w *writer) event(e event, payload string) {
	sends := w.answer.sends(e)
	list, known := w.lists[e.stage]
	perField := e.command == cmdHeader || e.command == cmdBody
	switch w.style {
	case Postfix:
		known = sends || e.command == cmdRcpt
	case Sendmail:
		known = known && sends && !perField
	}
	if known {
		w.packet(packet{of: e.command, text: appendPacket(nil, cmdMacro, string(e.command), w.macros(e.stage, list))})
	}
	if sends {
		w.packet(packet{of: e.command, text: appendPacket(nil, e.command, payload), reply: w.answer.replies(e)})
	}
}

// macros returns the payload of a packet with the macros of a list that have a value at a stage.
func (w *writer) macros(stage int, list string) string {
	var pairs []string
	for _, name := range strings.FieldsFunc(list, func(r rune) bool { return r == ' ' || r == ',' }) {
		if value, known := w.values[name]; known && stage >= fromStage[name] {
			pairs = append(pairs, name, value)
		}
	}
	return zeroEnded(pairs...)
}
