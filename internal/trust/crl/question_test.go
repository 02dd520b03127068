package crl

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"time"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/pki"
)

// authorities are who signs in the tests of the rules.
type authorities struct {
	root, ca *pki.CA
	twin     *pki.CA // the name of ca, another key, for CRLs only
	silent   *pki.CA // the name of ca, a key that is not for CRLs
	lists    *pki.CA // issues indirect lists
	foreign  *pki.CA // the name of ca, below another root
}

func newAuthorities(t *testing.T) *authorities {
	t.Helper()
	w := &authorities{root: newCA(t, pki.CAOptions{Name: "Root"})}
	below := func(parent *pki.CA, o pki.CAOptions) *pki.CA {
		ca, err := parent.Intermediate(o)
		if err != nil {
			t.Fatal(err)
		}
		return ca
	}
	forCRLs := extras(crlmaker.KeyUsage(x509.KeyUsageCRLSign))
	w.ca = below(w.root, pki.CAOptions{Name: "Woodgrove CA"})
	w.twin = below(w.root, pki.CAOptions{Name: "Woodgrove CA", Extra: forCRLs})
	w.silent = below(w.root, pki.CAOptions{Name: "Woodgrove CA", Extra: extras(crlmaker.KeyUsage(x509.KeyUsageCertSign))})
	w.lists = below(w.root, pki.CAOptions{Name: "List issuer", Extra: forCRLs})
	w.foreign = below(newCA(t, pki.CAOptions{Name: "Root"}), pki.CAOptions{Name: "Woodgrove CA"})
	return w
}

// A scene is one question. As it starts the answer is good: a leaf of ca names one
// distribution point, and a current list of ca has others.
type scene struct {
	*authorities
	at    time.Time
	grace time.Duration

	points  []crlmaker.Point
	extra   []crlmaker.Extension // of the certificate
	askCA   bool                 // it is an authority's
	version int                  // of the certificate, if not 3
	issuer  *x509.Certificate
	signers []*x509.Certificate
	makers  []*x509.Certificate // of indexes, besides the usual

	list    *crlmaker.Options
	entries []crlmaker.Entry
	delta   *crlmaker.Options // if it has a key
	changes []crlmaker.Entry  // in the delta
	more    []crlmaker.Options
}

const point1, point2 = "http://crl.example/1.crl", "http://crl.example/2.crl"

// asked is the serial number of the certificate in question.
var asked = serial(424242)

func newScene(w *authorities) *scene {
	now := time.Now().UTC().Truncate(time.Second)
	list := by(w.ca, crlmaker.Number(10), crlmaker.KeyID([]byte("key")))
	list.ThisUpdate, list.NextUpdate = now.Add(-time.Hour), now.Add(time.Hour)
	delta := crlmaker.Options{Issuer: list.Issuer, ThisUpdate: list.ThisUpdate.Add(time.Minute), NextUpdate: list.NextUpdate,
		Extensions: []crlmaker.Extension{crlmaker.Number(11), crlmaker.KeyID([]byte("key")), crlmaker.Delta(10)}}
	return &scene{
		authorities: w, at: now, issuer: w.ca.Certificate.Leaf,
		points: []crlmaker.Point{{Names: []crlmaker.Name{crlmaker.URI(point1)}}},
		list:   &list, delta: &delta,
		entries: []crlmaker.Entry{{Serial: big.NewInt(1)}, {Serial: big.NewInt(2), Reason: 6}},
	}
}

// listed puts the certificate on the list.
func (s *scene) listed(reason int) {
	s.entries = append(s.entries, crlmaker.Entry{Serial: asked, Reason: reason})
}

// deltaSays gives the list a delta CRL, which has the certificate for that reason,
// or not at all if it is negative.
func (s *scene) deltaSays(reason int) {
	s.delta.Key = s.ca.Key
	s.changes = []crlmaker.Entry{{Serial: big.NewInt(3)}}
	if reason >= 0 {
		s.changes = append(s.changes, crlmaker.Entry{Serial: asked, Reason: reason})
	}
}

