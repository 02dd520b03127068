package policy

import (
	"fmt"
	"hash/maphash"
	"iter"
	"math"
	"strings"
)

// List is an immutable set of domains, as an operator keeps it in a list file.
//
// It is made for lists of a million domains that are reloaded while mail flows:
// the domains stand one after the other in one string, and an open-addressing
// table of 4-byte offsets leads to them. So it costs two allocations and about
// 12 bytes a domain beyond its text, whatever its size. The zero value is an
// empty list.
type List struct {
	text  string   // every domain once, each followed by a line feed
	slots []uint32 // 1 + offset in text, or 0; length a power of two
	count int
	seed  maphash.Seed
}

// maxListText bounds a list file in bytes: offsets are 32 bits wide.
const maxListText = math.MaxUint32 / 2

// A LineError says which line of a list file cannot be used, and why.
type LineError struct {
	Line int // from 1
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }
func (e *LineError) Unwrap() error { return e.Err }

// ParseList reads the text of a list file: one domain a line, as [ParseDomain]
// takes it; blank lines and what follows a # do not count; a domain that stands
// there twice counts once. On the first line that is wrong it returns a
// [*LineError]: a list is taken whole or not at all.
func ParseList(text string) (*List, error) {
	if len(text) > maxListText {
		return nil, fmt.Errorf("the list is larger than %d bytes", maxListText)
	}
	text = strings.TrimPrefix(text, "\ufeff") // as some editors begin a file
	l := &List{seed: maphash.MakeSeed()}
	l.slots = make([]uint32, tableSize(strings.Count(text, "\n")+1))
	b := make([]byte, 0, len(text)+1)
	for n := 1; text != ""; n++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		line = ListLineDomain(line)
		if line == "" {
			continue
		}
		domain, err := ParseDomain(line)
		if err != nil {
			return nil, &LineError{Line: n, Err: err}
		}
		b = l.insert(b, domain)
	}
	l.text = string(b)
	return l, nil
}

// ListLineDomain returns the part of a list file's line that names a domain,
// without comment and blanks: "" if there is none.
func ListLineDomain(line string) string {
	line, _, _ = strings.Cut(line, "#")
	return strings.TrimSpace(line)
}

// tableSize keeps at least a third of the slots free, so that a probe is short.
func tableSize(domains int) int {
	size := 8
	for size*2 < domains*3 {
		size *= 2
	}
	return size
}

// insert adds domain to the table and to text, which it returns.
func (l *List) insert(text []byte, domain string) []byte {
	mask := uint64(len(l.slots) - 1)
	i := maphash.String(l.seed, domain) & mask
	for ; l.slots[i] != 0; i = (i + 1) & mask {
		at := int(l.slots[i] - 1)
		end := at + len(domain)
		if end < len(text) && text[end] == '\n' && string(text[at:end]) == domain {
			return text
		}
	}
	l.slots[i] = uint32(len(text)) + 1
	l.count++
	text = append(text, domain...)
	return append(text, '\n')
}

// Contains reports whether domain is in the list. It must be in the form that
// [ParseDomain] returns; anything else is simply not in it.
func (l *List) Contains(domain string) bool {
	if l == nil || l.count == 0 {
		return false
	}
	mask := uint64(len(l.slots) - 1)
	for i := maphash.String(l.seed, domain) & mask; l.slots[i] != 0; i = (i + 1) & mask {
		at := int(l.slots[i] - 1)
		end := at + len(domain)
		// The line feed ends every entry, so a shorter entry cannot match, and a
		// domain with a line feed in it cannot span two.
		if end < len(l.text) && l.text[end] == '\n' && l.text[at:end] == domain {
			return strings.IndexByte(domain, '\n') < 0
		}
	}
	return false
}

// Len is the number of domains in the list.
func (l *List) Len() int {
	if l == nil {
		return 0
	}
	return l.count
}

// Equal reports whether two lists hold the same domains in the same order.
func (l *List) Equal(other *List) bool {
	if l == nil || other == nil {
		return l.Len() == other.Len()
	}
	return l.text == other.text
}

// All yields the domains in the order of the file.
func (l *List) All() iter.Seq[string] {
	return func(yield func(string) bool) {
		if l == nil {
			return
		}
		for text := l.text; text != ""; {
			var domain string
			domain, text, _ = strings.Cut(text, "\n")
			if !yield(domain) {
				return
			}
		}
	}
}
