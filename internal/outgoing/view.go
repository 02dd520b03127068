package outgoing

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"domain-secured/internal/gate"
	"domain-secured/internal/partner"
)

const (
	// minTTL and maxTTL bound how long the MX hosts of a domain are believed.
	minTTL = 5 * time.Second
	maxTTL = time.Hour
)

// view is what a destination looks like from outside. It is of who makes its answer.
type view struct {
	outside *gate.Outside // as which it was seen

	hosts   []string // the preferred ones first
	mxUntil time.Time
	mxAgain time.Time // when they are asked for again, if somebody wants to know
	problem partner.Problem
	detail  string    // of the problem with them
	again   time.Time // when the hosts are to be looked at again
	sights  []sight
}

// sight is an address of a host, and what it showed last.
type sight struct {
	host    string
	address netip.Addr // none: the host has no address
	chains  [][]partner.Certificate
	problem partner.Problem // of the last look, "" for none
	detail  string
}

// resolve finds the hosts, if that is due. If the DNS fails, those known before stay.
func (v *view) resolve(ctx context.Context, k key, o *gate.Outside, now time.Time) {
	if v.outside != o {
		v.outside, v.mxAgain, v.again = o, time.Time{}, time.Time{}
	}
	if now.Before(v.mxAgain) {
		return
	}
	before := v.hosts
	v.problem, v.detail = "", ""
	switch {
	case k.host:
		v.hosts, v.mxUntil, v.mxAgain = []string{k.name}, now.Add(maxTTL), now.Add(maxTTL)
	case o == nil || o.Resolver == nil:
		v.problem, v.detail = partner.DNSFailed, "the DNS cannot be asked: see dns.resolver"
		v.mxUntil, v.mxAgain = now.Add(goodTime), now.Add(retryTime)
	default:
		v.mx(ctx, k.name, o.Resolver, now)
	}
	if !slices.Equal(before, v.hosts) {
		v.again = time.Time{}
		v.sights = slices.DeleteFunc(v.sights, func(s sight) bool { return !slices.Contains(v.hosts, s.host) })
	}
}

// mx asks for the MX hosts.
func (v *view) mx(ctx context.Context, name string, r *partner.Resolver, now time.Time) {
	hosts, ttl, err := r.MXFor(ctx, name)
	if err != nil {
		v.problem, v.detail = partner.MXProblem(err), err.Error()
	}
	if err != nil && !partner.IsAnswer(err) {
		// Those known before are good enough for a while.
		v.mxUntil, v.mxAgain = now.Add(goodTime), now.Add(retryTime)
		return
	}
	v.hosts = nil
	for _, mx := range hosts {
		v.hosts = append(v.hosts, mx.Host)
	}
	ttl = min(max(ttl, minTTL), maxTTL)
	v.mxUntil, v.mxAgain = now.Add(ttl), now.Add(ttl/2)
}

// take takes over what a look at one host showed. Where nothing was to be seen this time,
// what was seen before stays, for as long as the address is one of the host's.
func (v *view) take(r *partner.Report) {
	for _, host := range r.Hosts {
		var before []sight
		v.sights = slices.DeleteFunc(v.sights, func(s sight) bool {
			if s.host == host.Name {
				before = append(before, s)
			}
			return s.host == host.Name
		})
		if host.Problem != "" {
			v.sights = append(v.sights, sight{host: host.Name, problem: host.Problem, detail: host.Detail})
		}
		if host.Problem == partner.DNSFailed || host.Problem == partner.DNSBogus {
			v.sights = append(v.sights, slices.DeleteFunc(before, func(s sight) bool { return len(s.chains) == 0 })...)
			continue
		}
		for _, a := range host.Addresses {
			v.sights = append(v.sights, sightOf(host.Name, a, before))
		}
	}
	// In the order of preference, in which they are judged and blamed.
	slices.SortStableFunc(v.sights, func(a, b sight) int {
		return slices.Index(v.hosts, a.host) - slices.Index(v.hosts, b.host)
	})
}

func sightOf(host string, a *partner.Address, before []sight) sight {
	s := sight{host: host, address: a.Address, problem: a.Problem, detail: a.Detail}
	if a.TLS != nil {
		for _, chain := range [][]partner.Certificate{a.TLS.Chain, a.TLS.Other} {
			if len(chain) > 0 {
				s.chains = append(s.chains, chain)
			}
		}
	}
	for _, known := range before {
		if len(s.chains) == 0 && known.address == s.address {
			s.chains = known.chains
		}
	}
	return s
}

// blame says what kept servers from being seen, the first of the preferred host.
func (v *view) blame() (problem, detail string) {
	if v.problem != "" {
		return string(v.problem), v.detail
	}
	for _, s := range v.sights {
		if s.problem != "" {
			return string(s.problem), s.host + ": " + s.detail
		}
	}
	return "", ""
}

// isOutside reports whether no host is the domain or directly below it.
func (v *view) isOutside(domain string) bool {
	return len(v.hosts) > 0 && !slices.ContainsFunc(v.hosts, func(host string) bool {
		_, parent, _ := strings.Cut(host, ".")
		return host == domain || parent == domain
	})
}
