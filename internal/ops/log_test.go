package ops

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gate is a writer that blocks while it is shut.
type gate struct {
	mu     sync.Mutex
	opened chan struct{} // nil: open
	out    bytes.Buffer
	fail   int // this many writes fail first
}

func (g *gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	opened := g.opened
	g.mu.Unlock()
	if opened != nil {
		<-opened
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fail > 0 {
		g.fail--
		return 0, errors.New("no space left on device")
	}
	return g.out.Write(p)
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opened = make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.opened)
	g.opened = nil
}

func (g *gate) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.out.String()
}

// settle waits until the log has nothing left to do.
func settle() {
	time.Sleep(time.Minute) // of the bubble's clock
	synctest.Wait()
}

func lines(s string) []string { return strings.Split(strings.TrimSuffix(s, "\n"), "\n") }

func TestFormats(t *testing.T) {
	for format, want := range map[Format]string{
		FormatText:  `time=2000-01-01T00:00:00.000Z level=INFO msg="a verdict" domain=woodgrovebank.com g.n=1` + "\n",
		FormatAuto:  `time=2000-01-01T00:00:00.000Z level=INFO msg="a verdict" domain=woodgrovebank.com g.n=1` + "\n",
		FormatJSON:  `{"time":"2000-01-01T00:00:00Z","level":"INFO","msg":"a verdict","domain":"woodgrovebank.com","g":{"n":1}}` + "\n",
		FormatColor: "00:00:00 INF a verdict domain=woodgrovebank.com g.n=1\n",
	} {
		t.Run(string(format), func(t *testing.T) {
			t.Setenv("NO_COLOR", "1")
			t.Setenv("JOURNAL_STREAM", "9:12345") // the journal is elsewhere
			synctest.Test(t, func(t *testing.T) {
				var out gate
				write(&out, format)
				got := out.String()
				if format != FormatJSON {
					got = strings.Replace(got, time.Now().Format("2006-01-02T15:04:05.000Z07:00"), "2000-01-01T00:00:00.000Z", 1)
					got = strings.Replace(got, time.Now().Format(time.TimeOnly), "00:00:00", 1)
				} else {
					got = strings.Replace(got, time.Now().Format(time.RFC3339), "2000-01-01T00:00:00Z", 1)
				}
				if got != want {
					t.Errorf("got\n%s\nnot\n%s", got, want)
				}
			})
		})
	}
}

// write logs a line that is heard, and one that is not.
func write(w io.Writer, format Format) {
	log, l := NewLog(w, format, slog.LevelInfo)
	log.Debug("nobody hears this")
	log.With("domain", "woodgrovebank.com").WithGroup("g").Info("a verdict", "n", 1)
	l.Close()
}

// TestJournal: it has the time itself.
func TestJournal(t *testing.T) {
	for format, want := range map[Format]string{
		FormatText: `level=INFO msg="a verdict" domain=woodgrovebank.com g.n=1` + "\n",
		FormatAuto: `level=INFO msg="a verdict" domain=woodgrovebank.com g.n=1` + "\n",
		FormatJSON: `{"level":"INFO","msg":"a verdict","domain":"woodgrovebank.com","g":{"n":1}}` + "\n",
	} {
		t.Run(string(format), func(t *testing.T) {
			journal, err := os.Create(filepath.Join(t.TempDir(), "journal"))
			if err != nil {
				t.Fatal(err)
			}
			defer journal.Close()
			info, err := journal.Stat()
			if err != nil {
				t.Fatal(err)
			}
			stat := info.Sys().(*syscall.Stat_t)
			t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", stat.Dev, stat.Ino))
			write(journal, format)
			if got, err := os.ReadFile(journal.Name()); err != nil || string(got) != want {
				t.Errorf("got\n%s\nnot\n%s, %v", got, want, err)
			}
		})
	}
}

// TestTerminalIsSafe from what a client made up.
func TestTerminalIsSafe(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	for _, format := range []Format{FormatText, FormatJSON, FormatColor} {
		var out gate
		log, l := NewLog(&out, format, slog.LevelInfo)
		log.Info("verdict", "sender", "a@\x1b[31mred\u009b.example\x00", "error", errors.New("\x1b]0;title\a"))
		l.Close()
		if got := out.String(); strings.ContainsAny(got, "\x1b\x00\a") || format != FormatJSON && strings.Contains(got, "\u009b") || strings.Count(got, "\n") != 1 {
			t.Errorf("%s: %q", format, got)
		}
	}
}

func TestColors(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	t.Setenv("JOURNAL_STREAM", "")
	var out gate
	log, l := NewLog(&out, FormatColor, slog.LevelInfo)
	log.Error("red")
	l.Close()
	if !strings.Contains(out.String(), "\x1b[") {
		t.Errorf("%q has no color", out.String())
	}
}

func TestParseFormat(t *testing.T) {
	for _, f := range []Format{FormatAuto, FormatText, FormatJSON, FormatColor} {
		if got, err := ParseFormat(string(f)); got != f || err != nil {
			t.Errorf("%s: %s, %v", f, got, err)
		}
	}
	for _, s := range []string{"", "JSON", "logfmt"} {
		if _, err := ParseFormat(s); err == nil || err.Error() != fmt.Sprintf("%q is not a log format: auto, text, json or color", s) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestLevel(t *testing.T) {
	var level slog.LevelVar
	level.Set(slog.LevelWarn)
	var out gate
	log, l := NewLog(&out, FormatJSON, &level)
	if log.Enabled(context.Background(), slog.LevelInfo) || !log.With("a", 1).Enabled(context.Background(), slog.LevelWarn) {
		t.Error("another level is enabled")
	}
	log.Info("no")
	level.Set(slog.LevelInfo)
	log.Info("yes")
	l.Close()
	if got := out.String(); strings.Contains(got, `"no"`) || !strings.Contains(got, `"yes"`) {
		t.Error(got)
	}
}

// TestWrittenSoon: a line does not wait for the next.
func TestWrittenSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out gate
		log, l := NewLog(&out, FormatText, slog.LevelInfo)
		defer l.Close()
		log.Info("alone")
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if !strings.Contains(out.String(), "msg=alone") {
			t.Errorf("after 100 ms there is %q", out.String())
		}
	})
}

