package main

import (
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"domain-secured/internal/testkit/crlmaker"
)

var madeUp = crlmaker.Extension{ID: "2.16.840.1.101.2.1.12.2", Critical: true, Value: []byte{5, 0}}

func TestSuiteBasicRevocation(t *testing.T) {
	runSuite(t, []suiteCase{
		{"4.4.1 missing CRL", false, 1, func(s *site) { s.user(s.good()) }},
		{"4.4.2 revoked CA", false, 1, func(s *site) {
			ca := s.ca("Revoked subCA", s.anchor)
			s.user(ca)
			s.anchored(ca.Certificate)
			s.list(ca, numbered(1))
		}},
		{"4.4.3 revoked EE", false, 1, func(s *site) {
			ca := s.good()
			s.list(ca, of(numbered(1), s.user(ca)))
		}},
		{"4.4.4 bad CRL signature", false, 75, func(s *site) {
			ca := s.good()
			s.user(ca)
			o := numbered(1)
			o.BadSig = true
			s.list(ca, o)
		}},
		{"4.4.5 bad CRL issuer name", false, 1, func(s *site) {
			ca := s.good()
			s.user(ca)
			o := numbered(1)
			o.Issuer = s.ca("Somebody else", s.anchor).RawSubject
			s.list(ca, o)
		}},
		{"4.4.6 wrong CRL", false, 75, func(s *site) {
			ca := s.good()
			s.user(ca)
			o := numbered(1)
			o.Issuer = ca.RawSubject
			s.list(s.anchor, o)
		}},
		{"4.4.7 two CRLs", true, 0, func(s *site) {
			ca := s.good()
			leaf := s.user(ca)
			s.list(ca, numbered(1))
			bad := of(numbered(2), leaf)
			bad.Issuer = ca.RawSubject
			s.list(s.ca("Two CRLs CA", s.anchor), bad)
		}},
		{"4.4.8 unknown CRL entry extension", false, 75, func(s *site) {
			ca := s.good()
			leaf := s.user(ca)
			s.list(ca, entries(numbered(1), crlmaker.Entry{Serial: leaf.SerialNumber, Extensions: []crlmaker.Extension{madeUp}}))
		}},
		{"4.4.8 unknown CRL entry extension, of another entry", false, 75, func(s *site) {
			ca := s.good()
			s.user(ca)
			s.list(ca, entries(numbered(1), crlmaker.Entry{Serial: big.NewInt(7), Extensions: []crlmaker.Extension{madeUp}}))
		}},
		{"4.4.9 unknown CRL extension", false, 75, func(s *site) {
			ca := s.good()
			s.list(ca, of(numbered(1, madeUp), s.user(ca)))
		}},
		{"4.4.10 unknown CRL extension, not listed", false, 75, func(s *site) {
			ca := s.good()
			s.user(ca)
			s.list(ca, numbered(1, madeUp))
		}},
		// Two that the suite does not have.
		{"no CRL number", false, 75, func(s *site) {
			ca := s.good()
			s.user(ca)
			s.list(ca, crlmaker.Options{NoNumber: true})
		}},
		{"critical CRL number", false, 75, func(s *site) {
			ca := s.good()
			s.user(ca)
			number := crlmaker.Number(1)
			number.Critical = true
			s.list(ca, crlmaker.Options{Extensions: []crlmaker.Extension{number}})
		}},
		{"4.4.11 old CRL nextUpdate", false, 75, func(s *site) { s.due(time.Now().Add(-time.Hour)) }},
		{"4.4.12 pre-2000 CRL nextUpdate", false, 75, func(s *site) { s.due(time.Date(1999, 1, 1, 12, 1, 0, 0, time.UTC)) }},
		{"4.4.13 GeneralizedTime CRL nextUpdate", true, 0, func(s *site) { s.due(time.Date(2050, 1, 1, 12, 1, 0, 0, time.UTC)) }},
		// crypto/x509 reads no certificate with a negative serial number.
		{"of our future, but not of the time that is asked about", true, 0, func(s *site) {
			ca := s.ca("Good CA", s.anchor)
			s.user(ca)
			o := numbered(1)
			o.ThisUpdate, o.NextUpdate = time.Now().Add(240*time.Hour), time.Now().Add(480*time.Hour)
			s.list(s.anchor, o)
			s.list(ca, o)
			s.flags = []string{"--at", time.Now().Add(360 * time.Hour).Format(time.RFC3339)}
		}},
		{"of the future", false, 75, func(s *site) {
			ca := s.good()
			s.user(ca)
			o := numbered(1)
			o.ThisUpdate = time.Now().Add(time.Hour)
			s.list(ca, o)
		}},
		{"thousands of certificates that nobody needs", true, 0, func(s *site) {
			ca := s.good()
			s.user(ca)
			s.list(ca, numbered(1))
			for range 2000 {
				s.caOf(s.authorityOf("Good CA"), ca.key, s.anchor)
			}
		}},
		{"4.4.14 negative serial number", true, 65, func(s *site) { s.serials(big.NewInt(-77), big.NewInt(256-77)) }},
		{"4.4.15 negative serial number, revoked", false, 65, func(s *site) { s.serials(big.NewInt(-77), big.NewInt(-77)) }},
		{"4.4.16 long serial number", true, 0, func(s *site) { s.serials(long(0x7f), long(0x7e)) }},
		{"4.4.17 long serial number", true, 0, func(s *site) { s.serials(long(0x7e), long(0x7f)) }},
		{"4.4.18 long serial number, revoked", false, 1, func(s *site) { s.serials(long(0x7f), long(0x7f)) }},
		{"4.4.19 separate certificate and CRL keys", true, 0, func(s *site) {
			ca, lists := s.separate()
			s.anchored()
			s.user(ca)
			s.list(lists, numbered(1))
		}},
		{"4.4.20 separate certificate and CRL keys, revoked", false, 1, func(s *site) {
			ca, lists := s.separate()
			s.anchored()
			s.list(lists, of(numbered(1), s.user(ca)))
		}},
		{"4.4.21 separate certificate and CRL keys, the latter revoked", false, 75, func(s *site) {
			ca, lists := s.separate()
			s.anchored(lists.Certificate)
			s.user(ca)
			s.list(lists, numbered(1))
		}},
		{"4.7.4 keyUsage critical, without cRLSign", false, 75, func(s *site) { s.usage(crlmaker.KeyUsage(x509.KeyUsageCertSign)) }},
		{"4.7.5 keyUsage not critical, without cRLSign", false, 75, func(s *site) {
			usage := crlmaker.KeyUsage(x509.KeyUsageCertSign)
			usage.Critical = false
			s.usage(usage)
		}},
	})
}

