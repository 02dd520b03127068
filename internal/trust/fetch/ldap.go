package fetch

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// The messages of RFC 4511 that are used, by tag.
const (
	tagBindRequest     = asn1.Tag(0x60)
	tagBindResponse    = 0x61
	tagUnbindRequest   = asn1.Tag(0x42)
	tagSearchRequest   = asn1.Tag(0x63)
	tagSearchEntry     = 0x64
	tagSearchDone      = 0x65
	tagSearchReference = 0x73
	tagSimplePassword  = asn1.Tag(0x80) // in a bind request
	tagFilterPresent   = asn1.Tag(0x87) // in a search request

	tagInteger    = 0x02
	tagOctets     = 0x04
	tagEnumerated = 0x0a
	tagSequence   = 0x30
	tagSet        = 0x31
)

// session is one connection to a directory. The protocol is spoken here because a
// library that makes a tree of every answer needs ten times its size in memory for
// an honest one, and a thousand times for a hostile one.
type session struct {
	w  io.Writer
	r  *bufio.Reader
	id int64 // of the last request
}

// newSession begins one in which all that is read is a value of up to limit
// octets, and what is around it.
func newSession(conn io.ReadWriter, limit int64) *session {
	return &session{w: conn, r: bufio.NewReader(&capped{conn, limit + maxHeader, limit})}
}

// getLDAP is Get for ldap and ldaps: anonymous, one entry, one value, no referrals.
func (c *Client) getLDAP(ctx context.Context, u *url.URL, w io.Writer, limit int64) (int64, error) {
	target, err := parseLDAP(u)
	if err != nil {
		return 0, err
	}
	conn, err := c.dialLDAP(ctx, target.server)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	s := newSession(conn, limit)
	if err := s.bind(); err != nil {
		return 0, err
	}
	for _, attribute := range target.attributes {
		n, found, err := s.search(target.dn, attribute, time.Until(deadline), w, limit)
		if err != nil {
			return n, err
		}
		if found {
			_ = s.send(func(b *cryptobyte.Builder) { b.AddASN1(tagUnbindRequest, func(*cryptobyte.Builder) {}) })
			return n, nil
		}
	}
	return 0, &trouble{nil, "the entry has no such attribute, or none that anybody may read"}
}

// dialLDAP connects to server, or to the configured one if that is nil.
func (c *Client) dialLDAP(ctx context.Context, server *ldapServer) (net.Conn, error) {
	dialer := c.guarded
	switch {
	case server == nil && c.ldapServer == nil:
		return nil, &trouble{ErrUnsupported, "it names no server: set [revocation] ldap_server"}
	case server == nil:
		server, dialer = c.ldapServer, c.plain
	case !c.allowPrivate:
		host, _, _ := net.SplitHostPort(server.address)
		if err := checkHost(host); err != nil {
			return nil, err
		}
	}
	if server.host == "" {
		return dialer.DialContext(ctx, "tcp", server.address)
	}
	config := &tls.Config{RootCAs: c.roots, ServerName: server.host, MinVersion: tls.VersionTLS12}
	return (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, "tcp", server.address)
}

// bind binds anonymously (RFC 4513 section 5.1.1).
func (s *session) bind() error {
	err := s.send(func(b *cryptobyte.Builder) {
		b.AddASN1(tagBindRequest, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(3) // version
			b.AddASN1OctetString(nil)
			b.AddASN1(tagSimplePassword, func(*cryptobyte.Builder) {})
		})
	})
	if err != nil {
		return err
	}
	message, op, err := s.receive()
	if err != nil {
		return err
	}
	if op.tag != tagBindResponse {
		return errMalformed
	}
	return result(message, op)
}

