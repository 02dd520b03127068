package crl

import (
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/pki"
)

// TestDelta: RFC 5280 sections 5.2.4 and 6.3.3 (c), (h), (i) and (k). Where a delta
// CRL cannot be used, what remains is the complete list.
func TestDelta(t *testing.T) {
	number := func(s *scene, complete, delta, base int64) {
		s.list.Extensions[0] = crlmaker.Number(complete)
		s.delta.Extensions[0], s.delta.Extensions[2] = crlmaker.Number(delta), crlmaker.Delta(base)
	}
	// Each of these would be revoked if the delta CRL were used.
	with := func(f func(*scene)) func(*scene) { return func(s *scene) { s.deltaSays(1); f(s) } }
	// Each of these would be unknown without the delta CRL.
	late := func(f func(*scene)) func(*scene) {
		return func(s *scene) {
			s.deltaSays(-1)
			s.at = s.list.NextUpdate.Add(time.Hour)
			s.delta.NextUpdate = s.at.Add(time.Hour)
			f(s)
		}
	}
	same := func(*scene) {}
	scope := func(s *scene) crlmaker.Extension { return crlmaker.IssuingPoint{Names: s.points[0].Names}.Extension() }
	runChanges(t, []change{
		{"not listed", func(s *scene) { s.deltaSays(-1) }, Good, 0, "; nor on delta CRL 11"},
		{"listed in the delta", with(same), Revoked, 1, "revoked (keyCompromise) by delta CRL 11"},
		{"listed in the delta, no reason", func(s *scene) { s.deltaSays(0) }, Revoked, 0, "by delta CRL 11"},
		{"on hold in the delta", func(s *scene) { s.deltaSays(6) }, Hold, 6, "by delta CRL 11"},
		{"listed in the list", func(s *scene) { s.deltaSays(-1); s.listed(1) }, Revoked, 1, "by CRL 10"},
		{"on hold, and removed", func(s *scene) { s.deltaSays(8); s.listed(6) }, Good, 0, "no longer on hold by CRL 10"},
		{"revoked, and removed", func(s *scene) { s.deltaSays(8); s.listed(1) }, Revoked, 1, "by CRL 10"},
		{"revoked for no reason, and removed", func(s *scene) { s.deltaSays(8); s.listed(0) }, Revoked, 0, "by CRL 10"},
		{"on hold, and revoked", func(s *scene) { s.deltaSays(1); s.listed(6) }, Revoked, 1, "by delta CRL 11"},
		{"revoked, and on hold", func(s *scene) { s.deltaSays(6); s.listed(1) }, Hold, 6, "by delta CRL 11"},
		{"not on hold, and removed", func(s *scene) { s.deltaSays(8) }, Good, 0, ""},

		{"the list's number is the base", with(func(s *scene) { number(s, 10, 11, 10) }), Revoked, 1, ""},
		{"the list is newer than the base", with(func(s *scene) { number(s, 10, 11, 5) }), Revoked, 1, ""},
		{"the list is older than the base", with(func(s *scene) { number(s, 10, 12, 11) }), Good, 0, ""},
		{"the list is as new as the delta", with(func(s *scene) { number(s, 11, 11, 10) }), Good, 0, ""},
		{"the list is newer than the delta", with(func(s *scene) { number(s, 12, 11, 10) }), Good, 0, ""},
		{"the list has no number", with(func(s *scene) { s.list.Version1, s.list.Extensions, s.entries = true, nil, nil }), Good, 0, ""},
		{"the delta is none", with(func(s *scene) { s.delta.Extensions = s.delta.Extensions[:2] }), Good, 0, ""},
		{"another issuer", with(func(s *scene) { s.delta.Issuer, s.delta.Key = s.lists.Certificate.Leaf.RawSubject, s.lists.Key }), Good, 0, ""},
		{"another key", with(func(s *scene) { s.delta.Key = s.twin.Key }), Good, 0, ""},
		{"another key that is vouched for", with(func(s *scene) {
			s.delta.Key = s.twin.Key
			s.signers = append(s.signers, s.twin.Certificate.Leaf)
		}), Good, 0, ""},
		{"another key identifier", with(func(s *scene) { s.delta.Extensions[1] = crlmaker.KeyID([]byte("another")) }), Good, 0, ""},
		{"no key identifier", with(func(s *scene) { s.delta.Extensions = append(s.delta.Extensions[:1], s.delta.Extensions[2]) }), Good, 0, ""},
		{"same scope", with(func(s *scene) {
			s.list.Extensions = append(s.list.Extensions, scope(s))
			s.delta.Extensions = append(s.delta.Extensions, scope(s))
		}), Revoked, 1, ""},
		{"the list has a scope", with(func(s *scene) { s.list.Extensions = append(s.list.Extensions, scope(s)) }), Good, 0, ""},
		{"the delta has a scope", with(func(s *scene) { s.delta.Extensions = append(s.delta.Extensions, scope(s)) }), Good, 0, ""},
		{"unknown critical extension", with(func(s *scene) {
			s.delta.Extensions = append(s.delta.Extensions, crlmaker.Extension{ID: "1.2.3", Critical: true})
		}), Good, 0, ""},
		{"of the future", with(func(s *scene) { s.delta.ThisUpdate = s.at.Add(time.Hour) }), Good, 0, ""},

		// No longer current: what it said against a certificate stands, nothing else.
		{"old, listed", with(func(s *scene) { s.delta.NextUpdate = s.at.Add(-time.Minute) }), Revoked, 1, ", whose next update was due"},
		{"old, on hold", func(s *scene) { s.deltaSays(6); s.delta.NextUpdate = s.at.Add(-time.Minute) }, Hold, 6, "due"},
		{"old, removed", func(s *scene) { s.deltaSays(8); s.listed(6); s.delta.NextUpdate = s.at.Add(-time.Minute) }, Hold, 6, "by CRL 10"},
		{"old, not listed", func(s *scene) { s.deltaSays(-1); s.delta.NextUpdate = s.at.Add(-time.Minute) }, Good, 0, "not on CRL 10"},
		{"old, in the grace, removed", func(s *scene) {
			s.deltaSays(8)
			s.listed(6)
			s.delta.NextUpdate, s.grace = s.at.Add(-time.Minute), time.Hour
		}, Good, 0, ""},

		// A list that has ended is kept up by its delta CRLs.
		{"the list has ended", late(same), Good, 0, "nor on delta CRL 11"},
		{"the list has ended, listed", late(func(s *scene) { s.listed(1) }), Revoked, 1, "by CRL 10"},
		{"both have ended", late(func(s *scene) { s.delta.NextUpdate = s.at.Add(-time.Minute) }), Unknown, 0, "its next update was due"},
		{"the list has ended, and the delta builds on another", late(func(s *scene) { number(s, 10, 12, 11) }), Unknown, 0, "it builds on number 11"},
		{"the list has ended, and the delta is of another name of the same key", late(func(s *scene) {
			renamed := *s.ca.Certificate.Leaf
			renamed.RawSubject = otherName
			s.delta.Issuer, s.makers = otherName, []*x509.Certificate{&renamed}
		}), Unknown, 0, "it has another issuer"},
		{"the list has ended, and the delta is by another", late(func(s *scene) { s.delta.Key = s.twin.Key }), Unknown, 0, "it is by another key"},

		// Alone it says nothing.
		{"in place of a list", func(s *scene) { s.list.Extensions = append(s.list.Extensions, crlmaker.Delta(9)) }, Unknown, 0, "it is a delta CRL"},
		{"in place of a list, listed", func(s *scene) { s.listed(1); s.list.Extensions = append(s.list.Extensions, crlmaker.Delta(9)) }, Unknown, 0, "it is a delta CRL"},
	})
}