func TestSuiteSelfIssued(t *testing.T) {
	runSuite(t, []suiteCase{
		{"4.5.1 old with new", true, 0, func(s *site) {
			fresh, old := s.rollover("New Key CA")
			s.user(old)
			s.list(fresh, numbered(1))
		}},
		{"4.5.2 old with new, revoked", false, 1, func(s *site) {
			fresh, old := s.rollover("New Key CA")
			s.list(fresh, of(numbered(1), s.user(old)))
		}},
		{"4.5.3 new with old", true, 0, func(s *site) {
			old, fresh := s.rollover("Old Key CA", point("Old Key CA", "CRL1"))
			s.user(fresh)
			s.list(old, numbered(1, issuing("Old Key CA", "CRL1")))
			s.list(fresh, numbered(2))
		}},
		{"4.5.4 new with old, by the old key", true, 0, func(s *site) {
			old, fresh := s.rollover("Old Key CA", point("Old Key CA", "CRL1"))
			s.user(old)
			s.list(old, numbered(1, issuing("Old Key CA", "CRL1")))
			s.list(fresh, numbered(2))
		}},
		{"4.5.5 new with old, revoked", false, 1, func(s *site) {
			old, fresh := s.rollover("Old Key CA", point("Old Key CA", "CRL1"))
			leaf := s.user(old)
			s.list(old, numbered(1, issuing("Old Key CA", "CRL1")))
			s.list(fresh, of(numbered(2), leaf))
		}},
		{"4.5.6 CRL signing key", true, 0, func(s *site) {
			ca, lists := s.rollover("CRL Signing Key CA", point("CRL Signing Key CA", "CRL1"), crlmaker.KeyUsage(x509.KeyUsageCRLSign))
			s.user(ca)
			s.list(ca, numbered(1, issuing("CRL Signing Key CA", "CRL1")))
			s.list(lists, numbered(2))
		}},
		{"4.5.6 CRL signing key, lists in another order", true, 0, func(s *site) {
			ca, lists := s.rollover("CRL Signing Key CA", point("CRL Signing Key CA", "CRL1"), crlmaker.KeyUsage(x509.KeyUsageCRLSign))
			s.user(ca)
			s.list(lists, numbered(2))
			s.list(ca, numbered(1, issuing("CRL Signing Key CA", "CRL1")))
		}},
		{"4.5.7 CRL signing key, revoked", false, 1, func(s *site) {
			ca, lists := s.rollover("CRL Signing Key CA", point("CRL Signing Key CA", "CRL1"), crlmaker.KeyUsage(x509.KeyUsageCRLSign))
			leaf := s.user(ca)
			s.list(ca, numbered(1, issuing("CRL Signing Key CA", "CRL1")))
			s.list(lists, of(numbered(2), leaf))
		}},
		{"4.5.8 CRL signing key signs a certificate", false, 1, func(s *site) {
			ca, lists := s.rollover("CRL Signing Key CA", point("CRL Signing Key CA", "CRL1"), crlmaker.KeyUsage(x509.KeyUsageCRLSign))
			s.user(lists)
			s.list(ca, numbered(1, issuing("CRL Signing Key CA", "CRL1")))
			s.list(lists, numbered(2))
		}},
	})
}

