package revocation

import (
	"context"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/pki"
)

// BenchmarkAsk is whether a certificate is revoked whose list has 100 MB: the first
// time, when it is fetched over loopback and read, and the times after that.
// Beside it crypto/x509, which is given the list as a file. cpu-ms is the time of
// all processors and peak-MB the most memory that the process had, the server and
// all.
func BenchmarkAsk(b *testing.B) {
	w := newWorld(b)
	w.ca = must(w.root.Intermediate(pki.CAOptions{Name: "Large CA", Key: pki.RSA2048, CRL: []string{w.url("/root.crl")}}))
	path := filepath.Join(b.TempDir(), "crl")
	size := w.writeLarge(path)
	w.handle("/ca.crl", func(rw http.ResponseWriter, r *http.Request) { http.ServeFile(rw, r, path) })
	leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
	ask := func(c *Checker) {
		if a := c.Ask(context.Background(), w.question(leaf)); a.Status != Good {
			b.Fatal(a.Detail)
		}
	}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	b.Run("first", func(b *testing.B) {
		b.SetBytes(size)
		defer measure(b)()
		for b.Loop() {
			c := New(Options{Dir: b.TempDir(), Clock: time.Now, Log: quiet}, w.settings())
			ask(c)
			c.Close()
		}
	})
	b.Run("next", func(b *testing.B) {
		c := New(Options{Dir: b.TempDir(), Clock: time.Now, Log: quiet}, w.settings())
		defer c.Close()
		ask(c)
		q := w.question(leaf)
		const times = 100_000 // one time is too short
		start := cpu(b)
		for b.Loop() {
			for range times {
				if c.Ask(context.Background(), q).Status != Good {
					b.Fatal("wrong answer")
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*times), "ns/question")
		b.ReportMetric(float64((cpu(b)-start).Nanoseconds())/float64(b.N*times), "cpu-ns/question")
	})
	b.Run("crypto-x509", func(b *testing.B) {
		b.SetBytes(size)
		defer measure(b)()
		for b.Loop() {
			list := must(x509.ParseRevocationList(must(os.ReadFile(path))))
			if err := list.CheckSignatureFrom(w.ca.Certificate.Leaf); err != nil {
				b.Fatal(err)
			}
			for i := range list.RevokedCertificateEntries {
				if list.RevokedCertificateEntries[i].SerialNumber.Cmp(leaf.SerialNumber) == 0 {
					b.Fatal("it is listed")
				}
			}
		}
	})
}

// writeLarge writes a list of 100 MB.
func (w *world) writeLarge(path string) int64 {
	o := w.list(w.ca, number(1))
	o.Entries = func(yield func(crlmaker.Entry) bool) {
		serial, step := new(big.Int).Lsh(big.NewInt(5), 120), new(big.Int).SetUint64(0x9e3779b97f4a7c15)
		for n := range 2_400_000 {
			if !yield(crlmaker.Entry{Serial: serial.Add(serial, step), Reason: n % 2 * 4}) {
				return
			}
		}
	}
	file := must(os.Create(path))
	defer file.Close()
	if err := crlmaker.Write(file, o); err != nil {
		w.t.Fatal(err)
	}
	size := must(file.Stat()).Size()
	if size < 100e6 {
		w.t.Fatalf("%d octets", size)
	}
	return size
}

// measure begins to measure, and returns what reports it.
func measure(b *testing.B) func() {
	debug.FreeOSMemory()
	// proc(5): 5 resets the peak.
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Fatal(err)
	}
	start := cpu(b)
	return func() {
		b.ReportMetric(float64((cpu(b)-start).Milliseconds())/float64(b.N), "cpu-ms/op")
		for line := range strings.Lines(string(must(os.ReadFile("/proc/self/status")))) {
			if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
				b.ReportMetric(float64(must(strconv.Atoi(strings.Fields(value)[0])))/1024, "peak-MB")
			}
		}
	}
}

func cpu(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