// TestOldDeltaAmongOthers: what a delta CRL said that is no longer current is heard
// although the list is asked with another one, too, that does not go with it.
func TestOldDeltaAmongOthers(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	leaf := newLeaf(t, ca)
	at := time.Now().UTC().Truncate(time.Second)
	list := func(entries []*big.Int, end time.Duration, extensions ...crlmaker.Extension) *Index {
		o := by(ca, extensions...)
		o.ThisUpdate, o.NextUpdate, o.Entries = at.Add(-time.Hour), at.Add(end), crlmaker.Entries(entries...)
		return build(t, der1(t, o), ca.Certificate.Leaf)
	}
	complete := list(nil, time.Hour, crlmaker.Number(10))
	old := list([]*big.Int{leaf.SerialNumber}, -time.Minute, crlmaker.Number(11), crlmaker.Delta(10))
	other := list(nil, time.Hour, crlmaker.Number(20), crlmaker.Delta(15))
	q, err := NewQuestion(leaf, ca.Certificate.Leaf)
	if err != nil {
		t.Fatal(err)
	}
	for _, lists := range [][]List{{{complete, old}, {complete, other}}, {{complete, other}, {complete, old}}} {
		if a := q.Ask(at, 0, lists...); a.Status != Revoked {
			t.Errorf("%v: %s", a.Status, a.Detail())
		}
	}
}
