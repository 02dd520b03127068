package readiness

import (
	"context"
	"slices"
	"strings"
	"time"

	"domain-secured/internal/gate"
	"domain-secured/internal/partner"
	"domain-secured/policy"
)

// Lists say which lists the partner is on.
type Lists struct{ Receive, Send bool }

// receivingOnly: nothing is to be sent to the partner over mutual TLS.
func (l Lists) receivingOnly() bool { return l.Receive && !l.Send }

// assessor is one assessment being made.
type assessor struct {
	*Assessment
	ctx       context.Context
	inspector *gate.Inspector
	partner   *policy.Partner
	lists     Lists
	seen      bool // something of some server could be judged
}

// Assess has judged what a look showed, as of the given time.
func Assess(ctx context.Context, inspector *gate.Inspector, r *partner.Report, lists Lists, at time.Time) (*Assessment, error) {
	a := &assessor{
		Assessment: &Assessment{
			Domain: r.Domain, OnReceiveList: lists.Receive, OnSendList: lists.Send, Time: r.Time, Problem: r.Problem,
			Detail: r.Detail, MXSecure: r.MXSecure, Hosts: []*Host{}, Findings: []*Finding{}, TookMilli: r.TookMilli,
		},
		ctx: ctx, inspector: inspector, lists: lists,
	}
	a.Entry, a.partner = inspector.Settings(r.Domain)
	for _, host := range r.Hosts {
		h := &Host{Host: host, Addresses: []*Address{}}
		for _, record := range host.TLSA {
			h.TLSA = append(h.TLSA, record.String())
		}
		for _, address := range host.Addresses {
			h.Addresses = append(h.Addresses, &Address{Address: address, Certificates: []*Certificate{}})
		}
		a.Hosts = append(a.Hosts, h)
	}
	if r.Problem != "" {
		a.add(nil, nil, nil, ofDomain(r))
	}
	if a.partner.Evidence == policy.EvidenceMTA {
		a.add(nil, nil, nil, Finding{Token: JudgedByMTA, Weight: Remark, For: ForUs,
			rest: `is judged by what our mail server says of its certificate (evidence = "mta"), which cannot be known here: taken as if it trusted what was found.`})
	}
	for _, host := range a.Hosts {
		if err := a.host(host, at); err != nil {
			return nil, err
		}
	}
	a.finish()
	return a.Assessment, nil
}

func (a *assessor) host(h *Host, at time.Time) error {
	if h.Problem != "" {
		a.add(h, nil, nil, ofHost(h))
	}
	for _, address := range h.Addresses {
		if address.Problem != "" {
			a.add(h, address, nil, ofAddress(address))
		}
		if err := a.session(h, address, at); err != nil {
			return err
		}
	}
	a.tlsa(h)
	return nil
}

// session judges what TLS showed at an address.
func (a *assessor) session(h *Host, address *Address, at time.Time) error {
	shown := address.Address.TLS
	if shown == nil {
		return nil
	}
	address.TLS = &TLS{Cipher: shown.Cipher, ClientCertificateRequested: shown.ClientCertificateRequested, AcceptableCAs: shown.AcceptableCAs}
	session := gate.Session{Version: "TLSv1.3", Bits: 256} // of a handshake that failed, the certificate alone is judged
	if shown.Version != "" {
		session = sessionOf(shown)
		address.TLS.Version = session.Version
		a.seen = true
		if !shown.ClientCertificateRequested {
			f := Finding{Token: NotRequested, Weight: Fault, For: ForPartner,
				rest: "does not ask for a client certificate, so no mail can be sent to it over mutual TLS: have it ask for one (Postfix: smtpd_tls_ask_ccert = yes)."}
			if a.lists.receivingOnly() {
				f.Weight = Remark
			}
			a.add(h, address, nil, f)
		}
		if session.Bits >= 128 && session.Bits < a.partner.MinBits {
			a.add(h, address, nil, Finding{Token: BitsNotCertain, Weight: Remark, For: ForUs,
				rest: "took a cipher of fewer bits than min_bits, of those that it was offered: what it uses as a client may have more."})
			session.Bits = a.partner.MinBits
		}
	}
	for _, chain := range [][]partner.Certificate{shown.Chain, shown.Other} {
		if len(chain) == 0 {
			continue
		}
		a.seen = true
		if err := a.certificate(h, address, chain, session, at); err != nil {
			return err
		}
	}
	return nil
}

// sessionOf is a session in the words of mail servers.
func sessionOf(shown *partner.TLS) gate.Session {
	s := gate.Session{Version: strings.TrimSuffix(strings.Replace(shown.Version, "TLS ", "TLSv", 1), ".0"), Bits: 128}
	switch name := shown.Cipher; {
	case strings.Contains(name, "AES_256"), strings.Contains(name, "CHACHA20"):
		s.Bits = 256
	case strings.Contains(name, "3DES"): // NIST SP 800-57 part 1 section 5.6.1
		s.Bits = 112
	}
	return s
}

// tlsa compares the records of a host with what it presents.
func (a *assessor) tlsa(h *Host) {
	switch h.TLSAStatus {
	case partner.TLSAFailed:
		a.add(h, nil, nil, Finding{Token: TLSAFailed, Weight: Remark, For: ForUs,
			rest: "was asked for in vain where TLSA records would be (" + h.TLSADetail + "): senders that use DANE defer their mail to it."})
	case partner.TLSASecure:
		// Records of usage 2 name an authority (RFC 7672 section 3.1.2), and are not
		// compared here.
		if slices.ContainsFunc(h.Host.TLSA, func(t partner.TLSA) bool { return t.Usage != 3 }) {
			return
		}
		for _, address := range h.Addresses {
			if len(address.Certificates) > 0 && !slices.ContainsFunc(address.Certificates, func(c *Certificate) bool { return c.TLSAMatch }) {
				a.add(h, address, nil, Finding{Token: TLSAMismatch, Weight: Remark, For: ForPartner,
					rest: "presents a certificate that none of its TLSA records names: publish its record (3 1 1)."})
			}
		}
	}
}
