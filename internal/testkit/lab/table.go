package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"domain-secured/internal/testkit/cases"
)

// widths of the columns, in characters: what was sent, what its sender was told, what arrived, as expected.
var widths = [...]int{30, 46, 12, 8}

// A table is written row by row, so that a person can watch; texts too long for their column are continued
// below.
type table struct{ out io.Writer }

func newTable(out io.Writer) table {
	t := table{out}
	t.lines("what was sent", "what the sender's server was told", "what arrived", "expected")
	t.rule()
	return t
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
	verdict := "yes"
	if err != nil {
		verdict = "NOT"
	}
	t.lines(c.Words, told, arrived, verdict)
	if err != nil {
		fmt.Fprintf(t.out, "NOT as expected: %v\n", err)
	}
	t.rule()
}

func (t table) rule() {
	var parts []string
	for _, width := range widths {
		parts = append(parts, strings.Repeat("-", width))
	}
	fmt.Fprintln(t.out, strings.Join(parts, "-+-"))
}

func (t table) lines(texts ...string) {
	columns, height := make([][]string, len(texts)), 0
	for i, text := range texts {
		columns[i] = wrap(text, widths[i])
		height = max(height, len(columns[i]))
	}
	for y := range height {
		var cells []string
		for i, column := range columns {
			cell := ""
			if y < len(column) {
				cell = column[y]
			}
			cells = append(cells, cell+strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)))
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
