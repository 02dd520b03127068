package sendmailcf

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// maxMap bounds the text of a map in octets, maxFeatures what is kept of it.
const (
	maxMap      = 64 << 20
	maxFeatures = 100
)

// Map is a table that the configuration names. It is read as the text that makemap(8) makes it of, which lies beside it
// under its name: what Sendmail itself reads is a database, and as good as that text was when it was made.
type Map struct {
	file    string // "" for none
	Hidden  string // why its text could not be read, "" if it was or if there is none
	entries map[string]string
}

// mapLine reads a K line: name, class, flags, and the file or socket. What follows is not read (map_parseargs).
func mapLine(line string) (name, class, file string) {
	words := strings.Fields(line)
	if len(words) < 3 {
		return "", "", ""
	}
	for _, word := range words[2:] {
		if !strings.HasPrefix(word, "-") {
			return words[0], words[1], word
		}
	}
	return words[0], words[1], ""
}

// read takes over the entries that keep likes, keys in lower case. Of a key that comes again the first counts: makemap
// complains about the others.
func (m *Map) read(keep func(key string) bool) {
	m.entries = map[string]string{}
	if m.file == "" {
		return
	}
	f, err := os.Open(m.file)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			m.Hidden = err.Error()
		}
		return
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, maxMap))
	lines.Buffer(nil, 1<<16)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		key, value := line, ""
		if at := strings.IndexAny(line, " \t"); at >= 0 {
			key, value = line[:at], strings.TrimSpace(line[at:])
		}
		key = strings.ToLower(key)
		if _, again := m.entries[key]; !again && keep(key) {
			m.entries[key] = value
		}
	}
	if err := lines.Err(); err != nil {
		m.Hidden = fmt.Errorf("%s: %w", m.file, err).Error()
	}
}
