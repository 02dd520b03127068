package milterload

import (
	"fmt"
	"testing"
	"time"
)

// Every benchmark here compares domain-secured's milter with the C filter of testdata, which adds one header
// field to every message: in the same run, in turn, with what domain-secured negotiates negotiated by both.
// domain-secured writes its log.
//
// The load is made on the same processors. What it takes of them is in the table, and draws the ratio of rates
// towards 1; "C-CPU/ours" is without it.

// pair starts both milters, and returns them with the partner's client.
func pair(tb testing.TB, network string) ([2]*server, Client) {
	tb.Helper()
	needLibmilter(tb)
	ours, w := startOurs(tb, network, "")
	answer := answerOf(tb, ours)
	c := startFilter(tb, network, &answer)
	if got := answerOf(tb, c); got.String() != answer.String() {
		tb.Fatalf("the C filter negotiates %v, domain-secured %v", got, answer)
	}
	return [2]*server{ours, c}, w.client()
}

// checks returns what is wrong with a result, for either milter.
func checks(sender string) func(*server) func(Result) error {
	return func(s *server) func(Result) error {
		want := 0
		if sender == listed || s.name == filterName {
			want = 1
		}
		return func(r Result) error {
			if !r.Accepted() || r.Inserted != want {
				return fmt.Errorf("%s: %q %s, %d header fields inserted, want %d", sender, r.Reply, r.Text, r.Inserted, want)
			}
			return nil
		}
	}
}

// kinds are mail that is let through untouched, and mail that is judged, logged and stamped.
var kinds = []struct{ name, sender string }{{"unlisted", unlisted}, {"listed", listed}}

// kept sends messages over n connections that stay open, of each kind.
func kept(b *testing.B, network string, style Style, n, messages int, report func(*testing.B, *contest)) {
	servers, client := pair(b, network)
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			conns := map[*server][]*Conn{}
			for _, s := range servers {
				c, err := DialAll(Peer{s.network, s.address, style, client, Usual(kind.sender)}, n)
				if err != nil {
					b.Fatal(err)
				}
				defer CloseAll(c)
				conns[s] = c
			}
			check := checks(kind.sender)
			report(b, rounds(b, servers, func(s *server) (Measure, error) { return Kept(conns[s], messages, check(s)) }))
		})
	}
}

// BenchmarkMilterKept measures messages a second over 16 connections that stay open, written as Postfix does.
// "ratio" is domain-secured's rate by the C filter's; "C-CPU/ours" is the C filter's processor time for a message
// by domain-secured's.
func BenchmarkMilterKept(b *testing.B) {
	kept(b, "unix", Postfix, 16, 500, func(b *testing.B, c *contest) { c.report(b) })
}

// BenchmarkMilterKeptSendmail is BenchmarkMilterKept with each packet a write of its own, as Sendmail does.
func BenchmarkMilterKeptSendmail(b *testing.B) {
	kept(b, "unix", Sendmail, 16, 250, func(b *testing.B, c *contest) { c.report(b) })
}

// BenchmarkMilterFresh measures messages a second with a connection for each, 16 at a time.
func BenchmarkMilterFresh(b *testing.B) {
	servers, client := pair(b, "unix")
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			check := checks(kind.sender)
			rounds(b, servers, func(s *server) (Measure, error) {
				return Fresh(Peer{s.network, s.address, Postfix, client, Usual(kind.sender)}, 16, 250, check(s))
			}).report(b)
		})
	}
}

// BenchmarkMilterLatency measures how long a message takes with 256 connections that all send. "p99-ratio" is
// domain-secured's 99th percentile by the C filter's.
func BenchmarkMilterLatency(b *testing.B) {
	kept(b, "unix", Postfix, 256, 40, func(b *testing.B, c *contest) {
		b.ReportMetric(c.median(func(ours, other sample) float64 { return float64(ours.p99) / float64(other.p99) }), "p99-ratio")
		b.ReportMetric(c.median(func(ours, other sample) float64 { return float64(ours.eom99) / float64(other.eom99) }), "EOM-p99-ratio")
		b.ReportMetric(c.median(func(ours, _ sample) float64 { return milli(ours.p99) }), "ours-p99-ms")
		b.ReportMetric(c.median(func(_, other sample) float64 { return milli(other.p99) }), "C-p99-ms")
	})
}

// BenchmarkMilterTCP measures how long the end of a message takes over TCP, when the MTA writes every packet by
// itself and leaves Nagle's algorithm on, as Sendmail does: a milter that is slow to acknowledge the macros keeps
// the command after them waiting, 40 ms on Linux (RFC 9293 section 3.8.6.3, RFC 896).
func BenchmarkMilterTCP(b *testing.B) {
	kept(b, "tcp", Sendmail, 4, 10, func(b *testing.B, c *contest) {
		b.ReportMetric(c.median(func(ours, _ sample) float64 { return milli(ours.eom50) }), "ours-EOM-ms")
		b.ReportMetric(c.median(func(_, other sample) float64 { return milli(other.eom50) }), "C-EOM-ms")
		b.ReportMetric(c.median(func(ours, _ sample) float64 { return milli(ours.p50) }), "ours-ms")
		b.ReportMetric(c.median(func(_, other sample) float64 { return milli(other.p50) }), "C-ms")
	})
}

func milli(d time.Duration) float64 { return d.Seconds() * 1e3 }

// BenchmarkMilterMemory measures what a connection costs that has carried a message and waits for the next:
// 10,000 of them, to a milter that was just started. It does so once, whatever -benchtime says.
func BenchmarkMilterMemory(b *testing.B) {
	const connections = 10_000
	allowDescriptors(b, connections+500)
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			servers, client := pair(b, "unix")
			var costs [2]float64
			for i, s := range servers {
				peer := Peer{s.network, s.address, Postfix, client, Usual(kind.sender)}
				costs[i] = idleCost(b, s, peer, connections, checks(kind.sender)(s))
			}
			for b.Loop() { // or the benchmark would be run again
			}
			b.ReportMetric(costs[0], "ours-KB/conn")
			b.ReportMetric(costs[1], "C-KB/conn")
			b.ReportMetric(0, "ns/op")
			b.Logf("load average %s", load(b))
		})
	}
}

// idleCost returns the KB that a milter has more with n connections, each of which has carried a message.
func idleCost(b *testing.B, s *server, peer Peer, n int, check func(Result) error) float64 {
	b.Helper()
	before := resident(b, s.pid)
	conns, err := DialAll(peer, n)
	if err != nil {
		b.Fatalf("%s: %v", s.name, err)
	}
	defer CloseAll(conns)
	const batch = 100
	for i := 0; i < n; i += batch {
		if _, err := Kept(conns[i:i+batch], 1, check); err != nil {
			b.Fatalf("%s: %v", s.name, err)
		}
	}
	after := resident(b, s.pid)
	b.Logf("%s: %.0f KB before, %.0f KB with %d connections", s.name, before, after, n)
	return (after - before) / float64(n)
}
