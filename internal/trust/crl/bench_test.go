package crl

import (
	"crypto/x509"
	"math/big"
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

// BenchmarkQuestion is one revocation question against a list of 100 MB: the
// first, for which all of it is read, and those after it. Beside them crypto/x509,
// which has it all in memory. cpu-ms is the time of all processors, which is what
// counts on a machine that does other things as well; peak-MB is the most memory
// that the process had.
func BenchmarkQuestion(b *testing.B) {
	ca := newCA(b, pki.CAOptions{Key: pki.RSA2048})
	leaf := newLeaf(b, ca)
	path := filepath.Join(b.TempDir(), "crl")
	size := writeLarge(b, path, ca)
	q, err := NewQuestion(leaf, ca.Certificate.Leaf)
	if err != nil {
		b.Fatal(err)
	}
	first := func(b *testing.B) *Index {
		r, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		defer r.Close()
		x, err := Build(r, filepath.Join(filepath.Dir(path), "index"), signers(ca.Certificate.Leaf))
		if err != nil {
			b.Fatal(err)
		}
		if a := q.Ask(time.Now(), 0, List{Complete: x}); a.Status != Good {
			b.Fatal(a.Detail())
		}
		return x
	}
	b.Run("first", func(b *testing.B) {
		b.SetBytes(size)
		defer measure(b)()
		for b.Loop() {
			first(b).Close()
		}
	})
	x := first(b)
	defer x.Close()
	b.Run("next", func(b *testing.B) {
		each(b, func(int) bool { return q.Ask(time.Now(), 0, List{Complete: x}).Status == Good })
	})
	b.Run("lookup", func(b *testing.B) {
		serials := make([]*big.Int, 1000)
		for i := range serials {
			serials[i] = serial(i * 2000)
		}
		each(b, func(i int) bool {
			_, listed, err := x.Lookup(ca.Certificate.Leaf.RawSubject, serials[i%1000])
			return listed && err == nil
		})
	})
	b.Run("crypto-x509", func(b *testing.B) {
		b.SetBytes(size)
		defer measure(b)()
		for b.Loop() {
			data, err := os.ReadFile(path)
			if err != nil {
				b.Fatal(err)
			}
			list, err := x509.ParseRevocationList(data)
			if err != nil {
				b.Fatal(err)
			}
			if err := list.CheckSignatureFrom(ca.Certificate.Leaf); err != nil {
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
func writeLarge(b *testing.B, path string, ca *pki.CA) (size int64) {
	o := by(ca, crlmaker.Number(1))
	o.Entries = many(2_400_000)
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	if err := crlmaker.Write(file, o); err != nil {
		b.Fatal(err)
	}
	stat, err := file.Stat()
	if err != nil {
		b.Fatal(err)
	}
	if stat.Size() < 100e6 {
		b.Fatalf("%d octets", stat.Size())
	}
	return stat.Size()
}

// each asks a hundred thousand times in each round, for one time is too short.
func each(b *testing.B, ask func(int) bool) {
	const times = 100_000
	start := cpu(b)
	for b.Loop() {
		for i := range times {
			if !ask(i) {
				b.Fatal("wrong answer")
			}
		}
	}
	asked := float64(b.N) * times
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/asked, "ns/question")
	b.ReportMetric(float64((cpu(b)-start).Nanoseconds())/asked, "cpu-ns/question")
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
		b.ReportMetric(peak(b), "peak-MB")
	}
}

func cpu(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func peak(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, err := strconv.Atoi(strings.Fields(value)[0])
			if err != nil {
				b.Fatal(err)
			}
			return float64(kilobytes) / 1024
		}
	}
	b.Fatal("no VmHWM in /proc/self/status")
	return 0
}
