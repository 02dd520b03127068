package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"domain-secured/internal/testkit/cases"
	"domain-secured/internal/testkit/mta"
)

// tableWidth is that of a whole table, a usual terminal's.
const tableWidth = 100

// A column has a width in characters. Those of a table have tableWidth together, with what stands between them.
type column struct {
	head  string
	width int
}

// A table is written row by row, so that a person can watch; texts too long for their column are continued
// below. Under a message that arrived stands its stamp.
type table struct {
	out     io.Writer
	columns []column
}

func newTable(out io.Writer, columns ...column) table {
	t := table{out, columns}
	var heads []string
	for _, c := range columns {
		heads = append(heads, c.head)
	}
	t.lines(heads...)
	t.rule()
	return t
}

func newCasesTable(out io.Writer) table {
	return newTable(out, column{"what was sent", 30}, column{"what the sender's server was told", 41}, column{"what arrived", 12}, column{"expected", 8})
}

func (t table) row(c cases.Case, r cases.Result, err error) {
	told := "nothing"
	if r.Reply.Code != 0 {
		told = r.Reply.String()
	}
	arrived := "nothing"
	if r.Arrived != nil {
		arrived = "the message"
	}
	t.result([]string{c.Words, told, arrived}, stampLines(c, r), err)
}

// result writes a row and whether it is as expected, and lines below it.
func (t table) result(cells, below []string, err error) {
	verdict := "yes"
	if err != nil {
		verdict = "NOT"
	}
	t.lines(append(cells, verdict)...)
	for _, line := range below {
		fmt.Fprintln(t.out, line)
	}
	if err != nil {
		fmt.Fprintf(t.out, "NOT as expected: %v\n", err)
	}
	t.rule()
}

var longHash = regexp.MustCompile(`(sha256:[0-9a-f]{12})[0-9a-f]{52}`)

// stampLines returns the stamps of what arrived as they were delivered, but for the length of the hash, and what
// became of forged ones; nothing if nothing arrived.
func stampLines(c cases.Case, r cases.Result) (lines []string) {
	if r.Arrived == nil {
		return nil
	}
	lines = fieldLines(r.Stamps())
	removed := ""
	if n := r.Removed(c); n > 0 {
		removed = fmt.Sprintf("%d forged removed", n)
	}
	switch {
	case lines == nil && removed != "":
		lines = []string{"no stamp, " + removed}
	case lines == nil:
		lines = []string{"no stamp"}
	case removed != "":
		lines = append(lines, removed)
	}
	return lines
}

// fieldLines returns fields as they were delivered, but for the length of a hash.
func fieldLines(fields []mta.Field) (lines []string) {
	for _, field := range fields {
		for line := range strings.SplitSeq(longHash.ReplaceAllString(field.String(), "$1…"), "\n") {
			if utf8.RuneCountInString(line) > tableWidth {
				line = string([]rune(line)[:tableWidth-1]) + "…"
			}
			lines = append(lines, line)
		}
	}
	return lines
}

func (t table) rule() {
	var parts []string
	for _, c := range t.columns {
		parts = append(parts, strings.Repeat("-", c.width))
	}
	fmt.Fprintln(t.out, strings.Join(parts, "-+-"))
}

func (t table) lines(texts ...string) {
	columns, height := make([][]string, len(texts)), 0
	for i, text := range texts {
		columns[i] = wrap(text, t.columns[i].width)
		height = max(height, len(columns[i]))
	}
	for y := range height {
		var cells []string
		for i, column := range columns {
			cell := ""
			if y < len(column) {
				cell = column[y]
			}
			cells = append(cells, cell+strings.Repeat(" ", t.columns[i].width-utf8.RuneCountInString(cell)))
		}
		fmt.Fprintln(t.out, strings.TrimRight(strings.Join(cells, " | "), " "))
	}
}

// wrap breaks a text into lines of at most width characters, between words where it can.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line+" "+word) <= width {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for utf8.RuneCountInString(word) > width {
			head := string([]rune(word)[:width])
			lines = append(lines, head)
			word = word[len(head):]
		}
		line = word
	}
	return append(lines, line)
}
