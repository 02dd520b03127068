package partner

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"
)

const (
	connectTimeout = 10 * time.Second
	quitTimeout    = 2 * time.Second
)

// session is one connection to a server, and what has been found out.
type session struct {
	conn   *recorder
	reader *bufio.Reader
	hello  string
	found  *Address
}

// problemError is an error with its word.
type problemError struct {
	problem Problem
	err     error
}

func (e *problemError) Error() string { return e.err.Error() }

func (e *problemError) Unwrap() error { return e.err }

func problemf(problem Problem, format string, args ...any) error {
	return &problemError{problem, fmt.Errorf(format, args...)}
}

// look connects to an address and fills in what it finds, until ctx ends.
func look(ctx context.Context, found *Address, name string, o Options) {
	begin := time.Now()
	defer func() { found.TookMilli = time.Since(begin).Milliseconds() }()
	err := try(ctx, found, name, o, everything)
	if err != nil {
		found.Problem, found.Detail = problemOf(ctx, err), printable(err.Error())
	}
	// The first finding stands, whatever comes of another connection: that shows
	// nothing but certificates.
	if errors.Is(err, errUnread) {
		if second := again(ctx, found, name, o, readable); second != nil {
			found.TLS.Chain, found.TLS.Presented = second.Chain, second.Presented
		}
	}
	if found.Problem == HandshakeFailed && found.TLS.unreadable() {
		found.Problem = CertificateUnreadable
	}
	if o.EveryKey && found.TLS != nil && len(found.TLS.Chain) > 0 {
		found.TLS.lookForOther(func(may offer) *TLS { return again(ctx, found, name, o, may) })
	}
}

// again makes another connection to the same address, and returns what TLS showed.
func again(ctx context.Context, found *Address, name string, o Options, may offer) *TLS {
	if ctx.Err() != nil {
		return nil
	}
	second := &Address{Address: found.Address, Port: found.Port}
	_ = try(ctx, second, name, o, may) // the first one's outcome counts
	return second.TLS
}

// lookForOther finds out whether there is another certificate for those who do not
// know the kind of key of the first.
func (t *TLS) lookForOther(again func(offer) *TLS) {
	first := t.Chain[0]
	if first.X509 == nil {
		return
	}
	may := onlyRSA
	if first.X509.PublicKeyAlgorithm == x509.RSA {
		may = onlyECDSA
	}
	if second := again(may); second != nil && len(second.Chain) > 0 && second.Chain[0].SHA256 != first.SHA256 {
		t.Other = second.Chain
	}
}

// problemOf returns the word for an error.
func problemOf(ctx context.Context, err error) Problem {
	var known *problemError
	var netErr net.Error
	switch {
	case errors.As(err, &known) && (known.problem == ConnectFailed || known.problem == NotTried):
		return known.problem
	case errors.As(err, &netErr) && netErr.Timeout(), ctx.Err() != nil:
		return TimedOut
	case known != nil:
		return known.problem
	case errors.Is(err, errBadReply), errors.Is(err, errTooMuch):
		return BadReply
	}
	return ConnectionLost
}

