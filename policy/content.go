package policy

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Ending is what is done with a message at its end.
type Ending struct {
	Verdict Verdict
	// Keep: the stamps that the message came with stay. Otherwise they go.
	Keep bool
	// Stamp is the body of the [StampName] field that the message gets, "" for none.
	Stamp string
}

// Content decides about a message at its end, by the snapshot that its envelope
// was judged with. Only a refusal is new.
func (v *Verdict) Content(ctx context.Context, f *Facts, from *From, e Evidence, at time.Time) Ending {
	end := Ending{Verdict: *v}
	s := v.snapshot
	connector := s.connector(f)
	switch {
	case connector != nil && connector.Treat == TreatInternal:
		end.Keep = true
		return end
	case f.Stamps > maxStamps:
		// Nothing is said of the envelope any more.
		end.Verdict = Verdict{
			Domain: v.Domain, Entry: v.Entry, Listed: v.Listed, Mode: v.Mode, Partner: v.Partner, snapshot: s,
			Result: ResultFail, Action: ActionReject, Reply: tooManyStamps,
		}
		return end
	}
	if s.fromEnforced != "" && (connector == nil || connector.Treat != TreatOff) {
		// What is only tested for does not hide what the envelope has proven.
		if worst := s.judgeFrom(ctx, f, v, from.read(), e, at); worst.Refused() || v.Result == ResultNone && worst.Listed {
			end.Verdict = worst
		}
	}
	if !end.Verdict.Refused() && v.stampable(from) {
		end.Stamp = v.stamp(f, s.Hostname)
	}
	return end
}

// maxStamps bounds the stamps that are removed from a message. Each costs the
// MTA a pass over the header, and no honest message has more than a few.
const maxStamps = 100

var tooManyStamps = Reply{Code: "550", Enhanced: "5.7.1", Text: "more than 100 header fields " + StampName}

// stampable reports whether a stamp would be true, also to people who see the
// From header alone.
func (v *Verdict) stampable(from *From) bool {
	return v.Result == ResultPass && v.Mode == ModeEnforce && !v.Ambiguous &&
		(v.Partner.FromAlignment == FromAlignmentOff || from.read().within(v.Entry))
}

// maxFromDomains bounds the domains that one message is judged for because its
// From header names them. Mail with more of them is not proven by any one
// certificate.
const maxFromDomains = 16

// judgeFrom judges the domains that insist on From headers and are named in one,
// and returns the worst verdict. What the envelope has proven is not asked again.
func (s *Snapshot) judgeFrom(ctx context.Context, f *Facts, v *Verdict, from *fromDomains, e Evidence, at time.Time) Verdict {
	worst := s.NoOpinion()
	var judged []string
	for _, r := range from.readings() {
		entry, listed := s.entry(r)
		if !listed || slices.Contains(judged, entry) || entry == v.Entry && v.Result == ResultPass {
			continue
		}
		if p := s.Partner(entry); p.FromAlignment != FromAlignmentEnforce || p.Mode == ModeOff {
			continue
		}
		judged = append(judged, entry)
		d := s.judgeFromDomain(ctx, r.domain, entry, f, e, at, len(judged) > maxFromDomains)
		if d.severity() > worst.severity() {
			worst = d
		}
		if len(judged) > maxFromDomains {
			break
		}
	}
	if from.incomplete() && !worst.Refused() {
		return s.fromUnread(v)
	}
	return worst
}

func (s *Snapshot) judgeFromDomain(ctx context.Context, domain, entry string, f *Facts, e Evidence, at time.Time, tooMany bool) Verdict {
	d, _ := s.judgeDomain(ctx, domain, entry, f, e, at, false)
	d.snapshot = s
	switch {
	case d.Result == ResultFail:
		d.behind = d.Reason
		d.patient = rulings[d.Reason].permanent == (code{})
		d.refuse(FromNotSecured, fmt.Sprintf("the From header names it: %s: %s", d.Reason, d.Detail))
	case tooMany && d.Result == ResultPass:
		d.refuse(FromNotSecured, fmt.Sprintf("the From header names more than %d domains that insist on it", maxFromDomains))
	}
	return d
}

// fromUnread is for a From header that is too long to be read: it may name a
// domain that insists on it, so the message waits.
func (s *Snapshot) fromUnread(v *Verdict) Verdict {
	d := Verdict{Domain: v.Domain, Entry: v.Entry, Listed: true, Partner: v.Partner, Mode: s.fromEnforced, snapshot: s}
	if d.Partner == nil {
		d.Partner = s.Defaults
	}
	d.refuse(InternalError, "the From header cannot be read in full, and may name a domain with from_alignment = \"enforce\"")
	return d
}
