package gate

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/trust"
	"domain-secured/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a gate for woodgrovebank.com, with its good certificate stored.
type world struct {
	*Gate
	ca      *pki.CA
	leaf    *pki.Certificate
	store   *trust.Store
	partner *policy.Partner
	list    *policy.List
	now     time.Time
}

func newWorld(t testing.TB) *world {
	t.Helper()
	ca, err := pki.NewCA(pki.CAOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{ca: ca, now: time.Now(), store: trust.NewStore(filepath.Join(t.TempDir(), "certificates"))}
	w.leaf = w.issue(t, pki.LeafOptions{DNSNames: []string{"mail1.woodgrovebank.com"}})
	w.keep(t, w.leaf)
	roots := trust.NewRoots([]*x509.Certificate{ca.Certificate.Leaf})
	w.partner = &policy.Partner{
		Mode: policy.ModeEnforce, NameMatch: policy.NameMatchExchange, Evidence: policy.EvidenceCertificate,
		Trust: policy.TrustChain, Roots: &policy.Roots{Pool: roots.Pool, ID: roots.ID, Turns: roots.Turns}, Usage: policy.UsageClientOrServer,
		MinTLS: 0x0303, MinBits: 128, Revocation: policy.RevocationOff, OnFailure: policy.OnFailureTempfail,
	}
	if w.list, err = policy.ParseList("woodgrovebank.com\n"); err != nil {
		t.Fatal(err)
	}
	w.Gate = New(policy.NewSnapshot(w.list, nil, w.partner, nil, nil), w.store, func() time.Time { return w.now }, slog.New(slog.DiscardHandler))
	return w
}

func (w *world) issue(t testing.TB, o pki.LeafOptions) *pki.Certificate {
	t.Helper()
	leaf, err := w.ca.Leaf(o)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// keep stores a certificate as an import does.
func (w *world) keep(t testing.TB, c *pki.Certificate) {
	t.Helper()
	read, err := trust.Read(c.PEM())
	if err != nil {
		t.Fatal(err)
	}
	read[0].Source = trust.SourceImport
	if err := w.store.Write(read[0]); err != nil {
		t.Fatal(err)
	}
}

// facts are those of a message that presents c.
func facts(t testing.TB, c *pki.Certificate) *policy.Facts {
	t.Helper()
	hash := func(s string) policy.Hash {
		h, err := policy.ParseHash(s)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	messages++
	return &policy.Facts{
		QueueID: fmt.Sprintf("Q%d", messages), Instance: fmt.Sprint(messages), Sender: "alice@woodgrovebank.com",
		Client: netip.MustParseAddrPort("192.0.2.7:4711"), TLSVersion: "TLSv1.3", Bits: 256,
		Certificate: policy.Reported{Presence: policy.PresenceYes, Fingerprint: hash(c.Fingerprint()), Key: hash(c.KeyFingerprint())},
	}
}

var messages int

// plain are the facts of the same message without TLS.
func plain(t testing.TB, c *pki.Certificate) *policy.Facts {
	f := facts(t, c)
	f.TLSVersion, f.Bits, f.Certificate = "", 0, policy.Reported{Presence: policy.PresenceNo}
	return f
}
