package partner

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"domain-secured/internal/testkit/pki"
)

// looker plays Look and Found for a learner, and notes what it is asked.
type looker struct {
	takes time.Duration

	mu     sync.Mutex
	now    int
	most   int
	events []string
	began  time.Time
}

func (k *looker) look(ctx context.Context, domain string, clients []netip.Addr) *Report {
	k.mu.Lock()
	k.now++
	k.most = max(k.most, k.now)
	k.events = append(k.events, fmt.Sprintf("%s look %s %v", time.Since(k.began), domain, clients))
	k.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-time.After(k.takes):
	}
	k.mu.Lock()
	k.now--
	k.mu.Unlock()
	return &Report{Domain: domain}
}

func (k *looker) found(domain string, wanted Fingerprint, r *Report) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.events = append(k.events, fmt.Sprintf("%s found %s %d %s", time.Since(k.began), domain, wanted[0], r.Domain))
}

// expect compares what has happened since the last time.
func (k *looker) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	events, _, _ := k.take()
	if !slices.Equal(events, want) {
		t.Errorf("%q", events)
	}
}

// take returns what has happened since the last time, how many looks are under
// way, and how many were at most.
func (k *looker) take() (events []string, now, most int) {
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	events, k.events = k.events, nil
	return events, k.now, k.most
}

// learning runs a test with a learner, in a time of its own.
func learning(t *testing.T, takes time.Duration, test func(t *testing.T, l *Learner, k *looker)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pending.json")
	synctest.Test(t, func(t *testing.T) {
		pending := OpenPending(path, func(err error) { t.Error(err) })
		defer pending.Close()
		k := &looker{takes: takes, began: time.Now()}
		l := NewLearner(LearnerConfig{Look: k.look, Found: k.found, Pending: pending})
		defer l.Close()
		test(t, l, k)
	})
}

var (
	clientA = netip.MustParseAddr("192.0.2.1")
	clientB = netip.MustParseAddr("192.0.2.2")
)

func TestLearnerLooksOnceAMinute(t *testing.T) {
	learning(t, time.Second, func(t *testing.T, l *Learner, k *looker) {
		l.Queue("a.example", Fingerprint{1}, clientA)
		k.expect(t, "0s look a.example [192.0.2.1]")
		// While it looks: no second look, but both are told.
		l.Queue("a.example", Fingerprint{2}, clientB)
		l.Queue("a.example", Fingerprint{2}, clientB)
		k.expect(t)
		time.Sleep(time.Second)
		k.expect(t, "1s found a.example 1 a.example", "1s found a.example 2 a.example")
		// Soon after: when the minute is over.
		time.Sleep(9 * time.Second)
		l.Queue("a.example", Fingerprint{3}, clientA)
		l.Queue("a.example", Fingerprint{4}, netip.AddrFrom16(clientA.As16()))
		// Another partner has its own minute.
		l.Queue("b.example", Fingerprint{3}, netip.Addr{})
		k.expect(t, "10s look b.example []")
		time.Sleep(49 * time.Second)
		k.expect(t, "11s found b.example 3 b.example")
		time.Sleep(time.Second)
		k.expect(t, "1m0s look a.example [192.0.2.2 192.0.2.1]")
		time.Sleep(time.Hour)
		k.expect(t, "1m1s found a.example 3 a.example", "1m1s found a.example 4 a.example")
		// Long after: at once.
		l.Queue("a.example", Fingerprint{5}, clientA)
		k.expect(t, "1h1m0s look a.example [192.0.2.1]")
		time.Sleep(time.Minute)
		k.expect(t, "1h1m1s found a.example 5 a.example")
		if list := l.config.Pending.List(); len(list) != 6 {
			t.Errorf("%v", list)
		}
	})
}

