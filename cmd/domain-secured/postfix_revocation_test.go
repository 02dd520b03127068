package main

import (
	"testing"
	"time"

	"domain-secured/internal/testkit/cases"
)

// testListIsBack: the case whose revocation list could not be had was refused for now, by this same daemon. Once
// the list can be had, the mail passes, at the latest when the failure is forgotten, and nobody touches anything.
func testListIsBack(t *testing.T, s *postfixSite) {
	s.World.Publish()
	session := s.dial(t, s.presenting(cases.Unpublished))
	for end := time.Now().Add(90 * time.Second); ; time.Sleep(time.Second) {
		m, id := written(bankSender, bankSender)
		reply, err := session.Send(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if got := outcome(reply); got == accepted {
			for _, m := range s.arrived(t, id) {
				isStamped(t, m, bankStamp)
			}
			return
		} else if got != "revocation-unknown" || time.Now().After(end) {
			t.Fatalf("outcome %s: %v", got, reply)
		}
	}
}
