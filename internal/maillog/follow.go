package maillog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

const (
	lookTime = 250 * time.Millisecond // between looks at a file
	// maxLine bounds a line of the log. Postfix's own have 2 KB at most (msg_output(3)).
	maxLine = 8 << 10
)

// Follower reads a log as it is written.
type Follower struct {
	ledger *Ledger
	state  func(error)
}

// NewFollower returns one that gives lines to l. state is told when the log cannot be
// read, and of nil when it can; the same is said once.
func NewFollower(l *Ledger, state func(error)) *Follower {
	said, last := false, ""
	return &Follower{ledger: l, state: func(err error) {
		text := ""
		if err != nil {
			text = err.Error()
		}
		if said && text == last {
			return
		}
		said, last = true, text
		state(err)
	}}
}

// File follows a file until ctx ends: from its end on, through renames and truncation.
// A file that is not there yet is waited for, and read from its start.
func (f *Follower) File(ctx context.Context, name string) {
	t := &tail{name: name, line: f.ledger.Line}
	defer t.close()
	from := io.SeekEnd
	tick := time.NewTicker(lookTime)
	defer tick.Stop()
	for {
		err := t.look(ctx, from)
		f.state(err)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			from = io.SeekStart // what comes into being later is new
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// tail is a file of which the end is read.
type tail struct {
	name string
	line func(string)
	file *os.File // nil for none
	at   int64
	last []byte // what stands before that place, some octets
	lines
}

// lastSize is enough to tell one place of a log from another: some lines of Postfix's.
const lastSize = 1 << 10

// look reads what is new. A file opened first is read from there.
func (t *tail) look(ctx context.Context, from int) error {
	if t.file == nil {
		if err := t.open(from); err != nil {
			return err
		}
	}
	if err := t.read(ctx); err != nil {
		return err
	}
	now, err := os.Stat(t.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // renamed, and no new one yet: the old one is still written to
	}
	if err != nil {
		return fmt.Errorf("looking at the mail log: %w", err)
	}
	was, err := t.file.Stat()
	if err != nil {
		return fmt.Errorf("looking at the mail log: %w", err)
	}
	// Who rotates makes the new file, often before the writer takes it: as long as it
	// is empty, the old one is still written to.
	if os.SameFile(was, now) || now.Size() == 0 {
		return nil
	}
	if err := t.read(ctx); err != nil { // what came between
		return err
	}
	t.close()
	if err := t.open(io.SeekStart); err != nil {
		return err
	}
	return t.read(ctx)
}

func (t *tail) open(from int) error {
	// Not blocked by a FIFO, which is refused below.
	file, err := os.OpenFile(t.name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("opening the mail log: %w", err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", t.name)
	}
	var at int64
	if err == nil {
		at, err = file.Seek(0, from)
	}
	if err != nil {
		file.Close()
		return fmt.Errorf("opening the mail log: %w", err)
	}
	t.file, t.at, t.last, t.lines = file, at, nil, lines{}
	return nil
}

// read reads on to the end of the file.
func (t *tail) read(ctx context.Context) error {
	if t.truncated() { // after it was copied
		t.at, t.last, t.lines = 0, nil, lines{}
	}
	buffer := make([]byte, 32<<10)
	for ctx.Err() == nil {
		n, err := t.file.ReadAt(buffer, t.at)
		t.at += int64(n)
		t.lines.take(buffer[:n], t.line)
		t.last = append(t.last, buffer[:n]...)
		t.last = append(t.last[:0], t.last[max(0, len(t.last)-lastSize):]...)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the mail log: %w", err)
		}
	}
	return nil
}

// truncated reports whether the file ends before the place that was read last, or has
// grown to it or past it again with something else.
func (t *tail) truncated() bool {
	info, err := t.file.Stat()
	if err != nil || info.Size() < t.at {
		return err == nil
	}
	if len(t.last) == 0 {
		return false
	}
	now := make([]byte, len(t.last))
	_, err = t.file.ReadAt(now, t.at-int64(len(now)))
	return err == nil && !bytes.Equal(now, t.last)
}

func (t *tail) close() {
	if t.file != nil {
		t.file.Close()
		t.file = nil
	}
}

// lines makes lines of what is read. One that is too long is cut.
type lines struct {
	part    []byte // of a line whose end has not come yet
	cutting bool   // the rest of a line that was too long is passed over
}

func (l *lines) take(text []byte, line func(string)) {
	for len(text) > 0 {
		end := bytes.IndexByte(text, '\n')
		whole := end >= 0
		if !whole {
			end = len(text)
		}
		if room := maxLine - len(l.part); !l.cutting {
			l.part = append(l.part, text[:min(end, room)]...)
			if end > room {
				l.cutting = true
			}
		}
		if !whole {
			return
		}
		line(string(l.part))
		l.part, l.cutting = l.part[:0], false
		text = text[end+1:]
	}
}
