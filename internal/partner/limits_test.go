package partner

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestLimits: few connections at a time, few in all.
func TestLimits(t *testing.T) {
	var mu sync.Mutex
	now, most, all := 0, 0, 0
	at := mailServer(t, "127.0.0.1:0", func(p *peer) {
		mu.Lock()
		now++
		all++
		most = max(most, now)
		mu.Unlock()
		p.say("220 hello")
		p.hear()
		p.say("250 no more")
		p.hear()
		mu.Lock()
		now--
		mu.Unlock()
	})
	var b strings.Builder
	for i := range 30 {
		fmt.Fprintf(&b, "many.example MX 10 mx%d.many.example\n", i)
		for range 20 {
			fmt.Fprintf(&b, "mx%d.many.example A 127.0.%d.%d\n", i, i+1, strings.Count(b.String(), "\n")%250)
		}
	}
	_, r := resolving(t, b.String())
	// The addresses are of this machine, but nothing listens there.
	p := probing()
	o := Options{Resolver: r, Port: at.Port(), AllowPrivate: true}
	report := p.Probe(t.Context(), Target{Domain: "many.example"}, o)
	tried, not := 0, 0
	for _, host := range report.Hosts {
		for _, a := range host.Addresses {
			switch a.Problem {
			case NotTried:
				not++
			case ConnectFailed:
				tried++
			default:
				t.Errorf("%+v", a)
			}
		}
	}
	if len(report.Hosts) != maxHosts || tried != maxSessionsOfLook || not != maxHosts*maxAddresses-maxSessionsOfLook {
		t.Errorf("%d hosts, %d addresses tried, %d not", len(report.Hosts), tried, not)
	}

	// Many looks at once share eight connections.
	var zone strings.Builder
	for i := range 10 {
		fmt.Fprintf(&zone, "example.com MX 10 mx%d.example.com\nmx%d.example.com A 127.0.0.1\n", i, i)
	}
	_, r = resolving(t, zone.String())
	o.Resolver = r
	var work sync.WaitGroup
	for range 10 {
		work.Go(func() { p.Probe(t.Context(), Target{Domain: "example.com"}, o) })
	}
	work.Wait()
	mu.Lock()
	defer mu.Unlock()
	if all != 100 || most > sessions+2 || most < 2 { // the server may notice an end late
		t.Errorf("%d connections, up to %d at a time", all, most)
	}
}

// TestClientsHoldUpNoHost: an address that came as a partner may make a look take as long
// as it may. The hosts of others are looked at meanwhile.
func TestClientsHoldUpNoHost(t *testing.T) {
	at := mailServer(t, "127.0.0.1:0", func(p *peer) {
		p.say("220 hello")
		p.hear()
		p.say("250 no more")
		p.hear()
	})
	holding := make(chan struct{}, sessions)
	var clients []netip.Addr
	for i := range sessions {
		clients = append(clients, netip.AddrFrom4([4]byte{127, 0, 9, byte(i + 1)}))
		mailServer(t, netip.AddrPortFrom(clients[i], at.Port()).String(), func(p *peer) {
			holding <- struct{}{}
			p.hear()
		})
	}
	_, r := resolving(t, oneHost(at.Addr()))
	p, o := NewProber(), Options{Resolver: r, Port: at.Port(), AllowPrivate: true}
	p.timeout = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	var looks sync.WaitGroup
	defer looks.Wait()
	defer cancel()
	for some := range slices.Chunk(clients, maxClients) {
		looks.Go(func() { p.Probe(ctx, Target{Clients: some}, o) })
	}
	for range clients {
		<-holding
	}
	ctx, cancel = context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if a := p.Probe(ctx, Target{Domain: "example.com"}, o).Hosts[0].Addresses[0]; a.Problem != NoSTARTTLS {
		t.Errorf("%s: %s", a.Problem, a.Detail)
	}
}

// TestProbeEndsWithContext, whatever it is waiting for.
func TestProbeEndsWithContext(t *testing.T) {
	began := make(chan struct{}, 10)
	at := mailServer(t, "127.0.0.1:0", func(p *peer) {
		p.say("220 hello")
		p.hear()
		began <- struct{}{}
		p.hear()
	})
	_, r := resolving(t, oneHost(at.Addr())+"example.com MX 20 mx.example.com\n")
	p := NewProber()
	p.slots = make(chan struct{}, 1)
	p.clients = p.slots
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-began
		cancel()
	}()
	report := p.Probe(ctx, Target{Domain: "example.com", Clients: []netip.Addr{netip.MustParseAddr("127.0.0.5")}}, Options{Resolver: r, Port: at.Port(), AllowPrivate: true})
	problems := map[Problem]bool{}
	for _, host := range report.Hosts {
		problems[host.Addresses[0].Problem] = true
	}
	if !problems[TimedOut] || !problems[NotTried] && !problems[ConnectFailed] {
		t.Errorf("%v", problems)
	}
	report = p.Probe(ctx, Target{Domain: "example.com"}, Options{Resolver: r})
	if report.Problem != DNSFailed {
		t.Errorf("%+v", report)
	}
}