// scope gives the list an issuing distribution point.
func (s *scene) scope(p crlmaker.IssuingPoint) {
	s.list.Extensions = append(s.list.Extensions, p.Extension())
}

// indirect has another one issue the list.
func (s *scene) indirect() {
	s.list.Issuer, s.list.Key = s.lists.Certificate.Leaf.RawSubject, s.lists.Key
	s.scope(crlmaker.IssuingPoint{Indirect: true})
	s.points[0].CRLIssuer = []crlmaker.Name{crlmaker.Directory(s.list.Issuer)}
	s.signers = append(s.signers, s.lists.Certificate.Leaf)
}

func (s *scene) ask(t *testing.T) Answer {
	t.Helper()
	extensions := s.extra
	if s.points != nil {
		extensions = append(extensions, crlmaker.Points(s.points...))
	}
	var c *x509.Certificate
	if s.askCA {
		ca, err := s.ca.Intermediate(pki.CAOptions{Name: "Below", Serial: asked, Extra: extras(extensions...)})
		if err != nil {
			t.Fatal(err)
		}
		c = ca.Certificate.Leaf
	} else {
		leaf, err := s.ca.Leaf(pki.LeafOptions{DNSNames: []string{"a.example"}, Serial: asked, Extra: extras(extensions...)})
		if err != nil {
			t.Fatal(err)
		}
		c = leaf.Leaf
	}
	if s.version != 0 {
		c.Version = s.version
	}
	q, err := NewQuestion(c, s.issuer, s.signers...)
	if err != nil {
		t.Fatal(err)
	}
	index := func(o crlmaker.Options, entries []crlmaker.Entry) *Index {
		o.Entries = crlmaker.Of(entries...)
		return build(t, der1(t, o), append(s.makers, s.ca.Certificate.Leaf, s.twin.Certificate.Leaf, s.lists.Certificate.Leaf, s.foreign.Certificate.Leaf)...)
	}
	var lists []List
	if s.list != nil {
		lists = []List{{Complete: index(*s.list, s.entries)}}
		if s.delta.Key != nil {
			lists[0].Delta = index(*s.delta, s.changes)
		}
	}
	for _, o := range s.more {
		var entries []crlmaker.Entry
		if o.Entries != nil {
			for e := range o.Entries {
				entries = append(entries, e)
			}
		}
		lists = append(lists, List{Complete: index(o, entries)})
	}
	return q.Ask(s.at, s.grace, lists...)
}

type change struct {
	name   string
	change func(*scene)
	want   Status
	reason Reason
	detail string // part of it
}

func runChanges(t *testing.T, changes []change) {
	w := newAuthorities(t)
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(w)
			c.change(s)
			a := s.ask(t)
			if a.Status != c.want || a.Reason != c.reason || !strings.Contains(a.Detail(), c.detail) {
				t.Errorf("%v (%v): %s\nwant %v (%v): %s", a.Status, a.Reason, a.Detail(), c.want, c.reason, c.detail)
			}
			if a.Err != nil {
				t.Error(a.Err)
			}
			if (a.Status == Unknown) != (len(a.By) == 0) || a.Status == Good && a.Covered != AllReasons {
				t.Errorf("by %d lists, covered %v", len(a.By), a.Covered)
			}
		})
	}
}

