package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"

	"domain-secured/policy"
)

// maxTOML bounds the TOML file, in octets.
const maxTOML = 16 << 20

// Load reads the TOML file and all that it names, and checks it: what it returns
// can be served. The error is [Problems] for what is wrong in a file, else one
// of the file system.
func Load(file string, roots RootsReader) (*Config, error) {
	c, err := Read(file, roots)
	if err != nil {
		return nil, err
	}
	return c.WithLists()
}

// Read is [Load] without the lists: for who only wants to know where things are.
func Read(file string, roots RootsReader) (*Config, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	text, err := readText(file, maxTOML)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return parse(file, text, roots)
}

// Default is what holds without a TOML file: every key's default, with relative
// paths below the folder of file.
func Default(file string, roots RootsReader) (*Config, error) { return parse(file, "", roots) }

func parse(file, text string, roots RootsReader) (*Config, error) {
	k := defaults()
	meta, err := toml.Decode(text, &k)
	if err != nil {
		return nil, notTOML(file, err)
	}
	b := &builder{
		checker: checker{file: file, text: text},
		keys:    &k,
		meta:    meta,
		roots:   roots,
		read:    make(map[string]*policy.Roots),
	}
	return b.build()
}

// notTOML says where the text is no TOML, or a value is of the wrong kind.
func notTOML(file string, err error) Problems {
	var parse toml.ParseError
	if errors.As(err, &parse) {
		message := parse.Message
		if parse.LastKey != "" {
			message = fmt.Sprintf("%s: %s", printableOnly(parse.LastKey), message)
		}
		return Problems{{file, parse.Position.Line, message}}
	}
	text := strings.TrimPrefix(err.Error(), "toml: ")
	// For a value of the wrong kind the library has its place only in words.
	if m := wrongKind.FindStringSubmatch(text); m != nil {
		line, _ := strconv.Atoi(m[1])
		if key, err := strconv.Unquote(m[2]); err == nil {
			return Problems{{file, line, printableOnly(key) + ": " + m[3]}}
		}
	}
	return Problems{{file, 0, printableOnly(text)}}
}

var wrongKind = regexp.MustCompile(`^line (\d+) \(last key (".*")\): (?:type mismatch for \S+: )?(.*)$`)

// printableOnly keeps a message on its line.
func printableOnly(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}

func readText(name string, limit int64) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", &fs.PathError{Op: "read", Path: name, Err: errors.New("not a regular file")}
	}
	if info.Size() > limit {
		return "", &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("larger than %d bytes", limit)}
	}
	var b strings.Builder
	b.Grow(int(info.Size()) + 512)
	if _, err := io.Copy(&b, io.LimitReader(f, limit)); err != nil {
		return "", err
	}
	return b.String(), nil
}