func TestLearnerLooksAtEight(t *testing.T) {
	learning(t, time.Hour, func(t *testing.T, l *Learner, k *looker) {
		for i := range 20 {
			l.Queue(fmt.Sprintf("d%d.example", i), Fingerprint{1}, clientA)
		}
		if events, now, _ := k.take(); now != looks || len(events) != looks {
			t.Errorf("%d at the same time, %d", now, len(events))
		}
		// Each ends after 15 seconds, and then comes the next one.
		time.Sleep(3*lookTimeLimit + time.Second)
		if events, now, most := k.take(); most != looks || now != 0 || len(events) != 40-looks {
			t.Errorf("%d at the same time, %d, %d now", most, len(events), now)
		}
	})
}

func TestLearnerIsBounded(t *testing.T) {
	learning(t, 0, func(t *testing.T, l *Learner, k *looker) {
		for i := range maxLearning + 10 {
			l.Queue(fmt.Sprintf("d%d.example", i), Fingerprint{1}, clientA)
		}
		if events, _, _ := k.take(); len(l.learning) != maxLearning || len(events) != 2*maxLearning {
			t.Errorf("%d, %d", len(l.learning), len(events))
		}
		time.Sleep(lookInterval)
		l.Queue("one.example", Fingerprint{1}, clientA)
		if events, _, _ := k.take(); len(l.learning) != 1 || len(events) != 2 {
			t.Errorf("%d, %d", len(l.learning), len(events))
		}
		for i := range maxWanted + 10 {
			l.Queue("one.example", Fingerprint{1, byte(i)}, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
		}
		time.Sleep(lookInterval)
		if events, _, _ := k.take(); len(events) != 1+maxWanted || events[0] != "2m0s look one.example [192.0.2.106 192.0.2.107 192.0.2.108 192.0.2.109]" {
			t.Errorf("%d: %q", len(events), events[0])
		}
	})
}

// TestLearnerCloses with a look under way, one that waits for its turn and one
// for its minute: no one is told any more.
func TestLearnerCloses(t *testing.T) {
	learning(t, time.Hour, func(t *testing.T, l *Learner, k *looker) {
		l.Queue("first.example", Fingerprint{1}, clientA)
		time.Sleep(lookTimeLimit)
		synctest.Wait()
		l.Queue("first.example", Fingerprint{2}, clientA)
		for i := range looks + 1 {
			l.Queue(fmt.Sprintf("d%d.example", i), Fingerprint{1}, clientA)
		}
		k.take()
		begin := time.Now()
		l.Close()
		l.Close()
		l.Queue("late.example", Fingerprint{1}, clientA)
		time.Sleep(time.Hour)
		events, now, _ := k.take()
		if took := time.Since(begin); took != time.Hour || now != 0 || len(events) != 0 {
			t.Errorf("it took %s, %d under way, %q", took, now, events)
		}
	})
}

// TestLearnerLearns from a server, all of it together.
func TestLearnerLearns(t *testing.T) {
	_, intermediate := authority(t)
	c, err := intermediate.Leaf(pki.LeafOptions{DNSNames: []string{"mx.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	at := mailServer(t, "127.0.0.1:0", good(serverConfig(c.TLSCertificate())))
	_, r := resolving(t, oneHost(at.Addr()))
	pending := OpenPending(filepath.Join(t.TempDir(), "pending.json"), func(err error) { t.Error(err) })
	defer pending.Close()
	prober := NewProber()
	learned := make(chan []Certificate)
	l := NewLearner(LearnerConfig{
		Look: func(ctx context.Context, domain string, clients []netip.Addr) *Report {
			return prober.Probe(ctx, Target{Domain: domain, Clients: clients}, Options{Resolver: r, Port: at.Port(), AllowPrivate: true})
		},
		Found: func(_ string, wanted Fingerprint, r *Report) {
			pending.Clear(wanted)
			learned <- r.Chain(wanted)
		},
		Pending: pending,
	})
	defer l.Close()
	l.Queue("example.com", subjectOf(c.Leaf).Certificate, at.Addr())
	if chain := <-learned; len(chain) != 2 || !chain[0].X509.Equal(c.Leaf) {
		t.Errorf("%d certificates", len(chain))
	}
	if list := pending.List(); len(list) != 0 {
		t.Errorf("%v", list)
	}
}
