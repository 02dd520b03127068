package partner

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// answer is what the DNS says to one question. With ErrNoSuchName and ErrNoData
// all but the records is there, too.
type answer struct {
	records []dns.RR
	name    string        // what the records are of: the name asked for, or where its CNAMEs lead
	secure  bool          // DNSSEC proves all of it, every CNAME included
	ttl     time.Duration // how long it may be kept
}

var errNotTheAnswer = errors.New("what came back is not an answer to the question")

// read takes an answer apart.
func (r *Resolver) read(q, reply *dns.Msg) (answer, error) {
	// RFC 5452 section 3: only what repeats the question answers it.
	if !reply.Response || reply.Opcode != dns.OpcodeQuery || len(reply.Question) != 1 ||
		!strings.EqualFold(reply.Question[0].Name, q.Question[0].Name) ||
		reply.Question[0].Qtype != q.Question[0].Qtype || reply.Question[0].Qclass != dns.ClassINET {
		return answer{}, fmt.Errorf("%w: %w", ErrFailed, errNotTheAnswer)
	}
	a := answer{secure: r.secure && reply.AuthenticatedData}
	switch {
	case reply.Rcode == dns.RcodeServerFailure:
		return answer{}, failure(reply)
	case reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError:
		return answer{}, fmt.Errorf("%w: the DNS server said %s", ErrFailed, rcode(reply.Rcode))
	case reply.Truncated:
		return answer{}, fmt.Errorf("%w: the answer is cut off, over TCP too", ErrFailed)
	}
	owner, err := follow(reply.Answer, q.Question[0].Name)
	if err != nil {
		return answer{}, err
	}
	a.name = strings.TrimSuffix(owner, ".")
	a.ttl = leastTTL(reply)
	for _, rr := range reply.Answer {
		h := rr.Header()
		if h.Rrtype == q.Question[0].Qtype && h.Class == dns.ClassINET && dns.CanonicalName(h.Name) == owner && len(a.records) < maxRecords {
			a.records = append(a.records, rr)
		}
	}
	switch {
	case reply.Rcode == dns.RcodeNameError: // of the last name, RFC 6604 section 3
		a.records = nil
		return a, ErrNoSuchName
	case len(a.records) == 0:
		return a, ErrNoData
	}
	return a, nil
}

// follow returns, in canonical form, the name that the CNAMEs of an answer lead to.
func follow(records []dns.RR, name string) (string, error) {
	aliases := make(map[string]string)
	for _, rr := range records {
		if cname, ok := rr.(*dns.CNAME); ok && cname.Hdr.Class == dns.ClassINET {
			aliases[dns.CanonicalName(cname.Hdr.Name)] = dns.CanonicalName(cname.Target)
		}
	}
	name = dns.CanonicalName(name)
	for range maxAliases {
		target, ok := aliases[name]
		if !ok {
			return name, nil
		}
		name = target
	}
	return "", fmt.Errorf("%w: a chain of more than %d CNAMEs, or a loop", ErrFailed, maxAliases-1)
}

// bogusCodes are the extended errors that are about DNSSEC (RFC 8914 section 4.2
// to 4.13).
var bogusCodes = []uint16{
	dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm, dns.ExtendedErrorCodeUnsupportedDSDigestType,
	dns.ExtendedErrorCodeDNSSECIndeterminate, dns.ExtendedErrorCodeDNSBogus,
	dns.ExtendedErrorCodeSignatureExpired, dns.ExtendedErrorCodeSignatureNotYetValid,
	dns.ExtendedErrorCodeDNSKEYMissing, dns.ExtendedErrorCodeRRSIGsMissing,
	dns.ExtendedErrorCodeNoZoneKeyBitSet, dns.ExtendedErrorCodeNSECMissing,
}

// failure says why a server failed, as far as it says so itself.
func failure(reply *dns.Msg) error {
	opt := reply.IsEdns0()
	if opt == nil {
		return ErrBogus
	}
	for _, option := range opt.Option {
		extended, ok := option.(*dns.EDNS0_EDE)
		if !ok {
			continue
		}
		kind := ErrFailed
		if slices.Contains(bogusCodes, extended.InfoCode) {
			kind = ErrBogus
		}
		return fmt.Errorf("%w: %s %s", kind, dns.ExtendedErrorCodeToString[extended.InfoCode], printable(extended.ExtraText))
	}
	return ErrBogus
}

func rcode(code int) string {
	if s, ok := dns.RcodeToString[code]; ok {
		return s
	}
	return fmt.Sprintf("code %d", code)
}

// leastTTL is how long all of an answer may be kept; without any record, not at all.
func leastTTL(reply *dns.Msg) time.Duration {
	var least uint32
	first := true
	take := func(ttl uint32) {
		if first || ttl < least {
			least, first = ttl, false
		}
	}
	for _, rr := range reply.Answer {
		take(rr.Header().Ttl)
	}
	for _, rr := range reply.Ns {
		if soa, ok := rr.(*dns.SOA); ok { // of what is not there, RFC 2308 section 5
			take(min(soa.Hdr.Ttl, soa.Minttl))
		}
	}
	return time.Duration(least) * time.Second
}
