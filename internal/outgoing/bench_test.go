package outgoing

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"domain-secured/internal/gate"
	"domain-secured/internal/ops"
	"domain-secured/internal/trust"
	"domain-secured/policy"
	"domain-secured/policy/tlsmap"
)

const connections = 16

// BenchmarkTLSMapDoor measures the TLS policy door against a server that only reads a
// request's bytes and writes an answer's: the same bytes over 16 connections, in turn.
// "ratio" is the rate of the door by that of the echo.
func BenchmarkTLSMapDoor(b *testing.B) {
	for _, c := range []struct{ name, domain string }{{"unlisted", "fabrikam.com"}, {"listed", "woodgrovebank.com"}} {
		b.Run(c.name, func(b *testing.B) {
			door := listen(b, benchDoor(b))
			request := fmt.Sprintf("%d:send %s,", len("send "+c.domain), c.domain)
			answer := firstAnswer(b, door, request)
			echo := listen(b, func(l net.Listener) { echo(l, answer) })
			const round = 2000 // requests a connection
			var times [2]time.Duration
			rounds := 0
			for b.Loop() {
				times[0] += exchange(b, echo, []byte(request), answer, round)
				times[1] += exchange(b, door, []byte(request), answer, round)
				rounds++
			}
			n := float64(rounds * round * connections)
			b.ReportMetric(float64(times[0])/float64(times[1]), "ratio")
			b.ReportMetric(n/times[0].Seconds(), "echo/s")
			b.ReportMetric(n/times[1].Seconds(), "door/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// benchDoor is a door for a domain with two pins, with its log written.
func benchDoor(b *testing.B) func(net.Listener) {
	logger, log := ops.NewLog(io.Discard, ops.FormatText, slog.LevelInfo)
	b.Cleanup(log.Close)
	list, err := policy.ParseList("woodgrovebank.com\n")
	if err != nil {
		b.Fatal(err)
	}
	p := &policy.Partner{
		Domain: "woodgrovebank.com", Mode: policy.ModeEnforce, Trust: policy.TrustPins, MinTLS: 0x0303, MinBits: 128,
		Pins: []policy.Hash{{1}, {2}},
	}
	s := policy.NewSnapshot(nil, list, p, nil, nil)
	g := gate.New(s, trust.NewStore(filepath.Join(b.TempDir(), "certificates")), time.Now, logger)
	i := New(g, Settings{Snapshot: s}, time.Now, logger)
	server := tlsmap.NewServer(i, tlsmap.Version{Major: 3, Minor: 7}, logger)
	b.Cleanup(func() {
		server.Shutdown(context.Background())
		i.Close()
	})
	return func(l net.Listener) { server.Serve(l) }
}

func listen(b *testing.B, serve func(net.Listener)) (address string) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go serve(l)
	b.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// echo reads what is there and answers it, whatever it is.
func echo(l net.Listener, answer []byte) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			buffer := make([]byte, 4096)
			for {
				if _, err := c.Read(buffer); err != nil {
					return
				}
				if _, err := c.Write(answer); err != nil {
					return
				}
			}
		}()
	}
}

func firstAnswer(b *testing.B, address, request string) []byte {
	b.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	answer := make([]byte, 4096)
	if _, err := io.WriteString(c, request); err != nil {
		b.Fatal(err)
	}
	n, err := c.Read(answer)
	if err != nil || !bytes.HasSuffix(answer[:n], []byte(",")) {
		b.Fatalf("%q, %v", answer[:n], err)
	}
	return answer[:n]
}

// exchange sends n requests over each connection, one after the other, and returns how
// long all of them took.
func exchange(b *testing.B, address string, request, answer []byte, n int) time.Duration {
	b.Helper()
	conns := make([]net.Conn, connections)
	for i := range conns {
		c, err := net.Dial("tcp", address)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		conns[i] = c
	}
	began := time.Now()
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(func() {
			got := make([]byte, len(answer))
			for range n {
				if _, err := c.Write(request); err != nil {
					b.Error(err)
					return
				}
				if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, answer) {
					b.Errorf("answer %q, %v", got, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}
