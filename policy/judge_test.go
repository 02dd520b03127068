package policy

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// fakeEvidence answers from its fields, and counts what it was asked.
type fakeEvidence struct {
	certificate *Certificate
	chains      []Chain
	why         string
	revocation  map[*x509.Certificate]Revocation
	tlsa        bool
	err         error // for every question
	tlsaErr     error // for that about TLSA
	asked       []string
}

func (e *fakeEvidence) Certificate(_ context.Context, h Hash) (*Certificate, error) {
	e.asked = append(e.asked, "certificate")
	if e.certificate == nil || e.certificate.Fingerprint != h {
		return nil, e.err
	}
	return e.certificate, e.err
}

func (e *fakeEvidence) Chains(context.Context, *Certificate, *Roots, Usage, time.Time) ([]Chain, string, error) {
	e.asked = append(e.asked, "chains")
	return e.chains, e.why, e.err
}

func (e *fakeEvidence) Revocation(_ context.Context, _ *Certificate, chain Chain, _ time.Time) (Revocation, error) {
	e.asked = append(e.asked, "revocation")
	return e.revocation[chain[0]], e.err
}

func (e *fakeEvidence) TLSA(context.Context, string, Hash, Hash) (bool, error) {
	e.asked = append(e.asked, "tlsa")
	return e.tlsa, cmp.Or(e.tlsaErr, e.err)
}

// scene is a transaction that passes; a test changes one thing about it.
type scene struct {
	partner   *Partner
	facts     *Facts
	evidence  *fakeEvidence
	connector []Connector
	leaf, ca  *x509.Certificate
}

func newScene() *scene {
	p256 := &ecdsa.PublicKey{Curve: elliptic.P256()}
	s := &scene{
		leaf: &x509.Certificate{
			DNSNames: []string{"mail1.woodgrovebank.com"}, PublicKey: p256, SignatureAlgorithm: x509.ECDSAWithSHA256,
			NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(0, 1, 0),
		},
		ca: &x509.Certificate{PublicKey: p256, IsCA: true},
	}
	root := &x509.Certificate{PublicKey: p256, IsCA: true}
	s.partner = &Partner{
		Domain: "woodgrovebank.com", Mode: ModeEnforce, NameMatch: NameMatchExchange, Evidence: EvidenceCertificate,
		Trust: TrustChain, Roots: &Roots{}, Usage: UsageClientOrServer, MinTLS: 0x0303, MinBits: 128,
		Revocation: RevocationRequire, OnFailure: OnFailureTempfail,
	}
	s.facts = &Facts{
		Sender: "alice@woodgrovebank.com", Client: netip.MustParseAddrPort("192.0.2.7:4711"),
		TLSVersion: "TLSv1.3", Bits: 256,
		Certificate: Reported{Presence: PresenceYes, Fingerprint: Hash{1}, Key: Hash{2}},
	}
	s.evidence = &fakeEvidence{
		certificate: &Certificate{Fingerprint: Hash{1}, X509: s.leaf},
		chains:      []Chain{{s.leaf, s.ca, root}},
		revocation: map[*x509.Certificate]Revocation{
			s.leaf: {Status: RevocationGood, Source: SourceCRL},
			s.ca:   {Status: RevocationGood, Source: SourceCRL},
		},
	}
	return s
}

func (s *scene) judge(t *testing.T) Verdict {
	t.Helper()
	list, err := ParseList("woodgrovebank.com\n")
	if err != nil {
		t.Fatal(err)
	}
	snapshot := NewSnapshot(list, nil, &Partner{}, map[string]*Partner{"woodgrovebank.com": s.partner}, s.connector)
	sender := snapshot.Sender(s.facts)
	return snapshot.Judge(t.Context(), s.facts, &sender, s.evidence, now)
}

func TestPass(t *testing.T) {
	s := newScene()
	v := s.judge(t)
	if v.Result != ResultPass || v.Action != ActionAccept || v.Auth != AuthChain || v.MatchedName != "mail1.woodgrovebank.com" ||
		v.Revocation != SourceCRL || v.Reply != (Reply{}) || v.Domain != "woodgrovebank.com" || v.Reason != None {
		t.Errorf("verdict %+v", v)
	}
}

