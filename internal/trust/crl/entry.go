package crl

import (
	"bytes"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// An entry is one of revokedCertificates (RFC 5280 section 5.1.2.6). Its octets
// hold until the next one.
type entry struct {
	serial []byte // an INTEGER's content, in the shortest way
	reason Reason
	// issuer is the certificateIssuer extension, if there is one: GeneralNames.
	issuer []byte
	// unknown is a critical extension that is not known here, if there is one.
	unknown oid
}

func readEntries(s *stream, second bool, take func(*entry) error) error {
	end, err := s.enter(tagSequence, s.signedTo)
	if err != nil {
		return err
	}
	var e entry
	for s.offset() < end {
		content := s.shortSequence(end)
		if content == nil {
			if _, content, err = s.element(tagSequence, end, maxElement); err != nil {
				return err
			}
		}
		if what := e.parse(content, second); what != "" {
			return s.malformed("an entry before it: %s", what)
		}
		if err := take(&e); err != nil {
			return err
		}
	}
	return nil
}

// onlyReason is how nearly every entry's extensions begin: they are a reason code,
// whose octet follows.
var onlyReason = []byte{0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01}

// parse returns what is wrong with an entry, or "". A list of 100 MB has millions
// of them: what every entry has is read without further calls.
func (e *entry) parse(b []byte, second bool) (wrong string) {
	e.reason, e.issuer, e.unknown = Unspecified, nil, ""
	if len(b) < 3 || b[0] != tagInteger || b[1] == 0 || b[1] > maxSerial+1 || len(b) < 2+int(b[1]) {
		return "no serial number, or one that is too long"
	}
	e.serial, b = b[2:2+b[1]], b[2+b[1]:]
	for len(e.serial) > 1 && (e.serial[0] == 0 && e.serial[1] < 0x80 || e.serial[0] == 0xff && e.serial[1] >= 0x80) {
		e.serial = e.serial[1:]
	}
	if len(e.serial) > maxSerial {
		return "a serial number that is too long"
	}
	// When it was revoked is not asked: it is, RFC 5280 section 6.3.3.
	if len(b) < 2 || b[0] != tagUTCTime && b[0] != tagGeneralized || b[1] >= 0x80 || len(b) < 2+int(b[1]) {
		return "no date"
	}
	b = b[2+b[1]:]
	switch {
	case len(b) == 0:
		return ""
	case !second:
		return "extensions in a list of version 1"
	case len(b) == len(onlyReason)+1 && bytes.HasPrefix(b, onlyReason):
		e.reason = reasonOf(b[len(onlyReason)])
		return ""
	}
	return e.parseExtensions(b)
}

func (e *entry) parseExtensions(b []byte) (wrong string) {
	all, wrong := readExtensions(b)
	if wrong != "" {
		return "in place of its extensions: " + wrong
	}
	for _, x := range all {
		value := cryptobyte.String(x.value)
		switch x.id {
		case oidReason:
			var code cryptobyte.String
			if !value.ReadASN1(&code, cbasn1.ENUM) || !value.Empty() || len(code) != 1 {
				return "its reason code is malformed"
			}
			e.reason = reasonOf(code[0])
		case oidCertificateIssuer:
			if names, ok := parseNames(value); !ok || len(directoryNames(names)) == 0 {
				return "its certificate issuer is not a directory name"
			}
			e.issuer = x.value
		case oidInvalidityDate:
		default:
			if x.critical {
				e.unknown = x.id
			}
		}
	}
	return ""
}