// TestStatus: what a list says of a certificate that it is for.
func TestStatus(t *testing.T) {
	runChanges(t, []change{
		{"not listed", func(s *scene) {}, Good, 0, `not on CRL 10 of "CN=Woodgrove CA", issued `},
		{"empty list", func(s *scene) { s.entries = nil }, Good, 0, ""},
		{"version 1", func(s *scene) { s.list.Version1, s.list.Extensions, s.entries = true, nil, nil }, Good, 0, ""},
		{"version 1, listed", func(s *scene) {
			s.list.Version1, s.list.Extensions, s.entries = true, nil, []crlmaker.Entry{{Serial: asked}}
		}, Revoked, Unspecified, ""},
		{"no distribution point", func(s *scene) { s.points = nil }, Good, 0, ""},
		{"no distribution point, listed", func(s *scene) { s.points = nil; s.listed(0) }, Revoked, 0, ""},
		{"listed", func(s *scene) { s.listed(0) }, Revoked, Unspecified, `revoked (unspecified) by CRL 10 of "CN=Woodgrove CA"`},
		{"key compromise", func(s *scene) { s.listed(1) }, Revoked, 1, "revoked (keyCompromise)"},
		{"no such reason", func(s *scene) { s.listed(99) }, Revoked, unknownReason, ""},
		{"on hold", func(s *scene) { s.listed(6) }, Hold, CertificateHold, "on hold (certificateHold)"},
		{"removed, in a complete list", func(s *scene) { s.listed(8) }, Unknown, 0, "which only a delta CRL may"},
		{"no list", func(s *scene) { s.list = nil }, Unknown, 0, "no CRL is at hand"},
	})
}

// TestDates: RFC 5280 section 6.3.3 (a).
func TestDates(t *testing.T) {
	runChanges(t, []change{
		{"at its end", func(s *scene) { s.at = s.list.NextUpdate }, Good, 0, ""},
		{"a second after its end", func(s *scene) { s.at = s.list.NextUpdate.Add(time.Second) }, Unknown, 0, "its next update was due 20"},
		{"after its end, listed", func(s *scene) { s.listed(1); s.at = s.list.NextUpdate.Add(time.Second) }, Unknown, 0, "due"},
		{"in the grace", func(s *scene) { s.at, s.grace = s.list.NextUpdate.Add(time.Minute), time.Minute }, Good, 0, ""},
		{"after the grace", func(s *scene) { s.at, s.grace = s.list.NextUpdate.Add(61*time.Second), time.Minute }, Unknown, 0, ""},
		{"as it begins", func(s *scene) { s.at = s.list.ThisUpdate }, Good, 0, ""},
		{"our clock is slow", func(s *scene) { s.at = s.list.ThisUpdate.Add(-Skew) }, Good, 0, ""},
		{"of the future", func(s *scene) { s.at = s.list.ThisUpdate.Add(-Skew - time.Second) }, Unknown, 0, "future"},
		{"of the future, listed", func(s *scene) { s.listed(1); s.at = s.list.ThisUpdate.Add(-time.Hour) }, Unknown, 0, "future"},
		{"ends before it begins", func(s *scene) { s.list.NextUpdate = s.list.ThisUpdate.Add(-time.Hour) }, Unknown, 0, "due"},
	})
}

// TestCritical: RFC 5280 sections 5.2 and 5.3.
func TestCritical(t *testing.T) {
	unknown := crlmaker.Extension{ID: "1.2.3", Critical: true, Value: []byte{5, 0}}
	harmless := crlmaker.Extension{ID: "1.2.3", Value: []byte{5, 0}}
	entry := func(s *scene, x crlmaker.Extension) { s.entries[0].Extensions = []crlmaker.Extension{x} }
	runChanges(t, []change{
		{"of the list", func(s *scene) { s.list.Extensions = append(s.list.Extensions, unknown) }, Unknown, 0, "critical extension that is not known: 1.2.3"},
		{"of the list, listed", func(s *scene) { s.listed(1); s.list.Extensions = append(s.list.Extensions, unknown) }, Unknown, 0, "1.2.3"},
		{"of the list, not critical", func(s *scene) { s.list.Extensions = append(s.list.Extensions, harmless) }, Good, 0, ""},
		{"of another entry", func(s *scene) { entry(s, unknown) }, Unknown, 0, "1.2.3"},
		{"of another entry, not critical", func(s *scene) { entry(s, harmless) }, Good, 0, ""},
		{"of another entry, a date", func(s *scene) {
			entry(s, crlmaker.Extension{ID: "2.5.29.24", Critical: true, Value: []byte("\x18\x0f20260102030405Z")})
		}, Good, 0, ""},
		{"of the entry", func(s *scene) { s.listed(1); s.entries[2].Extensions = []crlmaker.Extension{unknown} }, Unknown, 0, "1.2.3"},
		{"alternative names of the issuer, critical", func(s *scene) {
			s.list.Extensions = append(s.list.Extensions, crlmaker.Extension{ID: "2.5.29.18", Critical: true, Value: []byte("\x30\x03\x82\x01a")})
		}, Unknown, 0, "2.5.29.18"},
	})
}