// TestRows changes one thing at a time, and expects the reason, the reply for
// now, and the one for good, if there is one.
func TestRows(t *testing.T) {
	for _, c := range []struct {
		reason            Reason
		what              string
		temporary, always string // codes: by default, with on_failure = "reject"
		change            func(*scene)
	}{
		{ClientAddressMismatch, "another address", "450 4.7.1", "550 5.7.1", func(s *scene) {
			s.partner.ClientAddresses = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
		}},
		{ClientAddressMismatch, "no address", "450 4.7.1", "550 5.7.1", func(s *scene) {
			s.partner.ClientAddresses = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
			s.facts.Client = netip.AddrPort{}
		}},
		{TLSNotUsed, "no TLS", "450 4.7.0", "530 5.7.0", func(s *scene) { s.facts.TLSVersion = "" }},
		{TLSTooWeak, "TLS 1.1", "450 4.7.6", "550 5.7.6", func(s *scene) { s.facts.TLSVersion = "TLSv1.1" }},
		{TLSTooWeak, "an unknown TLS", "450 4.7.6", "550 5.7.6", func(s *scene) { s.facts.TLSVersion = "TLSv9" }},
		{TLSTooWeak, "112 bits", "450 4.7.6", "550 5.7.6", func(s *scene) { s.facts.Bits = 112 }},
		{CertificateMissing, "no certificate", "450 4.7.1", "550 5.7.1", func(s *scene) {
			s.facts.Certificate = Reported{Presence: PresenceNo}
		}},
		{CertificateNotReported, "no word of one", "451 4.3.5", "451 4.3.5", func(s *scene) { s.facts.Certificate = Reported{} }},
		{CertificateNotReported, "another digest", "451 4.3.5", "451 4.3.5", func(s *scene) {
			s.facts.Certificate = Reported{Presence: PresenceYes, Complaint: "md5"}
		}},
		{DNSSECInvalid, "bogus TLSA", "450 4.7.5", "450 4.7.5", func(s *scene) {
			s.partner.DANE, s.evidence.err = true, errors.New("bogus")
		}},
		{PinMismatch, "no pin fits", "450 4.7.1", "550 5.7.1", func(s *scene) {
			s.partner.Trust, s.partner.Pins = TrustPins, []Hash{{9}}
		}},
		{CertificateWeak, "pinned but weak", "450 4.7.6", "550 5.7.6", func(s *scene) {
			s.partner.Pins = []Hash{{2}}
			s.leaf.PublicKey = &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023)}
		}},
		{CertificateUnknown, "not stored", "450 4.7.1", "450 4.7.1", func(s *scene) { s.evidence.certificate = nil }},
		{CertificateUnknown, "only its key known", "450 4.7.1", "450 4.7.1", func(s *scene) { s.facts.Certificate.Fingerprint = Hash{} }},
		{CertificateMalformed, "does not parse", "450 4.7.5", "550 5.7.5", func(s *scene) {
			s.evidence.certificate.X509, s.evidence.certificate.Err = nil, errors.New("bad DER")
		}},
		{CertificateWeak, "RSA 2047", "450 4.7.6", "550 5.7.6", func(s *scene) {
			s.leaf.PublicKey = &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2046)}
		}},
		{CertificateWeak, "P-224", "450 4.7.6", "550 5.7.6", func(s *scene) {
			s.leaf.PublicKey = &ecdsa.PublicKey{Curve: elliptic.P224()}
		}},
		{CertificateWeak, "a key unheard of", "450 4.7.6", "550 5.7.6", func(s *scene) { s.leaf.PublicKey = nil }},
		{CertificateWeak, "SHA-1", "450 4.7.6", "550 5.7.6", func(s *scene) { s.leaf.SignatureAlgorithm = x509.ECDSAWithSHA1 }},
		{CertificateNotYetValid, "tomorrow", "450 4.7.5", "450 4.7.5", func(s *scene) { s.leaf.NotBefore = now.Add(time.Second) }},
		{CertificateExpired, "yesterday", "450 4.7.5", "550 5.7.5", func(s *scene) { s.leaf.NotAfter = now.Add(-time.Second) }},
		{CertificateNotTrusted, "no chain", "450 4.7.5", "550 5.7.5", func(s *scene) { s.evidence.chains, s.evidence.why = nil, "self-signed" }},
		{CertificateNotTrusted, "a weak CA", "450 4.7.5", "550 5.7.5", func(s *scene) {
			s.ca.PublicKey = &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023)}
		}},
		{CertificateHostMismatch, "another name", "450 4.7.1", "550 5.7.1", func(s *scene) { s.leaf.DNSNames = []string{"mail1.contoso.com"} }},
		{CertificateHostMismatch, "strict", "450 4.7.1", "550 5.7.1", func(s *scene) { s.partner.NameMatch = NameMatchStrict }},
		{CertificateRevoked, "revoked leaf", "550 5.7.5", "550 5.7.5", func(s *scene) {
			s.evidence.revocation[s.leaf] = Revocation{Status: RevocationRevoked}
		}},
		{CertificateRevoked, "revoked CA", "550 5.7.5", "550 5.7.5", func(s *scene) {
			s.evidence.revocation[s.ca] = Revocation{Status: RevocationRevoked}
		}},
		{CertificateRevoked, "revoked CA of a short-lived leaf", "550 5.7.5", "550 5.7.5", func(s *scene) {
			s.leaf.NotBefore, s.leaf.NotAfter = now.AddDate(0, 0, -1), now.AddDate(0, 0, 6)
			s.evidence.revocation[s.ca] = Revocation{Status: RevocationRevoked}
		}},
		{RevocationNotAvailable, "no source", "450 4.7.5", "550 5.7.5", func(s *scene) {
			s.evidence.revocation[s.leaf] = Revocation{Status: RevocationUnavailable}
		}},
		{CertificateOnHold, "on hold", "450 4.7.5", "450 4.7.5", func(s *scene) {
			s.evidence.revocation[s.leaf] = Revocation{Status: RevocationOnHold}
		}},
		{RevocationNotKnown, "no answer", "450 4.7.5", "450 4.7.5", func(s *scene) {
			s.evidence.revocation[s.leaf] = Revocation{Status: RevocationUnknown}
		}},
		{RevocationNotKnown, "no answer, if-available", "450 4.7.5", "450 4.7.5", func(s *scene) {
			s.partner.Revocation = RevocationIfAvailable
			s.evidence.revocation[s.ca] = Revocation{Status: RevocationUnknown}
		}},
		{InternalError, "a broken store", "451 4.3.0", "451 4.3.0", func(s *scene) { s.evidence.err = errors.New("disk") }},
		{CertificateNotTrusted, "the MTA does not trust it", "450 4.7.5", "550 5.7.5", func(s *scene) { s.mta(Reported{Presence: PresenceYes}) }},
		{CertificateNotTrusted, "another issuer", "450 4.7.5", "550 5.7.5", func(s *scene) {
			s.mta(Reported{Presence: PresenceYes, Trusted: true, CN: "mail1.woodgrovebank.com", IssuerCN: "Other CA"})
		}},
		{CertificateHostMismatch, "another CN", "450 4.7.1", "550 5.7.1", func(s *scene) {
			s.mta(Reported{Presence: PresenceYes, Trusted: true, CN: "mail1.contoso.com", IssuerCN: "Woodgrove CA"})
		}},
		{CertificateMissing, "none, and the MTA judges", "450 4.7.1", "550 5.7.1", func(s *scene) { s.mta(Reported{Presence: PresenceNo}) }},
	} {
		t.Run(string(c.reason)+"/"+c.what, func(t *testing.T) {
			for onFailure, code := range map[OnFailure]string{OnFailureTempfail: c.temporary, OnFailureReject: c.always} {
				s := newScene()
				c.change(s)
				s.partner.OnFailure, s.partner.Contact = onFailure, "postmaster@contoso.com"
				v := s.judge(t)
				want := code + " woodgrovebank.com requires mutual TLS here: " + string(c.reason) + ", " + c.reason.Meaning() + "; postmaster@contoso.com"
				if v.Result != ResultFail || v.Reason != c.reason || v.Reply.String() != want {
					t.Errorf("on_failure %s: %s %s, reply %q (%s), want %q", onFailure, v.Result, v.Reason, v.Reply, v.Detail, want)
				}
				action := ActionTempfail
				if code[0] == '5' {
					action = ActionReject
				}
				if v.Action != action {
					t.Errorf("on_failure %s: action %s, want %s", onFailure, v.Action, action)
				}
				s.partner.Mode = ModeTesting
				if v := s.judge(t); v.Result != ResultFail || v.Action != ActionNone || v.Reason != c.reason {
					t.Errorf("testing: %s, action %s, reason %s", v.Result, v.Action, v.Reason)
				}
				s.partner.Mode = ModeOff
				if v := s.judge(t); v.Result != ResultNone || v.Action != ActionNone || !v.Listed {
					t.Errorf("off: %s, action %s", v.Result, v.Action)
				}
			}
		})
	}
}

