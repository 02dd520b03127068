package partner

import (
	"context"
	"errors"
	"time"

	"github.com/miekg/dns"
)

// TLSAStatus says what the TLSA records of a host are worth.
type TLSAStatus string

// What became of the questions for TLSA records.
const (
	TLSANone     TLSAStatus = "none"     // DNSSEC proves that there are none
	TLSASecure   TLSAStatus = "secure"   // DNSSEC proves them
	TLSAInsecure TLSAStatus = "insecure" // DNSSEC proves nothing: they do not count, if there are any
	TLSAFailed   TLSAStatus = "failed"   // the DNS failed or is bogus
)

// hostTLSA is what the DNS says about one host.
type hostTLSA struct {
	status  TLSAStatus
	records []TLSA
	err     error // for TLSAFailed
	ttl     time.Duration
}

// prefixes of the names of TLSA records: of a host's SMTP server (RFC 7672 section
// 2.2.3), and of it as a client (draft-ietf-dance-client-auth).
const (
	serverPrefix = "_25._tcp."
	clientPrefix = "_smtp-client."
)

// hostTLSA looks up the TLSA records of a host that takes mail, in both its roles.
// It asks for the host's address first: what of this is not secure has no TLSA
// records that count, and its servers may not even answer for them (RFC 7672
// section 2.2.2).
func (r *Resolver) hostTLSA(ctx context.Context, host string) hostTLSA {
	h := hostTLSA{ttl: maxKept}
	a, err := r.ask(ctx, host, dns.TypeA)
	if err != nil && !isAnswer(err) {
		return hostTLSA{status: TLSAFailed, err: err}
	}
	h.ttl = min(h.ttl, a.ttl)
	switch {
	case !a.secure:
		h.status = TLSAInsecure
		return h
	case errors.Is(err, ErrNoSuchName): // nor is there anything below it, RFC 8020
		h.status = TLSANone
		return h
	}
	// RFC 7672 section 2.2.3: where the host's CNAMEs lead to counts first, and the
	// name itself if there are none.
	names := []string{host}
	if a.name != host {
		names = []string{a.name, host}
	}
	for _, prefix := range []string{serverPrefix, clientPrefix} {
		for _, name := range names {
			if _, err := cleanName(prefix + name); err != nil {
				continue // no question can be put: too long, or with odd octets
			}
			records, a, err := r.tlsa(ctx, prefix+name)
			if err != nil && !isAnswer(err) {
				h.err = err
				break
			}
			h.ttl = min(h.ttl, a.ttl)
			if !a.secure {
				h.status = TLSAInsecure
				return h
			}
			if len(records) > 0 {
				h.records = append(h.records, records...)
				break
			}
		}
	}
	switch {
	case h.err != nil:
		h.status = TLSAFailed
	case len(h.records) == 0:
		h.status = TLSANone
	default:
		h.status = TLSASecure
	}
	return h
}

// matches reports whether one of the proven records names the certificate.
func (h hostTLSA) matches(s Subject) bool {
	if h.status == TLSAInsecure {
		return false
	}
	for _, record := range h.records {
		if record.Matches(s) {
			return true
		}
	}
	return false
}