// TestIssuer: RFC 5280 section 6.3.3 (b) (1) and (f).
func TestIssuer(t *testing.T) {
	twin := func(s *scene) { s.list.Key = s.twin.Key }
	respelled := distinguished([]text{{3, cbasn1.UTF8String, " WOODGROVE  ca"}})
	runChanges(t, []change{
		{"another name", func(s *scene) {
			s.list.Issuer, s.list.Key = s.lists.Certificate.Leaf.RawSubject, s.lists.Key
			s.signers = append(s.signers, s.lists.Certificate.Leaf)
		}, Unknown, 0, "another issuer"},
		{"its name in another spelling", func(s *scene) { s.list.Issuer = respelled }, Good, 0, ""},
		{"its name in another spelling, listed", func(s *scene) { s.list.Issuer = respelled; s.listed(1) }, Revoked, 1, ""},
		{"a key of its own for lists", func(s *scene) { twin(s); s.signers = append(s.signers, s.twin.Certificate.Leaf) }, Good, 0, ""},
		{"a key of its own, listed", func(s *scene) { twin(s); s.signers = append(s.signers, s.twin.Certificate.Leaf); s.listed(1) }, Revoked, 1, ""},
		{"a newer list by another key, which has only what that issued", func(s *scene) {
			s.listed(1)
			newer := by(s.ca, crlmaker.Number(5))
			newer.Key, newer.ThisUpdate, newer.NextUpdate = s.twin.Key, s.list.ThisUpdate.Add(time.Minute), s.list.NextUpdate
			s.more, s.signers = []crlmaker.Options{newer}, append(s.signers, s.twin.Certificate.Leaf)
		}, Revoked, 1, "by CRL 10"},
		{"a key that nothing vouches for", twin, Unknown, 0, "its signer is neither"},
		{"a key that nothing vouches for, listed", func(s *scene) { twin(s); s.listed(1) }, Unknown, 0, "its signer is neither"},
		{"the same name below another root", func(s *scene) { s.list.Key = s.foreign.Key }, Unknown, 0, "its signer is neither"},
		{"another signer is vouched for", func(s *scene) { twin(s); s.signers = append(s.signers, s.lists.Certificate.Leaf) }, Unknown, 0, "its signer is neither"},
		{"the key is in a certificate of another name", func(s *scene) {
			twin(s)
			renamed := *s.twin.Certificate.Leaf
			renamed.RawSubject = s.lists.Certificate.Leaf.RawSubject
			s.signers = append(s.signers, &renamed)
		}, Unknown, 0, "its signer is neither"},
		{"the issuer's key is not for lists", func(s *scene) {
			mute := *s.ca.Certificate.Leaf
			mute.KeyUsage = x509.KeyUsageCertSign
			s.issuer = &mute
		}, Unknown, 0, "its signer is neither"},
		{"the issuer has no key usage", func(s *scene) {
			free := *s.ca.Certificate.Leaf
			free.KeyUsage, free.Extensions = 0, nil
			s.issuer = &free
		}, Good, 0, ""},
		{"attribute certificates", func(s *scene) { s.scope(crlmaker.IssuingPoint{OnlyAttributes: true}) }, Unknown, 0, "attribute"},
	})
}

