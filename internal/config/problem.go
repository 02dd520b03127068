package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong in a file.
type Problem struct {
	File    string
	Line    int // from 1; 0 if it is about the file as a whole
	Message string
}

func (p Problem) String() string {
	if p.Line == 0 {
		return p.File + ": " + p.Message
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
}

// Problems is the error for a configuration that cannot be used: everything that
// was found wrong, in the order of the file, one a line.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// maxProblems is how many are said at once: to find the line of each takes time.
const maxProblems = 10

// checker collects what is wrong in a TOML file that parses.
type checker struct {
	file     string
	text     string
	problems Problems
	more     int // that are not said
}

// bad notes a problem with the key at path: names, and for arrays of tables the
// index as an int.
func (c *checker) bad(path []any, format string, args ...any) {
	if len(c.problems) >= maxProblems {
		c.more++
		return
	}
	line := 0
	// A setting that is inherited has no place of its own, but its table has.
	for at := path; line == 0 && len(at) > 0; at = at[:len(at)-1] {
		line = locate(c.text, at)
	}
	c.problems = append(c.problems, Problem{c.file, line, fmt.Sprintf(format, args...)})
}

func (c *checker) err() error {
	if len(c.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(c.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	problems := slices.Compact(c.problems)
	if c.more > 0 {
		problems = append(problems, Problem{File: c.file, Message: fmt.Sprintf("and %d more", c.more)})
	}
	return problems
}

// dotted writes a path as it would stand in the file.
func dotted(path []any) string {
	var b strings.Builder
	for _, element := range path {
		name, isName := element.(string)
		if !isName {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		if !isBareKey(name) {
			name = fmt.Sprintf("%q", name)
		}
		b.WriteString(name)
	}
	return b.String()
}

// isBareKey: a key that needs no quotes (TOML 1.0, "Keys").
func isBareKey(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
}

// oneOf notes a problem unless value is one of those allowed.
func oneOf[T ~string](c *checker, path []any, value string, allowed ...T) T {
	names := make([]string, len(allowed))
	for i, a := range allowed {
		if value == string(a) {
			return a
		}
		names[i] = string(a)
	}
	quoted := make([]string, 0, len(names))
	for _, name := range names {
		quoted = append(quoted, fmt.Sprintf("%q", name))
	}
	c.bad(path, "%s = %q is not one of %s%s", dotted(path), value, strings.Join(quoted, ", "), didYouMean(value, names))
	return T(value)
}
