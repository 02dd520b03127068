package milterload

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tick is the unit of times in /proc: USER_HZ, which is 100 on every architecture that Go runs on.
const tick = 10 * time.Millisecond

// cpuTime returns what a process has used of the processors so far (proc_pid_stat(5), utime and stime).
func cpuTime(tb testing.TB, pid int) time.Duration {
	tb.Helper()
	text := readProc(tb, fmt.Sprintf("/proc/%d/stat", pid))
	// The name, in parentheses, may hold anything; the state after it is field 3.
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	return time.Duration(parse(tb, fields[14-3])+parse(tb, fields[15-3])) * tick
}

// resident returns the KB of memory that a process has (proc_pid_status(5), VmRSS).
func resident(tb testing.TB, pid int) float64 {
	tb.Helper()
	for line := range strings.Lines(readProc(tb, fmt.Sprintf("/proc/%d/status", pid))) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return float64(parse(tb, strings.Fields(value)[0]))
		}
	}
	tb.Fatalf("process %d has no VmRSS", pid)
	return 0
}

// busyTime returns what all processors have worked so far (proc_stat(5)): neither idle nor waiting, nor taken away
// by the machine's host.
func busyTime(tb testing.TB) time.Duration {
	tb.Helper()
	line, _, _ := strings.Cut(readProc(tb, "/proc/stat"), "\n")
	var sum int
	for i, field := range strings.Fields(line)[1:] {
		// user nice system idle iowait irq softirq steal guest guest_nice; guests are in user already.
		if i < 7 && i != 3 && i != 4 {
			sum += parse(tb, field)
		}
	}
	return time.Duration(sum) * tick
}

// ownTime returns what this process has used of the processors so far.
func ownTime(tb testing.TB) time.Duration {
	tb.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// load returns the machine's load averages.
func load(tb testing.TB) string {
	tb.Helper()
	return strings.Join(strings.Fields(readProc(tb, "/proc/loadavg"))[:3], " ")
}

func readProc(tb testing.TB, path string) string {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

func parse(tb testing.TB, number string) int {
	tb.Helper()
	n, err := strconv.Atoi(number)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// allowDescriptors raises the limit of open descriptors to n, also for programs started from now on, and fails a
// benchmark that cannot have so many.
func allowDescriptors(b *testing.B, n uint64) {
	b.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		b.Fatal(err)
	}
	// Set in any case: what os raised by itself, it takes back for other programs.
	wanted := limit
	wanted.Cur, wanted.Max = max(limit.Max, n), max(limit.Max, n)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &wanted); err != nil {
		b.Fatalf("cannot have %d descriptors, only %d (run as root, or raise the limit: ulimit -Hn): %v", n, limit.Max, err)
	}
}