// What is at hand first must not decide: here it takes longer to read what counts.
func TestVerifyReadsEveryList(t *testing.T) {
	many := func(o crlmaker.Options, last *big.Int) crlmaker.Options {
		o.Entries = func(yield func(crlmaker.Entry) bool) {
			for n := range int64(100_000) {
				if !yield(crlmaker.Entry{Serial: big.NewInt(1<<40 + n)}) {
					return
				}
			}
			yield(crlmaker.Entry{Serial: last, Reason: 1})
		}
		return o
	}
	runSuite(t, []suiteCase{
		{"revoked on the newer of two lists", false, 1, func(s *site) {
			ca := s.good()
			leaf := s.user(ca)
			old := numbered(1)
			old.ThisUpdate = time.Now().Add(-24 * time.Hour)
			s.list(ca, old)
			s.list(ca, many(numbered(2), leaf.SerialNumber))
		}},
		{"revoked on a delta CRL", false, 1, func(s *site) {
			ca := s.good()
			leaf := s.user(ca)
			s.list(ca, numbered(1))
			s.list(ca, many(numbered(2, crlmaker.Delta(1)), leaf.SerialNumber))
		}},
		{"more lists than are read at the same time", false, 1, func(s *site) {
			ca := s.good()
			leaf := s.user(ca)
			for n := range int64(300) {
				old := numbered(n)
				old.ThisUpdate = time.Now().Add(-24 * time.Hour)
				s.list(ca, old)
			}
			s.list(ca, of(numbered(300), leaf))
		}},
	})
}

// due makes an authority whose list is to be used until then.
func (s *site) due(next time.Time) {
	ca := s.good()
	s.user(ca)
	o := numbered(1)
	o.NextUpdate = next
	if next.Before(time.Now()) {
		o.ThisUpdate = next.Add(-24 * time.Hour)
	}
	s.list(ca, o)
}

// serials makes a certificate with one serial number and a list with another.
func (s *site) serials(number, listed *big.Int) {
	ca := s.good()
	template := s.template("User")
	template.SerialNumber = number
	s.userOf(template, ca)
	s.list(ca, entries(numbered(1), crlmaker.Entry{Serial: listed, Reason: 1}))
}

// long is a serial number of 20 octets.
func long(last byte) *big.Int {
	octets := make([]byte, 20)
	for i := range octets {
		octets[i] = 0x7f - byte(i)
	}
	octets[19] = last
	return new(big.Int).SetBytes(octets)
}

// separate makes an authority with one key for certificates and one for lists.
func (s *site) separate() (ca, lists *authority) {
	const name = "Separate Certificate and CRL Keys CA1"
	ca = s.ca(name, s.anchor, crlmaker.KeyUsage(x509.KeyUsageCertSign))
	template := s.template(name)
	template.KeyUsage = x509.KeyUsageCRLSign
	return ca, s.caOf(template, s.key(), s.anchor)
}

// usage makes an authority with a key usage, and a list.
func (s *site) usage(usage crlmaker.Extension) {
	ca := s.good(usage)
	s.user(ca)
	s.list(ca, numbered(1))
}

// rollover makes an authority that the anchor issued, and one of the same name and
// another key that is certified by itself.
func (s *site) rollover(name string, extra ...crlmaker.Extension) (first, second *authority) {
	s.anchored()
	first = s.ca(name, s.anchor)
	return first, s.caOf(s.authorityOf(name, extra...), s.key(), first)
}
