package main

import (
	"crypto/x509"
	"testing"

	"domain-secured/internal/testkit/crlmaker"
)

// Flags of reasons, as in ReasonFlags.
const (
	keyCompromise = 1 << 1
	caCompromise  = 1 << 2
	otherReasons  = 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8
)

// point and issuing are a distribution point of a certificate and that of a list,
// which have a name below that of an authority.
func point(authority, name string) crlmaker.Extension {
	return crlmaker.Points(crlmaker.Point{Names: []crlmaker.Name{below(authority, name)}})
}

func issuing(authority, name string) crlmaker.Extension {
	return crlmaker.IssuingPoint{Names: []crlmaker.Name{below(authority, name)}}.Extension()
}

func TestSuiteDistributionPoints(t *testing.T) {
	relative := crlmaker.Points(crlmaker.Point{Relative: rdn("CRL1")})
	issuingRelative := crlmaker.IssuingPoint{Relative: rdn("CRL1")}.Extension()
	// points makes a certificate and a list with these extensions, nil for none.
	points := func(certificate, list crlmaker.Extension, revoked bool) func(s *site) {
		return func(s *site) {
			ca := s.good()
			leaf := s.user(ca, certificate)
			o := numbered(1)
			if list.ID != "" {
				o.Extensions = append(o.Extensions, list)
			}
			if revoked {
				o = of(o, leaf)
			}
			s.list(ca, o)
		}
	}
	only := func(p crlmaker.IssuingPoint, authority, revoked bool) func(s *site) {
		return func(s *site) {
			ca := s.good()
			template := s.template("User")
			if authority {
				template = s.authorityOf("User")
			}
			leaf := s.userOf(template, ca)
			o := numbered(1, p.Extension())
			if revoked {
				o = of(o, leaf)
			}
			s.list(ca, o)
		}
	}
	const name = "Good CA"
	runSuite(t, []suiteCase{
		{"4.14.1 distribution point", true, 0, points(point(name, "CRL1"), issuing(name, "CRL1"), false)},
		{"4.14.2 distribution point, revoked", false, 1, points(point(name, "CRL1"), issuing(name, "CRL1"), true)},
		{"4.14.3 another distribution point", false, 75, points(point(name, "CRL2"), issuing(name, "CRL1"), false)},
		// crypto/x509 reads no certificate with a relative name.
		{"4.14.4 relative in the certificate", true, 65, points(relative, issuing(name, "CRL1"), false)},
		{"4.14.5 relative in both", true, 65, points(relative, issuingRelative, false)},
		{"4.14.6 relative in both, revoked", false, 65, points(relative, issuingRelative, true)},
		{"4.14.7 relative in the list", true, 0, points(point(name, "CRL1"), issuingRelative, false)},
		{"4.14.8 relative in the list, another", false, 75, points(point(name, "CRL2"), issuingRelative, false)},
		{"4.14.9 relative in the list, revoked", false, 1, points(point(name, "CRL1"), issuingRelative, true)},
		{"4.14.10 no issuing distribution point", true, 0, points(point(name, "CRL1"), crlmaker.Extension{}, false)},
		{"no distribution point, but an issuing one", false, 75, points(crlmaker.Extension{ID: "1.2.3", Value: []byte{5, 0}}, issuing(name, "CRL1"), false)},
		{"4.14.11 only user certificates, of an authority", false, 75, only(crlmaker.IssuingPoint{OnlyUser: true}, true, false)},
		{"4.14.12 only CA certificates, of a user", false, 75, only(crlmaker.IssuingPoint{OnlyCA: true}, false, false)},
		{"4.14.13 only CA certificates", true, 0, only(crlmaker.IssuingPoint{OnlyCA: true}, true, false)},
		{"only CA certificates, revoked", false, 1, only(crlmaker.IssuingPoint{OnlyCA: true}, true, true)},
		{"only user certificates", true, 0, only(crlmaker.IssuingPoint{OnlyUser: true}, false, false)},
		{"4.14.14 only attribute certificates", false, 75, only(crlmaker.IssuingPoint{OnlyAttributes: true}, false, false)},
		{"4.14.15 only some reasons, revoked", false, 1, only(crlmaker.IssuingPoint{OnlyReasons: keyCompromise}, false, true)},
		{"4.14.16 only some reasons, on hold", false, 1, func(s *site) {
			ca := s.good()
			leaf := s.user(ca)
			some := crlmaker.IssuingPoint{OnlyReasons: 1 << 6}.Extension()
			s.list(ca, entries(numbered(1, some), crlmaker.Entry{Serial: leaf.SerialNumber, Reason: 6}))
		}},
		{"4.14.17 only some reasons", false, 75, only(crlmaker.IssuingPoint{OnlyReasons: keyCompromise | caCompromise}, false, false)},
		{"4.14.18 all reasons in two lists", true, 0, someReasons(false, 0, 0)},
		{"4.14.20 revoked in the first list", false, 1, someReasons(false, 1, 0)},
		{"4.14.21 revoked in the second list", false, 1, someReasons(false, 0, 4)},
		{"4.14.19 all reasons by two distribution points", true, 0, someReasons(true, 0, 0)},
		{"revoked by the first distribution point", false, 1, someReasons(true, 1, 0)},
		{"revoked by the second distribution point", false, 1, someReasons(true, 0, 4)},
	})
}

