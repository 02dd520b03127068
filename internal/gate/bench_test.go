package gate

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"domain-secured/internal/ops"
	"domain-secured/policy"
	"domain-secured/policy/delegation"
)

const (
	connections = 16
	answer      = "action=DUNNO\n\n"
)

// BenchmarkDoor measures the policy door against a server that only reads a
// request's bytes and writes an answer's: the same bytes over 16 connections, in
// turn, so that it does not matter if the machine's speed drifts. "ratio" is the
// rate of the door by that of the echo. Every request is a message of its own,
// and the log is written.
func BenchmarkDoor(b *testing.B) {
	for _, sender := range []string{"unlisted alice@fabrikam.com", "listed alice@woodgrovebank.com"} {
		name, sender, _ := strings.Cut(sender, " ")
		b.Run(name, func(b *testing.B) {
			w, logger := benchWorld(b)
			f := facts(b, w.leaf)
			f.Sender = sender
			if v := w.Envelope(f); v.Result == policy.ResultFail {
				b.Fatalf("%s: %s (%s)", sender, v.Reason, v.Detail)
			}
			compare(b, "echo", listen(b, echo), "door", listen(b, doorOf(b, w, logger)), postfixRequest(f))
		})
	}
}

// BenchmarkDoorMillion measures the policy door with a list of a million domains
// against itself with one of ten, all senders different. "ratio" is the rate
// with the million by that with the ten.
func BenchmarkDoorMillion(b *testing.B) {
	snapshot := func(w *world, domains int) *policy.Snapshot {
		var text strings.Builder
		for i := range domains {
			fmt.Fprintf(&text, "m%d.example\n", i)
		}
		list, err := policy.ParseList(text.String())
		if err != nil {
			b.Fatal(err)
		}
		return policy.NewSnapshot(list, nil, w.partner, nil, nil)
	}
	ten, tenLog := benchWorld(b)
	ten.Replace(snapshot(ten, 10))
	million, millionLog := benchWorld(b)
	million.Replace(snapshot(million, 1_000_000))
	f := facts(b, ten.leaf)
	f.Sender = "alice@d########.example"
	compare(b, "ten", listen(b, doorOf(b, ten, tenLog)), "million", listen(b, doorOf(b, million, millionLog)), postfixRequest(f))
}

// benchWorld is a world that writes its log.
func benchWorld(b *testing.B) (*world, *slog.Logger) {
	w := newWorld(b)
	logger, log := ops.NewLog(io.Discard, ops.FormatText, slog.LevelInfo)
	b.Cleanup(log.Close)
	w.log, w.verdicts = logger, newVerdictLog(logger)
	return w, logger
}

func doorOf(b *testing.B, w *world, log *slog.Logger) func(net.Listener) {
	door := delegation.NewServer(w, log)
	b.Cleanup(func() { door.Shutdown(context.Background()) })
	return func(l net.Listener) { door.Serve(l) }
}

// compare reports the rates of two servers with the same requests, and the
// second by the first.
func compare(b *testing.B, firstName, first, secondName, second string, text []byte) {
	const round = 2000 // requests a connection
	var times [2]time.Duration
	rounds := 0
	for b.Loop() {
		times[0] += exchange(b, first, text, round)
		times[1] += exchange(b, second, text, round)
		rounds++
	}
	n := float64(rounds * round * connections)
	b.ReportMetric(float64(times[0])/float64(times[1]), "ratio")
	b.ReportMetric(n/times[0].Seconds(), firstName+"/s")
	b.ReportMetric(n/times[1].Seconds(), secondName+"/s")
	b.ReportMetric(0, "ns/op")
}

// postfixRequest is a request as Postfix 3.7 sends it at DATA, with a place for
// the number of the message.
func postfixRequest(f *policy.Facts) []byte {
	return fmt.Appendf(nil, `request=smtpd_access_policy
protocol_state=DATA
protocol_name=ESMTP
client_address=192.0.2.7
client_name=mail1.woodgrovebank.com
client_port=41142
reverse_client_name=mail1.woodgrovebank.com
server_address=192.0.2.25
server_port=25
helo_name=mail1.woodgrovebank.com
sender=%s
recipient=bob@contoso.com
recipient_count=1
queue_id=########
instance=5a3b.6921f0c1.########.0
size=0
etrn_domain=
stress=
sasl_method=
sasl_username=
sasl_sender=
ccert_subject=mail1.woodgrovebank.com
ccert_issuer=Test+20CA
ccert_fingerprint=%s
ccert_pubkey_fingerprint=%s
encryption_protocol=TLSv1.3
encryption_cipher=TLS_AES_256_GCM_SHA384
encryption_keysize=256
policy_context=data

`, f.Sender, colons(f.Certificate.Fingerprint), colons(f.Certificate.Key))
}

// colons writes a fingerprint as Postfix does.
func colons(h policy.Hash) string { return strings.ReplaceAll(fmt.Sprintf("% X", h[:]), " ", ":") }

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
func echo(l net.Listener) {
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
				if _, err := io.WriteString(c, answer); err != nil {
					return
				}
			}
		}()
	}
}

// exchange sends n requests over each connection, one after the other, and
// returns how long all of them took.
func exchange(b *testing.B, address string, text []byte, n int) time.Duration {
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
	for i, c := range conns {
		wg.Go(func() {
			mine := bytes.Clone(text)
			got := make([]byte, len(answer))
			for m := range n {
				number(mine, began.Nanosecond()/1000*connections+i*n+m)
				if _, err := c.Write(mine); err != nil {
					b.Error(err)
					return
				}
				if _, err := io.ReadFull(c, got); err != nil || string(got) != answer {
					b.Errorf("answer %q, %v", got, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}

// number writes the message's number into its places.
func number(text []byte, n int) {
	digits := fmt.Appendf(nil, "%08d", n%100_000_000)
	for _, name := range []string{"\nqueue_id=", "\ninstance=5a3b.6921f0c1.", "\nsender=alice@d"} {
		if at := bytes.Index(text, []byte(name)); at >= 0 {
			copy(text[at+len(name):][:len(digits)], digits)
		}
	}
}
