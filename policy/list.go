package policy

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"iter"
	"math"
	"math/bits"
	"runtime"
	"strings"
	"sync"
)

// List is an immutable set of domains, as an operator keeps it in a list file.
//
// It is made for lists of a million domains that are reloaded while mail flows:
// the domains stand one after the other in one string, and an open-addressing
// table of 4-byte slots leads to them. So it costs two allocations and about 12
// bytes a domain beyond its text, whatever its size. The zero value is an empty
// list.
type List struct {
	text  string // every domain once, each followed by a line feed
	count int
	seed  maphash.Seed
	// slots has a power of two of them: 0 for none, else 1 + the offset of a domain
	// in the low bits, and in those above, which the text is too short to need, bits
	// of its hash: a slot of another domain shows without a look at the text.
	slots []uint32
	shift int // the number of low bits
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
	seed := maphash.MakeSeed()
	parts := splitLines(text, 1+min(len(text)/minPart, runtime.GOMAXPROCS(0)-1))
	parsed := make([]listPart, len(parts))
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() { parsed[i].parse(parts[i], seed) })
	}
	wg.Wait()
	lines, domains, size := 0, 0, 0
	for i, part := range parsed {
		if part.wrong != nil {
			part.wrong.Line += lines
			return nil, part.wrong
		}
		lines += strings.Count(parts[i], "\n")
		domains += len(part.hashes)
		size += len(part.text)
	}
	return newList(seed, parsed, domains, size), nil
}

// minPart is how large a part of a list must be to be worth a processor of its own.
const minPart = 1 << 20

// splitLines splits text into n parts or fewer, between lines.
func splitLines(text string, n int) []string {
	var parts []string
	for ; n > 1; n-- {
		end := strings.IndexByte(text[len(text)/n:], '\n')
		if end < 0 {
			break
		}
		end += len(text)/n + 1
		parts = append(parts, text[:end])
		text = text[end:]
	}
	return append(parts, text)
}

// listPart is a part of a list: its domains, each followed by a line feed, and
// their hashes.
type listPart struct {
	text   []byte
	hashes []uint64
	wrong  *LineError
}

func (p *listPart) parse(text string, seed maphash.Seed) {
	p.text = make([]byte, 0, len(text)+1)
	p.hashes = make([]uint64, 0, strings.Count(text, "\n")+1)
	for n := 1; text != ""; n++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		line = ListLineDomain(line)
		if line == "" {
			continue
		}
		domain, err := ParseDomain(line)
		if err != nil {
			p.wrong = &LineError{Line: n, Err: err}
			return
		}
		p.text = append(append(p.text, domain...), '\n')
		p.hashes = append(p.hashes, maphash.String(seed, domain))
	}
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

// newList puts the parts of a list together.
func newList(seed maphash.Seed, parts []listPart, domains, size int) *List {
	l := &List{seed: seed, slots: make([]uint32, tableSize(domains)), shift: bits.Len(uint(size))}
	text := make([]byte, 0, size)
	// The table of a large list is in no cache. The slots of some domains are
	// therefore asked for at once, before they are needed one after the other.
	const ahead = 16
	mask := uint64(len(l.slots) - 1)
	for _, part := range parts {
		for i, hash := range part.hashes {
			if i%ahead == 0 {
				var touched uint32
				for _, next := range part.hashes[i:min(i+ahead, len(part.hashes))] {
					touched |= l.slots[next&mask]
				}
				runtime.KeepAlive(touched)
			}
			end := bytes.IndexByte(part.text, '\n') + 1
			text = l.insert(text, part.text[:end], hash)
			part.text = part.text[end:]
		}
	}
	l.text = string(text)
	return l
}

// insert adds a line with a domain to the table and to text, which it returns.
func (l *List) insert(text, line []byte, hash uint64) []byte {
	mask, tag := uint64(len(l.slots)-1), l.tag(hash)
	i := hash & mask
	for ; l.slots[i] != 0; i = (i + 1) & mask {
		if at, same := l.offset(l.slots[i], tag); same && bytes.HasPrefix(text[at:], line) {
			return text
		}
	}
	l.slots[i] = tag | uint32(len(text)) + 1
	l.count++
	return append(text, line...)
}

// tag is the part of a slot that is of the hash.
func (l *List) tag(hash uint64) uint32 { return uint32(hash>>32) >> l.shift << l.shift }

// offset returns where in the text the domain of a slot is, if it has the tag.
func (l *List) offset(slot, tag uint32) (at int, same bool) {
	low := uint32(1)<<l.shift - 1
	return int(slot&low) - 1, slot&^low == tag
}

// Contains reports whether domain is in the list. It must be in the form that
// [ParseDomain] returns; anything else is simply not in it.
func (l *List) Contains(domain string) bool {
	_, found := l.Find(domain)
	return found
}

// Find is Contains, and returns the list's own copy of the domain.
func (l *List) Find(domain string) (own string, found bool) {
	if l == nil || l.count == 0 {
		return "", false
	}
	hash := maphash.String(l.seed, domain)
	mask, tag := uint64(len(l.slots)-1), l.tag(hash)
	for i := hash & mask; l.slots[i] != 0; i = (i + 1) & mask {
		at, same := l.offset(l.slots[i], tag)
		if !same {
			continue
		}
		// The line feed ends every entry, so a shorter entry cannot match, and a
		// domain with a line feed in it cannot span two.
		end := at + len(domain)
		if end < len(l.text) && l.text[end] == '\n' && l.text[at:end] == domain {
			return l.text[at:end], strings.IndexByte(domain, '\n') < 0
		}
	}
	return "", false
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
