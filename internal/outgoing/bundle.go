package outgoing

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"domain-secured/policy"
)

// Bundles are files of root certificates for a mail server to read: one for each set of
// roots that partners have, named by what is in it, so that it never changes.
type Bundles struct {
	Dir string // "" if there is none
	// QueueDirectory is the mail server's. Its smtp(8) processes work in there, chrooted
	// or not, and are told of files below it relative to it.
	QueueDirectory string
	// Keep: files that nobody needs any more are left to another, the daemon, to remove.
	Keep bool
}

var errNoBundles = errors.New("tlsmap.tafile_dir is not set: Postfix needs a file of the partner's roots")

// write sees to it that there is a file with these roots, and returns it as the mail
// server is to open it.
func (b Bundles) write(r *policy.Roots) (string, error) {
	if b.Dir == "" {
		return "", errNoBundles
	}
	name, told := b.names(r)
	if there, err := os.ReadFile(name); err != nil || !bytes.Equal(there, r.PEM) {
		if err := b.writeNew(name, r.PEM); err != nil {
			return "", fmt.Errorf("writing a partner's roots for Postfix, see tlsmap.tafile_dir: %w", err)
		}
	}
	return told, nil
}

// names returns where the file with these roots is, and as the mail server is to open it.
func (b Bundles) names(r *policy.Roots) (name, told string) {
	name = filepath.Join(b.Dir, bundleName(r))
	if below, err := filepath.Rel(b.QueueDirectory, name); b.QueueDirectory != "" && err == nil && filepath.IsLocal(below) {
		return name, below
	}
	return name, name
}

// For returns the file that a mail server needs for a partner: where it is, and as the
// mail server is told of it; "" if it needs none, or if there is no folder for it.
func (b Bundles) For(p *policy.Partner) (name, told string) {
	if b.Dir == "" || p.Mode != policy.ModeEnforce || p.Sending() != policy.SendVerifyNames || p.Roots == nil || p.Roots.PEM == nil {
		return "", ""
	}
	return b.names(p.Roots)
}

// prepare writes the files before they are asked for, so that it is said at once if one
// cannot be written, and that "check" finds them.
func (b Bundles) prepare(s *policy.Snapshot) error {
	var problems []error
	seen := make(map[string]bool)
	need := func(p *policy.Partner) {
		if name, _ := b.For(p); name != "" && !seen[name] {
			seen[name] = true
			_, err := b.write(p.Roots)
			problems = append(problems, err)
		}
	}
	if s.Send.Len() > 0 {
		need(s.Defaults)
	}
	for _, p := range s.Partners {
		if s.Send.Contains(p.Domain) {
			need(p)
		}
	}
	return errors.Join(problems...)
}

// writeNew writes a file that anybody may read, and that is there whole or not at all.
func (b Bundles) writeNew(name string, text []byte) error {
	f, err := os.CreateTemp(b.Dir, temporary+"*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

func bundleName(r *policy.Roots) string { return "roots-" + r.ID.String()[:32] + ".pem" }

// temporary is what the name of a file begins with that is being written.
const temporary = ".new-"

// isOld reports whether a file cannot be one that is being written now.
func isOld(entry fs.DirEntry) bool {
	info, err := entry.Info()
	return err == nil && time.Since(info.ModTime()) > writingTime
}

// writingTime is more than the writing of a file takes.
const writingTime = time.Minute

var isBundle = regexp.MustCompile(`^roots-[0-9a-f]{32}\.pem$`)

// tidy removes the files that neither these settings need nor those before them: a mail
// server may be about to open one of those.
func (b Bundles) tidy(s *policy.Snapshot, before *Settings) error {
	if b.Dir == "" {
		return nil
	}
	entries, err := os.ReadDir(b.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // said when it is needed
	}
	if err != nil {
		return err
	}
	needed := make(map[string]bool)
	need := func(s *policy.Snapshot) {
		for _, p := range s.Partners {
			if p.Roots != nil {
				needed[bundleName(p.Roots)] = true
			}
		}
		if s.Defaults.Roots != nil {
			needed[bundleName(s.Defaults.Roots)] = true
		}
	}
	need(s)
	if before != nil {
		need(before.Snapshot)
	}
	var problems []error
	for _, entry := range entries {
		left := isBundle.MatchString(entry.Name()) && !needed[entry.Name()]
		if left || strings.HasPrefix(entry.Name(), temporary) && isOld(entry) {
			problems = append(problems, os.Remove(filepath.Join(b.Dir, entry.Name())))
		}
	}
	return errors.Join(problems...)
}