// TestOrder: lines are written in the order in which they came.
func TestOrder(t *testing.T) {
	var out gate
	log, l := NewLog(&out, FormatText, slog.LevelInfo)
	var wait sync.WaitGroup
	for who := range 4 {
		wait.Go(func() {
			for n := range 500 {
				log.Info("x", "who", who, "n", n)
			}
		})
	}
	wait.Wait()
	l.Close()
	next := make(map[int]int)
	for _, line := range lines(out.String()) {
		var who, n int
		if _, err := fmt.Sscanf(line[strings.Index(line, "who="):], "who=%d n=%d", &who, &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if n != next[who] {
			t.Fatalf("%d of %d after %d", n, who, next[who])
		}
		next[who]++
	}
	if len(next) != 4 || next[0] != 500 {
		t.Errorf("%v", next)
	}
}

// TestBlockedWriter: who logs never waits; what does not fit is counted, and that
// is said, once, when the writer goes on.
func TestBlockedWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out gate
		out.shut()
		log, l := NewLog(&out, FormatJSON, slog.LevelInfo)
		const sent = 3 * queueLength
		began := time.Now()
		for i := range sent {
			log.Info("line", "n", i)
			if i%queueLength == 0 {
				settle() // let the writer take what it can
				began = began.Add(time.Minute)
			}
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("logging took %v", waited)
		}
		out.open()
		settle()
		count := func() (written int, dropped uint64, said int) {
			for _, line := range lines(out.String()) {
				var v struct {
					Msg   string
					Level string
					N     int
					Count uint64
				}
				if err := json.Unmarshal([]byte(line), &v); err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				if strings.HasPrefix(v.Msg, "log lines dropped") && v.Level == "WARN" {
					dropped += v.Count
					said++
					continue
				}
				if v.Msg == "line" {
					written++
				}
			}
			return written, dropped, said
		}
		written, dropped, said := count()
		if written < queueLength || dropped == 0 || uint64(written)+dropped != sent {
			t.Errorf("%d written and %d dropped of %d", written, dropped, sent)
		}
		if said != 1 {
			t.Errorf("said %d times", said)
		}
		// That is all: what comes now is written, and nothing more is said.
		log.Info("line")
		settle()
		if w, d, s := count(); w != written+1 || d != dropped || s != 1 {
			t.Errorf("afterwards %d written and %d dropped, said %d times", w, d, s)
		}
		l.Close()
	})
}

// TestFailingWriter: a disk that was full for a moment costs the lines of that
// moment, not all that come after.
func TestFailingWriter(t *testing.T) {
	for _, format := range []Format{FormatText, FormatJSON, FormatColor} {
		t.Run(string(format), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out := gate{fail: 2}
				log, l := NewLog(&out, format, slog.LevelInfo)
				for _, word := range []string{"first", "second", "third", "fourth"} {
					log.Info(word)
					settle()
				}
				l.Close()
				if got := out.String(); !strings.Contains(got, "third") || !strings.Contains(got, "fourth") {
					t.Errorf("after two writes failed, the log has\n%s", got)
				}
			})
		})
	}
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out gate
		log, l := NewLog(&out, FormatText, slog.LevelInfo)
		for i := range 1000 {
			log.Info("line", "n", i)
		}
		began := time.Now()
		l.Close()
		l.Close()
		if n := len(lines(out.String())); n != 1000 {
			t.Errorf("%d lines of 1000", n)
		}
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		log.Info("afterwards") // may be lost, but harms no one
	})
}

// TestCloseIsBounded: a reader that is stuck does not keep the daemon from ending.
func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out gate
		out.shut()
		log, l := NewLog(&out, FormatText, slog.LevelInfo)
		log.Info("line")
		settle()
		began := time.Now()
		l.Close()
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		out.open()
		settle()
		if !strings.Contains(out.String(), "msg=line") {
			t.Errorf("%q", out.String())
		}
	})
}

// broken is a handler that panics.
type broken struct{ slog.Handler }

func (broken) Handle(context.Context, slog.Record) error { panic("as asked") }

// TestRenderingOutlivesPanics: lines have what strangers sent, and one that cannot be
// rendered costs itself.
func TestRenderingOutlivesPanics(t *testing.T) {
	var out gate
	log, l := NewLog(&out, FormatJSON, slog.LevelInfo)
	log.Info("before")
	_ = handler{l, broken{l.root}}.Handle(context.Background(), slog.NewRecord(time.Now(), slog.LevelInfo, "breaks", 0))
	log.Info("after")
	l.Close()
	got := lines(out.String())
	if len(got) != 3 || !strings.Contains(got[0], `"before"`) || !strings.Contains(got[2], `"after"`) {
		t.Fatalf("%q", got)
	}
	if !strings.Contains(got[1], `"ERROR"`) || !strings.Contains(got[1], `"panic":"as asked"`) || !strings.Contains(got[1], "log_test.go") {
		t.Error(got[1])
	}
}
