package outgoing

import (
	"context"
	"crypto/x509"
	"strings"
	"time"

	"domain-secured/internal/gate"
	"domain-secured/internal/partner"
	"domain-secured/policy"
)

// maxFingerprints bounds what is insisted on of one destination.
const maxFingerprints = 100

// chains calls do with every chain that is in view, each once.
func (v *view) chains(do func(host string, chain []partner.Certificate)) {
	seen := make(map[string]bool)
	for _, s := range v.sights {
		for _, chain := range s.chains {
			var id strings.Builder
			for _, c := range chain {
				id.Write(c.SHA256[:])
			}
			if !seen[id.String()] {
				seen[id.String()] = true
				do(s.host, chain)
			}
		}
	}
}

// session stands in for one that a mail server will have: version and cipher are
// insisted on by their own attributes.
var session = gate.Session{Version: "TLSv1.3", Bits: 256}

// judge returns the fingerprints of the certificates in view that are good for the list
// entry, and why the first of the others is not, if there is one.
func (v *view) judge(ctx context.Context, inspector *gate.Inspector, entry string, at time.Time) (good []policy.Hash, why, detail string, err error) {
	passed := make(map[partner.Fingerprint]bool)
	v.chains(func(host string, chain []partner.Certificate) {
		// A certificate may be shown with several chains, of which one is enough.
		if passed[chain[0].SHA256] || err != nil || len(good) == maxFingerprints {
			return
		}
		var i gate.Inspection
		if i, err = inspector.Inspect(ctx, entry, chain, session, at); err != nil {
			return
		}
		switch {
		case i.Verdict.Result == policy.ResultPass:
			passed[chain[0].SHA256] = true
			good = append(good, policy.Hash(chain[0].SHA256))
		case why == "":
			why = string(i.Verdict.Reason)
			detail = host + " presents " + chain[0].SHA256.String() + ": " + i.Verdict.Detail
		}
	})
	return good, why, detail, err
}

// names returns the names that speak for the domain of the certificates in view that
// are trusted, one list for each.
func (v *view) names(inspector *gate.Inspector, entry string, p *policy.Partner, at time.Time) (names [][]string) {
	v.chains(func(_ string, chain []partner.Certificate) {
		if chain[0].X509 == nil || !inspector.Trusted(entry, chain, at) {
			return
		}
		var presented []*x509.Certificate
		for _, c := range chain[1:] {
			if c.X509 != nil {
				presented = append(presented, c.X509)
			}
		}
		var own []string
		for _, name := range p.PresentedNames(entry, chain[0].X509, presented) {
			speaks := name.Exchange
			if p.Names != nil {
				speaks = name.Configured
			} else if p.NameMatch == policy.NameMatchStrict {
				speaks = name.Strict
			}
			if speaks {
				own = append(own, name.Name)
			}
		}
		if own != nil {
			names = append(names, own)
		}
	})
	return names
}
