package policy

import (
	"cmp"
	"strings"
)

// Verdict is what was decided about one message.
type Verdict struct {
	Domain string // the sender's domain: lower case, else as the client wrote it
	Entry  string // the list entry that covers it; names, limits and stamp go by it
	Listed bool
	Mode   Mode // of the partner, "" for a domain that is not listed

	Result Result
	Reason Reason // why it is [ResultFail]
	Detail string // for the operator's log, never for a reply: may quote anything
	Action Action
	Reply  Reply // what refuses the message; also in testing, where it is not sent

	Auth        Auth
	MatchedName string // the certificate's name that speaks for the domain
	Fingerprint Hash   // of the certificate that was judged
	Revocation  RevocationSource
	Connector   string // its name, if one matched

	// Ambiguous: the sender could be read in several ways. Every listed one was
	// judged; a stamp would claim too much.
	Ambiguous bool
	// Open: a question was not put ([ErrNotAsked]) that the outcome hangs on. The rest
	// goes by the rows that were asked.
	Open bool
	// Partner holds the settings it was judged by, nil if the domain is not listed.
	Partner *Partner

	// snapshot is the one that the message met, and keeps to its end.
	snapshot *Snapshot
	// patient: what is behind the reason passes by itself, so it is never for good.
	patient bool
	// behind is why a domain that [FromNotSecured] is about is not proven.
	behind Reason
}

// Cause is the reason, or what is behind it where that is [FromNotSecured].
func (v *Verdict) Cause() Reason { return cmp.Or(v.behind, v.Reason) }

// Result says whether the message is proven.
type Result string

const (
	ResultPass Result = "pass" // proven
	ResultFail Result = "fail" // not proven
	ResultNone Result = "none" // nothing was asked: not listed, mode off, connector off or internal
)

// Action is what the mail server is told.
type Action string

const (
	ActionAccept   Action = "accept"
	ActionTempfail Action = "tempfail"
	ActionReject   Action = "reject"
	ActionNone     Action = "none" // no opinion
)

// Auth says what proved a message.
type Auth string

const (
	AuthChain    Auth = "chain"    // a chain to a root, and a name of the domain
	AuthPin      Auth = "pin"      // a pin of the partner
	AuthDANE     Auth = "dane"     // a TLSA record
	AuthProvider Auth = "provider" // a chain, and the name of a hosting provider: it proves the provider, not its tenant
	AuthExternal Auth = "external" // a connector that is secured by other means
	AuthMTA      Auth = "mta"      // what the mail server itself verified
)

// Reply is an SMTP reply of one line: printable ASCII without CR, LF or NUL.
// The zero value is none.
type Reply struct {
	Code     string // "450"
	Enhanced string // "4.7.5", RFC 3463
	Text     string
}

// String is the line without its line end, "" for none.
func (r Reply) String() string {
	if r == (Reply{}) {
		return ""
	}
	return r.Code + " " + r.Enhanced + " " + r.Text
}

// Refused reports whether the message is to be refused, for now or for good.
func (v *Verdict) Refused() bool { return v.Action == ActionTempfail || v.Action == ActionReject }

// refuse completes v as a refusal for the reason.
func (v *Verdict) refuse(reason Reason, detail string) {
	v.Result, v.Reason, v.Detail = ResultFail, reason, detail
	v.render(rulings[reason].isPermanent(v.Partner.OnFailure) && !v.patient)
}

// Escalate turns a temporary refusal into the permanent one of the same reason,
// if the reason has one, and reports whether it did.
func (v *Verdict) Escalate() bool {
	if v.Action != ActionTempfail || v.patient || rulings[v.Reason].permanent == (code{}) {
		return false
	}
	v.render(true)
	return true
}

func (v *Verdict) render(permanent bool) {
	ruling := rulings[v.Reason]
	code := ruling.temporary
	v.Action = ActionTempfail
	if permanent {
		code = ruling.permanent
		v.Action = ActionReject
	}
	v.Reply = Reply{Code: code.basic, Enhanced: code.enhanced, Text: v.text(ruling)}
	if v.Mode == ModeTesting {
		v.Action = ActionNone
	}
}

// text is "<domain> requires mutual TLS here: <reason>, <meaning>; <contact>".
func (v *Verdict) text(ruling *ruling) string {
	domain := v.Domain
	if checkHostName(domain) != nil {
		domain = cmp.Or(v.Entry, "the sender's domain") // nothing that the client made up goes into a reply
	}
	var b strings.Builder
	b.WriteString(domain)
	b.WriteString(" requires mutual TLS here: ")
	b.WriteString(string(v.Reason))
	b.WriteString(", ")
	b.WriteString(ruling.meaning)
	if v.Partner.Contact != "" {
		b.WriteString("; ")
		b.WriteString(v.Partner.Contact)
	}
	return b.String()
}

// InternalFailure is the verdict for a message that could not be judged because
// of a fault of our own: a refusal for now if the sender's domain is listed, no
// opinion if it is not. It asks no evidence. A domain whose listing cannot even
// be determined counts as listed.
func (s *Snapshot) InternalFailure(f *Facts, detail string) (v Verdict) {
	defer func() {
		if recover() != nil {
			v = Verdict{Listed: true, Partner: s.Defaults, Mode: ModeEnforce, snapshot: s}
			v.refuse(InternalError, detail)
		}
	}()
	v = s.NoOpinion()
	sender := s.Sender(f)
	for i, r := range sender.readings.all[:sender.readings.n] {
		entry := sender.entries[i]
		if entry == "" || s.Partner(entry).Mode == ModeOff {
			continue
		}
		p := s.Partner(entry)
		failure := Verdict{Domain: r.domain, Entry: entry, Listed: true, Partner: p, Mode: p.Mode, snapshot: s}
		failure.refuse(InternalError, detail)
		if failure.severity() > v.severity() {
			v = failure
		}
	}
	return v
}
