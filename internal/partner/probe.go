package partner

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

const (
	defaultPort       = 25
	resolveTimeout    = 30 * time.Second // for all names of a look
	sessionTimeout    = 15 * time.Second
	sessions          = 8  // at the same time with hosts, of all looks together, if nothing else is said
	sessionsOfLook    = 4  // of these for one look
	maxProbeHosts     = 20 // named by the operator
	maxClients        = 4
	maxSessionsOfLook = 64
)

// Target is what is looked at.
type Target struct {
	// Domain is whose MX hosts are looked at; "" looks at Hosts and Clients alone.
	Domain string
	// Hosts are looked at besides those of the MX records, at most 20.
	Hosts []string
	// Clients are addresses that connected as the partner: the same machine may take
	// mail. At most 4.
	Clients []netip.Addr
}

// Options are how a look is done.
type Options struct {
	Resolver *Resolver
	// Port is the port of SMTP, 0 is 25.
	Port uint16
	// AllowPrivate allows addresses that are not global unicast.
	AllowPrivate bool
	// Hello is the name for EHLO; "" is our address.
	Hello string
	// Certificate is presented if a server asks for one, whatever authorities it
	// names; nil presents none.
	Certificate *tls.Certificate
	// TLSA looks up the hosts' TLSA records, too.
	TLSA bool
	// EveryKey makes a second connection where TLS shows a certificate, to see
	// whether there is one with another kind of key, RSA or ECDSA: which of the two a
	// client presents elsewhere is not known. TLS 1.3 alone does not show it.
	EveryKey bool
	// Complain, if not nil, is told of faults of our own. They end a session, and
	// nothing else.
	Complain func(error)
}

// Prober looks at partners, with a limited number of connections at the same time.
// Its methods may be called at the same time.
type Prober struct {
	slots   chan struct{}
	clients chan struct{} // the same for addresses of clients: anybody's, they may answer slowly
	timeout time.Duration
}

// NewProber returns a prober with at most eight connections at the same time to hosts,
// and as many to clients. One is enough.
func NewProber() *Prober { return NewProberOf(sessions) }

// NewProberOf returns a prober with at most n connections at the same time to hosts, and
// as many to clients.
func NewProberOf(n int) *Prober {
	return &Prober{slots: make(chan struct{}, n), clients: make(chan struct{}, n), timeout: sessionTimeout}
}

// Probe looks at every address of every host that takes a domain's mail, at most
// 64: connects, says EHLO and STARTTLS, keeps the certificates as presented, and
// takes leave. The DNS has 30 seconds, each session 15; all of it ends with ctx. What failed
// stands in the report, beside what did not.
func (p *Prober) Probe(ctx context.Context, t Target, o Options) *Report {
	if o.Port == 0 {
		o.Port = defaultPort
	}
	begin := time.Now()
	r := &Report{Domain: t.Domain, Time: begin.UTC().Truncate(time.Second)}
	resolving, cancel := context.WithTimeout(ctx, resolveTimeout)
	r.Hosts = findHosts(resolving, r, t, o)
	cancel()
	jobs := arrange(r, o)
	each(sessionsOfLook, len(jobs), func(i int) {
		p.session(ctx, jobs[i].address, jobs[i].host, o)
	})
	r.TookMilli = time.Since(begin).Milliseconds()
	return r
}

// findHosts returns the hosts with their addresses.
func findHosts(ctx context.Context, r *Report, t Target, o Options) []*Host {
	hosts := []*Host{} // a list in JSON, too
	known := make(map[string]bool)
	var mxs []MX
	if t.Domain != "" {
		var err error
		if mxs, r.MXSecure, err = o.Resolver.MX(ctx, t.Domain); err != nil {
			r.Problem, r.Detail = MXProblem(err), printable(err.Error())
		}
	}
	for _, mx := range mxs {
		known[mx.Host] = true
		hosts = append(hosts, &Host{Name: mx.Host, Source: SourceMX, Preference: mx.Preference})
	}
	for _, name := range t.Hosts[:min(len(t.Hosts), maxProbeHosts)] {
		host := &Host{Name: printable(name), Source: SourceProbe}
		if clean, err := cleanHost(name); err == nil {
			host.Name = clean
		}
		if !known[host.Name] {
			known[host.Name] = true
			hosts = append(hosts, host)
		}
	}
	each(hostLookUps, len(hosts), func(i int) { hosts[i].resolve(ctx, o) })
	for _, client := range t.Clients[:min(len(t.Clients), maxClients)] {
		client = client.Unmap()
		if client.IsValid() && !covered(hosts, client) {
			hosts = append(hosts, &Host{Source: SourceClient, Addresses: []*Address{{Address: client, Port: o.Port}}})
		}
	}
	return hosts
}

