package gate

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"domain-secured/internal/partner"
	"domain-secured/internal/trust"
	"domain-secured/policy"
)

// Outside is what a gate sees partners from outside with.
type Outside struct {
	Resolver *partner.Resolver
	// Pending lists what could not be learned. It is closed by whoever opened it.
	Pending      *partner.Pending
	Port         uint16 // of SMTP
	AllowPrivate bool   // look at addresses that are not global unicast
	Hello        string // for EHLO; "" is the address
}

// outside looks at partners: TLSA records for a verdict, and certificates that
// came with mail and are not in the store.
type outside struct {
	Outside
	gate    *Gate
	prober  *partner.Prober
	learner *partner.Learner
	dane    *partner.DANE
}

// LookOutside has the gate look at partners from now on, until the function that
// is returned is called, or another call takes the place of this one.
func (g *Gate) LookOutside(o Outside) (end func()) {
	x := &outside{Outside: o, gate: g, prober: partner.NewProber(), dane: partner.NewDANE(o.Resolver)}
	x.learner = partner.NewLearner(partner.LearnerConfig{Look: x.look, Found: x.found, Pending: o.Pending})
	g.outside.Store(x)
	return func() {
		g.outside.CompareAndSwap(x, nil)
		x.learner.Close()
		x.dane.Close()
	}
}

// learn has the partner looked at whose certificate nobody knows.
func (g *Gate) learn(f *policy.Facts, v *policy.Verdict) {
	if x := g.outside.Load(); x != nil && v.Cause() == policy.CertificateUnknown && !v.Fingerprint.IsZero() {
		x.learner.Queue(v.Entry, partner.Fingerprint(v.Fingerprint), f.Client.Addr())
	}
}

func (x *outside) look(ctx context.Context, domain string, clients []netip.Addr) *partner.Report {
	p := x.gate.snapshot.Load().Partner(domain)
	return x.prober.Probe(ctx, partner.Target{Domain: domain, Hosts: p.ProbeHosts, Clients: clients}, partner.Options{
		Resolver: x.Resolver, Port: x.Port, AllowPrivate: x.AllowPrivate, Hello: x.Hello, EveryKey: true,
	})
}

// found stores of what a look showed the certificate that was wanted, whatever
// its faults: so the next attempt hears the real reason. Any other is kept only
// if it is good for the partner.
func (x *outside) found(domain string, wanted partner.Fingerprint, r *partner.Report) {
	for _, chain := range r.Chains() {
		c := learned(chain, domain, r.Time)
		isWanted := chain[0].SHA256 == wanted
		if x.gate.evidence.store.Has(c.Fingerprint) || !isWanted && !x.good(domain, c) {
			continue
		}
		if err := x.store(domain, c); err != nil {
			x.gate.log.Error("a partner's certificate was found, and cannot be stored", "domain", domain, "error", err)
			continue
		}
		x.gate.log.Info("learned a partner's certificate", "domain", domain, "fingerprint", chain[0].SHA256.String(), "wanted", isWanted)
	}
	x.Pending.ClearKnown(func(f partner.Fingerprint) bool { return x.gate.evidence.store.Has(trust.Fingerprint(f)) })
	if r.Chain(wanted) == nil {
		x.gate.log.Warn("a partner's certificate was not found with its servers: ask for it, and cert import it",
			"domain", domain, "fingerprint", wanted.String(), "hosts", len(r.Hosts), "problem", string(r.Problem), "detail", clip(r.Detail))
	}
}

// learned is a certificate as it was presented.
func learned(chain []partner.Certificate, domain string, at time.Time) *trust.Certificate {
	c := &trust.Certificate{
		Fingerprint: trust.Fingerprint(chain[0].SHA256), DER: chain[0].DER, X509: chain[0].X509,
		Source: trust.SourceProbe, Added: at.UTC().Truncate(time.Second), Domain: domain,
	}
	if c.X509 == nil {
		c.Err = fmt.Errorf("it does not parse: %s", chain[0].Error)
	}
	for _, presented := range chain[1:] {
		if presented.X509 != nil {
			c.Presented = append(c.Presented, presented.X509)
		}
	}
	return c
}

// good reports whether a certificate reaches a root of the partner and has a name
// that speaks for it: rows 11 to 15.
func (x *outside) good(domain string, c *trust.Certificate) bool {
	p := *x.gate.snapshot.Load().Partner(domain)
	p.Revocation = policy.RevocationOff // is asked when it comes with mail
	if p.Trust == policy.TrustPins || p.Evidence == policy.EvidenceMTA {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), waitTime)
	defer cancel()
	vetted := policy.Vet(ctx, x.gate.evidence.until(time.Now().Add(waitTime)), &p, domain,
		&policy.Certificate{Fingerprint: policy.Hash(c.Fingerprint), X509: c.X509, Err: c.Err, Presented: c.Presented},
		&policy.Reported{}, x.gate.clock(), false)
	return vetted.Reason == policy.None
}

const (
	// maxLearned bounds what is learned of one partner that is good for it, and
	// likewise what is not: its servers, twice over.
	maxLearned = 20
	// maxLearnedAll bounds what is learned of all.
	maxLearnedAll = 5000
)

// store keeps a certificate; of too many of a partner, the one that was learned
// first has to go. Anybody can come as the partner with what is not good for it,
// so that never takes the place of what is.
func (x *outside) store(domain string, c *trust.Certificate) error {
	good := x.good(domain, c)
	var all int
	var same []*trust.Certificate
	for _, stored := range x.gate.evidence.store.All() {
		if stored.Source != trust.SourceProbe {
			continue
		}
		if all++; stored.Domain == domain && x.good(domain, stored) == good {
			same = append(same, stored)
		}
	}
	if all >= maxLearnedAll && len(same) == 0 {
		return fmt.Errorf("%d certificates have been learned already: cert forget those that are not needed", all)
	}
	slices.SortFunc(same, func(a, b *trust.Certificate) int { return a.Added.Compare(b.Added) })
	for len(same) >= maxLearned {
		if err := x.gate.evidence.store.Remove(same[0].Fingerprint); err != nil {
			return err
		}
		same = same[1:]
	}
	if err := x.gate.evidence.store.Write(c); err != nil {
		return err
	}
	_, err := x.gate.evidence.store.Load(c.Fingerprint) // counts for the next one
	return err
}
