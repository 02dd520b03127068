package gate

import (
	"net/netip"
	"strings"
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

// remember keeps the record of a message that may go on: one that was refused is
// never asked about again, and would only take the room of others.
func (g *Gate) remember(f *policy.Facts, v *policy.Verdict, now time.Time) {
	if f.QueueID == "" || v.Action == policy.ActionTempfail || v.Action == policy.ActionReject {
		return
	}
	r := record{*f, *v}
	if len(f.Sender) > len(clip(f.Sender)) { // no address is so long
		r.facts.Sender, r.verdict.Domain = strings.Clone(clip(f.Sender)), strings.Clone(clip(v.Domain))
	}
	g.records.keep(f.QueueID, r, now)
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
