package policy

import "unicode/utf8"

// Snapshot is everything an operator asked for, at one moment. It is immutable:
// a change of configuration makes a new one.
type Snapshot struct {
	Receive    *List // domains whose mail is accepted only if it is proven
	Send       *List // domains that mail leaves for only over mutual TLS
	Defaults   *Partner
	Partners   map[string]*Partner // by list entry; those with settings of their own
	Connectors []Connector         // the first that matches holds
	Hostname   string              // in the stamp; "" for what the MTA calls itself

	// subdomains: some partner covers what is below it.
	subdomains bool
	// fromEnforced is the strictest mode of the listed domains that insist on the
	// From header, "" if none does.
	fromEnforced Mode
}

// NewSnapshot puts a snapshot together.
func NewSnapshot(receive, send *List, defaults *Partner, partners map[string]*Partner, connectors []Connector) *Snapshot {
	s := &Snapshot{Receive: receive, Send: send, Defaults: defaults, Partners: partners, Connectors: connectors}
	if receive.Len() > 0 {
		s.enforceFrom(defaults)
	}
	for _, p := range partners {
		s.subdomains = s.subdomains || p.Subdomains
		if receive.Contains(p.Domain) {
			s.enforceFrom(p)
		}
	}
	return s
}

func (s *Snapshot) enforceFrom(p *Partner) {
	if p.FromAlignment == FromAlignmentEnforce && p.Mode != ModeOff && s.fromEnforced != ModeEnforce {
		s.fromEnforced = p.Mode
	}
}

// WithLists returns a snapshot with other lists and everything else the same.
func (s *Snapshot) WithLists(receive, send *List) *Snapshot {
	next := NewSnapshot(receive, send, s.Defaults, s.Partners, s.Connectors)
	next.Hostname = s.Hostname
	return next
}

// NoOpinion is the verdict on mail of which nothing is asked.
func (s *Snapshot) NoOpinion() Verdict {
	return Verdict{Result: ResultNone, Action: ActionNone, snapshot: s}
}

// JudgesFrom reports whether a message may have to be judged for a domain that
// only its From header names.
func (s *Snapshot) JudgesFrom() bool { return s.fromEnforced != "" }

// Partner returns the settings of a list entry.
func (s *Snapshot) Partner(entry string) *Partner {
	if p := s.Partners[entry]; p != nil {
		return p
	}
	return s.Defaults
}

// Sender is what a transaction's sender may mean by a snapshot's receive list.
type Sender struct {
	readings readings
	entries  [maxReadings]string // that cover them, "" for none
	listed   bool
}

// Sender looks the sender of a transaction up.
func (s *Snapshot) Sender(f *Facts) Sender {
	sender := Sender{readings: senderReadings(f)}
	for i, r := range sender.readings.all[:sender.readings.n] {
		entry, listed := s.entry(r)
		sender.entries[i] = entry
		sender.listed = sender.listed || listed
	}
	return sender
}

// Listed reports whether the sender may be of a listed domain: if not, there is
// nothing to judge.
func (s *Sender) Listed() bool { return s.listed }

// entry returns the entry of the receive list that covers a sender's domain.
func (s *Snapshot) entry(r reading) (string, bool) { return s.entryOf(s.Receive, r) }

// entryOf returns the entry of a list that covers a domain: the domain itself, else the
// nearest above it whose partner covers what is below.
func (s *Snapshot) entryOf(list *List, r reading) (string, bool) {
	if entry, listed := list.Find(r.domain); listed {
		return entry, true
	}
	if !r.hostName {
		return list.entryWithin(r.domain)
	}
	if s.subdomains {
		for parent := parentOf(r.domain); parent != ""; parent = parentOf(parent) {
			if p := s.Partners[parent]; p != nil && p.Subdomains && list.Contains(parent) {
				return p.Domain, true
			}
		}
	}
	return "", false
}

// entryWithin looks for a listed domain at the end of what is no host name, such
// as "mail_1.woodgrovebank.com" or "\xff.woodgrovebank.com": a mail server may
// take it for one, so it is not let off as unlisted.
func (l *List) entryWithin(domain string) (string, bool) {
	if len(domain) > maxSenderDomain {
		domain = domain[len(domain)-maxSenderDomain:]
	}
	var found string
	conversions := 0
	for i := len(domain) - 1; i >= 0; i-- {
		if !mayBegin(domain, i) {
			continue
		}
		suffix := domain[i:]
		if !isASCII(suffix) {
			if conversions++; conversions > maxConversions {
				break
			}
			ascii, err := toASCII(suffix)
			if err != nil {
				continue
			}
			suffix = ascii
		}
		if entry, listed := l.Find(suffix); listed {
			found = entry // a longer one is more specific
		}
	}
	return found, found != ""
}

// mayBegin reports whether a listed domain may begin at s[i]: behind anything
// that it could not go on with.
func mayBegin(s string, i int) bool {
	if i == 0 {
		return true
	}
	switch before, size := utf8.DecodeLastRuneInString(s[:i]); {
	case before < utf8.RuneSelf:
		return !isLDH(byte(before))
	case before == utf8.RuneError && size == 1:
		return utf8.RuneStart(s[i])
	default:
		return isDot(before)
	}
}

const (
	// maxSenderDomain bounds what is looked at of what is no host name, in octets:
	// a listed domain in UTF-8 is no longer than this.
	maxSenderDomain = 4 * maxDomain
	// maxConversions bounds the work on one made-up sender: no domain has more labels.
	maxConversions = (maxDomain + 1) / 2
)

// connector returns the first connector that matches, or nil.
func (s *Snapshot) connector(f *Facts) *Connector {
	for i := range s.Connectors {
		if s.Connectors[i].matches(f) {
			return &s.Connectors[i]
		}
	}
	return nil
}

// Covering returns the entry whose settings hold for a domain that may be listed
// or not yet: the domain itself if anything is said of it, else the nearest above
// it whose partner covers what is below, else the domain.
func (s *Snapshot) Covering(domain string) string {
	if s.Partners[domain] != nil || s.Receive.Contains(domain) || s.Send.Contains(domain) {
		return domain
	}
	for parent := parentOf(domain); parent != ""; parent = parentOf(parent) {
		if p := s.Partners[parent]; p != nil && p.Subdomains {
			return parent
		}
	}
	return domain
}