// TestScope: RFC 5280 section 6.3.3 (b) (2).
func TestScope(t *testing.T) {
	names := func(uris ...string) (all []crlmaker.Name) {
		for _, uri := range uris {
			all = append(all, crlmaker.URI(uri))
		}
		return all
	}
	at := func(uris ...string) func(*scene) {
		return func(s *scene) { s.scope(crlmaker.IssuingPoint{Names: names(uris...)}) }
	}
	and := func(all ...func(*scene)) func(*scene) {
		return func(s *scene) {
			for _, f := range all {
				f(s)
			}
		}
	}
	ca := func(s *scene) { s.askCA = true }
	listed := func(s *scene) { s.listed(1) }
	users := func(s *scene) { s.scope(crlmaker.IssuingPoint{OnlyUser: true}) }
	cas := func(s *scene) { s.scope(crlmaker.IssuingPoint{OnlyCA: true}) }
	caName := distinguished([]text{{3, cbasn1.UTF8String, "Woodgrove CA"}})
	caPoint := distinguished([]text{{3, cbasn1.UTF8String, "Woodgrove CA"}}, []text{{3, cbasn1.UTF8String, "CRL1"}})
	runChanges(t, []change{
		{"its point", at(point1), Good, 0, ""},
		{"its point, listed", and(at(point1), listed), Revoked, 1, ""},
		{"its point in capitals", at("HTTP://CRL.example/1.crl"), Good, 0, ""},
		{"another point", at(point2), Unknown, 0, "other distribution points"},
		{"another point, listed", and(at(point2), listed), Unknown, 0, "other distribution points"},
		{"its point among others", at(point2, point1), Good, 0, ""},
		{"one of the point's names", and(at(point2), func(s *scene) { s.points[0].Names = names(point1, point2) }), Good, 0, ""},
		{"the second point", and(at(point2), func(s *scene) { s.points = append(s.points, crlmaker.Point{Names: names(point2)}) }), Good, 0, ""},
		{"no point in the certificate", and(at(point1), func(s *scene) { s.points = nil }), Unknown, 0, "other distribution points"},
		{"by the issuer's name", func(s *scene) { s.scope(crlmaker.IssuingPoint{Names: []crlmaker.Name{crlmaker.Directory(caName)}}) }, Good, 0, ""},
		{"by another alternative name", and(at("http://alt/"), func(s *scene) {
			s.extra = append(s.extra, crlmaker.Extension{ID: "2.5.29.18", Value: append([]byte{0x30, 13, 0x86, 11}, "http://alt/"...)})
		}), Good, 0, ""},
		{"relative, both", func(s *scene) {
			s.points[0] = crlmaker.Point{Names: []crlmaker.Name{crlmaker.Directory(caPoint)}}
			s.scope(crlmaker.IssuingPoint{Relative: below1("CRL1")})
		}, Good, 0, ""},
		{"relative, another", func(s *scene) {
			s.points[0] = crlmaker.Point{Names: []crlmaker.Name{crlmaker.Directory(caPoint)}}
			s.scope(crlmaker.IssuingPoint{Relative: below1("CRL2")})
		}, Unknown, 0, "other distribution points"},
		{"users", users, Good, 0, ""},
		{"users, listed", and(users, listed), Revoked, 1, ""},
		{"users, and a CA", and(users, ca), Unknown, 0, "not for certificates of CAs"},
		{"CAs", cas, Unknown, 0, "for certificates of CAs only"},
		{"CAs, and a CA", and(cas, ca), Good, 0, ""},
		{"CAs, and a CA, listed", and(cas, ca, listed), Revoked, 1, ""},
		{"a CA", ca, Good, 0, ""},
		{"users, version 1", and(users, func(s *scene) { s.version = 1 }), Unknown, 0, "version 1"},
		{"version 1", func(s *scene) { s.version = 1 }, Good, 0, ""},
	})
}

