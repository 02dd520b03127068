package crl

import (
	"fmt"
	"strings"
)

// Status is what lists say of a certificate.
type Status int

// The statuses. The zero value is the one that allows nothing.
const (
	// Unknown: no list says, or none that may be believed.
	Unknown Status = iota
	// Good: current lists that cover every reason do not have it.
	Good
	// Hold: it is revoked for now (certificateHold).
	Hold
	// Revoked: it is.
	Revoked
)

func (s Status) String() string {
	switch s {
	case Good:
		return "good"
	case Hold:
		return "on hold"
	case Revoked:
		return "revoked"
	}
	return "unknown"
}

// An Answer is what [Question.Ask] found.
type Answer struct {
	Status Status
	Reason Reason // if on hold or revoked
	// Covered are the reasons for which lists were found that speak of the
	// certificate. For Good it is [AllReasons].
	Covered Reasons
	// By are the lists that decided: the one that has the certificate, or all that
	// were looked into and do not. There is none if it is unknown.
	By []*Info
	// Err is not nil if an index could not be read. If it is [ErrIndex], build that
	// one anew.
	Err error

	stale    bool // what has it is a delta CRL that is no longer current
	released bool // a delta CRL took it off hold
	why      []string
}

// Detail says in a line what was found, for an operator.
func (a Answer) Detail() string {
	switch a.Status {
	case Good:
		if len(a.By) == 1 && !a.released {
			return a.By[0].without
		}
		var detail string
		for i, list := range a.By {
			before := "not on "
			switch {
			case a.released && i > 0:
				before = "; by "
			case a.released:
				before = "no longer on hold by "
			case i > 0:
				before = "; nor on "
			}
			detail += before + list.text + ", next due " + list.due
		}
		return detail
	case Hold, Revoked:
		detail := fmt.Sprintf("%v (%v) by %v", a.Status, a.Reason, a.By[0])
		if a.stale {
			detail += ", whose next update was due " + a.By[0].due
		}
		return detail
	}
	if len(a.why) == 0 {
		return "no CRL is at hand"
	}
	return strings.Join(a.why, "; ")
}