// mta makes it a scene in which the mail server judges the certificate.
func (s *scene) mta(r Reported) {
	s.partner.Evidence, s.partner.MTAIssuer, s.partner.Revocation, s.partner.Roots = EvidenceMTA, "Woodgrove CA", RevocationOff, nil
	s.facts.Certificate, s.evidence.certificate = r, nil
}

func TestOtherPasses(t *testing.T) {
	for _, c := range []struct {
		auth   Auth
		what   string
		asked  string // of the evidence, in order
		change func(*scene)
	}{
		{AuthChain, "all", "certificate chains revocation revocation", func(*scene) {}},
		{AuthChain, "revocation off", "certificate chains", func(s *scene) { s.partner.Revocation = RevocationOff }},
		{AuthChain, "TLS 1.2", "certificate chains revocation revocation", func(s *scene) { s.facts.TLSVersion = "TLSv1.2" }},
		{AuthChain, "no source, if-available", "certificate chains revocation revocation", func(s *scene) {
			s.partner.Revocation = RevocationIfAvailable
			s.evidence.revocation[s.leaf] = Revocation{Status: RevocationUnavailable}
		}},
		{AuthChain, "a second chain is good", "certificate chains revocation revocation revocation revocation", func(s *scene) {
			other := &x509.Certificate{PublicKey: s.ca.PublicKey, IsCA: true}
			s.evidence.chains = append(s.evidence.chains, Chain{s.leaf, other, other})
			s.evidence.revocation[s.ca] = Revocation{Status: RevocationRevoked}
		}},
		{AuthPin, "key pinned, else expired", "certificate", func(s *scene) {
			s.partner.Pins, s.leaf.NotAfter = []Hash{{9}, {2}}, now.AddDate(-1, 0, 0)
		}},
		{AuthPin, "pinned, not stored", "certificate", func(s *scene) {
			s.partner.Trust, s.partner.Pins, s.evidence.certificate = TrustPins, []Hash{{1}}, nil
		}},
		{AuthDANE, "TLSA", "tlsa", func(s *scene) { s.partner.DANE, s.evidence.tlsa = true, true }},
		{AuthProvider, "names", "certificate chains revocation revocation", func(s *scene) {
			s.partner.Names, s.leaf.DNSNames = []string{"mail.provider.example"}, []string{"mail.provider.example"}
		}},
		{AuthMTA, "as the MTA says", "", func(s *scene) {
			s.mta(Reported{Presence: PresenceYes, Trusted: true, CN: "mail1.woodgrovebank.com", IssuerCN: "Woodgrove CA"})
		}},
		{AuthMTA, "by another name", "", func(s *scene) {
			s.mta(Reported{Presence: PresenceYes, Trusted: true, AltName: "*.WoodgroveBank.com", CN: "Woodgrove Bank, mail", IssuerCN: "Woodgrove CA"})
		}},
		{AuthMTA, "not by another name", "", func(s *scene) {
			s.mta(Reported{Presence: PresenceYes, Trusted: true, AltName: "mail1.fabrikam.com", CN: "mail1.woodgrovebank.com", IssuerCN: "Woodgrove CA"})
		}},
		{AuthExternal, "connector", "", func(s *scene) {
			s.facts.TLSVersion = ""
			s.connector = []Connector{{Treat: TreatExternal, ClientAddresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Partners: []string{"woodgrovebank.com"}}}
		}},
	} {
		t.Run(string(c.auth)+"/"+c.what, func(t *testing.T) {
			s := newScene()
			c.change(s)
			v := s.judge(t)
			if v.Result != ResultPass || v.Auth != c.auth || v.Action != ActionAccept {
				t.Errorf("%s, auth %s, reason %s (%s), want a pass by %s", v.Result, v.Auth, v.Reason, v.Detail, c.auth)
			}
			if asked := strings.Join(s.evidence.asked, " "); asked != c.asked {
				t.Errorf("the evidence was asked for %q, want %q", asked, c.asked)
			}
		})
	}
}

