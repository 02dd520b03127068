package ops

import "time"

// Status is what /status answers: docs/status.md. What was never is left out.
type Status struct {
	Version       string    `json:"version"`
	Started       time.Time `json:"started"`
	UptimeSeconds int64     `json:"uptime_seconds"`
	Ready         bool      `json:"ready"`

	Config Config          `json:"config"`
	Doors  map[string]Door `json:"doors"`

	// Named after Exchange's counters; the last two are null where nothing tells what
	// came of mail that was sent.
	MessagesReceived *uint64 `json:"domain_secured_messages_received"`
	MessagesSent     *uint64 `json:"domain_secured_messages_sent"`
	SessionFailures  *uint64 `json:"domain_secured_outbound_session_failures"`

	Received Received `json:"received"`
	Lookups  Lookups  `json:"lookups"`
	Maillog  *Source  `json:"maillog,omitempty"`
	TLSRPT   *Source  `json:"tlsrpt,omitempty"`

	Partners []*Partner `json:"partners"`
	Others   Partner    `json:"others"` // all that are not among Partners, summed
}

// Lookups are what the TLS policy door was asked for mail going out, and what it
// answered.
type Lookups struct {
	Unlisted uint64 `json:"unlisted"`
	Off      uint64 `json:"off"`     // mode off
	Testing  uint64 `json:"testing"` // mode testing: told nothing
	Names    uint64 `json:"names"`   // to insist on names
	Vetted   uint64 `json:"vetted"`  // on certificates that were judged
	Pins     uint64 `json:"pins"`
	// Waiting are those told that mail has to wait, by why.
	Waiting map[string]uint64 `json:"waiting,omitempty"`
}

// Config is the configuration that holds.
type Config struct {
	File         string    `json:"file"`
	Loaded       time.Time `json:"loaded"`
	Receive      int       `json:"receive"`
	Send         int       `json:"send"`
	Certificates int       `json:"certificates"`
	// Problem is why what was changed since could not be taken over, "" for nothing.
	Problem   string     `json:"problem,omitempty"`
	ProblemAt *time.Time `json:"problem_at,omitempty"`
}

// Door is a server that MTAs talk to.
type Door struct {
	Listen      string `json:"listen"`
	Connections int    `json:"connections"`
}

// Received is what became of all mail that came in.
type Received struct {
	Unlisted   uint64 `json:"unlisted"`
	Passed     uint64 `json:"passed"`
	Tempfailed uint64 `json:"tempfailed"`
	Rejected   uint64 `json:"rejected"`
	Testing    uint64 `json:"failed_in_testing"`
	NoOpinion  uint64 `json:"no_opinion"`
}

// Source is where outgoing mail is heard of.
type Source struct {
	Name    string     `json:"name"`
	Problem string     `json:"problem,omitempty"` // why nothing is heard now
	Read    uint64     `json:"read"`              // lines or reports
	Unknown uint64     `json:"not_understood"`    // of them
	Last    *time.Time `json:"last,omitempty"`
}

// Partner is a listed domain.
type Partner struct {
	Domain  string `json:"domain,omitempty"`
	Receive bool   `json:"receive"` // it is on that list
	Send    bool   `json:"send"`
	Mode    string `json:"mode,omitempty"`

	Received PartnerReceived `json:"received"`
	Sent     *PartnerSent    `json:"sent,omitempty"`
	TLSRPT   *PartnerTLSRPT  `json:"tlsrpt,omitempty"`
}

// PartnerReceived is what became of mail from a partner.
type PartnerReceived struct {
	Passed      uint64              `json:"passed"`
	NoOpinion   uint64              `json:"no_opinion"`
	Failed      map[string]Failures `json:"failed,omitempty"` // by reason
	LastPass    *Incoming           `json:"last_pass,omitempty"`
	LastRefusal *Incoming           `json:"last_refusal,omitempty"`
}

// Failures are messages by what became of them.
type Failures struct {
	Tempfailed uint64 `json:"tempfailed"`
	Rejected   uint64 `json:"rejected"`
	Testing    uint64 `json:"testing"` // let in, for the mode is testing
}

// Incoming is one message that came in.
type Incoming struct {
	Time    time.Time `json:"time"`
	Client  string    `json:"client,omitempty"`
	QueueID string    `json:"queue_id,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Action  string    `json:"action,omitempty"`
}

// PartnerSent is what came of mail to a partner, by the mail log.
type PartnerSent struct {
	Secured       uint64            `json:"secured"`
	NotSecured    uint64            `json:"not_secured"`
	Unknown       uint64            `json:"unknown"`            // the log does not say
	Failures      map[string]uint64 `json:"failures,omitempty"` // of sessions, by cause
	Deferred      int               `json:"deferred"`           // messages, now
	DeferredSince *time.Time        `json:"deferred_since,omitempty"`
	Last          *Outgoing         `json:"last,omitempty"`
	LastFailure   *Outgoing         `json:"last_failure,omitempty"`
}

// Outgoing is one delivery or session.
type Outgoing struct {
	Time    time.Time `json:"time"`
	QueueID string    `json:"queue_id,omitempty"`
	Relay   string    `json:"relay,omitempty"`
	Cause   string    `json:"cause,omitempty"`
	Text    string    `json:"text,omitempty"`
}

// PartnerTLSRPT is what Postfix reported of sessions with a partner's servers.
type PartnerTLSRPT struct {
	Successes   uint64            `json:"successes"`
	Failures    map[string]uint64 `json:"failures,omitempty"` // by result type of RFC 8460
	LastFailure *Outgoing         `json:"last_failure,omitempty"`
}

// At is a time that may be none.
func At(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
