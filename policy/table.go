package policy

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// table is what is asked about a transaction with a listed sender domain, in
// this order; the first row that fails is the reason. Rows 11 to 18 are about
// the certificate alone and stand in vet.go.
var table = [...]row[transaction]{
	{1, "connector, client address", (*transaction).clientAddress},
	{2, "secured by other means", (*transaction).external},
	{3, "TLS in use", (*transaction).tlsInUse},
	{4, "TLS strong enough", (*transaction).tlsStrength},
	{5, "certificate presented", (*transaction).certificatePresented},
	{6, "certificate reported", (*transaction).certificateReported},
	{7, "pinned", (*transaction).pinned},
	{8, "TLSA record", (*transaction).dane},
	{9, "trust other than pins", (*transaction).trustBeyondPins},
	{10, "certificate in the store", (*transaction).certificateStored},
}

// row is one check on a T.
type row[T any] struct {
	number int
	name   string
	check  func(*T) finding
}

// finding is what a check found.
type finding struct {
	outcome Outcome
	reason  Reason
	detail  string
	open    bool // not asked, and the answer may have decided
}

// Outcome is what became of one row.
type Outcome string

const (
	OutcomeOK      Outcome = "ok"      // go on
	OutcomeFail    Outcome = "fail"    // refused, unless an earlier row failed
	OutcomePass    Outcome = "pass"    // proven: nothing more is asked
	OutcomeNone    Outcome = "none"    // no opinion: nothing more is asked
	OutcomeSkipped Outcome = "skipped" // does not apply, or cannot be asked
)

// Row is one row of the table with its outcome, for a person to read.
type Row struct {
	Number  int     `json:"row"`
	Check   string  `json:"check"`
	Outcome Outcome `json:"outcome"`
	Reason  Reason  `json:"reason,omitempty"`
	Detail  string  `json:"detail,omitempty"`
}

// answers are what became of a table.
type answers struct {
	found   finding // of the first row that decided, else ok
	settled bool    // a row passed or had no opinion: nothing more is to be asked
	open    bool    // a question was not put before a row decided
	rows    []Row   // only if every row was asked for
}

// run asks the rows in order until one decides, or with every, as far as there
// is anything to ask.
func run[T any](rows []row[T], subject *T, every bool) answers {
	a := answers{found: fine}
	for i := range rows {
		now := decided
		if !a.settled {
			now = rows[i].check(subject)
		}
		a.open = a.open || now.open && a.found.outcome == OutcomeOK
		if every {
			a.rows = append(a.rows, Row{rows[i].number, rows[i].name, now.outcome, now.reason, now.detail})
		}
		if now.outcome == OutcomeOK || now.outcome == OutcomeSkipped {
			continue
		}
		a.settled = a.settled || now.outcome != OutcomeFail
		if a.found.outcome == OutcomeOK {
			a.found = now
		}
		if !every {
			break
		}
	}
	return a
}

// decided is what a row is told that comes after one that settled everything.
var decided = skipped("already decided")

func ok(detail string) finding { return finding{outcome: OutcomeOK, detail: detail} }

func skipped(why string) finding { return finding{outcome: OutcomeSkipped, detail: why} }

func fail(reason Reason, format string, args ...any) finding {
	return finding{outcome: OutcomeFail, reason: reason, detail: fmt.Sprintf(format, args...)}
}

// fine is ok without words, where there is nothing to add to the check's name.
var fine = finding{outcome: OutcomeOK}

// transaction is one message being judged for one listed domain.
type transaction struct {
	ctx       context.Context
	evidence  Evidence
	at        time.Time
	facts     *Facts
	entry     string
	partner   *Partner
	connector *Connector
	auth      Auth // what proved it, with OutcomePass

	certificate *Certificate // from the store, once row 7 or 10 asked for it
}

func (t *transaction) clientAddress() finding {
	if c := t.connector; c != nil && (c.Treat == TreatOff || c.Treat == TreatInternal) {
		return finding{outcome: OutcomeNone, detail: fmt.Sprintf("connector %q is %s", c.Name, c.Treat)}
	}
	if t.partner.ClientAddresses == nil {
		return fine
	}
	client := t.facts.Client.Addr()
	if !contains(t.partner.ClientAddresses, client) {
		return fail(ClientAddressMismatch, "%s is in none of the partner's client_addresses", client)
	}
	return fine
}

