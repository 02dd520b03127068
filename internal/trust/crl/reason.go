package crl

import (
	"fmt"
	"strings"
)

// A Reason says why a certificate is revoked: the number of its CRLReason (RFC
// 5280 section 5.3.1).
type Reason uint8

// The reasons with a meaning of their own here.
const (
	Unspecified     Reason = 0
	CertificateHold Reason = 6
	// unknownReason is a number without a meaning. 7 is never to have one.
	unknownReason Reason = 7
	RemoveFromCRL Reason = 8
)

var reasonNames = [...]string{
	"unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded", "cessationOfOperation",
	"certificateHold", "a reason without a name", "removeFromCRL", "privilegeWithdrawn", "aACompromise",
}

func reasonOf(code byte) Reason {
	if int(code) >= len(reasonNames) {
		return unknownReason
	}
	return Reason(code)
}

func (r Reason) String() string {
	if int(r) >= len(reasonNames) {
		return fmt.Sprintf("reason %d", uint8(r))
	}
	return reasonNames[r]
}

// worse reports whether to be listed for r weighs more than for other: a hold may
// end, and a removal is none.
func (r Reason) worse(other Reason) bool { return r.weight() > other.weight() }

func (r Reason) weight() int {
	switch r {
	case RemoveFromCRL:
		return 0
	case CertificateHold:
		return 1
	}
	return 2
}

// Reasons is a set of reasons: bit n is the bit n of ReasonFlags (RFC 5280 section
// 4.2.1.13).
type Reasons uint16

// AllReasons are bits 1, keyCompromise, to 8, aACompromise; 0 is unused.
const AllReasons Reasons = 0x1fe

var flagNames = [...]string{
	1: "keyCompromise", 2: "cACompromise", 3: "affiliationChanged", 4: "superseded", 5: "cessationOfOperation",
	6: "certificateHold", 7: "privilegeWithdrawn", 8: "aACompromise",
}

func (r Reasons) String() string {
	var names []string
	for bit, name := range flagNames {
		if name != "" && r&(1<<bit) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}
