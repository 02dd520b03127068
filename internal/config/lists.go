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
	next.Warnings = append(slices.Clone(c.ownWarnings), next.listWarnings()...)
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

// listWarnings are about what the settings and the lists have to do with each other.
func (c *Config) listWarnings() (warnings []string) {
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	s := c.Snapshot
	for _, name := range partnerNames(s) {
		if !s.Receive.Contains(name) && !s.Send.Contains(name) {
			warn("[partner.%q] has settings but is in neither list", name)
		}
		if s.Partners[name].Names != nil {
			warn("[partner.%q] names: a pass proves who runs these hosts, not which of its customers sent the message", name)
		}
	}
	c.sendWarnings(warn)
	if s.Defaults.Trust == policy.TrustPins && hasOthers(s) {
		warn(`[defaults] trust = "pins": listed domains without pins of their own are always refused`)
	}
	if s.Defaults.Evidence == policy.EvidenceMTA && hasOthers(s) {
		warn(`[defaults] evidence = "mta": listed domains without mta_issuer of their own are always refused`)
	}
	return warnings
}

// sendWarnings are about domains that mail is sent to.
func (c *Config) sendWarnings(warn func(string, ...any)) {
	s := c.Snapshot
	about := func(where string, p *policy.Partner) {
		verify := p.Sending()
		switch {
		case p.Mode == policy.ModeOff:
		case verify == policy.SendVerifyPins && len(p.Pins) == 0:
			warn("%s mail to listed domains without pins of their own waits: there is nothing to insist on", where)
		case verify == policy.SendVerifyNames && p.Roots != nil && p.Roots.PEM != nil && c.TAFileDir == "":
			warn("%s has roots of its own, and mail is sent by names: it waits until tlsmap.tafile_dir says where Postfix finds them", where)
		case verify == policy.SendVerifyNames && p.Revocation != policy.RevocationOff:
			warn("%s mail is sent by names: whether the server's certificate is revoked is not asked (send_verify = \"vetted\" asks)", where)
		}
		if p.Mode == policy.ModeTesting {
			warn("%s mode = \"testing\": mail leaves for it whatever its servers are", where)
		}
		if p.MinBits > 128 {
			warn("%s min_bits = %d: Postfix cannot be told so of TLS 1.3, which has a cipher of 128 bits", where, p.MinBits)
		}
	}
	for _, name := range partnerNames(s) {
		if s.Send.Contains(name) {
			about(fmt.Sprintf("[partner.%q]", name), s.Partners[name])
		}
	}
	for domain := range s.Send.All() {
		if s.Partners[domain] == nil {
			about("[defaults]", s.Defaults)
			break
		}
	}
}

// hasOthers reports whether a domain of the receive list has no settings of its own.
func hasOthers(s *policy.Snapshot) bool {
	for domain := range s.Receive.All() {
		if s.Partners[domain] == nil {
			return true
		}
	}
	return false
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
	modified, changed time.Time // contents; contents or anything else (inode(7))
	size              int64
	inode             uint64
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
		state.inode, state.changed = sys.Ino, time.Unix(sys.Ctim.Unix())
	}
	return state
}

// ListWatch notices changes of list files. It is for one goroutine.
type ListWatch struct {
	lists Lists
	taken [2]fileState // when the lists were last read
	again time.Time    // read them once more then: they were too new to show every change
	seen  [2]fileState // a change that is not at rest yet
	since time.Time    // when it was first seen like that
}

// Watch returns a watch for changes since c read its lists.
func (c *Config) Watch() *ListWatch {
	w := &ListWatch{lists: c.Lists}
	w.take(c.listStates, time.Now())
	return w
}

const (
	// An editor or a script that writes in place may not be done, and half a list
	// would let mail through: a file must be left alone for a while before it is
	// read. One that has become shorter, or empty, looks like one that has only
	// been begun, and gets more time.
	restTime        = 200 * time.Millisecond
	restTimeShorter = time.Second
	restTimeEmpty   = 5 * time.Second
	// stampTime is how old a time stamp must be for it to tell two writes apart.
	stampTime = 2 * time.Second
)

// Changed reports whether a list file is to be read again. It does so once for a
// change: the caller reads the lists then, and keeps the old ones if that fails.
// soon says that a file is being written, and asks to be called again in a moment
// rather than at the usual time.
func (w *ListWatch) Changed() (changed, soon bool) { return w.look(w.lists.states(), time.Now()) }

func (w *ListWatch) look(states [2]fileState, now time.Time) (changed, soon bool) {
	if states == w.taken {
		if !w.again.IsZero() && now.After(w.again) {
			w.again = time.Time{}
			return true, false
		}
		return false, false
	}
	if states != w.seen {
		w.seen, w.since = states, now
	}
	for i := range states {
		if now.Sub(w.since) < w.taken[i].rest(states[i], now) {
			return false, true
		}
	}
	w.take(states, now)
	return true, false
}

// rest is how long a file must be left alone that was in state s and is in next.
func (s fileState) rest(next fileState, now time.Time) time.Duration {
	renamed := next.inode != s.inode // into place, whole as a rule
	switch {
	case next == s, next == fileState{}, renamed && now.Sub(next.modified) > restTime:
		return 0
	case next.size == 0:
		return restTimeEmpty
	case next.size < s.size && !renamed:
		return restTimeShorter
	}
	return restTime
}

func (w *ListWatch) take(states [2]fileState, now time.Time) {
	w.taken, w.seen, w.again = states, states, time.Time{}
	for _, s := range states {
		if now.Sub(s.modified) < stampTime {
			w.again = now.Add(stampTime)
		}
	}
}
