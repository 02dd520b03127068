package policy

import (
	"context"
	"time"
)

// Judge is what a door for incoming mail asks.
type Judge interface {
	// Envelope judges a transaction by what is known before its content: at DATA,
	// or whenever the door is asked. It always answers, within 4.5 seconds. It may
	// remember the strings of the facts for a while, but not the facts themselves,
	// and add to them what another door heard of the same message.
	Envelope(*Facts) Verdict
	// Content judges the same transaction at the end of its message, by what
	// Envelope said of it. It always answers, within 4.5 seconds.
	Content(*Facts, *Verdict, *From) Ending
}

// Judge decides about one transaction at the given time. sender is what
// [Snapshot.Sender] found of it.
func (s *Snapshot) Judge(ctx context.Context, f *Facts, sender *Sender, e Evidence, at time.Time) Verdict {
	v, _ := s.judge(ctx, f, sender, e, at, false)
	return v
}

// Explanation is what became of every row for one domain that a sender may mean.
type Explanation struct {
	Domain string `json:"domain"`
	Entry  string `json:"entry"`
	Rows   []Row  `json:"rows"`
}

// Explain decides as [Snapshot.Judge] does, and returns the outcome of every row
// for every listed domain that the sender may mean: it goes on after the first
// row that fails.
func (s *Snapshot) Explain(ctx context.Context, f *Facts, e Evidence, at time.Time) (Verdict, []Explanation) {
	sender := s.Sender(f)
	return s.judge(ctx, f, &sender, e, at, true)
}

func (s *Snapshot) judge(ctx context.Context, f *Facts, sender *Sender, e Evidence, at time.Time, every bool) (Verdict, []Explanation) {
	readings := &sender.readings
	verdict := s.NoOpinion()
	if readings.n > 0 {
		verdict.Domain = readings.all[0].domain
	}
	var explanations []Explanation
	ambiguous, open := false, false
	for i, r := range readings.all[:readings.n] {
		entry := sender.entries[i]
		if entry == "" {
			// What is no host name may be no domain at all, and says nothing.
			ambiguous = ambiguous || r.hostName
			continue
		}
		if i > 0 && verdict.Entry == entry {
			continue
		}
		v, rows := s.judgeDomain(ctx, r.domain, entry, f, e, at, every)
		if every {
			explanations = append(explanations, Explanation{r.domain, entry, rows})
		}
		ambiguous, open = ambiguous || verdict.Listed, open || v.Open
		// Every listed domain that the sender may mean must pass.
		if !verdict.Listed || v.severity() > verdict.severity() {
			verdict = v
		}
	}
	verdict.Ambiguous, verdict.Open = ambiguous && verdict.Listed, open
	verdict.snapshot = s
	return verdict, explanations
}

// severity orders verdicts on the readings of one sender: a refusal counts before
// a failure that is only tested for, and that before a pass.
func (v *Verdict) severity() int {
	switch {
	case v.Refused():
		return 3
	case v.Result == ResultFail:
		return 2
	case v.Result == ResultPass:
		return 1
	}
	return 0
}

func (s *Snapshot) judgeDomain(ctx context.Context, domain, entry string, f *Facts, e Evidence, at time.Time, every bool) (Verdict, []Row) {
	p := s.Partner(entry)
	if domain == entry {
		domain = entry // the list's own, which keeps no request in memory
	}
	v := Verdict{
		Domain: domain, Entry: entry, Listed: true, Mode: p.Mode, Partner: p,
		Result: ResultNone, Action: ActionNone, Fingerprint: f.Certificate.Fingerprint,
	}
	if p.Mode == ModeOff && !every {
		return v, nil
	}
	off := v
	t := transaction{ctx: ctx, evidence: e, at: at, facts: f, entry: entry, partner: p, connector: s.connector(f)}
	if t.connector != nil {
		v.Connector = t.connector.Name
	}
	r := run(table[:], &t, every)
	found := r.found
	switch {
	case r.settled && every:
		for _, row := range vetTable {
			r.rows = append(r.rows, Row{row.number, row.name, decided.outcome, decided.reason, decided.detail})
		}
	case !r.settled && (every || found.outcome == OutcomeOK):
		vetted := Vet(ctx, e, p, entry, t.certificate, &f.Certificate, at, every)
		r.rows = append(r.rows, vetted.Rows...)
		if found.outcome != OutcomeOK {
			break
		}
		r.open = r.open || vetted.Open
		if vetted.Reason != None {
			found = finding{outcome: OutcomeFail, reason: vetted.Reason, detail: vetted.Detail}
			break
		}
		t.auth, v.MatchedName, v.Revocation = vetted.Auth, vetted.MatchedName, vetted.Revocation
	}
	if p.Mode == ModeOff {
		return off, r.rows
	}
	v.Open = r.open
	switch found.outcome {
	case OutcomeNone:
		v.Detail = found.detail
	case OutcomeFail:
		v.refuse(found.reason, found.detail)
	default:
		v.Result, v.Auth = ResultPass, t.auth
		if v.Mode == ModeEnforce {
			v.Action = ActionAccept
		}
	}
	return v, r.rows
}