// TestIndirect: RFC 5280 sections 6.3.3 (b) (1) and 5.3.3.
func TestIndirect(t *testing.T) {
	ours := func(s *scene) []byte { return s.ca.Certificate.Leaf.RawSubject }
	entry := func(issuer func(*scene) []byte, reason int) func(*scene) {
		return func(s *scene) {
			s.indirect()
			s.entries = append(s.entries, crlmaker.Entry{Serial: asked, Reason: reason, Issuer: issuer(s)})
		}
	}
	others := func(*scene) []byte { return otherName }
	nobodys := func(*scene) []byte { return nil }
	runChanges(t, []change{
		{"not listed", (*scene).indirect, Good, 0, `of "CN=List issuer"`},
		{"listed", entry(ours, 1), Revoked, 1, ""},
		{"another's certificate", entry(others, 1), Good, 0, ""},
		{"the list issuer's own certificate", entry(nobodys, 1), Good, 0, ""},
		{"after another one of ours", func(s *scene) {
			entry(ours, 1)(s)
			s.entries[0].Issuer, s.entries[2].Issuer = ours(s), nil
		}, Revoked, 1, ""},
		{"after another one of others", func(s *scene) {
			entry(ours, 1)(s)
			s.entries[0].Issuer, s.entries[2].Issuer = otherName, nil
		}, Good, 0, ""},
		{"in another spelling", func(s *scene) {
			entry(func(*scene) []byte { return distinguished([]text{{3, cbasn1.PrintableString, "woodgrove CA"}}) }, 1)(s)
		}, Revoked, 1, ""},
		{"not said to be indirect", func(s *scene) { s.indirect(); s.list.Extensions = s.list.Extensions[:2] }, Unknown, 0, "no indirect CRL"},
		{"not asked for", func(s *scene) { s.indirect(); s.points[0].CRLIssuer = nil }, Unknown, 0, "another issuer"},
		{"of another issuer than asked for", func(s *scene) {
			s.indirect()
			s.points[0].CRLIssuer = []crlmaker.Name{crlmaker.Directory(otherName)}
		}, Unknown, 0, "another issuer"},
		{"issuer that nothing vouches for", func(s *scene) { s.indirect(); s.signers = nil }, Unknown, 0, "its signer is neither"},
		{"point without a name", func(s *scene) { s.indirect(); s.points[0].Names = nil }, Good, 0, ""},
		{"point without a name, list with the issuer's", func(s *scene) {
			s.indirect()
			s.points[0].Names = nil
			s.list.Extensions = append(s.list.Extensions[:2], crlmaker.IssuingPoint{Indirect: true, Names: []crlmaker.Name{crlmaker.Directory(s.list.Issuer)}}.Extension())
		}, Good, 0, ""},
		{"point without a name, list with another", func(s *scene) {
			s.indirect()
			s.points[0].Names = nil
			s.list.Extensions = append(s.list.Extensions[:2], crlmaker.IssuingPoint{Indirect: true, Names: []crlmaker.Name{crlmaker.URI(point1)}}.Extension())
		}, Unknown, 0, "other distribution points"},
		{"by the certificate's issuer", func(s *scene) { s.scope(crlmaker.IssuingPoint{Indirect: true}) }, Good, 0, ""},
		{"by the certificate's issuer, listed", func(s *scene) { s.scope(crlmaker.IssuingPoint{Indirect: true}); s.listed(1) }, Revoked, 1, ""},
		{"another one wanted, and the issuer's own there", func(s *scene) {
			s.points[0].CRLIssuer = []crlmaker.Name{crlmaker.Directory(otherName)}
		}, Good, 0, ""},
	})
}