func try(ctx context.Context, found *Address, name string, o Options, may offer) error {
	dialer := net.Dialer{Timeout: connectTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(found.Address, found.Port).String())
	switch {
	case ctx.Err() != nil:
		// It may answer yet, but not in what is left of the look's time.
		if err == nil {
			conn.Close()
		}
		return problemf(NotTried, "no time was left to connect: %w", ctx.Err())
	case err != nil:
		return problemf(ConnectFailed, "%w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	found.Reachable = true
	s := &session{conn: &recorder{Conn: conn, left: maxSessionBytes}, hello: helloName(o.Hello, conn.LocalAddr()), found: found}
	s.reader = bufio.NewReaderSize(s.conn, maxLine)
	if err := s.plaintext(); err != nil {
		return err
	}
	secured, result, err := handshake(ctx, s.conn, name, may, o.Certificate)
	found.TLS = result
	if err != nil {
		return problemf(HandshakeFailed, "TLS handshake: %w", err)
	}
	s.reader = bufio.NewReaderSize(secured, maxLine)
	// The server may refuse the client certificate only now: in TLS 1.3 its side of
	// the handshake ends after ours (RFC 8446 section 4.4.2.4).
	answer, err := s.command(secured, "EHLO "+s.hello)
	if err != nil {
		return problemf(RefusedAfterTLS, "after the TLS handshake: %w", err)
	}
	if !answer.ok() {
		return problemf(RefusedAfterTLS, "after the TLS handshake: %s", answer)
	}
	s.quit(secured)
	return nil
}

// plaintext goes from the greeting to the reply to STARTTLS.
func (s *session) plaintext() error {
	greeting, err := readReply(s.reader)
	switch {
	case errors.Is(err, errBadReply), errors.Is(err, io.EOF):
		return problemf(NoGreeting, "the greeting: %w", err)
	case err != nil:
		return fmt.Errorf("the greeting: %w", err)
	}
	s.found.Greeting = printable(greeting.lines[0])
	if !greeting.ok() {
		s.quit(s.conn)
		return problemf(Refused, "the greeting: %s", greeting)
	}
	answer, err := s.command(s.conn, "EHLO "+s.hello)
	switch {
	case err != nil:
		return err
	// RFC 5321 section 4.2.4: a server that does not know EHLO.
	case answer.code == 500 || answer.code == 502:
		s.quit(s.conn)
		return problemf(NoSTARTTLS, "EHLO: %s", answer)
	case !answer.ok():
		s.quit(s.conn)
		return problemf(Refused, "EHLO: %s", answer)
	}
	s.found.HelloName, _, _ = strings.Cut(printable(answer.lines[0]), " ")
	s.found.STARTTLS = answer.lists("STARTTLS")
	if !s.found.STARTTLS {
		s.quit(s.conn)
		return problemf(NoSTARTTLS, "EHLO does not list STARTTLS")
	}
	switch answer, err = s.command(s.conn, "STARTTLS"); {
	case err != nil:
		return err
	case answer.code != 220: // RFC 3207 section 4
		s.quit(s.conn)
		return problemf(STARTTLSFailed, "STARTTLS: %s", answer)
	case s.reader.Buffered() > 0:
		return problemf(PlaintextAfterSTARTTLS, "there were %d octets of plaintext behind the reply to STARTTLS", s.reader.Buffered())
	}
	return nil
}

// command sends a line and returns the reply.
func (s *session) command(w io.Writer, line string) (reply, error) {
	verb, _, _ := strings.Cut(line, " ")
	if n := s.reader.Buffered(); n > 0 {
		return reply{}, problemf(OutOfTurn, "%d octets came before %s was sent", n, verb)
	}
	if _, err := io.WriteString(w, line+"\r\n"); err != nil {
		return reply{}, fmt.Errorf("%s: %w", verb, err)
	}
	answer, err := readReply(s.reader)
	if err != nil {
		return reply{}, fmt.Errorf("the reply to %s: %w", verb, err)
	}
	return answer, nil
}

// quit takes leave, as RFC 5321 section 4.1.1.10 wants it, and does not mind how
// that goes.
func (s *session) quit(w io.Writer) {
	s.conn.SetReadDeadline(time.Now().Add(quitTimeout))
	_, _ = s.command(w, "QUIT")
}

// helloName is the name for EHLO: the one given, or the address that the
// connection comes from (RFC 5321 section 4.1.3).
func helloName(name string, local net.Addr) string {
	if clean, err := cleanName(name); err == nil {
		return clean
	}
	address, ok := local.(*net.TCPAddr)
	if !ok {
		return "[127.0.0.1]"
	}
	ip := address.AddrPort().Addr().Unmap().WithZone("")
	if ip.Is6() {
		return "[IPv6:" + ip.String() + "]"
	}
	return "[" + ip.String() + "]"
}
