package dnsserver

import (
	"strings"

	"github.com/miekg/dns"
)

const maxAliases = 20

// ServeDNS implements [dns.Handler].
func (s *Server) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	if len(q.Question) != 1 {
		return
	}
	asked := question{dns.CanonicalName(q.Question[0].Name), q.Question[0].Qtype}
	behaviour := s.count(asked)
	reply := new(dns.Msg)
	reply.SetReply(q)
	reply.RecursionAvailable = true
	if opt := q.IsEdns0(); opt != nil {
		reply.SetEdns0(1232, opt.Do())
	}
	tcp := w.RemoteAddr().Network() == "tcp"
	switch behaviour {
	case Silent:
		return
	case NotADNSMessage:
		_, _ = w.Write([]byte("220 not a DNS message"))
		return
	case ServFail:
		reply.Rcode = dns.RcodeServerFailure
	case Bogus:
		fail(reply, dns.ExtendedErrorCodeDNSBogus, "no valid\x1b signature")
	case Unreachable:
		fail(reply, dns.ExtendedErrorCodeNoReachableAuthority, "")
	case Refused:
		reply.Rcode = dns.RcodeRefused
	case Truncated, TruncatedTwice:
		if !tcp || behaviour == TruncatedTwice {
			reply.Truncated = true
			break
		}
		s.answer(reply, asked)
	default:
		s.answer(reply, asked)
	}
	switch {
	case behaviour == OtherQuestion:
		reply.Question[0].Name = "other.example."
	case behaviour == OtherID:
		reply.Id++
	case !tcp && !reply.Truncated:
		reply.Truncate(udpSize(q))
	}
	// RFC 6840 section 5.8: the AD bit is for who asked for it.
	if opt := q.IsEdns0(); !q.AuthenticatedData && (opt == nil || !opt.Do()) {
		reply.AuthenticatedData = false
	}
	_ = w.WriteMsg(reply) // who asked may have gone
}

// count notes a question and returns how it is to be answered.
func (s *Server) count(asked question) Behaviour {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[asked]++
	for _, q := range []question{asked, {asked.name, dns.TypeANY}} {
		odd, ok := s.odd[q]
		if !ok {
			continue
		}
		if odd.left == 1 {
			delete(s.odd, q)
		} else if odd.left > 1 {
			odd.left--
			s.odd[q] = odd
		}
		return odd.behaviour
	}
	return Answer
}

func fail(reply *dns.Msg, code uint16, text string) {
	reply.Rcode = dns.RcodeServerFailure
	if opt := reply.IsEdns0(); opt != nil {
		opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: code, ExtraText: text})
	}
}

func udpSize(q *dns.Msg) int {
	if opt := q.IsEdns0(); opt != nil {
		return int(opt.UDPSize())
	}
	return dns.MinMsgSize
}

// answer fills in what the zone says, CNAMEs followed, as a recursive server does.
func (s *Server) answer(reply *dns.Msg, asked question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	reply.AuthenticatedData = s.isSecure(asked.name)
	name := asked.name
	for range maxAliases {
		target := ""
		for _, rr := range s.records {
			if dns.CanonicalName(rr.Header().Name) != name {
				continue
			}
			cname, alias := rr.(*dns.CNAME)
			if alias {
				target = dns.CanonicalName(cname.Target)
			}
			if alias || rr.Header().Rrtype == asked.kind {
				reply.Answer = append(reply.Answer, dns.Copy(rr))
			}
		}
		if target == "" {
			break
		}
		name = target
		reply.AuthenticatedData = reply.AuthenticatedData && s.isSecure(name)
	}
	if n := len(reply.Answer); n > 0 && reply.Answer[n-1].Header().Rrtype == asked.kind {
		return
	}
	if !s.exists(name) {
		reply.Rcode = dns.RcodeNameError
	}
	reply.Ns = append(reply.Ns, &dns.SOA{
		Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 300},
		Ns:  "ns.example.", Mbox: "postmaster.example.", Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: 120,
	})
}

// exists: an empty name with something below it does, too (RFC 8020).
func (s *Server) exists(name string) bool {
	for _, rr := range s.records {
		if owner := dns.CanonicalName(rr.Header().Name); owner == name || strings.HasSuffix(owner, "."+name) {
			return true
		}
	}
	return false
}

func (s *Server) isSecure(name string) bool {
	for offset, end := 0, false; !end; offset, end = dns.NextLabel(name, offset) {
		if secure, ok := s.secure[name[offset:]]; ok {
			return secure
		}
	}
	return s.secure["."]
}