// someReasons makes two lists for some reasons each, which have the certificate for
// a reason or, at 0, have not.
func someReasons(apart bool, first, second int) func(s *site) {
	return func(s *site) {
		ca := s.good()
		one, other := below("Good CA", "CRL1"), below("Good CA", "CRL1")
		if apart {
			other = below("Good CA", "CRL2")
		}
		leaf := s.user(ca, crlmaker.Points(
			crlmaker.Point{Names: []crlmaker.Name{one}, Reasons: keyCompromise | caCompromise},
			crlmaker.Point{Names: []crlmaker.Name{other}, Reasons: otherReasons},
		))
		for i, p := range []crlmaker.IssuingPoint{
			{Names: []crlmaker.Name{one}, OnlyReasons: keyCompromise | caCompromise},
			{Names: []crlmaker.Name{other}, OnlyReasons: otherReasons},
		} {
			o := numbered(int64(i+1), p.Extension())
			if reason := []int{first, second}[i]; reason != 0 {
				o = entries(o, crlmaker.Entry{Serial: leaf.SerialNumber, Reason: reason})
			}
			s.list(ca, o)
		}
	}
}

func TestSuiteIndirect(t *testing.T) {
	indirect := crlmaker.IssuingPoint{Indirect: true}.Extension()
	from := func(issuer string) crlmaker.Extension {
		return crlmaker.Points(crlmaker.Point{CRLIssuer: named(issuer)})
	}
	// other makes an authority whose certificates the list of another one is about.
	other := func(s *site) (ca, lists *authority) {
		s.anchored()
		return s.ca("Indirect CA2", s.anchor), s.ca("Indirect CA1", s.anchor)
	}
	runSuite(t, []suiteCase{
		{"4.14.22 indirect, of its own issuer", true, 0, func(s *site) {
			ca := s.good()
			s.user(ca)
			s.list(ca, numbered(1, indirect))
		}},
		{"4.14.23 indirect, of its own issuer, revoked", false, 1, func(s *site) {
			ca := s.good()
			s.list(ca, of(numbered(1, indirect), s.user(ca)))
		}},
		{"4.14.24 indirect, of another issuer", true, 0, func(s *site) {
			ca, lists := other(s)
			s.user(ca, from("Indirect CA1"))
			s.list(lists, numbered(1, indirect))
		}},
		{"4.14.25 its serial number of another issuer is on the list", true, 0, func(s *site) {
			ca, lists := other(s)
			leaf := s.user(ca, from("Indirect CA1"))
			s.list(lists, of(numbered(1, indirect), leaf))
		}},
		{"4.14.26 the list of another issuer, which it does not name", false, 75, func(s *site) {
			ca, lists := other(s)
			s.user(ca, point("Indirect CA1", "CRL1"))
			s.list(lists, numbered(1, indirect, issuing("Indirect CA1", "CRL1")))
		}},
		{"4.14.27 the list of another issuer, not indirect", false, 75, func(s *site) {
			ca, lists := other(s)
			s.user(ca, from("Indirect CA1"))
			s.list(lists, numbered(1))
		}},
		{"4.14.28 a CRL issuer", true, 0, crlIssuer(false, "CRL1")},
		{"a CRL issuer, for another distribution point", false, 75, crlIssuer(false, "CRL2")},
		{"a CRL issuer, revoked", false, 1, crlIssuer(true, "CRL1")},
		// Nobody vouches for himself.
		{"4.14.30 a CRL issuer of whom only its own list tells", true, 75, func(s *site) {
			s.anchored()
			ca := s.ca("Indirect CA4", s.anchor)
			source := crlmaker.Points(crlmaker.Point{Names: []crlmaker.Name{below("Indirect CA4", "CRL1")}, CRLIssuer: named("Indirect CA4 CRL")})
			template := s.template("Indirect CA4 CRL", source)
			template.KeyUsage = x509.KeyUsageCRLSign
			lists := s.caOf(template, s.key(), ca)
			s.user(ca, source)
			s.list(lists, numbered(1, crlmaker.IssuingPoint{Names: []crlmaker.Name{below("Indirect CA4", "CRL1")}, Indirect: true}.Extension()))
		}},
		{"4.14.31 several issuers, revoked", false, 1, severalIssuers("Indirect CA6", 1)},
		{"4.14.32 several issuers, revoked by an entry that names none", false, 1, severalIssuers("Indirect CA6", 2)},
		{"4.14.33 several issuers", true, 0, severalIssuers("Indirect CA6", 0)},
		{"4.14.34 of the CRL's issuer itself, revoked", false, 1, severalIssuers("Indirect CA5", 3)},
		{"of the CRL's issuer itself, before whom others are", true, 0, severalIssuers("Indirect CA5", 2)},
		{"4.14.35 names a CRL issuer without a list", false, 75, func(s *site) {
			ca, lists := other(s)
			s.user(ca, from("Indirect CA3"))
			s.list(lists, numbered(1, indirect))
		}},
	})
}

