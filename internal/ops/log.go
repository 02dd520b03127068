// Package ops is what keeps a running daemon observable: its log, health and status.
package ops

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode"

	"github.com/lmittmann/tint"
	"golang.org/x/term"
)

// Format is how a log line looks.
type Format string

const (
	FormatAuto Format = "auto" // color on a terminal, else text
	FormatText Format = "text" // logfmt: key=value
	FormatJSON Format = "json"
	// FormatColor is for the eye.
	FormatColor Format = "color"
)

// ParseFormat checks a format given by name.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case FormatAuto, FormatText, FormatJSON, FormatColor:
		return f, nil
	}
	return "", fmt.Errorf("%q is not a log format: auto, text, json or color", s)
}

const (
	// queueLength is how many lines may wait to be written. When more come, they
	// are dropped and counted: no verdict waits for the log.
	queueLength = 8192
	// lingerTime is how long a line waits for others to be written with it.
	lingerTime = 5 * time.Millisecond
	// closeTime bounds the writing of what is left when the log is closed: a
	// reader that is stuck does not keep the daemon from ending.
	closeTime = 2 * time.Second
)

// Log writes log lines behind the back of those who log: they never wait.
type Log struct {
	lines   chan line
	dropped atomic.Uint64
	closing chan struct{}
	done    chan struct{}
	once    sync.Once
	to      io.Writer
	out     *bufio.Writer // to it
	root    slog.Handler  // writes to out
}

type line struct {
	handler slog.Handler
	record  slog.Record
}

// NewLog returns a logger of lines from the level on, and the [Log] to be closed
// at the end.
func NewLog(w io.Writer, format Format, level slog.Leveler) (*slog.Logger, *Log) {
	l := &Log{
		lines:   make(chan line, queueLength),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
		to:      w,
		out:     bufio.NewWriterSize(w, 32<<10),
	}
	l.root = newHandler(l.out, w, format, level)
	go l.write()
	return slog.New(handler{l, l.root}), l
}

// newHandler renders to out; w is where that ends up in.
func newHandler(out, w io.Writer, format Format, level slog.Leveler) slog.Handler {
	if format == FormatAuto {
		format = FormatText
		if f, isFile := w.(*os.File); isFile && term.IsTerminal(int(f.Fd())) {
			format = FormatColor
		}
	}
	options := &slog.HandlerOptions{Level: level}
	if isJournal(w) {
		options.ReplaceAttr = withoutTime
	}
	switch format {
	case FormatColor:
		return tint.NewTextHandler(out, &tint.Options{
			Level: level, TimeFormat: time.TimeOnly, NoColor: os.Getenv("NO_COLOR") != "", ReplaceAttr: harmless,
		})
	case FormatJSON:
		return slog.NewJSONHandler(out, options)
	}
	return slog.NewTextHandler(out, options)
}

// isJournal reports whether w is the journal, which has the time of each line
// itself (systemd.exec(5), $JOURNAL_STREAM). The variable alone does not tell: it
// is inherited by who writes elsewhere.
func isJournal(w io.Writer) bool {
	f, isFile := w.(*os.File)
	if !isFile {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	stat, known := info.Sys().(*syscall.Stat_t)
	return known && os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}

// harmless keeps what a client made up from steering a terminal: tint passes
// escapes on, even those that were spelled out.
func harmless(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.LevelKey || a.Key == slog.TimeKey) {
		return a
	}
	switch a.Value.Kind() {
	case slog.KindString, slog.KindAny:
		text := strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) && r != '\n' {
				return '\uFFFD'
			}
			return r
		}, a.Value.String())
		a.Value = slog.StringValue(strings.ReplaceAll(text, `\x1b`, `\x1B`))
	}
	return a
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// write is the only one to touch out. A write that fails loses lines, as any
// log does: there is nowhere to say so.
func (l *Log) write() {
	defer close(l.done)
	for {
		select {
		case next := <-l.lines:
			l.render(next)
		case <-l.closing:
			l.drain()
			return
		}
		// Under load, waking up for every line would cost more than the line.
		select {
		case <-time.After(lingerTime):
		case <-l.closing:
		}
		l.drain()
	}
}

func (l *Log) render(next line) {
	l.handle(next.handler, next.record)
	if n := l.dropped.Swap(0); n > 0 {
		r := slog.NewRecord(time.Now(), slog.LevelWarn, "log lines dropped: they came faster than they could be written", 0)
		r.AddAttrs(slog.Uint64("count", n))
		_ = l.root.Handle(context.Background(), r)
	}
}

// handle has a line rendered. It has what strangers sent in it: a panic over that costs
// the line, not the daemon.
func (l *Log) handle(to slog.Handler, r slog.Record) {
	defer func() {
		if p := recover(); p != nil {
			fault := slog.NewRecord(r.Time, slog.LevelError, "panic while writing a log line, which is lost", 0)
			fault.AddAttrs(slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
			_ = l.root.Handle(context.Background(), fault)
		}
	}()
	_ = to.Handle(context.Background(), r)
}

// drain writes what waits.
func (l *Log) drain() {
	for {
		select {
		case next := <-l.lines:
			l.render(next)
		default:
			if l.out.Flush() != nil {
				l.out.Reset(l.to) // it would remember the error, and write no more
			}
			return
		}
	}
}

// Close writes what is left, for two seconds at most. What is logged afterwards
// may be lost.
func (l *Log) Close() {
	l.once.Do(func() { close(l.closing) })
	select {
	case <-l.done:
	case <-time.After(closeTime):
	}
}

// handler hands lines over to the writer.
type handler struct {
	log  *Log
	next slog.Handler
}

func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h handler) Handle(_ context.Context, r slog.Record) error {
	select {
	case h.log.lines <- line{h.next, r.Clone()}:
	default:
		h.log.dropped.Add(1)
	}
	return nil
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.log, h.next.WithAttrs(attrs)}
}

func (h handler) WithGroup(name string) slog.Handler { return handler{h.log, h.next.WithGroup(name)} }
