package partner

import (
	"testing"
	"time"

	"domain-secured/internal/testkit/dnsserver"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// faultless fails a test in which something panics.
func faultless(t *testing.T) func(error) { return func(err error) { t.Error(err) } }

// resolving starts a DNS server with a zone, and a resolver that asks it.
func resolving(t *testing.T, zone string) (*dnsserver.Server, *Resolver) {
	t.Helper()
	server, err := dnsserver.Start(zone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	r, err := NewResolver(ResolverConfig{Server: server.Addr(), Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return server, r
}
