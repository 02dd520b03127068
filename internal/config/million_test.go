//go:build !race

package config

import (
	"bufio"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"domain-secured/policy"
)

const million = 1_000_000

// millionList writes a configuration with a receive list of a million domains
// in no order, and returns its file and that of the list.
func millionList(t testing.TB) (file, list string) {
	t.Helper()
	dir := t.TempDir()
	file, list = filepath.Join(dir, "c.toml"), filepath.Join(dir, "receive.list")
	f, err := os.Create(list)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for i := range million {
		fmt.Fprintln(w, domainNumber(i))
	}
	for name, err := range map[string]error{
		list:   w.Flush(),
		"sync": f.Close(),
		"send": os.WriteFile(filepath.Join(dir, "send.list"), nil, 0o644),
		file:   os.WriteFile(file, nil, 0o644),
	} {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return file, list
}

// domainNumber makes domains as long and as scattered as real ones.
func domainNumber(i int) string {
	h := fnv.New64a()
	fmt.Fprint(h, i)
	return fmt.Sprintf("%x-%d.%s", h.Sum64()>>(8*(i%5)), i, []string{"com", "example.org", "de", "co.uk", "gov.example"}[i%5])
}

func noRoots([]string) (*policy.Roots, string, error) { return &policy.Roots{}, "", nil }

func TestMillion(t *testing.T) {
	file, _ := millionList(t)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	c, err := Load(file, noRoots)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := c.Snapshot.Receive.Len(); n != million {
		t.Errorf("%d domains, want %d", n, million)
	}
	// Its text, and 12 bytes a domain at the most.
	if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > 28<<20+12*million {
		t.Errorf("the list takes %d MB", used>>20)
	}
	for i := range million {
		if !c.Snapshot.Receive.Contains(domainNumber(i)) {
			t.Fatalf("%s is not in the list", domainNumber(i))
		}
	}
	for i := million; i < million+1000; i++ {
		if c.Snapshot.Receive.Contains(domainNumber(i)) {
			t.Fatalf("%s is in the list", domainNumber(i))
		}
	}
}

// BenchmarkMillionLoad loads the configuration and asks a first question, beside
// sort -u of the same file. "ratio" is the time of sort by ours: above 1 is quicker.
func BenchmarkMillionLoad(b *testing.B) {
	file, list := millionList(b)
	var ours, sorts time.Duration
	for b.Loop() {
		began := time.Now()
		c, err := Load(file, noRoots)
		if err != nil || !c.Snapshot.Receive.Contains(domainNumber(1)) {
			b.Fatal(err)
		}
		ours += time.Since(began)
		began = time.Now()
		if err := exec.Command("sort", "-u", "-o", "/dev/null", list).Run(); err != nil {
			b.Fatal(err)
		}
		sorts += time.Since(began)
	}
	b.ReportMetric(float64(sorts)/float64(ours), "ratio")
	b.ReportMetric(ours.Seconds()/float64(b.N), "ours-s")
	b.ReportMetric(sorts.Seconds()/float64(b.N), "sort-s")
	b.ReportMetric(0, "ns/op")
}