func covered(hosts []*Host, address netip.Addr) bool {
	for _, host := range hosts {
		for _, a := range host.Addresses {
			if a.Address == address {
				return true
			}
		}
	}
	return false
}

// resolve finds the addresses of a host, and its TLSA records if they are wanted.
func (h *Host) resolve(ctx context.Context, o Options) {
	addresses, err := o.Resolver.Addresses(ctx, h.Name)
	h.Addresses = make([]*Address, 0, len(addresses))
	for _, address := range addresses {
		h.Addresses = append(h.Addresses, &Address{Address: address, Port: o.Port})
	}
	if err != nil {
		h.Problem, h.Detail = dnsProblem(err), printable(err.Error())
	}
	if !o.TLSA || h.Problem == BadName {
		return
	}
	found := o.Resolver.hostTLSA(ctx, h.Name)
	h.TLSAStatus, h.TLSA = found.status, found.records
	if found.err != nil {
		h.TLSADetail = printable(found.err.Error())
	}
}

// MXProblem says which problem an error of [Resolver.MX] is.
func MXProblem(err error) Problem {
	if p := dnsProblem(err); p != NoAddress {
		return p
	}
	return NoMX
}

func dnsProblem(err error) Problem {
	for _, known := range []struct {
		err     error
		problem Problem
	}{
		{ErrNoSuchName, NoSuchName}, {ErrNoData, NoAddress}, {ErrNoMail, NoMail}, {ErrBogus, DNSBogus}, {ErrFailed, DNSFailed},
	} {
		if errors.Is(err, known.err) {
			return known.problem
		}
	}
	return BadName
}

// job is an address that is to be connected to.
type job struct {
	host    *Host
	address *Address
}

// arrange lists the sessions of a look, and says of the other addresses why there
// will be none.
func arrange(r *Report, o Options) []job {
	var jobs []job
	for _, host := range r.Hosts {
		for _, a := range host.Addresses {
			switch {
			case !Global(a.Address) && !(o.AllowPrivate && connectable(a.Address)):
				a.Problem, a.Detail = RefusedAddress, "not a global unicast address"
			case len(jobs) == maxSessionsOfLook:
				a.Problem, a.Detail = NotTried, fmt.Sprintf("more than %d addresses", maxSessionsOfLook)
			default:
				jobs = append(jobs, job{host, a})
			}
		}
	}
	return jobs
}

// connectable: what a connection can be made to at all. 0.0.0.0 would be this
// machine.
func connectable(a netip.Addr) bool {
	return a.IsValid() && !a.Unmap().IsUnspecified() && !a.Unmap().IsMulticast()
}

// session waits for its turn and looks at one address.
func (p *Prober) session(ctx context.Context, found *Address, host *Host, o Options) {
	slots := p.slots
	if host.Source == SourceClient {
		slots = p.clients
	}
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		found.Problem, found.Detail = NotTried, "no time was left"
		return
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	if err := guard(func() { look(ctx, found, host.Name, o) }); err != nil {
		found.Problem, found.Detail = Fault, errFault.Error()
		if o.Complain != nil {
			o.Complain(fmt.Errorf("looking at %s: %w", found.Address, err))
		}
	}
	if found.TLS == nil || host.TLSAStatus != TLSASecure {
		return
	}
	for _, chain := range [][]Certificate{found.TLS.Chain, found.TLS.Other} {
		if len(chain) > 0 {
			chain[0].TLSAMatch = slices.ContainsFunc(host.TLSA, func(t TLSA) bool { return t.Matches(chain[0].subject()) })
		}
	}
}
