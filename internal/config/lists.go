package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	"domain-secured/policy"
)

// maxList bounds a list file, in octets.
const maxList = 1 << 30

// WithLists reads the list files and returns a Config with them and everything
// else the same. A list file that is missing is an error, never an empty list.
func (c *Config) WithLists() (*Config, error) {
	next := *c
	// Looked at before they are read: a change while reading is noticed later.
	next.listStates = c.Lists.states()
	receive, err := readList("receive", c.Lists.Receive)
	if err != nil {
		return nil, err
	}
	send, err := readList("send", c.Lists.Send)
	if err != nil {
		return nil, err
	}
	next.Snapshot = c.Snapshot.WithLists(receive, send)
	next.Warnings = slices.Clone(c.Warnings)
	next.warnAboutLists()
	return &next, nil
}

func readList(which, name string) (*policy.List, error) {
	text, err := readText(name, maxList)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Problems{{name, 0, fmt.Sprintf("the %s list does not exist (for an empty list make an empty file: touch %s)", which, name)}}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the %s list: %w", which, err)
	}
	list, err := policy.ParseList(text)
	var line *policy.LineError
	switch {
	case errors.As(err, &line):
		return nil, Problems{{name, line.Line, line.Err.Error()}}
	case err != nil:
		return nil, Problems{{name, 0, err.Error()}}
	}
	return list, nil
}

func (c *Config) warnAboutLists() {
	s := c.Snapshot
	for _, name := range partnerNames(s) {
		if !s.Receive.Contains(name) && !s.Send.Contains(name) {
			c.Warnings = append(c.Warnings, fmt.Sprintf("[partner.%q] has settings but is in neither list", name))
		}
		if s.Partners[name].Names != nil {
			c.Warnings = append(c.Warnings, fmt.Sprintf("[partner.%q] names: a pass proves who runs these hosts, not which of its customers sent the message", name))
		}
	}
	if s.Defaults.Trust == policy.TrustPins && s.Receive.Len() > len(s.Partners) {
		c.Warnings = append(c.Warnings, `[defaults] trust = "pins": listed domains without pins of their own are always refused`)
	}
	if s.Defaults.Evidence == policy.EvidenceMTA && s.Receive.Len() > len(s.Partners) {
		c.Warnings = append(c.Warnings, `[defaults] evidence = "mta": listed domains without mta_issuer of their own are always refused`)
	}
}

// partnerNames returns the domains with settings of their own, sorted.
func partnerNames(s *policy.Snapshot) []string {
	names := make([]string, 0, len(s.Partners))
	for name := range s.Partners {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// fileState tells whether a file has changed. The zero value is of none.
type fileState struct {
	modified time.Time
	size     int64
	inode    uint64
}

func (l Lists) states() [2]fileState {
	return [2]fileState{stateOf(l.Receive), stateOf(l.Send)}
}

func stateOf(name string) fileState {
	info, err := os.Stat(name)
	if err != nil {
		return fileState{}
	}
	state := fileState{modified: info.ModTime(), size: info.Size()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		state.inode = sys.Ino
	}
	return state
}

// ListWatch notices changes of list files. It is for one goroutine.
type ListWatch struct {
	lists  Lists
	taken  [2]fileState
	recent bool // a file was so new when it was taken that a later change may not show
}

// Watch returns a watch for changes since c read its lists.
func (c *Config) Watch() *ListWatch {
	w := &ListWatch{lists: c.Lists}
	w.take(c.listStates)
	return w
}

const (
	// restTime is how long a file must be left alone before it is read: an editor
	// that writes in place may not be done, and half a list would let mail through.
	restTime = 200 * time.Millisecond
	// stampTime is how old a time stamp must be for it to tell two writes apart.
	stampTime = 2 * time.Second
)

// Changed reports whether a list file is to be read again. It does so once for a
// change: the caller reads the lists then, and keeps the old ones if that fails.
// soon asks to be called again in a moment rather than at the usual time.
func (w *ListWatch) Changed() (changed, soon bool) {
	now := w.lists.states()
	if now == w.taken {
		if w.recent && old(now, stampTime) {
			w.recent = false
			return true, false
		}
		return false, false
	}
	for i := range now {
		// A file of another inode was renamed into place, and is whole.
		if now[i] != w.taken[i] && now[i].inode == w.taken[i].inode && !now[i].olderThan(restTime) {
			return false, true
		}
	}
	w.take(now)
	return true, false
}

func (w *ListWatch) take(states [2]fileState) {
	w.taken, w.recent = states, !old(states, stampTime)
}

func old(states [2]fileState, age time.Duration) bool {
	return states[0].olderThan(age) && states[1].olderThan(age)
}

func (s fileState) olderThan(age time.Duration) bool { return time.Since(s.modified) > age }
