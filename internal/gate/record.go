package gate

import (
	"net/netip"
	"time"

	"domain-secured/policy"
)

const (
	maxRecords = 10_000
	recordTime = 10 * time.Minute
)

// record is what the policy door heard about a message, and what was decided:
// the milter, which never hears of fingerprints, takes it over.
type record struct {
	facts   policy.Facts
	verdict policy.Verdict
}

// Recall returns what was decided about the message with this queue id that came
// from this client. A record for another client is of another message, and is
// not returned.
func (g *Gate) Recall(queueID string, client netip.AddrPort) (policy.Facts, policy.Verdict, bool) {
	r, known := g.records.get(queueID, g.clock())
	if !known || r.facts.Client != client {
		return policy.Facts{}, policy.Verdict{}, false
	}
	return r.facts, r.verdict, true
}