// search reads the one value of an attribute of the entry dn. Not found is an
// entry without it.
func (s *session) search(dn, attribute string, within time.Duration, w io.Writer, limit int64) (n int64, found bool, err error) {
	err = s.send(func(b *cryptobyte.Builder) {
		b.AddASN1(tagSearchRequest, func(b *cryptobyte.Builder) {
			b.AddASN1OctetString([]byte(dn))
			b.AddASN1Enum(0) // baseObject
			b.AddASN1Enum(0) // neverDerefAliases
			b.AddASN1Int64(1)
			b.AddASN1Int64(int64(max(within/time.Second, 1)))
			b.AddASN1Boolean(false)
			b.AddASN1(tagFilterPresent, func(b *cryptobyte.Builder) { b.AddBytes([]byte("objectClass")) })
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1OctetString([]byte(attribute)) })
		})
	})
	if err != nil {
		return 0, false, err
	}
	referred := false
	for {
		message, op, err := s.receive()
		if err != nil {
			return n, false, err
		}
		switch op.tag {
		case tagSearchEntry:
			if found {
				return n, false, errMalformed // a base search finds one entry
			}
			if n, found, err = entry(op, w, limit); err == nil {
				err = message.skip()
			}
		case tagSearchReference:
			referred = true
			err = message.skip()
		case tagSearchDone:
			err = result(message, op)
			if err == nil && referred && !found {
				err = &trouble{nil, "the directory refers to another one"}
			}
			return n, found, err
		default:
			err = errMalformed
		}
		if err != nil {
			return n, false, err
		}
	}
}

// entry writes the one value that a SearchResultEntry (RFC 4511 section 4.5.2) has.
func entry(op element, w io.Writer, limit int64) (n int64, found bool, err error) {
	name, err := op.child(tagOctets)
	if err != nil {
		return 0, false, err
	}
	if err := name.skip(); err != nil {
		return 0, false, err
	}
	attributes, err := op.child(tagSequence)
	if err != nil {
		return 0, false, err
	}
	for attributes.body.N > 0 {
		attribute, err := attributes.child(tagSequence)
		if err != nil {
			return n, false, err
		}
		name, err := attribute.child(tagOctets)
		if err != nil {
			return n, false, err
		}
		if err := name.skip(); err != nil {
			return n, false, err
		}
		values, err := attribute.child(tagSet)
		if err != nil {
			return n, false, err
		}
		for values.body.N > 0 {
			value, err := values.child(tagOctets)
			switch {
			case err != nil:
				return n, false, err
			case found:
				return n, false, &trouble{nil, "the entry has more than one such value, and nothing tells which is meant"}
			case value.body.N > limit:
				return 0, false, tooLarge(limit)
			}
			found = true
			if n, err = value.copyTo(storer{w}); err != nil {
				return n, false, err
			}
		}
		if attribute.body.N > 0 {
			return n, false, errMalformed
		}
	}
	return n, found, op.skip()
}

// send sends a message with that operation.
func (s *session) send(op cryptobyte.BuilderContinuation) error {
	s.id++
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(s.id)
		op(b)
	})
	message, err := b.Bytes()
	if err != nil {
		return fmt.Errorf("encoding: %w", err)
	}
	_, err = s.w.Write(message)
	return err
}

// receive reads the next message up to its operation.
func (s *session) receive() (message, op element, err error) {
	if message, err = readElement(s.r); err != nil {
		return message, op, early(err)
	}
	if message.tag != tagSequence {
		return message, op, errMalformed
	}
	number, err := message.child(tagInteger)
	if err != nil {
		return message, op, err
	}
	id, err := number.number()
	if err != nil {
		return message, op, err
	}
	if id == 0 { // notice of disconnection, RFC 4511 section 4.4.1
		return message, op, io.ErrUnexpectedEOF
	}
	if id != s.id {
		return message, op, errMalformed
	}
	op, err = readElement(message.body)
	return message, op, early(err)
}

// results are the result codes (RFC 4511 appendix A) that mean something to who
// reads the log.
var results = map[int64]string{
	1: "operations error (it may want a login)", 3: "time limit exceeded", 4: "size limit exceeded", 8: "stronger authentication wanted",
	10: "it refers to another directory", 32: "no such entry", 34: "not a valid name", 48: "no anonymous access",
	49: "no anonymous access", 50: "insufficient access rights", 51: "busy", 52: "unavailable", 53: "unwilling",
}

// result reads an LDAPResult and the rest of its message. What else it says is the
// server's own words and is passed over.
func result(message, op element) error {
	code, err := op.child(tagEnumerated)
	if err != nil {
		return err
	}
	n, err := code.number()
	if err != nil {
		return err
	}
	if n != 0 {
		text := fmt.Sprintf("LDAP result %d", n)
		if results[n] != "" {
			text += ", " + results[n]
		}
		return &trouble{nil, text}
	}
	if err := op.skip(); err != nil {
		return err
	}
	return message.skip()
}
