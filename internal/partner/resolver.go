package partner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/miekg/dns"
)

// What a question to the DNS can fail with. Errors of [Resolver] wrap one of
// them. ErrBogus and ErrFailed are for now; the others are answers.
var (
	// ErrNoSuchName: the name does not exist (NXDOMAIN, RFC 8020).
	ErrNoSuchName = errors.New("no such name")
	// ErrNoData: the name exists without a record of that type (RFC 2308 section 2.2).
	ErrNoData = errors.New("no such record")
	// ErrNoMail: the domain says that it takes no mail (RFC 7505).
	ErrNoMail = errors.New("the domain takes no mail (null MX)")
	// ErrBogus: the server failed (SERVFAIL), which is what a validating one says
	// of bogus signatures (RFC 4035 section 5.5). One that says that it has another
	// reason (RFC 8914) is ErrFailed.
	ErrBogus = errors.New("the DNS server failed, or the signatures are bogus")
	// ErrFailed: no answer in time, or none that can be used.
	ErrFailed = errors.New("the DNS did not answer")
)

const (
	queryTimeout = 2 * time.Second // for each try
	queryTries   = 2
	// ednsSize passes every link without fragments (RFC 9715 section 3.1).
	ednsSize   = 1232
	maxAliases = 8   // CNAMEs from one name to another
	maxRecords = 100 // of one answer; the rest is passed over
)

// ResolverConfig says which DNS server is asked.
type ResolverConfig struct {
	// Server is an address with a port, or without one for 53. "" is the first
	// nameserver of /etc/resolv.conf.
	Server string
	// TrustAD believes the server that DNSSEC proves an answer (the AD bit, RFC 4035
	// section 4.9.3) although the way to it is not this machine alone.
	TrustAD bool
	// Timeout is for each of two tries, 0 is two seconds.
	Timeout time.Duration
}

// Resolver asks a DNS server. Its methods may be called at the same time. It
// keeps nothing between them.
type Resolver struct {
	server  netip.AddrPort
	secure  bool // the AD bit is believed
	timeout time.Duration
}

// NewResolver returns a resolver. The error says what is wrong with the server's
// address, or with /etc/resolv.conf.
func NewResolver(c ResolverConfig) (*Resolver, error) {
	return newResolver(c, "/etc/resolv.conf")
}

func newResolver(c ResolverConfig, resolvConf string) (*Resolver, error) {
	server, err := parseServer(c.Server)
	if c.Server == "" {
		server, err = systemServer(resolvConf)
	}
	if err != nil {
		return nil, err
	}
	if c.Timeout == 0 {
		c.Timeout = queryTimeout
	}
	return &Resolver{server: server, secure: c.TrustAD || server.Addr().IsLoopback(), timeout: c.Timeout}, nil
}

// Server is the address that is asked.
func (r *Resolver) Server() string { return r.server.String() }

// BelievesAD reports whether answers can be secure: the server is on this
// machine, or said to be trusted. If not, there is no DANE.
func (r *Resolver) BelievesAD() bool { return r.secure }

func parseServer(s string) (netip.AddrPort, error) {
	if host, port, err := net.SplitHostPort(s); err == nil && host == "localhost" {
		s = net.JoinHostPort("127.0.0.1", port)
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(a.Unmap(), 53), nil
	}
	server, err := netip.ParseAddrPort(s)
	if err != nil || server.Port() == 0 {
		return netip.AddrPort{}, fmt.Errorf(`%.100q is not the address of a DNS server: want "host:port" with an IP address`, s)
	}
	return netip.AddrPortFrom(server.Addr().Unmap(), server.Port()), nil
}

// systemServer returns the first nameserver of a resolv.conf(5), which is this
// machine without one.
func systemServer(name string) (netip.AddrPort, error) {
	text, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return netip.AddrPort{}, fmt.Errorf("looking for the system's DNS server: %w", err)
	}
	config, err := dns.ClientConfigFromReader(bytes.NewReader(text))
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("looking for the system's DNS server: %s: %w", name, err)
	}
	if len(config.Servers) == 0 {
		return netip.MustParseAddrPort("127.0.0.1:53"), nil
	}
	a, err := netip.ParseAddr(config.Servers[0])
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("looking for the system's DNS server: %s: %w", name, err)
	}
	return netip.AddrPortFrom(a, 53), nil
}

// ask puts one question, with a second try if there is no answer that can be
// used. name is a clean one.
func (r *Resolver) ask(ctx context.Context, name string, kind uint16) (answer, error) {
	var a answer
	var err error
	for range queryTries {
		a, err = r.try(ctx, name, kind)
		if !errors.Is(err, ErrFailed) && !errors.Is(err, ErrBogus) || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return a, fmt.Errorf("%s records of %s, asked of %s: %w", dns.TypeToString[kind], name, r.server, err)
	}
	return a, nil
}

func (r *Resolver) try(ctx context.Context, name string, kind uint16) (answer, error) {
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), kind)
	q.AuthenticatedData = true // the answer's AD bit is wanted, RFC 6840 section 5.7
	q.SetEdns0(ednsSize, true)
	reply, err := r.exchange(ctx, "udp", q)
	if err == nil && reply.Truncated {
		reply, err = r.exchange(ctx, "tcp", q)
	}
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	return r.read(q, reply)
}

// exchange sends a question and returns what is said to it, whatever that is. It
// ends when ctx does.
func (r *Resolver) exchange(ctx context.Context, network string, q *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, r.server.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	client := dns.Client{Timeout: r.timeout}
	reply, _, err := client.ExchangeWithConnContext(ctx, q, &dns.Conn{Conn: conn})
	if ctx.Err() != nil {
		return nil, fmt.Errorf("no answer in time: %w", ctx.Err())
	}
	return reply, err
}
