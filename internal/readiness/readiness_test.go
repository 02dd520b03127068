package readiness

import (
	"crypto/x509"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"domain-secured/internal/gate"
	"domain-secured/internal/partner"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/trust"
	"domain-secured/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world has judged what is shown of woodgrovebank.com, by the rules that mail is
// judged by.
type world struct {
	ca       *pki.CA
	settings policy.Partner
	now      time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ca, err := pki.NewCA(pki.CAOptions{Name: "Woodgrove Root", NotBefore: time.Now().Add(-1000 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	roots := trust.NewRoots([]*x509.Certificate{ca.Certificate.Leaf})
	return &world{ca: ca, now: time.Now(), settings: policy.Partner{
		Domain: "woodgrovebank.com", Mode: policy.ModeEnforce, NameMatch: policy.NameMatchExchange, Evidence: policy.EvidenceCertificate,
		Trust: policy.TrustChain, Roots: &policy.Roots{Pool: roots.Pool, ID: roots.ID, Turns: roots.Turns}, Usage: policy.UsageClientOrServer,
		MinTLS: 0x0303, MinBits: 128, Revocation: policy.RevocationOff,
	}}
}

func (w *world) issue(t *testing.T, o pki.LeafOptions) *pki.Certificate {
	t.Helper()
	if o.DNSNames == nil {
		o.DNSNames = []string{"mx1.woodgrovebank.com"}
	}
	c, err := w.ca.Leaf(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) assess(t *testing.T, r *partner.Report, lists Lists) *Assessment {
	t.Helper()
	resolver, err := partner.NewResolver(partner.ResolverConfig{Server: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	s := policy.NewSnapshot(nil, nil, &w.settings, nil, nil)
	inspector := gate.New(s, trust.NewStore(filepath.Join(t.TempDir(), "certificates")), time.Now, slog.New(slog.DiscardHandler)).Inspector(resolver)
	defer inspector.Close()
	a, err := Assess(t.Context(), inspector, r, lists, w.now)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Findings {
		if f.Sentence == "" || !strings.ContainsAny(f.Sentence[len(f.Sentence)-1:], ".?") || strings.Contains(f.Sentence, "%!") || strings.HasSuffix(f.Sentence, "..") {
			t.Errorf("not a sentence: %q", f.Sentence)
		}
	}
	return a
}

// report shows one host with addresses.
func report(addresses ...*partner.Address) *partner.Report {
	for i, a := range addresses {
		a.Address, a.Port = netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i)}), 25
	}
	return &partner.Report{Domain: "woodgrovebank.com", Hosts: []*partner.Host{{Name: "mx1.woodgrovebank.com", Source: partner.SourceMX, Addresses: addresses}}}
}

// presents is an address where all is well.
func presents(certificates ...*pki.Certificate) *partner.Address {
	shown := &partner.TLS{Version: "TLS 1.3", Cipher: "TLS_AES_256_GCM_SHA384", ClientCertificateRequested: true}
	chains := []*[]partner.Certificate{&shown.Chain, &shown.Other}
	for i, c := range certificates {
		h, err := policy.ParseHash(c.Fingerprint())
		if err != nil {
			panic(err)
		}
		*chains[i] = append(*chains[i], partner.Certificate{SHA256: partner.Fingerprint(h), DER: c.Leaf.Raw, X509: c.Leaf})
	}
	return &partner.Address{Reachable: true, STARTTLS: true, TLS: shown}
}

// failed is an address where the look came to an end.
func failed(problem partner.Problem, detail string) *partner.Address {
	return &partner.Address{Problem: problem, Detail: detail}
}

// find returns the finding with the token.
func find(a *Assessment, token string) *Finding {
	for _, f := range a.Findings {
		if f.Token == token {
			return f
		}
	}
	return &Finding{}
}
