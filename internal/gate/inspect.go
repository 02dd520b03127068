package gate

import (
	"context"
	"fmt"
	"time"

	"domain-secured/internal/partner"
	"domain-secured/internal/trust"
	"domain-secured/policy"
)

// inspectTime bounds one inspection: nobody's mail waits for it.
const inspectTime = 30 * time.Second

// Inspector judges what a look at a partner shows as its gate would judge a client
// that presents it.
type Inspector struct {
	gate    *Gate
	learned learned
	endDNS  func()
}

// Inspector returns one that asks r for TLSA records; with nil, whom the gate asks
// already. It is to be closed.
func (g *Gate) Inspector(r *partner.Resolver) *Inspector {
	i := &Inspector{gate: g, endDNS: func() {}, learned: learned{gate: g, store: g.evidence.store, uses: make(map[trust.Fingerprint]use)}}
	if r != nil {
		i.endDNS = g.AskDNS(r)
	}
	return i
}

// Close ends what is under way.
func (i *Inspector) Close() { i.endDNS() }

// Session is the TLS that a certificate was presented in.
type Session struct {
	Version string // as [policy.ParseTLSVersion] knows it
	Bits    int
}

// Inspection is what the rules say of a certificate that was presented.
type Inspection struct {
	Entry   string          // whose settings held
	Partner *policy.Partner // those settings
	Verdict policy.Verdict
	// Rows are the outcomes of 3 to 18: the client and its connector, of rows 1
	// and 2, cannot be known.
	Rows    []policy.Row
	Key     string // what kind of key it has, "" if it does not parse
	Answers        // what was found out on the way
}

// Inspect judges at the given time the certificate that stands first in a chain, as
// if a client had presented it in a session like that. The domain need not be
// listed: the settings are those that would hold if it were, in mode enforce.
func (i *Inspector) Inspect(ctx context.Context, domain string, chain []partner.Certificate, session Session, at time.Time) (Inspection, error) {
	presented := certificate(chain, domain, at)
	s, entry, err := i.listing(domain)
	if err != nil {
		return Inspection{}, err
	}
	found := Inspection{Entry: entry, Partner: s.Partner(entry)}
	f := &policy.Facts{Sender: "postmaster@" + entry, TLSVersion: session.Version, Bits: session.Bits}
	f.Certificate = policy.Reported{Presence: policy.PresenceYes, Fingerprint: policy.Hash(presented.Fingerprint)}
	if c := presented.X509; c != nil {
		found.Key = trust.DescribeKey(c)
		f.Certificate.Key = policy.Hash(trust.KeyFingerprint(c))
		// What the mail server would say of it only it knows: taken as if it trusted it.
		f.Certificate.Trusted, f.Certificate.CN, f.Certificate.IssuerCN = true, c.Subject.CommonName, c.Issuer.CommonName
	}
	e := i.gate.evidence.until(time.Now().Add(inspectTime))
	e.presented = asStored(presented)
	noting := &noting{Evidence: e, Answers: &found.Answers}
	verdict, explanations := s.Explain(ctx, f, noting, at)
	found.Verdict = verdict
	for _, explanation := range explanations {
		for _, row := range explanation.Rows {
			if row.Number > 2 {
				found.Rows = append(found.Rows, row)
			}
		}
	}
	return found, nil
}

// Trusted reports whether the certificate that stands first in a chain reaches a root of
// the partner and has a name that speaks for it: rows 11 to 15, nothing else is asked.
func (i *Inspector) Trusted(entry string, chain []partner.Certificate, at time.Time) bool {
	return i.learned.good(entry, certificate(chain, entry, at))
}

// Settings returns the entry whose settings would hold for a domain, and them.
func (i *Inspector) Settings(domain string) (entry string, p *policy.Partner) {
	s := i.gate.snapshot.Load()
	entry = s.Covering(domain)
	return entry, s.Partner(entry)
}

// listing returns a snapshot in which the domain is listed, from any client and to
// be enforced, and everything else is as in the gate's.
func (i *Inspector) listing(domain string) (*policy.Snapshot, string, error) {
	entry, settings := i.Settings(domain)
	list, err := policy.ParseList(entry + "\n")
	if err != nil {
		return nil, "", fmt.Errorf("inspecting a certificate of %s: %w", domain, err)
	}
	p := *settings
	p.Domain, p.Mode, p.ClientAddresses = entry, policy.ModeEnforce, nil
	return policy.NewSnapshot(list, nil, &p, map[string]*policy.Partner{entry: &p}, nil), entry, nil
}

// Learn stores what the daemon would keep of what a look showed: the certificates
// that have a chain to a root of the partner and a name that speaks for it. It
// returns what it stored, also with an error, and what was there already.
func (i *Inspector) Learn(ctx context.Context, domain string, r *partner.Report) (stored, known []*trust.Certificate, err error) {
	entry, _ := i.Settings(domain)
	for _, shown := range byLeaf(r.Chains()) {
		c, good := i.learned.best(ctx, entry, shown, r.Time)
		if !good {
			continue
		}
		kept, err := i.learned.keep(entry, c, good)
		switch {
		case err != nil:
			return stored, known, err
		case kept:
			stored = append(stored, c)
		default:
			known = append(known, c)
		}
	}
	return stored, known, nil
}
