package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestLocate(t *testing.T) {
	for _, c := range []struct {
		what, text string
		path       []any
		line       int
	}{
		{"the first line", "a = 1\nb = 2", []any{"a"}, 1},
		{"the last line", "a = 1\nb = 2", []any{"b"}, 2},
		{"after comments", "# a = 0\n\n# a = 0\na = 1\n", []any{"a"}, 4},
		{"in a table", "a = 1\n[t]\na = 2\n", []any{"t", "a"}, 3},
		{"a table", "a = 1\n[t]\na = 2\n", []any{"t"}, 2},
		{"a table before its parent", "[t.u]\na = 1\n[t]\na = 2\n", []any{"t", "a"}, 4},
		{"a table that others imply", "\n[t.u.v]\na = 1\n", []any{"t", "u"}, 2},
		{"a dotted key", "a.b.c = 1\na.b.d = 2\n", []any{"a", "b", "d"}, 2},
		{"a dotted key with blanks and quotes", "[partner]\n\"x.example\" . 'mode' = \"off\"\n", []any{"partner", "x.example", "mode"}, 2},
		{"an inline table", "a = 1\nt = { x = 1, y = { z = 2 } }\n", []any{"t", "y", "z"}, 2},
		{"a multi-line string that looks like keys", "s = \"\"\"\na = 1\n[t]\na = 2\n\"\"\"\na = 3\n", []any{"a"}, 6},
		{"a literal multi-line string", "s = '''\n\n[t]\na = \"\"\"\n'''\n[t]\n\na = 2", []any{"t", "a"}, 8},
		{"a key whose value is a multi-line string", "a = 1\ns = '''\nb = 2\n'''\nb = 3\n", []any{"s"}, 2},
		{"a string that looks like a table", "s = \"[t]\"\n[t]\n", []any{"t"}, 2},
		{"a multi-line array", "a = 1\nx = [\n  1, # [t]\n\n  2,\n]\ny = 1\n", []any{"x"}, 2},
		{"after a multi-line array", "x = [\n  \"a = 1\",\n]\n\na = 1\n", []any{"a"}, 5},
		{"the second of an array", "[[c]]\nn = 1\n[[c]]\nm = 2\nn = 2\n", []any{"c", 1, "n"}, 5},
		{"the second of an array itself", "[[c]]\nn = 1\n\n[[c]]\nm = 2\n", []any{"c", 1}, 4},
		{"the first of an array", "[[c]]\nn = 1\n[[c]]\nn = 2\n", []any{"c", 0, "n"}, 2},
		{"an inline array of tables", "a = 1\nc = [ { n = 1 },\n { n = 2 } ]\n", []any{"c", 1, "n"}, 2},
		{"CRLF", "# x\r\n[t]\r\n\r\na = 1\r\n", []any{"t", "a"}, 4},
		{"a byte order mark", "\ufeff\na = 1\n", []any{"a"}, 2},
		{"not there", "a = 1\n", []any{"b"}, 0},
		{"not there, below a value", "a = 1\n", []any{"a", "b"}, 0},
		{"no such element", "[[c]]\n", []any{"c", 1}, 0},
		{"an empty key", "a = 1\n\"\" = 2\n", []any{""}, 2},
		{"a key with a line feed", "a = 1\n\"a\\nb\" = 2\n", []any{"a\nb"}, 2},
	} {
		if line := locate(c.text, c.path); line != c.line {
			t.Errorf("%s: line %d, want %d of\n%s", c.what, line, c.line, c.text)
		}
	}
}

// TestLocateEveryLine: whatever stands around it, a key is found on its line.
func TestLocateEveryLine(t *testing.T) {
	var b strings.Builder
	var paths [][]any
	var lines []int
	for i := range 40 {
		fmt.Fprintf(&b, "[p.\"d%d.example\"]\nx = [\n %d,\n]\ny = '''\nkey = %d\n'''\n", i, i, i)
		lines = append(lines, strings.Count(b.String(), "\n")+1)
		paths = append(paths, []any{"p", fmt.Sprintf("d%d.example", i), "key"})
		fmt.Fprintf(&b, "key = %d\n", i)
	}
	for i, path := range paths {
		if line := locate(b.String(), path); line != lines[i] {
			t.Errorf("%v: line %d, want %d", path, line, lines[i])
		}
	}
}

// TestManyProblems: a long file that is wrong all over is still answered soon.
func TestManyProblems(t *testing.T) {
	var b strings.Builder
	b.WriteString("[revocation]\nno_proxy = [\n")
	for i := range 200 {
		fmt.Fprintf(&b, "  \"host%d.contoso.com\",\n", i)
	}
	b.WriteString("]\n")
	for i := range 200 {
		fmt.Fprintf(&b, "[partner.\"d%d.example\"]\nmode = \"on\"\n", i)
	}
	began := time.Now()
	got := problemsOf(t, "c.toml", b.String())
	if n := strings.Count(got, "\n") + 1; n != maxProblems+1 || !strings.HasSuffix(got, ": and 190 more") || !strings.HasPrefix(got, "c.toml:205: partner.\"d0.example\".mode") {
		t.Errorf("%d problems, the first of them %.100s", n, got)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %v", took)
	}
}
