package milter

import (
	"encoding/binary"
	"strings"
)

// What an MTA sends, put together without the codec that is tested.

func packet(code byte, parts ...string) string {
	data := strings.Join(parts, "")
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(data)+1))) + string(rune(code)) + data
}

func offer(version, actions, steps uint32) string {
	var b []byte
	for _, n := range []uint32{version, actions, steps} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return packet('O', string(b))
}

// macros is a packet of names and values for a command.
func macros(command byte, pairs ...string) string {
	data := string(rune(command))
	for _, text := range pairs {
		data += text + "\x00"
	}
	return packet('D', data)
}

func connect(family byte, port uint16, addr string) string {
	return packet('C', "mail1.woodgrovebank.com\x00", string(rune(family)), string(binary.BigEndian.AppendUint16(nil, port)), addr, "\x00")
}

func mail(sender string) string { return packet('M', "<"+sender+">\x00SIZE=100\x00") }

func header(name, body string) string { return packet('L', name, "\x00", body, "\x00") }

var (
	// postfix is the offer of Postfix 3.7.11 and of Sendmail 8.17.1.9.
	postfix = offer(6, 0x1ff, 0x1fffff)
	client  = connect('4', 1234, "192.0.2.7")
	helo    = packet('H', "mail1\x00")
	rcpt    = packet('R', "<bob@contoso.com>\x00")
	data    = packet('T')
	eoh     = packet('N')
	body    = packet('B', "hello\r\n")
	eom     = packet('E')
	abort   = packet('A')
	quit    = packet('Q')
	quitNew = packet('K')
	unknown = packet('U', "HELP\x00")

	// tls are macros of a session with a certificate that Sendmail trusts.
	tls = []string{"{tls_version}", "TLSv1.3", "{cipher_bits}", "256", "{verify}", "OK", "{cn_subject}", "mail1.woodgrovebank.com"}
)

// What must come back.

const (
	// steps are those that are negotiated away: NORCPT, NOBODY, NOEOH, NOUNKNOWN,
	// and NR_* of HDR, CONN, HELO, MAIL, RCPT, UNKN, EOH and BODY.
	steps = 0xef1d8

	tlsNames = "{tls_version} {cipher} {cipher_bits} {verify} {cert_subject} {cert_issuer} {cn_subject} {cn_issuer} {cert_fp} {cert_md5}"
)

var (
	// agreed is the answer to the offer of postfix.
	agreed = answer(6, 0x111, steps) // with lists

	proceed  = packet('c')
	tempfail = packet('t')
)

// answer is one to an offer.
func answer(version, actions, steps uint32) string {
	p := offer(version, actions, steps)
	if actions&0x100 != 0 {
		p = packet('O', p[5:],
			"\x00\x00\x00\x00j v {daemon_name} {daemon_port}\x00",
			"\x00\x00\x00\x01"+tlsNames+"\x00",
			"\x00\x00\x00\x02i {mail_addr} {ds_altname} "+tlsNames+"\x00",
			"\x00\x00\x00\x03i\x00", "\x00\x00\x00\x04i\x00", "\x00\x00\x00\x05i\x00", "\x00\x00\x00\x06i\x00")
	}
	return p
}

func reply(text string) string { return packet('y', text, "\x00") }

// remove takes away the header field Domain-Secured of this index.
func remove(index uint32) string {
	return packet('m', string(binary.BigEndian.AppendUint32(nil, index)), "Domain-Secured\x00\x00")
}

func insert(stamp string) string {
	return packet('i', "\x00\x00\x00\x00Domain-Secured\x00", stamp, "\x00")
}

// packets cuts a stream into packets, for a person to read.
func packets(stream string) (all []string) {
	for len(stream) >= 5 {
		size := 4 + int(binary.BigEndian.Uint32([]byte(stream)))
		if size < 5 || size > len(stream) {
			break
		}
		all = append(all, stream[4:size])
		stream = stream[size:]
	}
	if stream != "" {
		all = append(all, "rest: "+stream)
	}
	return all
}
