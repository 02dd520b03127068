package revocation

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"domain-secured/internal/trust/ocsp"
)

const (
	answerSuffix = ".ocsp"
	maxAnswers   = 10_000
)

// answers are those of OCSP responders, in memory and in a folder.
type answers struct {
	dir, shared string

	mu      sync.Mutex
	entries map[key]*answer
}

// An answer is about one certificate.
type answer struct {
	server          string
	answer          ocsp.Answer
	subject, issuer *x509.Certificate
	used, due       time.Time
	failures        int
}

// kept is how an answer stands in a file. The times are those of the answer, for
// when it is too old to be checked.
type kept struct {
	Server                 string
	Response               []byte // DER
	ThisUpdate, ProducedAt time.Time
}

// after reports whether an answer was made after another one.
func (k kept) after(other kept) bool {
	if k.ThisUpdate.Equal(other.ThisUpdate) {
		return k.ProducedAt.After(other.ProducedAt)
	}
	return k.ThisUpdate.After(other.ThisUpdate)
}

func newAnswers(dir, shared string) *answers {
	return &answers{dir: dir, shared: shared, entries: make(map[key]*answer)}
}

func (a *answer) String() string {
	status := a.answer.Status.String()
	if a.answer.Hold {
		status = "on hold"
	}
	return fmt.Sprintf("%s by OCSP from %q, as of %s, until %s", status, a.server,
		a.answer.ThisUpdate.UTC().Format(time.RFC3339), a.answer.Until.UTC().Format(time.RFC3339))
}

// holds reports whether an answer is of that time.
func (a *answer) holds(at time.Time) bool {
	return !at.Before(a.answer.ThisUpdate.Add(-skew)) && !at.After(a.answer.Until.Add(skew))
}

// skew is by how much clocks may differ: what ocsp goes by.
const skew = 5 * time.Minute

// get returns an answer that holds at a time, from memory or from the folder; nil
// if there is none.
func (as *answers) get(k key, subject, issuer *x509.Certificate, at, now time.Time) *answer {
	as.mu.Lock()
	a := as.entries[k]
	if a != nil {
		a.used = now
	}
	as.mu.Unlock()
	if a != nil {
		if a.holds(at) {
			return a
		}
		return nil
	}
	for _, dir := range []string{as.dir, as.shared} {
		if dir == "" {
			continue
		}
		if a := as.read(filepath.Join(dir, k.String()+answerSuffix), subject, issuer, at); a != nil {
			a.used = now
			as.add(k, a, now)
			return a
		}
	}
	return nil
}

// read reads a file, and checks what is in it as if it had just come.
func (as *answers) read(path string, subject, issuer *x509.Certificate, at time.Time) *answer {
	file := readKept(path)
	checked, err := ocsp.Check(file.Response, subject, issuer, at, ocsp.Options{})
	if err != nil {
		return nil
	}
	return &answer{server: file.Server, answer: checked, subject: subject, issuer: issuer}
}

// readKept reads a file. There is nothing in one that cannot be read.
func readKept(path string) (file kept) {
	data, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(data, &file) != nil {
		return kept{}
	}
	return file
}

// put keeps an answer, unless the last one was made later, even if that has ended:
// what was good must not come back after it was revoked.
func (as *answers) put(k key, a *answer, response []byte, now time.Time) error {
	path := filepath.Join(as.dir, k.String()+answerSuffix)
	as.mu.Lock()
	before := as.entries[k]
	as.mu.Unlock()
	next := kept{Server: a.server, Response: response, ThisUpdate: a.answer.ThisUpdate, ProducedAt: a.answer.ProducedAt}
	last := readKept(path)
	if before != nil {
		// The file may not have been written, or be that of another checker.
		last.ThisUpdate, last.ProducedAt = before.answer.ThisUpdate, before.answer.ProducedAt
		a.used = before.used
	}
	if last.after(next) {
		return fmt.Errorf("%v is older than the one of %s, which is kept", a, last.ThisUpdate.UTC().Format(time.RFC3339))
	}
	as.add(k, a, now)
	data, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("storing an OCSP answer: %w", err)
	}
	return writeFile(as.dir, filepath.Base(path), data)
}

func (as *answers) add(k key, a *answer, now time.Time) {
	a.due = dueAt(a.answer.ThisUpdate, a.answer.Until, now)
	as.mu.Lock()
	defer as.mu.Unlock()
	as.entries[k] = a
	for len(as.entries) > maxAnswers {
		oldest := k
		for other, e := range as.entries {
			if e.used.Before(as.entries[oldest].used) {
				oldest = other
			}
		}
		delete(as.entries, oldest)
		_ = os.Remove(filepath.Join(as.dir, oldest.String()+answerSuffix))
	}
}

// dueBy returns copies of what is to be asked again.
func (as *answers) dueBy(now time.Time) map[key]answer {
	as.mu.Lock()
	defer as.mu.Unlock()
	due := make(map[key]answer)
	for k, a := range as.entries {
		switch {
		case now.Sub(a.used) > lately:
			delete(as.entries, k)
			_ = os.Remove(filepath.Join(as.dir, k.String()+answerSuffix))
		case now.After(a.due):
			due[k] = *a
		}
	}
	return due
}

// failed notes that an answer could not be had again.
func (as *answers) failed(k key, now time.Time) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if a := as.entries[k]; a != nil {
		a.failures++
		a.due = back(a.failures, now)
	}
}

// writeFile writes a file whole or not at all.
func writeFile(dir, name string, data []byte) error {
	file, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("making the folder of CRLs: %w", err)
		}
		if file, err = os.CreateTemp(dir, ".new-*"); err != nil {
			return fmt.Errorf("storing an OCSP answer: %w", err)
		}
	}
	defer os.Remove(file.Name()) // fails once it is renamed
	defer file.Close()
	if _, err := file.Write(data); err != nil {
		return fmt.Errorf("storing an OCSP answer: %w", err)
	}
	if err := file.Chmod(0o644); err != nil {
		return fmt.Errorf("storing an OCSP answer: %w", err)
	}
	if err := os.Rename(file.Name(), filepath.Join(dir, name)); err != nil {
		return fmt.Errorf("storing an OCSP answer: %w", err)
	}
	return nil
}
