package mailqueue

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// ErrNoPostqueue says that there is no postqueue(1) on this machine.
var ErrNoPostqueue = errors.New("postqueue not found: is Postfix installed?")

const (
	readTime = 60 * time.Second // a queue of 100,000 messages takes some seconds
	maxLine  = 16 << 20         // a message may have tens of thousands of recipients
	maxWords = 4 << 10
)

// places are where postqueue may be: in PATH, and where Postfix puts it.
var places = []string{"postqueue", "/usr/sbin/postqueue", "/usr/local/sbin/postqueue"}

// Read calls use once for each message in the queue of the Postfix with the configuration
// directory dir; "" means Postfix's own. unread is the number of those that could not be
// read. Warnings are postqueue's. It is no snapshot: a message on its way from one queue
// to another while postqueue reads is given as it was met first, or, rarely, not at all.
func Read(ctx context.Context, dir string, use func(*Message)) (unread int, warnings []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	var bin string
	for _, name := range places {
		if bin, err = exec.LookPath(name); err == nil {
			break
		}
	}
	if err != nil {
		return 0, nil, ErrNoPostqueue
	}
	args := []string{"-j"}
	if dir != "" {
		args = append([]string{"-c", dir}, args...)
	}
	c := exec.CommandContext(ctx, bin, args...)
	c.Args[0] = "postqueue" // it puts that in front of what it says
	c.Env = append(os.Environ(), "LC_ALL=C")
	c.WaitDelay = time.Second
	var words bounded
	c.Stderr = &words
	out, err := c.StdoutPipe()
	if err != nil {
		return 0, nil, err
	}
	if err := c.Start(); err != nil {
		return 0, nil, err
	}
	unread, readErr := each(out, once(use))
	err = c.Wait()
	fatal := ""
	for line := range strings.Lines(words.buffer.String()) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "postqueue: ")
		if w, ok := strings.CutPrefix(line, "warning: "); ok {
			warnings = append(warnings, w)
		} else if line != "" {
			fatal = line
		}
	}
	switch {
	case ctx.Err() != nil:
		return unread, warnings, fmt.Errorf("postqueue did not finish: %w", ctx.Err())
	case err != nil && fatal != "":
		return unread, warnings, fmt.Errorf("postqueue: %s: %w", fatal, err)
	case err != nil:
		return unread, warnings, fmt.Errorf("postqueue: %w", err)
	case readErr != nil:
		return unread, warnings, fmt.Errorf("reading what postqueue prints: %w", readErr)
	}
	return unread, warnings, nil
}

// once leaves out what was given before: showq(8) lists one queue after the other, and a
// message that is deferred between two of them stands in both.
func once(use func(*Message)) func(*Message) {
	given := make(map[string]struct{})
	return func(m *Message) {
		if _, again := given[m.ID]; !again {
			given[m.ID] = struct{}{}
			use(m)
		}
	}
}

// each calls use for each line, and returns the number of those that cannot be read.
func each(from io.Reader, use func(*Message)) (unread int, err error) {
	in := bufio.NewReaderSize(from, 64<<10)
	var line []byte
	long := false
	for {
		part, err := in.ReadSlice('\n')
		if room := maxLine - len(line); !long && len(part) <= room {
			line = append(line, part...)
		} else {
			long = true
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if text := bytes.TrimSpace(line); len(text) > 0 || long {
			if m, err := parse(text); err == nil && !long {
				use(&m)
			} else {
				unread++
			}
		}
		line, long = line[:0], false
		if errors.Is(err, io.EOF) {
			return unread, nil
		}
		if err != nil {
			return unread, err
		}
	}
}

// bounded keeps the start of what is written to it. The buffer is not embedded: its
// ReadFrom would be taken in place of Write.
type bounded struct{ buffer bytes.Buffer }

func (b *bounded) Write(text []byte) (int, error) {
	b.buffer.Write(text[:min(len(text), maxWords-b.buffer.Len())])
	return len(text), nil
}
