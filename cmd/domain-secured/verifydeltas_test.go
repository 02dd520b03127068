package main

import (
	"testing"
	"time"

	"domain-secured/internal/testkit/crlmaker"
)

// hold and removed are reasons of entries.
const (
	hold    = 6
	removed = 8
)

func TestSuiteDeltas(t *testing.T) {
	runSuite(t, []suiteCase{
		{"4.15.1 a delta CRL without its base", false, 75, deltas(0, 0, 1)},
		{"4.15.2 on neither list", true, 0, deltas(1, 0, 1)},
		{"4.15.3 revoked on the base", false, 1, deltas(1, 1, 1)},
		{"4.15.4 revoked on the delta CRL", false, 1, deltas(1, 0, 1, 1)},
		{"4.15.5 on hold, and removed", true, 0, deltas(1, hold, 1, removed)},
		{"4.15.6 on hold, and revoked", false, 1, deltas(1, hold, 1, 1)},
		{"4.15.7 removed from a later base", true, 0, deltas(3, 0, 1, removed)},
		{"on hold, and not removed", false, 1, deltas(1, hold, 1)},
		{"revoked for good, and removed", false, 1, deltas(1, 1, 1, removed)},
		{"4.15.8 a base newer than the delta CRL needs", true, 0, deltas(4, 0, 3)},
		{"4.15.9 a base newer than the delta CRL needs, revoked", false, 1, deltas(4, 0, 3, 1)},
		{"removed on a complete list", false, 75, deltas(1, removed, 1)},
		// It is the base that counts, while it is current.
		{"a delta CRL whose base is not there", true, 0, deltas(1, 0, 3)},
		{"4.15.10 a base out of date, which the delta CRL does not build on", false, 75, func(s *site) {
			ca := s.good()
			s.user(ca)
			old := numbered(1)
			old.ThisUpdate, old.NextUpdate = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
			s.list(ca, old)
			s.list(ca, numbered(9, crlmaker.Delta(3)))
		}},
		{"a base out of date, which the delta CRL builds on", true, 0, func(s *site) {
			ca := s.good()
			s.user(ca)
			old := numbered(3)
			old.ThisUpdate, old.NextUpdate = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
			s.list(ca, old)
			s.list(ca, numbered(9, crlmaker.Delta(3)))
		}},
	})
}

// deltas makes a list with a number, 0 for none, which has the certificate for a
// reason, and a delta CRL that builds on another number.
func deltas(number int64, listed int, builds int64, delta ...int) func(s *site) {
	return func(s *site) {
		ca := s.good()
		leaf := s.user(ca)
		entry := func(o crlmaker.Options, reason int) crlmaker.Options {
			return entries(o, crlmaker.Entry{Serial: leaf.SerialNumber, Reason: reason})
		}
		if number > 0 {
			base := numbered(number)
			base.ThisUpdate = time.Now().Add(-2 * time.Hour)
			if listed > 0 {
				base = entry(base, listed)
			}
			s.list(ca, base)
		}
		o := numbered(9, crlmaker.Delta(builds))
		if len(delta) > 0 {
			o = entry(o, delta[0])
		}
		s.list(ca, o)
	}
}
