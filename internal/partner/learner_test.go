package partner

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
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

func (k *looker) found(_ context.Context, domain string, wanted []Fingerprint, r *Report) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var first []byte
	for _, w := range wanted {
		first = append(first, w[0])
	}
	k.events = append(k.events, fmt.Sprintf("%s found %s %d %s", time.Since(k.began), domain, first, r.Domain))
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
	synctest.Test(t, func(t *testing.T) {
		k := &looker{takes: takes, began: time.Now()}
		l := NewLearner(LearnerConfig{Look: k.look, Found: k.found, Complain: faultless(t)})
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
		k.expect(t, "1s found a.example [1 2] a.example")
		// Soon after: when the minute is over.
		time.Sleep(9 * time.Second)
		l.Queue("a.example", Fingerprint{3}, clientA)
		l.Queue("a.example", Fingerprint{4}, clientB)
		l.Queue("a.example", Fingerprint{4}, netip.AddrFrom16(clientA.As16()))
		l.Queue("a.example", Fingerprint{3}, clientA)
		// Another partner has its own minute.
		l.Queue("b.example", Fingerprint{3}, netip.Addr{})
		k.expect(t, "10s look b.example []")
		time.Sleep(49 * time.Second)
		k.expect(t, "11s found b.example [3] b.example")
		time.Sleep(time.Second)
		k.expect(t, "1m0s look a.example [192.0.2.2 192.0.2.1]") // in the order in which they were seen last
		time.Sleep(time.Hour)
		k.expect(t, "1m1s found a.example [4 3] a.example")
		// Long after: at once.
		l.Queue("a.example", Fingerprint{5}, clientA)
		k.expect(t, "1h1m0s look a.example [192.0.2.1]")
		time.Sleep(time.Minute)
		k.expect(t, "1h1m1s found a.example [5] a.example")
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
		for i := range maxLearning + 10 { // each by another client
			l.Queue(fmt.Sprintf("d%d.example", i), Fingerprint{1}, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
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
			l.Queue("one.example", Fingerprint{byte(i)}, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
		}
		time.Sleep(lookInterval)
		k.expect(t, "2m0s look one.example [192.0.2.16 192.0.2.17 192.0.2.18 192.0.2.19]",
			"2m0s found one.example [10 11 12 13 14 15 16 17 18 19] one.example")
	})
}

// TestLearnerOneClientOnePlace: who presents many certificates, from all the
// addresses that a host with IPv6 has, crowds nobody out.
func TestLearnerOneClientOnePlace(t *testing.T) {
	learning(t, 0, func(t *testing.T, l *Learner, k *looker) {
		l.Queue("a.example", Fingerprint{1}, clientA)
		k.take()
		l.Queue("a.example", Fingerprint{1}, clientA)
		for i := range 200 {
			l.Queue("a.example", Fingerprint{byte(50 + i)}, clientB)
			l.Queue("a.example", Fingerprint{byte(50 + i)}, netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(i)}))
			l.Queue("a.example", Fingerprint{byte(50 + i)}, netip.Addr{})
		}
		time.Sleep(lookInterval)
		k.expect(t, "1m0s look a.example [192.0.2.1 192.0.2.2 2001:db8::c7]", "1m0s found a.example [1 249] a.example")
	})
}

// TestLearnerOneClientManyPartners: who comes as one partner after another, and has each
// look take as long as it may, keeps others waiting for a minute at most.
func TestLearnerOneClientManyPartners(t *testing.T) {
	learning(t, time.Hour, func(t *testing.T, l *Learner, k *looker) {
		for minute := range 3 {
			for i := range 2 * maxLearning {
				l.Queue(fmt.Sprintf("d%d.example", i), Fingerprint{1}, clientA)
			}
			l.Queue(fmt.Sprintf("other%d.example", minute), Fingerprint{2}, clientB)
			time.Sleep(lookInterval)
			events, _, _ := k.take()
			seen := func(event string) bool { return strings.Contains(event, fmt.Sprintf(" look other%d.example ", minute)) }
			if !slices.ContainsFunc(events, seen) {
				t.Errorf("in minute %d the other's partner is not looked at", minute)
			}
		}
	})
}

