package milterload

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// A sample is what one milter did in one round.
type sample struct {
	rate                 float64       // messages a second
	p50, p99             time.Duration // of a whole message
	eom50, eom99         time.Duration // of its end
	cpu, generator, rest time.Duration // of the milter, of this process, of all others; a message
	idle                 float64       // of the processors, 0 to 1
}

// take measures a milter in one run of a load.
func take(b *testing.B, s *server, load func() (Measure, error)) sample {
	b.Helper()
	began, busy, own, cpu := time.Now(), busyTime(b), ownTime(b), cpuTime(b, s.pid)
	m, err := load()
	if err != nil {
		b.Fatalf("%s: %v", s.name, err)
	}
	elapsed := time.Since(began)
	busy, own, cpu = busyTime(b)-busy, ownTime(b)-own, cpuTime(b, s.pid)-cpu
	n := time.Duration(len(m.Total))
	return sample{
		rate: m.Rate(),
		p50:  Quantile(m.Total, 0.5), p99: Quantile(m.Total, 0.99), eom50: Quantile(m.EOM, 0.5), eom99: Quantile(m.EOM, 0.99),
		cpu: cpu / n, generator: own / n, rest: max(0, busy-own-cpu) / n,
		idle: max(0, 1-busy.Seconds()/elapsed.Seconds()/float64(runtime.NumCPU())),
	}
}

// A contest is what domain-secured and the C filter did, round by round.
type contest struct {
	names  [2]string
	rounds [][2]sample
}

// rounds has two milters do the same in turn, as often as the benchmark is told (-benchtime 10x), so that it does
// not matter if the machine's speed drifts. Who is first changes.
func rounds(b *testing.B, servers [2]*server, load func(s *server) (Measure, error)) *contest {
	b.Helper()
	c := &contest{}
	for i, s := range servers {
		c.names[i] = s.name
		if _, err := load(s); err != nil { // the first one is slower
			b.Fatalf("%s: %v", s.name, err)
		}
	}
	for b.Loop() {
		var round [2]sample
		for k := range servers {
			i := (k + len(c.rounds)) % 2
			round[i] = take(b, servers[i], func() (Measure, error) { return load(servers[i]) })
		}
		c.rounds = append(c.rounds, round)
	}
	c.log(b)
	b.ReportMetric(0, "ns/op")
	return c
}

// median returns the median over the rounds of what value makes of a round.
func (c *contest) median(value func(ours, c sample) float64) float64 {
	var all []float64
	for _, r := range c.rounds {
		all = append(all, value(r[0], r[1]))
	}
	return median(all)
}

func median(all []float64) float64 {
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// mean returns the mean over the rounds, for times that are counted in ticks.
func (c *contest) mean(i int, value func(sample) time.Duration) time.Duration {
	var sum time.Duration
	for _, r := range c.rounds {
		sum += value(r[i])
	}
	return sum / time.Duration(len(c.rounds))
}

// log writes what was measured as a table, and what else the machine did.
func (c *contest) log(b *testing.B) {
	b.Helper()
	var t strings.Builder
	fmt.Fprintf(&t, "medians of %d rounds; times in µs\n%-14s %9s %9s %9s %9s %9s | processor a message: %8s %10s %7s %6s\n",
		len(c.rounds), "", "messages/s", "p50", "p99", "EOM p50", "EOM p99", "milter", "generator", "others", "idle")
	micro := func(d time.Duration) float64 { return float64(d) / 1e3 }
	for i, name := range c.names {
		of := func(value func(sample) float64) float64 {
			return c.median(func(ours, other sample) float64 { return value([2]sample{ours, other}[i]) })
		}
		fmt.Fprintf(&t, "%-14s %9.0f %9.0f %9.0f %9.0f %9.0f | %29.1f %10.1f %7.1f %5.0f%%\n", name,
			of(func(s sample) float64 { return s.rate }),
			of(func(s sample) float64 { return micro(s.p50) }), of(func(s sample) float64 { return micro(s.p99) }),
			of(func(s sample) float64 { return micro(s.eom50) }), of(func(s sample) float64 { return micro(s.eom99) }),
			micro(c.mean(i, func(s sample) time.Duration { return s.cpu })),
			micro(c.mean(i, func(s sample) time.Duration { return s.generator })),
			micro(c.mean(i, func(s sample) time.Duration { return s.rest })),
			of(func(s sample) float64 { return 100 * s.idle }))
	}
	fmt.Fprintf(&t, "load average %s on %d processors", load(b), runtime.NumCPU())
	b.Log(t.String())
}

// report adds the ratio of rates, and the rates.
func (c *contest) report(b *testing.B) {
	b.ReportMetric(c.median(func(ours, other sample) float64 { return ours.rate / other.rate }), "ratio")
	b.ReportMetric(c.median(func(ours, _ sample) float64 { return ours.rate }), "ours/s")
	b.ReportMetric(c.median(func(_, other sample) float64 { return other.rate }), "C/s")
	b.ReportMetric(float64(c.mean(1, func(s sample) time.Duration { return s.cpu }))/
		float64(max(1, c.mean(0, func(s sample) time.Duration { return s.cpu }))), "C-CPU/ours")
}