func TestShortLived(t *testing.T) {
	for hours, want := range map[int]Result{7 * 24: ResultPass, 7*24 + 1: ResultFail} {
		s := newScene()
		s.leaf.NotBefore = now.Add(-time.Hour)
		s.leaf.NotAfter = s.leaf.NotBefore.Add(time.Duration(hours) * time.Hour)
		s.evidence.revocation[s.leaf] = Revocation{Status: RevocationUnknown}
		if v := s.judge(t); v.Result != want {
			t.Errorf("valid for %d hours: %s (%s), want %s", hours, v.Result, v.Reason, want)
		} else if want == ResultPass && v.Revocation != SourceNotRequired {
			t.Errorf("valid for %d hours: revocation %s", hours, v.Revocation)
		}
	}
}

// TestConstrainedCN: a common name escapes name constraints, so it counts only in
// a chain without any.
func TestConstrainedCN(t *testing.T) {
	s := newScene()
	s.leaf.DNSNames = nil
	s.leaf.Subject.Names = append(s.leaf.Subject.Names, commonNameOf("woodgrovebank.com"))
	if v := s.judge(t); v.Result != ResultPass {
		t.Fatalf("%s (%s), want a pass by the CN", v.Result, v.Detail)
	}
	s.ca.PermittedDNSDomains = []string{"contoso.com"}
	if v := s.judge(t); v.Reason != CertificateHostMismatch {
		t.Errorf("reason %q, want %s", v.Reason, CertificateHostMismatch)
	}
	free := Chain{s.leaf, &x509.Certificate{PublicKey: s.ca.PublicKey}}
	s.evidence.chains = append(s.evidence.chains, free)
	if v := s.judge(t); v.Result != ResultPass {
		t.Errorf("%s (%s), want a pass by the chain without constraints", v.Result, v.Reason)
	}
	// But not by the revocation of that chain alone.
	s.evidence.revocation[s.leaf] = Revocation{Status: RevocationRevoked}
	if v := s.judge(t); v.Reason != CertificateRevoked {
		t.Errorf("reason %q, want %s", v.Reason, CertificateRevoked)
	}
}

