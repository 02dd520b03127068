package partner

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"io"
	"strings"
	"testing"

	"domain-secured/internal/testkit/pki"
)

// brokenKey panics when it is used.
type brokenKey struct{ crypto.Signer }

func (brokenKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { panic("broken key") }

// TestSessionOutlivesPanics: of a look one session ends, and the others show what
// there is.
func TestSessionOutlivesPanics(t *testing.T) {
	_, intermediate := authority(t)
	c, err := intermediate.Leaf(pki.LeafOptions{DNSNames: []string{"mx.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	asking := serverConfig(c.TLSCertificate())
	asking.ClientAuth, asking.ClientCAs = tls.RequestClientCert, x509.NewCertPool()
	bad := mailServer(t, "127.0.0.1:0", func(p *peer) { p.untilSTARTTLS(); p.secure(asking) })
	fine := serverConfig(c.TLSCertificate())
	at := mailServer(t, "127.0.0.2:"+strings.TrimPrefix(bad.String(), "127.0.0.1:"), good(fine))
	_, r := resolving(t, "example.com MX 10 mx1.example.com\nexample.com MX 20 mx2.example.com\nmx1.example.com A 127.0.0.1\nmx2.example.com A 127.0.0.2\n")
	own := c.TLSCertificate()
	own.PrivateKey = brokenKey{own.PrivateKey.(crypto.Signer)}
	complaints := make(chan error, 10)
	report := probing().Probe(t.Context(), Target{Domain: "example.com"}, Options{
		Resolver: r, Port: at.Port(), AllowPrivate: true, Certificate: &own, Complain: func(err error) { complaints <- err },
	})
	broken, whole := report.Hosts[0].Addresses[0], report.Hosts[1].Addresses[0]
	if broken.Problem != Fault || strings.Contains(broken.Detail, "broken key") || whole.Problem != "" || len(report.Chains()) != 1 {
		t.Errorf("%+v, %+v", broken, whole)
	}
	if len(complaints) != 1 {
		t.Fatalf("%d complaints", len(complaints))
	}
	if err := <-complaints; !strings.HasPrefix(err.Error(), "looking at 127.0.0.1: panic: broken key\n") {
		t.Error(err)
	}
}
