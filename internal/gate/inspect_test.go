package gate

import (
	"testing"
	"time"

	"domain-secured/internal/partner"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/trust"
	"domain-secured/policy"
)

func inspecting(t *testing.T, w *world) *Inspector {
	t.Helper()
	resolver, err := partner.NewResolver(partner.ResolverConfig{Server: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	i := w.Inspector(resolver)
	t.Cleanup(i.Close)
	return i
}

// TestInspectIsWhatIsJudged: for everything that may be wrong with a certificate, what
// an inspection says is what mail with it hears, once it is stored.
func TestInspectIsWhatIsJudged(t *testing.T) {
	w := newWorld(t)
	i := inspecting(t, w)
	self, err := pki.SelfSigned(pki.LeafOptions{DNSNames: []string{"mail1.woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	all := []*pki.Certificate{
		w.leaf, self,
		w.issue(t, pki.LeafOptions{DNSNames: []string{"mail.fabrikam.com"}}),
		w.issue(t, pki.LeafOptions{DNSNames: []string{"mail1.woodgrovebank.com"}, NotAfter: w.now.Add(-time.Second)}),
		w.issue(t, pki.LeafOptions{DNSNames: []string{"mail1.woodgrovebank.com"}, Key: pki.ECDSAP224}),
		w.issue(t, pki.LeafOptions{DNSNames: []string{"mail1.woodgrovebank.com"}, Usage: pki.UsageServer}),
	}
	change := func(change func(*policy.Partner)) {
		p := *w.partner
		p.Domain = "woodgrovebank.com"
		change(&p)
		w.Replace(policy.NewSnapshot(w.list, nil, w.partner, map[string]*policy.Partner{p.Domain: &p}, nil))
	}
	results := make(map[policy.Reason]bool)
	for name, settings := range map[string]func(*policy.Partner){
		"defaults": func(*policy.Partner) {},
		"strict":   func(p *policy.Partner) { p.NameMatch = policy.NameMatchStrict },
		"clients":  func(p *policy.Partner) { p.Usage = policy.UsageClient },
		"pinned":   func(p *policy.Partner) { p.Pins = []policy.Hash{policy.Hash(hashOf(self))} },
		"pins": func(p *policy.Partner) {
			p.Trust, p.Pins = policy.TrustPins, []policy.Hash{policy.Hash(hashOf(self))}
		},
		"dane":    func(p *policy.Partner) { p.DANE = true },
		"revoked": func(p *policy.Partner) { p.Revocation = policy.RevocationRequire },
		"names":   func(p *policy.Partner) { p.Names = []string{"mail.fabrikam.com"} },
	} {
		change(settings)
		for n, c := range all {
			w.keep(t, c)
			report := shows(c)
			found, err := i.Inspect(t.Context(), "woodgrovebank.com", report.Chains()[0], Session{"TLSv1.3", 256}, w.now)
			if err != nil {
				t.Fatal(err)
			}
			want, _ := w.Explain(t.Context(), facts(t, c), nil, w.now)
			got := found.Verdict
			// Whether the DNS fails in time or too late is not the question.
			if got.Result != want.Result || got.Reason != want.Reason || got.Auth != want.Auth || got.MatchedName != want.MatchedName {
				t.Errorf("%s, certificate %d: inspected %s %s %s, judged %s %s %s", name, n, got.Result, got.Reason, got.Auth, want.Result, want.Reason, want.Auth)
			}
			results[got.Reason] = true
		}
	}
	for _, reason := range []policy.Reason{
		policy.None, policy.CertificateNotTrusted, policy.CertificateHostMismatch, policy.CertificateExpired, policy.CertificateWeak,
		policy.PinMismatch, policy.DNSSECInvalid, policy.RevocationNotKnown,
	} {
		if !results[reason] {
			t.Errorf("%q never came up", reason)
		}
	}
}

// TestInspectSettings: a domain that is not listed, has mode off or is let in from
// some addresses alone is inspected all the same.
func TestInspectSettings(t *testing.T) {
	w := newWorld(t)
	i := inspecting(t, w)
	off := *w.partner
	off.Domain, off.Mode, off.Subdomains, off.MinTLS = "contoso.com", policy.ModeOff, true, 0x0304
	off.Names = []string{"mail1.woodgrovebank.com"}
	w.Replace(policy.NewSnapshot(w.list, nil, w.partner, map[string]*policy.Partner{"contoso.com": &off}, nil))
	for domain, want := range map[string]policy.Auth{"fabrikam.com": "", "woodgrovebank.com": policy.AuthChain, "contoso.com": policy.AuthProvider, "eu.contoso.com": policy.AuthProvider} {
		found, err := i.Inspect(t.Context(), domain, shows(w.leaf).Chains()[0], Session{"TLSv1.3", 256}, w.now)
		if err != nil || found.Verdict.Auth != want || len(found.Rows) != 16 || len(found.Chains) != 1 || len(found.Chains[0]) != 2 || found.Key != "ECDSA P-256" {
			t.Errorf("%s: %v %+v %v", domain, found.Verdict.Auth, found.Rows, err)
		}
	}
	found, err := i.Inspect(t.Context(), "contoso.com", shows(w.leaf).Chains()[0], Session{"TLSv1.2", 256}, w.now)
	if err != nil || found.Verdict.Reason != policy.TLSTooWeak {
		t.Errorf("TLS 1.2: %q %v", found.Verdict.Reason, err)
	}
}

// TestInspectorLearns what is good for the partner, and says what is there already.
func TestInspectorLearns(t *testing.T) {
	w := newWorld(t)
	i := inspecting(t, w)
	fresh := w.issue(t, pki.LeafOptions{DNSNames: []string{"mail2.woodgrovebank.com"}})
	strange := w.issue(t, pki.LeafOptions{DNSNames: []string{"mail.fabrikam.com"}})
	stored, known, err := i.Learn(t.Context(), "woodgrovebank.com", shows(w.leaf, fresh, strange))
	if err != nil || len(stored) != 1 || !stored[0].X509.Equal(fresh.Leaf) || len(known) != 1 || !known[0].X509.Equal(w.leaf.Leaf) {
		t.Fatalf("stored %v, known %v, %v", stored, known, err)
	}
	if c, err := w.store.Load(trust.Fingerprint(hashOf(fresh))); err != nil || c == nil || c.Source != trust.SourceProbe || c.Domain != "woodgrovebank.com" {
		t.Errorf("%+v %v", c, err)
	}
	if c := w.store.Get(trust.Fingerprint(hashOf(w.leaf))); c != nil && c.Source != trust.SourceImport {
		t.Error("what was imported was replaced")
	}
	if w.store.Has(trust.Fingerprint(hashOf(strange))) {
		t.Error("a stranger's certificate was stored")
	}
}