// TestReasonsCovered: RFC 5280 section 6.3.3 (d), (e) and (l).
func TestReasonsCovered(t *testing.T) {
	const compromise, rest = 1<<1 | 1<<2 | 1<<8, 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7
	some := func(reasons uint16) func(*scene) {
		return func(s *scene) { s.scope(crlmaker.IssuingPoint{OnlyReasons: reasons}) }
	}
	other := func(s *scene, reasons uint16, entries ...crlmaker.Entry) crlmaker.Options {
		o := *s.list
		o.Extensions = []crlmaker.Extension{crlmaker.Number(20), crlmaker.IssuingPoint{OnlyReasons: reasons}.Extension()}
		o.Entries = crlmaker.Of(entries...)
		return o
	}
	two := func(first, second uint16, entries ...crlmaker.Entry) func(*scene) {
		return func(s *scene) { some(first)(s); s.more = []crlmaker.Options{other(s, second, entries...)} }
	}
	runChanges(t, []change{
		{"some in the list", some(compromise), Unknown, 0, "nothing is known about affiliationChanged"},
		{"some in the list, listed", func(s *scene) { some(compromise)(s); s.listed(1) }, Revoked, 1, ""},
		{"all in the list", some(compromise | rest), Good, 0, ""},
		{"some in the point", func(s *scene) {
			s.points[0].Reasons = compromise
			s.list.Extensions = nil
			s.scope(crlmaker.IssuingPoint{Names: s.points[0].Names})
		},
			Unknown, 0, "nothing is known about"},
		{"some in the point, and a full list", func(s *scene) { s.points[0].Reasons = compromise }, Good, 0, ""},
		{"different ones in point and list", func(s *scene) {
			s.points[0].Reasons = compromise
			s.scope(crlmaker.IssuingPoint{OnlyReasons: rest, Names: s.points[0].Names})
		}, Unknown, 0, "for other reasons"},
		{"two lists", two(compromise, rest), Good, 0, "; nor on CRL 20"},
		{"two lists, listed in the second", two(compromise, rest, crlmaker.Entry{Serial: asked, Reason: 4}), Revoked, 4, "by CRL 20"},
		{"two lists for the same", two(compromise, compromise), Unknown, 0, "nothing is known about"},
		{"two lists, not all", two(compromise, 1<<3), Unknown, 0, "nothing is known about superseded"},
		{"on hold, and revoked in the second", func(s *scene) { two(rest, compromise, crlmaker.Entry{Serial: asked, Reason: 1})(s); s.listed(6) }, Revoked, 1, "by CRL 20"},
		{"revoked, and on hold in the second", func(s *scene) { two(compromise, rest, crlmaker.Entry{Serial: asked, Reason: 6})(s); s.listed(1) }, Revoked, 1, "by CRL 10"},
		{"on hold, and nothing in the second", func(s *scene) { two(rest, compromise)(s); s.listed(6) }, Hold, 6, "by CRL 10"},
		{"two points", func(s *scene) {
			s.points = []crlmaker.Point{{Names: s.points[0].Names, Reasons: compromise}, {Names: []crlmaker.Name{crlmaker.URI(point2)}, Reasons: rest}}
			s.scope(crlmaker.IssuingPoint{Names: s.points[0].Names})
			o := *s.list
			o.Extensions = []crlmaker.Extension{crlmaker.IssuingPoint{Names: s.points[1].Names}.Extension()}
			s.more = []crlmaker.Options{o}
		}, Good, 0, ""},
	})
}

// TestUseless: a list that has no say does not keep another one from having it.
func TestUseless(t *testing.T) {
	useless := func(s *scene) {
		s.more = []crlmaker.Options{*s.list}
		s.more[0].Entries = crlmaker.Of(s.entries...)
		s.list.NextUpdate = s.at.Add(-time.Minute)
		s.entries = nil
	}
	newer := func(s *scene, entries ...crlmaker.Entry) {
		s.more = []crlmaker.Options{*s.list}
		s.more[0].ThisUpdate = s.list.ThisUpdate.Add(time.Minute)
		s.more[0].Entries = crlmaker.Of(entries...)
	}
	runChanges(t, []change{
		{"good", useless, Good, 0, ""},
		{"revoked", func(s *scene) { s.listed(1); useless(s) }, Revoked, 1, ""},
		{"an older one, in front, that does not have it", func(s *scene) { newer(s, crlmaker.Entry{Serial: asked, Reason: 1}) }, Revoked, 1, ""},
		{"an older one, in front, on hold", func(s *scene) { s.listed(6); newer(s) }, Good, 0, ""},
		{"both useless", func(s *scene) { useless(s); s.more[0].NextUpdate = s.at.Add(-time.Hour) }, Unknown, 0, "; CRL 10"},
	})
}

