package outgoing

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"domain-secured/internal/gate"
	"domain-secured/internal/partner"
	"domain-secured/internal/testkit/dnsserver"
	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/trust"
	"domain-secured/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bank = "woodgrovebank.com"

// world is an insister for woodgrovebank.com, and what it looks at.
type world struct {
	*Insister
	ca      *pki.CA
	dns     *dnsserver.Server
	partner policy.Partner
	outside *gate.Outside
	gate    *gate.Gate
	logged  *lines

	mu  sync.Mutex
	now time.Time
}

// lines is a log in memory.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(word string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), word)
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{now: time.Now(), logged: new(lines)}
	var err error
	if w.ca, err = pki.NewCA(pki.CAOptions{NotBefore: time.Now().Add(-1000 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if w.dns, err = dnsserver.Start(""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.dns.Close() })
	roots := trust.NewRoots([]*x509.Certificate{w.ca.Certificate.Leaf})
	w.partner = policy.Partner{
		Domain: bank, Mode: policy.ModeEnforce, NameMatch: policy.NameMatchExchange, Evidence: policy.EvidenceCertificate,
		Trust: policy.TrustChain, Roots: &policy.Roots{Certificates: roots.Certificates, ID: roots.ID}, Usage: policy.UsageClientOrServer,
		MinTLS: 0x0303, MinBits: 128, Revocation: policy.RevocationOff, SendVerify: policy.SendVerifyVetted,
	}
	resolver, err := partner.NewResolver(partner.ResolverConfig{Server: w.dns.Addr(), Timeout: 600 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	w.outside = &gate.Outside{Resolver: resolver, Port: freePort(t), AllowPrivate: true}
	log := slog.New(slog.NewTextHandler(w.logged, nil))
	w.gate = gate.New(w.snapshot(t), trust.NewStore(filepath.Join(t.TempDir(), "certificates")), w.clock, log)
	w.Insister = New(w.gate, Settings{Snapshot: w.snapshot(t), Outside: w.outside}, w.clock, log)
	t.Cleanup(w.Close)
	return w
}

// freePort is one that nobody has on any address of loopback, as far as one can tell.
func freePort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String()).Port()
}

func (w *world) snapshot(t *testing.T) *policy.Snapshot {
	t.Helper()
	list, err := policy.ParseList(bank + "\n")
	if err != nil {
		t.Fatal(err)
	}
	p := w.partner
	return policy.NewSnapshot(nil, list, &p, map[string]*policy.Partner{bank: &p}, nil)
}

// reload has the partner's settings, as they are now, used.
func (w *world) reload(t *testing.T) {
	t.Helper()
	s := w.snapshot(t)
	w.gate.Replace(s)
	w.Use(Settings{Snapshot: s, Outside: w.outside, Bundles: w.settings.Load().Bundles})
}

// serve has a server at an address present a certificate with these names, and returns it.
func (w *world) serve(t *testing.T, address string, names ...string) (*pki.Certificate, *mta.Fake) {
	t.Helper()
	c, err := w.ca.Leaf(pki.LeafOptions{DNSNames: names})
	if err != nil {
		t.Fatal(err)
	}
	f, err := mta.StartFake(t.Context(), mta.FakeOptions{
		Common: mta.Common{Domains: []string{bank}, Certificate: c}, Listen: fmt.Sprintf("%s:%d", address, w.outside.Port),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return c, f
}

func (w *world) records(t *testing.T, zone string) {
	t.Helper()
	if err := w.dns.Add(zone); err != nil {
		t.Fatal(err)
	}
}

func (w *world) ask() *policy.Demand { return w.Insist(policy.Destination{Name: bank}) }

// settle waits for what is being made in the background.
func (w *world) settle() {
	w.Insister.mu.RLock()
	defer w.Insister.mu.RUnlock()
	for _, d := range w.destinations {
		d.mu.Lock()
		making := d.making
		d.mu.Unlock()
		if making != nil {
			<-making
		}
	}
}

func hash(t *testing.T, c *pki.Certificate) policy.Hash {
	t.Helper()
	h, err := policy.ParseHash(c.Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func insistsOn(t *testing.T, d *policy.Demand, certificates ...*pki.Certificate) {
	t.Helper()
	if d == nil || d.Wait != "" || len(d.Fingerprints) != len(certificates) {
		t.Fatalf("%+v, want %d fingerprints", d, len(certificates))
	}
	for i, c := range certificates {
		if d.Fingerprints[i] != hash(t, c) {
			t.Errorf("fingerprint %d is %v, not %v", i, d.Fingerprints[i], hash(t, c))
		}
	}
}

func waits(t *testing.T, d *policy.Demand, why string) {
	t.Helper()
	if d == nil || d.Wait != why {
		t.Fatalf("%+v, want that it waits for %s", d, why)
	}
}
