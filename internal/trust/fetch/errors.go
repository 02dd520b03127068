package fetch

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// ErrRefused is what every refusal by a rule of ours is: errors.Is(err, ErrRefused)
// means that the same URL will be refused again. Every other error is trouble that
// may pass: network, server, time.
var ErrRefused = errors.New("refused")

// The refusals.
var (
	// ErrUnsupported is for a URL that is malformed, or of a kind that is not fetched.
	ErrUnsupported error = &refusal{"not supported"}
	// ErrForbiddenAddress is for an address that is not global unicast.
	ErrForbiddenAddress error = &refusal{"address not allowed"}
	// ErrRedirect is for too many redirects, or one that cannot be followed.
	ErrRedirect error = &refusal{"redirect not followed"}
	// ErrTooLarge is for a body over the limit.
	ErrTooLarge error = &refusal{"too large"}
)

type refusal struct{ what string }

func (r *refusal) Error() string        { return r.what }
func (r *refusal) Is(target error) bool { return target == ErrRefused }

// trouble is an error in our own words: nothing of a server's is in its text.
type trouble struct {
	kind error // one of the refusals, an error of context or the system, or nil
	text string
}

func (t *trouble) Unwrap() error { return t.kind }

func (t *trouble) Error() string {
	if t.text == "" {
		return t.kind.Error()
	}
	if _, ok := t.kind.(*refusal); ok {
		return t.kind.Error() + ": " + t.text
	}
	return t.text
}

// storing is an error of the caller's writer.
type storing struct{ err error }

func (s *storing) Error() string { return "storing what was fetched: " + s.err.Error() }
func (s *storing) Unwrap() error { return s.err }

// describe puts an error into our own words. The standard library's often quote
// what the server said.
func describe(ctx context.Context, err error) error {
	var (
		own     *trouble
		store   *storing
		dns     *net.DNSError
		op      *net.OpError
		errno   syscall.Errno
		timeout net.Error
		untrust *tls.CertificateVerificationError
		noTLS   tls.RecordHeaderError
		corrupt flate.CorruptInputError
	)
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &store):
		return store
	case errors.Is(ctx.Err(), context.Canceled):
		return &trouble{context.Canceled, "cancelled"}
	case ctx.Err() != nil, errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return &trouble{context.DeadlineExceeded, "not finished in time"}
	case errors.As(err, &dns):
		return &trouble{nil, "looking up the host: " + dns.Err}
	case errors.As(err, &untrust):
		return &trouble{nil, whyUntrusted(untrust.Err)}
	case errors.As(err, &noTLS):
		return &trouble{nil, "the server does not speak TLS"}
	case errors.As(err, &errno):
		for errors.As(err, &op) {
			if op.Addr != nil {
				return &trouble{errno, fmt.Sprintf("%s: %v", op.Addr, errno)}
			}
			err = op.Err
		}
		return &trouble{errno, errno.Error()}
	case errors.As(err, &op) && op.Op == "remote error": // a TLS alert
		return &trouble{nil, "the server refused TLS"}
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.As(err, &corrupt):
		return &trouble{nil, "its gzip encoding is broken"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &trouble{io.ErrUnexpectedEOF, "the server ended the connection early"}
	}
	return &trouble{nil, "no usable answer"}
}

// whyUntrusted says what is wrong with a server's certificate without what stands
// in it.
func whyUntrusted(err error) string {
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &name):
		return "the server's TLS certificate is for another name"
	case errors.As(err, &authority):
		return "the server's TLS certificate does not chain to a trusted root"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the server's TLS certificate is expired or not yet valid"
	}
	return "the server's TLS certificate is not valid"
}
