package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"domain-secured/policy"
)

// ListEdit is a change of a list file. Domains are as [policy.ParseDomain]
// returns them.
type ListEdit struct {
	Add, Remove []string
}

// ListEdited is what became of a [ListEdit].
type ListEdited struct {
	Added, Removed []string
	Present        []string // to be added, but there already
	Absent         []string // to be removed, but not there
}

// EditList changes a list file in place: comments and order stay as they are,
// and so do owner, mode and a symbolic link. The new contents are written beside
// it, synced and renamed, so that a reader sees the old list or the new one.
// A lock file beside it keeps two edits apart; it is left there. A list with a
// line that is wrong is not changed.
func EditList(name string, edit ListEdit) (ListEdited, error) {
	real, err := filepath.EvalSymlinks(name)
	if errors.Is(err, fs.ErrNotExist) {
		return ListEdited{}, Problems{{name, 0, fmt.Sprintf("the list does not exist (for an empty list make an empty file: touch %s)", name)}}
	}
	if err != nil {
		return ListEdited{}, fmt.Errorf("editing a list: %w", err)
	}
	unlock, err := lock(real + ".lock")
	if err != nil {
		return ListEdited{}, fmt.Errorf("editing a list: %w", err)
	}
	defer unlock()
	text, err := readText(real, maxList)
	if err != nil {
		return ListEdited{}, fmt.Errorf("editing a list: %w", err)
	}
	var line *policy.LineError
	if _, err := policy.ParseList(text); errors.As(err, &line) {
		return ListEdited{}, Problems{{name, line.Line, line.Err.Error()}}
	}
	changed, done := edit.apply(text)
	if changed == text {
		return done, nil
	}
	if err := replace(real, changed); err != nil {
		return ListEdited{}, fmt.Errorf("editing a list: %w", err)
	}
	return done, nil
}

// apply returns the changed text of a list that parses.
func (e ListEdit) apply(text string) (string, ListEdited) {
	var done ListEdited
	here := make(map[string]bool)
	remove := make(map[string]bool, len(e.Remove))
	for _, domain := range e.Remove {
		remove[domain] = true
	}
	var b strings.Builder
	b.Grow(len(text) + 64)
	for line := range strings.Lines(text) {
		domain, err := policy.ParseDomain(policy.ListLineDomain(strings.TrimPrefix(line, "\ufeff")))
		if err == nil {
			here[domain] = true
			if remove[domain] {
				continue
			}
		}
		b.WriteString(line)
	}
	for _, domain := range e.Remove {
		if here[domain] {
			done.Removed = append(done.Removed, domain)
			delete(here, domain)
		} else {
			done.Absent = append(done.Absent, domain)
		}
	}
	for _, domain := range e.Add {
		if here[domain] {
			done.Present = append(done.Present, domain)
			continue
		}
		here[domain] = true
		done.Added = append(done.Added, domain)
		if text := b.String(); text != "" && !strings.HasSuffix(text, "\n") {
			b.WriteByte('\n')
		}
		b.WriteString(domain + "\n")
	}
	return b.String(), done
}

// lockPatience is how long an edit waits for another one.
const lockPatience = 10 * time.Second

// ErrLocked is returned when another edit of the same list does not end.
var ErrLocked = errors.New("another process is editing the list")

// lock takes the lock file, making it if need be. The lock goes with the
// process, so a file left behind does no harm.
func lock(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_RDONLY|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(lockPatience); ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(deadline) {
			f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				err = ErrLocked
			}
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		time.Sleep(20 * time.Millisecond) // flock(2) knows no timeout
	}
}

// replace writes a file anew with the owner and mode of the one there.
func replace(name, text string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	dir := filepath.Dir(name)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(name)+".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails once it is renamed
	defer tmp.Close()
	if _, err := tmp.WriteString(text); err != nil {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		if err := tmp.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
			return fmt.Errorf("keeping the owner of %s: %w", name, err)
		}
	}
	// After the owner: a change of owner may clear mode bits (chown(2)).
	if err := tmp.Chmod(info.Mode().Perm()); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), name); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