// TestLearnerOneClientQuickLooks: looks that end at once count for a minute, too.
func TestLearnerOneClientQuickLooks(t *testing.T) {
	learning(t, 0, func(t *testing.T, l *Learner, k *looker) {
		for minute := range 2 {
			for second := range 60 {
				for i := range looks {
					l.Queue(fmt.Sprintf("d%d-%d-%d.example", minute, second, i), Fingerprint{1}, clientA)
				}
				time.Sleep(time.Second)
			}
			events, _, _ := k.take()
			if n := len(slices.DeleteFunc(events, func(event string) bool { return !strings.Contains(event, " look ") })); n != looksOfClient {
				t.Errorf("%d looks in minute %d, want %d", n, minute, looksOfClient)
			}
		}
	})
}

// TestLearnerManyClientsManyPartners: where many come as partners, each partner is looked
// at in its turn.
func TestLearnerManyClientsManyPartners(t *testing.T) {
	learning(t, time.Hour, func(t *testing.T, l *Learner, k *looker) {
		const partners = 1500
		for i := range partners {
			l.Queue(fmt.Sprintf("d%d.example", i), Fingerprint{1}, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
		}
		l.Queue("other.example", Fingerprint{2}, clientB)
		time.Sleep((partners/looks + 2) * lookTimeLimit)
		events, _, _ := k.take()
		if !slices.ContainsFunc(events, func(event string) bool { return strings.Contains(event, " look other.example ") }) {
			t.Error("the other's partner is not looked at")
		}
	})
}

// TestLearnerAfresh: what waits for its minute is looked at, and what comes next.
func TestLearnerAfresh(t *testing.T) {
	learning(t, 0, func(t *testing.T, l *Learner, k *looker) {
		for _, domain := range []string{"waits.example", "seen.example"} {
			l.Queue(domain, Fingerprint{1}, clientA)
			synctest.Wait()
		}
		l.Queue("waits.example", Fingerprint{2}, clientA)
		time.Sleep(time.Second)
		k.take()
		l.Afresh()
		k.expect(t, "1s look waits.example [192.0.2.1]", "1s found waits.example [2] waits.example")
		l.Queue("seen.example", Fingerprint{2}, clientA)
		k.expect(t, "1s look seen.example [192.0.2.1]", "1s found seen.example [2] seen.example")
		time.Sleep(time.Hour)
		k.expect(t)
		l.Close()
		l.Afresh()
	})
}

// TestLearnerOutlivesPanics, and says them.
func TestLearnerOutlivesPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var complaints []string
		founds := 0
		l := NewLearner(LearnerConfig{
			Look: func(_ context.Context, domain string, _ []netip.Addr) *Report {
				if domain == "look.example" {
					each(2, 3, func(i int) { panic(fmt.Sprint("look ", i)) })
				}
				return &Report{Domain: domain}
			},
			Found:    func(context.Context, string, []Fingerprint, *Report) { founds++; panic("found") },
			Complain: func(err error) { complaints = append(complaints, err.Error()) },
		})
		defer l.Close()
		for range 2 {
			for _, domain := range []string{"look.example", "found.example"} {
				l.Queue(domain, Fingerprint{1}, clientA)
				synctest.Wait()
			}
			time.Sleep(lookInterval)
		}
		if founds != 2 || len(complaints) != 4 {
			t.Fatalf("%d found, complaints %q", founds, complaints)
		}
		for i, want := range []string{"looking at the servers of look.example: panic: look ", "looking at the servers of found.example: panic: found\n"} {
			if !strings.HasPrefix(complaints[i], want) || !strings.Contains(complaints[i], "learner_test.go") {
				t.Errorf("%s", complaints[i])
			}
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
	prober := NewProber()
	learned := make(chan []Certificate)
	l := NewLearner(LearnerConfig{
		Look: func(ctx context.Context, domain string, clients []netip.Addr) *Report {
			return prober.Probe(ctx, Target{Domain: domain, Clients: clients}, Options{Resolver: r, Port: at.Port(), AllowPrivate: true})
		},
		Found:    func(_ context.Context, _ string, wanted []Fingerprint, r *Report) { learned <- r.Chain(wanted[0]) },
		Complain: faultless(t),
	})
	defer l.Close()
	l.Queue("example.com", subjectOf(c.Leaf).Certificate, at.Addr())
	if chain := <-learned; len(chain) != 2 || !chain[0].X509.Equal(c.Leaf) {
		t.Errorf("%d certificates", len(chain))
	}
}