func (t *transaction) external() finding {
	c := t.connector
	if c == nil || c.Treat != TreatExternal {
		return skipped("no external connector")
	}
	for _, domain := range c.Partners {
		if domain == t.entry {
			t.auth = AuthExternal
			return finding{outcome: OutcomePass, detail: fmt.Sprintf("connector %q", c.Name)}
		}
	}
	return skipped("not among the connector's partners")
}

func (t *transaction) tlsInUse() finding {
	if t.facts.TLSVersion == "" {
		return fail(TLSNotUsed, "the mail server reported no TLS")
	}
	return fine
}

func (t *transaction) tlsStrength() finding {
	f, p := t.facts, t.partner
	switch version := ParseTLSVersion(f.TLSVersion); {
	case f.TLSVersion == "":
		return skipped("no TLS")
	case version < p.MinTLS:
		return fail(TLSTooWeak, "%q is below min_tls", f.TLSVersion)
	case f.Bits < p.MinBits:
		return fail(TLSTooWeak, "%d bits are below min_bits = %d", f.Bits, p.MinBits)
	}
	return fine
}

func (t *transaction) certificatePresented() finding {
	if t.facts.Certificate.Presence == PresenceNo {
		return fail(CertificateMissing, "the mail server saw no certificate (did it ask for one?)")
	}
	return fine
}

func (t *transaction) certificateReported() finding {
	c := &t.facts.Certificate
	switch {
	case c.Presence == PresenceNo:
		return skipped(noCertificate)
	case t.partner.Evidence == EvidenceMTA:
		return skipped(mtaJudges)
	case c.Complaint != "":
		return fail(CertificateNotReported, "%s", c.Complaint)
	case !c.fingerprinted():
		return fail(CertificateNotReported, "the mail server gave no fingerprint")
	}
	return fine
}

const (
	noCertificate = "no certificate"
	mtaJudges     = `evidence = "mta"`
)

// pinned is direct trust: expiry, names, chain and revocation are not asked.
func (t *transaction) pinned() finding {
	c := &t.facts.Certificate
	if len(t.partner.Pins) == 0 {
		return skipped("no pins")
	}
	if !t.partner.pinned(c.Fingerprint) && !t.partner.pinned(c.Key) {
		return ok("no pin matches")
	}
	if err := t.lookUp(); err != nil {
		return fail(InternalError, "looking up the pinned certificate: %v", err)
	}
	if stored := t.certificate; stored != nil && stored.X509 != nil {
		if weakness := weakness(stored.X509); weakness != "" {
			return fail(CertificateWeak, "pinned, but %s", weakness)
		}
	}
	t.auth = AuthPin
	return finding{outcome: OutcomePass}
}

func (t *transaction) dane() finding {
	c := &t.facts.Certificate
	switch {
	case !t.partner.DANE:
		return skipped("dane = false")
	case !c.fingerprinted():
		return skipped(noCertificate)
	}
	match, err := t.evidence.TLSA(t.ctx, t.entry, c.Fingerprint, c.Key)
	switch {
	case errors.Is(err, ErrNotAsked):
		return finding{outcome: OutcomeSkipped, detail: err.Error(), open: true}
	case err != nil:
		return fail(DNSSECInvalid, "%v", err)
	case match:
		t.auth = AuthDANE
		return finding{outcome: OutcomePass}
	}
	return ok("no TLSA record matches")
}

func (t *transaction) trustBeyondPins() finding {
	switch {
	case t.partner.Trust != TrustPins:
		return fine
	case t.facts.Certificate.Presence == PresenceNo:
		return skipped(noCertificate)
	}
	return fail(PinMismatch, `none of %d pins matches, and trust = "pins"`, len(t.partner.Pins))
}

func (t *transaction) certificateStored() finding {
	c := &t.facts.Certificate
	switch {
	case c.Presence == PresenceNo:
		return skipped(noCertificate)
	case t.partner.Evidence == EvidenceMTA:
		return skipped(mtaJudges)
	case !c.fingerprinted():
		return skipped("nothing to look up")
	}
	if err := t.lookUp(); err != nil {
		return fail(InternalError, "looking up the certificate: %v", err)
	}
	if t.certificate == nil {
		return fail(CertificateUnknown, "ask the partner for its certificate and run: domain-secured cert import FILE")
	}
	return fine
}

// lookUp asks the store once for the certificate that was reported.
func (t *transaction) lookUp() error {
	if t.certificate != nil || t.facts.Certificate.Fingerprint.IsZero() {
		return nil
	}
	c, err := t.evidence.Certificate(t.ctx, t.facts.Certificate.Fingerprint)
	t.certificate = c
	return err
}
