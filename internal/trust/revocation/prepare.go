package revocation

import (
	"crypto/x509"
	"sync"

	"domain-secured/internal/trust/crl"
	"domain-secured/internal/trust/dn"
)

// maxPreparations bounds what is remembered of certificates that are asked about.
const maxPreparations = 1024

// preparations are what is asked about a certificate again and again, and does not
// depend on time, lists or settings.
type preparations struct {
	mu  sync.RWMutex
	all map[[2]*x509.Certificate]preparation // by certificate and issuer
}

// A preparation is never changed.
type preparation struct {
	question *crl.Question // by the issuer alone
	issuer   string        // what the name of who issued it is compared by
	places   []place
	err      error
}

func (ps *preparations) of(subject, issuer *x509.Certificate) preparation {
	who := [2]*x509.Certificate{subject, issuer}
	ps.mu.RLock()
	p, known := ps.all[who]
	ps.mu.RUnlock()
	if known {
		return p
	}
	p = prepare(subject, issuer)
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.all == nil || len(ps.all) >= maxPreparations {
		ps.all = make(map[[2]*x509.Certificate]preparation)
	}
	ps.all[who] = p
	return p
}

func prepare(subject, issuer *x509.Certificate) (p preparation) {
	if p.question, p.err = crl.NewQuestion(subject, issuer); p.err != nil {
		return p
	}
	p.issuer, _ = dn.Key(subject.RawIssuer) // crypto/x509 has read it
	var freshest []crl.Point
	if freshest, p.err = crl.FreshestPoints(subject); p.err != nil {
		return p
	}
	for _, place := range take(take(nil, p.question.Points(), false, issuer), freshest, true, issuer) {
		p.places = append(p.places, *place)
	}
	return p
}
