package partner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

const (
	maxHosts     = 20 // of a domain
	maxAddresses = 16 // of a host
)

// MX is a host that takes mail for a domain.
type MX struct {
	Host       string `json:"host"`
	Preference uint16 `json:"preference"`
	// Implicit: the domain has no MX record and is its own host (RFC 5321 section 5.1).
	Implicit bool `json:"implicit,omitempty"`
}

// MX returns the hosts that take mail for a domain, the preferred ones first and
// those of one preference by name, at most 20. CNAMEs are followed. secure says that
// DNSSEC proves it, and also holds for the errors [ErrNoSuchName], [ErrNoData] (no
// MX, no address) and [ErrNoMail]. Names that no host can have are passed over.
func (r *Resolver) MX(ctx context.Context, domain string) (hosts []MX, secure bool, err error) {
	hosts, a, err := r.mx(ctx, domain)
	return hosts, a.secure, err
}

// MXFor is [Resolver.MX] for who keeps the answer: ttl is how long that may be, also for
// the errors that are answers.
func (r *Resolver) MXFor(ctx context.Context, domain string) (hosts []MX, ttl time.Duration, err error) {
	hosts, a, err := r.mx(ctx, domain)
	return hosts, a.ttl, err
}

// IsAnswer reports whether an error of a [Resolver] is an answer: there is nothing to
// be found, and asking again will not change that.
func IsAnswer(err error) bool { return isAnswer(err) }

// mx is MX with all that is known of the answer.
func (r *Resolver) mx(ctx context.Context, domain string) ([]MX, answer, error) {
	name, err := cleanName(domain)
	if err != nil {
		return nil, answer{}, err
	}
	a, err := r.ask(ctx, name, dns.TypeMX)
	if errors.Is(err, ErrNoData) {
		return r.implicit(ctx, name, a)
	}
	if err != nil {
		return nil, a, err
	}
	hosts, err := hostsOf(a.records)
	if err != nil {
		return nil, a, fmt.Errorf("MX records of %s: %w", name, err)
	}
	return hosts, a, nil
}

func hostsOf(records []dns.RR) ([]MX, error) {
	var hosts []MX
	null := false
	for _, rr := range records {
		mx := rr.(*dns.MX)
		if mx.Mx == "." { // RFC 7505 section 3
			null = true
			continue
		}
		if host, err := cleanHost(mx.Mx); err == nil {
			hosts = append(hosts, MX{Host: host, Preference: mx.Preference})
		}
	}
	if len(hosts) == 0 {
		if null {
			return nil, ErrNoMail
		}
		return nil, fmt.Errorf("%w that names a host", ErrNoData)
	}
	slices.SortFunc(hosts, func(a, b MX) int {
		return cmp.Or(cmp.Compare(a.Preference, b.Preference), cmp.Compare(a.Host, b.Host))
	})
	seen := make(map[string]bool)
	hosts = slices.DeleteFunc(hosts, func(mx MX) bool {
		again := seen[mx.Host]
		seen[mx.Host] = true
		return again
	})
	return hosts[:min(len(hosts), maxHosts)], nil
}

// implicit takes the domain for its own host, if it has an address.
func (r *Resolver) implicit(ctx context.Context, name string, none answer) ([]MX, answer, error) {
	var failed error
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		a, err := r.ask(ctx, name, kind)
		none.secure = none.secure && a.secure
		none.ttl = min(none.ttl, a.ttl)
		switch {
		case err == nil:
			return []MX{{Host: name, Implicit: true}}, none, nil
		case !errors.Is(err, ErrNoData) && !errors.Is(err, ErrNoSuchName):
			failed = err
		}
	}
	if failed != nil {
		return nil, answer{}, failed
	}
	return nil, none, fmt.Errorf("%s has neither MX nor address: %w", name, ErrNoData)
}

// Addresses returns the addresses of a host as the DNS gives them, those of IPv4
// first, at most 16. CNAMEs are followed. If only one of the two questions failed,
// there are addresses and an error.
func (r *Resolver) Addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	name, err := cleanHost(host)
	if err != nil {
		return nil, err
	}
	var all []netip.Addr
	var problem error
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		a, err := r.ask(ctx, name, kind)
		// Of two problems the one that is no answer counts.
		if err != nil && (problem == nil || isAnswer(problem)) {
			problem = err
		}
		for _, rr := range a.records {
			if addr, ok := addressOf(rr); ok && !slices.Contains(all, addr) && len(all) < maxAddresses {
				all = append(all, addr)
			}
		}
	}
	if len(all) > 0 && isAnswer(problem) {
		problem = nil
	}
	return all, problem
}

// isAnswer reports whether an error is an answer: there is nothing to be found.
func isAnswer(err error) bool {
	return errors.Is(err, ErrNoSuchName) || errors.Is(err, ErrNoData) || errors.Is(err, ErrNoMail)
}

func addressOf(rr dns.RR) (netip.Addr, bool) {
	switch rr := rr.(type) {
	case *dns.A:
		addr, ok := netip.AddrFromSlice(rr.A)
		return addr.Unmap(), ok
	case *dns.AAAA:
		// Not unmapped: ::ffff:127.0.0.1 must be seen for what it is.
		return netip.AddrFromSlice(rr.AAAA)
	}
	return netip.Addr{}, false
}