func TestConnectors(t *testing.T) {
	client := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for _, c := range []struct {
		what      string
		connector Connector
		want      Result
	}{
		{"off", Connector{Treat: TreatOff, ClientAddresses: client}, ResultNone},
		{"internal", Connector{Treat: TreatInternal, ClientAddresses: client, Ports: []uint16{10025}}, ResultNone},
		{"enforce", Connector{Treat: TreatEnforce, ClientAddresses: client}, ResultFail},
		{"external for another", Connector{Treat: TreatExternal, ClientAddresses: client, Partners: []string{"contoso.com"}}, ResultFail},
		{"another address", Connector{Treat: TreatOff, ClientAddresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, ResultFail},
		{"another port", Connector{Treat: TreatOff, ClientAddresses: client, Ports: []uint16{25}}, ResultFail},
		{"another listener", Connector{Treat: TreatOff, ClientAddresses: client, Listeners: []string{"mua"}}, ResultFail},
		{"all that is set", Connector{Treat: TreatOff, ClientAddresses: client, Ports: []uint16{10025}, Listeners: []string{"data"}}, ResultNone},
	} {
		s := newScene()
		s.facts.TLSVersion, s.facts.ListenerPort, s.facts.Listener = "", 10025, "data"
		// The first that matches holds.
		s.connector = []Connector{c.connector, {Treat: TreatEnforce}, {Treat: TreatOff}}
		if v := s.judge(t); v.Result != c.want {
			t.Errorf("%s: %s, want %s", c.what, v.Result, c.want)
		}
	}
	mapped := newScene()
	mapped.facts.TLSVersion = ""
	mapped.facts.Client = netip.MustParseAddrPort("[::ffff:192.0.2.7]:1")
	mapped.connector = []Connector{{Treat: TreatOff, ClientAddresses: client}}
	if v := mapped.judge(t); v.Result != ResultNone {
		t.Errorf("an IPv4 address in IPv6: %s, want none", v.Result)
	}
}

func TestUnlisted(t *testing.T) {
	s := newScene()
	s.facts.Sender = "alice@fabrikam.com"
	if v := s.judge(t); v.Listed || v.Result != ResultNone || v.Action != ActionNone || len(s.evidence.asked) > 0 {
		t.Errorf("verdict %+v, the evidence was asked for %q", v, s.evidence.asked)
	}
}

// TestReadings: of several domains that a sender may mean, every listed one must
// pass, and none is stamped.
func TestReadings(t *testing.T) {
	list, err := ParseList("woodgrovebank.com\ncontoso.com\ntesting.example\n")
	if err != nil {
		t.Fatal(err)
	}
	pass := newScene().partner
	testing := *pass
	testing.Mode = ModeTesting
	partners := map[string]*Partner{"woodgrovebank.com": pass, "contoso.com": pass, "testing.example": &testing}
	snapshot := NewSnapshot(list, nil, pass, partners, nil)
	for sender, want := range map[string]struct {
		domain    string
		result    Result
		action    Action
		ambiguous bool
	}{
		"alice@woodgrovebank.com":                    {"woodgrovebank.com", ResultPass, ActionAccept, false},
		"alice@woodgrovebank.com (x)":                {"woodgrovebank.com", ResultPass, ActionAccept, false},
		"woodgrovebank.com!a%contoso.com":            {"contoso.com", ResultFail, ActionTempfail, true},
		"contoso.com!a%woodgrovebank.com":            {"contoso.com", ResultFail, ActionTempfail, true},
		"testing.example!a%contoso.com":              {"contoso.com", ResultFail, ActionTempfail, true},
		"testing.example!a%woodgrovebank.com":        {"testing.example", ResultFail, ActionNone, true},
		"woodgrovebank.com!a%fabrikam.com":           {"woodgrovebank.com", ResultPass, ActionAccept, true},
		"alice@woodgrovebank.com (at a@fabrikam.com": {"woodgrovebank.com", ResultPass, ActionAccept, true},
	} {
		s := newScene()
		s.facts.Sender = sender
		found := snapshot.Sender(s.facts)
		v := snapshot.Judge(t.Context(), s.facts, &found, s.evidence, now)
		if v.Domain != want.domain || v.Result != want.result || v.Action != want.action || v.Ambiguous != want.ambiguous {
			t.Errorf("sender %q: %s %s, action %s, ambiguous %v; want %+v", sender, v.Domain, v.Result, v.Action, v.Ambiguous, want)
		}
	}
}

// TestNotAsked: a question that was not put decides nothing, and is said to be open
// unless a row before it has decided.
func TestNotAsked(t *testing.T) {
	for what, c := range map[string]struct {
		change func(*scene)
		result Result
		open   bool
	}{
		"passes without":  {func(*scene) {}, ResultPass, true},
		"fails without":   {func(s *scene) { s.evidence.chains = nil }, ResultFail, true},
		"TLS fails":       {func(s *scene) { s.facts.TLSVersion = "" }, ResultFail, false},
		"pinned":          {func(s *scene) { s.partner.Pins = []Hash{{1}} }, ResultPass, false},
		"not asked for":   {func(s *scene) { s.partner.DANE = false }, ResultPass, false},
		"another reading": {func(s *scene) { s.facts.Sender = "contoso.com!alice%woodgrovebank.com" }, ResultPass, true},
		"mode off":        {func(s *scene) { s.partner.Mode = ModeOff }, ResultNone, false},
		"external": {func(s *scene) {
			s.connector = []Connector{{Name: "vpn", Treat: TreatExternal, Partners: []string{"woodgrovebank.com"}}}
		}, ResultPass, false},
		"another resolver": {func(s *scene) { s.evidence.tlsaErr = errors.New("bogus") }, ResultFail, false},
	} {
		s := newScene()
		s.partner.DANE, s.evidence.tlsaErr = true, fmt.Errorf("TLSA: %w", ErrNotAsked)
		c.change(s)
		v := s.judge(t)
		if v.Result != c.result || v.Open != c.open || c.open && v.Reason == DNSSECInvalid {
			t.Errorf("%s: %s %q, open %v", what, v.Result, v.Reason, v.Open)
		}
	}
}

// TestExplain: every row is there once, in order, and the verdict is the same.
func TestExplain(t *testing.T) {
	for what, change := range map[string]func(*scene){
		"pass":        func(*scene) {},
		"several":     func(s *scene) { s.facts.TLSVersion, s.leaf.NotAfter = "", now.AddDate(-1, 0, 0) },
		"pinned":      func(s *scene) { s.partner.Pins = []Hash{{1}} },
		"pinned late": func(s *scene) { s.partner.Pins, s.facts.TLSVersion = []Hash{{1}}, "" },
		"nothing":     func(s *scene) { s.facts.Certificate, s.facts.TLSVersion = Reported{Presence: PresenceNo}, "" },
		"unreported":  func(s *scene) { s.facts.Certificate = Reported{} },
		"unknown":     func(s *scene) { s.evidence.certificate = nil },
		"malformed":   func(s *scene) { s.evidence.certificate.X509 = nil },
		"mta":         func(s *scene) { s.mta(Reported{Presence: PresenceYes}) },
		"broken":      func(s *scene) { s.evidence.err = errors.New("disk") },
		"no chain":    func(s *scene) { s.evidence.chains = nil },
		"off":         func(s *scene) { s.partner.Mode = ModeOff },
	} {
		s := newScene()
		change(s)
		want := s.judge(t)
		list, _ := ParseList("woodgrovebank.com\n")
		snapshot := NewSnapshot(list, nil, &Partner{}, map[string]*Partner{"woodgrovebank.com": s.partner}, nil)
		got, explanations := snapshot.Explain(t.Context(), s.facts, s.evidence, now)
		if got.Result != want.Result || got.Reason != want.Reason || got.Reply != want.Reply || got.Auth != want.Auth {
			t.Errorf("%s: explained as %s %s, judged as %s %s", what, got.Result, got.Reason, want.Result, want.Reason)
		}
		if len(explanations) != 1 || len(explanations[0].Rows) != 18 {
			t.Errorf("%s: %d explanations, want 1 of 18 rows", what, len(explanations))
			continue
		}
		var first Reason
		for i, row := range explanations[0].Rows {
			if row.Number != i+1 {
				t.Errorf("%s: row %d is at place %d", what, row.Number, i+1)
			}
			if row.Outcome == OutcomeFail && first == None {
				first = row.Reason
			}
		}
		if first != want.Reason && what != "off" {
			t.Errorf("%s: the first row that fails says %q, the verdict %q", what, first, want.Reason)
		}
	}
}

func TestEscalate(t *testing.T) {
	for _, reason := range Reasons() {
		v := Verdict{Domain: "woodgrovebank.com", Entry: "woodgrovebank.com", Partner: &Partner{}, Mode: ModeEnforce}
		v.refuse(reason, "")
		before := v.Action
		escalated := v.Escalate()
		always := slices.Contains([]Reason{CertificateNotReported, DNSSECInvalid, CertificateNotYetValid, CertificateOnHold, RevocationNotKnown, InternalError}, reason)
		if escalated == (always || before == ActionReject) {
			t.Errorf("%s: escalated %v", reason, escalated)
		}
		if escalated && (v.Action != ActionReject || v.Reply.Code[0] != '5' || v.Reply.Enhanced[0] != '5') {
			t.Errorf("%s: escalated to %s %q", reason, v.Action, v.Reply)
		}
	}
}

func TestReasons(t *testing.T) {
	if len(Reasons()) != len(rulings) {
		t.Errorf("%d reasons, %d rulings", len(Reasons()), len(rulings))
	}
	for _, r := range Reasons() {
		if rulings[r] == nil || r.Meaning() == "" || len(r.Meaning()) > 80 {
			t.Errorf("%s: ruling %+v", r, rulings[r])
		}
	}
}

// TestReplyIsHarmless: what a client makes up never gets into a reply.
func TestReplyIsHarmless(t *testing.T) {
	s := newScene()
	s.facts.TLSVersion = ""
	for _, sender := range []string{"a@evil\r\nx.woodgrovebank.com", "a@%s.woodgrovebank.com", "a@\x00.woodgrovebank.com", "a@\xff.woodgrovebank.com"} {
		s.facts.Sender = sender
		v := s.judge(t)
		if want := "450 4.7.0 woodgrovebank.com requires mutual TLS here: tls-not-used, the session did not use TLS"; v.Reply.String() != want {
			t.Errorf("sender %q: reply %q, want %q", sender, v.Reply, want)
		}
	}
}

// TestInternalFailure: closed for listed domains, open for all others.
func TestInternalFailure(t *testing.T) {
	list, _ := ParseList("woodgrovebank.com\n")
	snapshot := NewSnapshot(list, nil, newScene().partner, nil, nil)
	if v := snapshot.InternalFailure(&Facts{Sender: "a@woodgrovebank.com"}, "x"); v.Action != ActionTempfail || v.Reply.Code != "451" {
		t.Errorf("listed: action %s, reply %q", v.Action, v.Reply)
	}
	tested := *newScene().partner
	tested.Mode = ModeTesting
	both, _ := ParseList("woodgrovebank.com\ntesting.example\n")
	mixed := NewSnapshot(both, nil, newScene().partner, map[string]*Partner{"testing.example": &tested}, nil)
	if v := mixed.InternalFailure(&Facts{Sender: "testing.example!a%woodgrovebank.com"}, "x"); v.Action != ActionTempfail {
		t.Errorf("one that is only tested, one enforced: action %s", v.Action)
	}
	if v := snapshot.InternalFailure(&Facts{Sender: "a@contoso.com"}, "x"); v.Action != ActionNone {
		t.Errorf("unlisted: action %s, reply %q", v.Action, v.Reply)
	}
}

// TestVetNothing: without a certificate there is nothing that could be good.
func TestVetNothing(t *testing.T) {
	s := newScene()
	for what, change := range map[string]func(){
		"no certificate":             func() {},
		"none, and the MTA is asked": func() { s.mta(Reported{Presence: PresenceNo}) },
	} {
		change()
		for _, every := range []bool{false, true} {
			v := Vet(t.Context(), s.evidence, s.partner, "woodgrovebank.com", nil, &s.facts.Certificate, now, every)
			if v.Reason == None || v.Auth != "" {
				t.Errorf("%s: reason %q, auth %q", what, v.Reason, v.Auth)
			}
		}
	}
}

// TestWholeSeconds: a certificate is good in all of its last second, and not in
// the one before its first.
func TestWholeSeconds(t *testing.T) {
	for _, c := range []struct {
		after time.Duration // the moment that its first or last second begins
		last  bool
		want  Reason
	}{
		{-time.Millisecond, false, CertificateNotYetValid}, {0, false, None},
		{0, true, None}, {999 * time.Millisecond, true, None}, {time.Second, true, CertificateExpired},
	} {
		s := newScene()
		at := s.leaf.NotBefore
		if c.last {
			at = s.leaf.NotAfter
		}
		v := Vet(t.Context(), s.evidence, s.partner, "woodgrovebank.com", s.evidence.certificate, &s.facts.Certificate, at.Add(c.after), false)
		if v.Reason != c.want {
			t.Errorf("%v after: %q (%s), want %q", c.after, v.Reason, v.Detail, c.want)
		}
	}
}