// crlIssuer has the lists of an authority issued by somebody who issues only that.
func crlIssuer(revoked bool, name string) func(s *site) {
	return func(s *site) {
		ca := s.good()
		template := s.template("Good CA CRL")
		template.KeyUsage = x509.KeyUsageCRLSign
		lists := s.caOf(template, s.key(), s.anchor)
		leaf := s.user(ca, crlmaker.Points(crlmaker.Point{Names: []crlmaker.Name{below("Good CA", "CRL1")}, CRLIssuer: named("Good CA CRL")}))
		o := numbered(1, crlmaker.IssuingPoint{Names: []crlmaker.Name{below("Good CA", name)}, Indirect: true}.Extension())
		if revoked {
			o = entries(o, crlmaker.Entry{Serial: leaf.SerialNumber, Issuer: ca.RawSubject})
		}
		s.list(lists, o)
	}
}

// severalIssuers makes a list with entries of several issuers, and a certificate of
// one of them, whose number is that of the entry, 0 for none.
func severalIssuers(issuer string, entry int) func(s *site) {
	return func(s *site) {
		s.anchored()
		lists := s.ca("Indirect CA5", s.anchor)
		ca := lists
		if issuer != "Indirect CA5" {
			ca = s.ca(issuer, s.anchor)
		}
		leaf := s.user(ca, crlmaker.Points(crlmaker.Point{CRLIssuer: named("Indirect CA5")}))
		serial := leaf.SerialNumber
		all := []crlmaker.Entry{
			{Serial: serial, Issuer: s.ca("Indirect CA7", s.anchor).RawSubject},
			{Issuer: s.ca("Indirect CA6", s.anchor).RawSubject}, {},
			{Issuer: lists.RawSubject},
			{Issuer: s.ca("Indirect CA8", s.anchor).RawSubject},
		}
		number := map[int]int{1: 1, 2: 2, 3: 3, 0: 4}[entry]
		for i := range all {
			if i == number || i == 0 {
				all[i].Serial = serial
			} else {
				all[i].Serial = s.template("").SerialNumber
			}
		}
		s.list(lists, entries(numbered(1, crlmaker.IssuingPoint{Indirect: true}.Extension()), all...))
	}
}