// TestManyUseless: why it is unknown is told in a line, however many lists do not say.
func TestManyUseless(t *testing.T) {
	ca := newCA(t, pki.CAOptions{Name: "Woodgrove CA"})
	o := by(ca, crlmaker.Number(1), crlmaker.IssuingPoint{OnlyCA: true}.Extension())
	index := build(t, der1(t, o), ca.Certificate.Leaf)
	q, err := NewQuestion(newLeaf(t, ca), ca.Certificate.Leaf)
	if err != nil {
		t.Fatal(err)
	}
	lists := make([]List, 1000)
	for i := range lists {
		lists[i].Complete = index
	}
	a := q.Ask(time.Now(), 0, lists...)
	detail := a.Detail()
	if a.Status != Unknown || len(detail) > 4000 || !strings.HasSuffix(detail, "and so on, 1000 lists in all") {
		t.Errorf("%v: %d octets: %.4000s", a.Status, len(detail), detail)
	}
}

// TestBadPoints: a certificate that cannot be read is not asked for.
func TestBadPoints(t *testing.T) {
	w := newAuthorities(t)
	leaf := *newLeaf(t, w.ca)
	leaf.Extensions = append(leaf.Extensions, pkix.Extension{Id: []int{2, 5, 29, 31}, Value: []byte{0x30, 2, 0x30, 0}})
	if _, err := NewQuestion(&leaf, w.ca.Certificate.Leaf); err == nil {
		t.Error("no error")
	}
	q, err := NewQuestion(newLeaf(t, w.ca, crlmaker.Points(crlmaker.Point{Names: []crlmaker.Name{crlmaker.URI(point1)}})), w.ca.Certificate.Leaf)
	if err != nil || len(q.Points()) != 1 || q.Points()[0].URIs()[0] != point1 {
		t.Errorf("%v, %v", q.Points(), err)
	}
	if a := q.Ask(time.Now(), 0, List{}); a.Status != Unknown {
		t.Errorf("without a complete list: %v", a.Status)
	}
}

// TestUnreadable: an index that is damaged or closed is never good.
func TestUnreadable(t *testing.T) {
	w := newAuthorities(t)
	q, err := NewQuestion(newLeaf(t, w.ca), w.ca.Certificate.Leaf)
	if err != nil {
		t.Fatal(err)
	}
	complete := build(t, der1(t, by(w.ca, crlmaker.Number(1))), w.ca.Certificate.Leaf)
	delta := build(t, der1(t, by(w.ca, crlmaker.Number(2), crlmaker.Delta(1))), w.ca.Certificate.Leaf)
	both := List{Complete: complete, Delta: delta}
	if a := q.Ask(time.Now(), 0, both); a.Status != Good || a.Err != nil {
		t.Fatalf("%s, %v", a.Detail(), a.Err)
	}
	if err := delta.Close(); err != nil {
		t.Fatal(err)
	}
	if a := q.Ask(time.Now(), 0, both); a.Status != Unknown || a.Err == nil {
		t.Errorf("%s, %v", a.Detail(), a.Err)
	}
	older := by(w.ca, crlmaker.Number(0))
	older.ThisUpdate = time.Now().Add(-24 * time.Hour)
	beside := List{Complete: build(t, der1(t, older), w.ca.Certificate.Leaf)}
	if a := q.Ask(time.Now(), 0, beside); a.Status != Good {
		t.Errorf("%s, %v", a.Detail(), a.Err)
	}
	if a := q.Ask(time.Now(), 0, beside, both); a.Status != Unknown || a.Err == nil {
		t.Errorf("beside an older one: %s, %v", a.Detail(), a.Err)
	}
	if err := complete.Close(); err != nil {
		t.Fatal(err)
	}
	if a := q.Ask(time.Now(), 0, List{Complete: complete}); a.Status != Unknown || a.Err == nil {
		t.Errorf("%s, %v", a.Detail(), a.Err)
	}
}
