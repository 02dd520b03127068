// Package finding is what a check of a mail server's settings finds, and how it is said.
package finding

import "strings"

// Severity says how bad a finding is.
type Severity int

const (
	// Warning is for what works, but will surprise.
	Warning Severity = iota
	// Error is for listed mail let in unjudged, or always refused.
	Error
)

func (s Severity) String() string {
	if s == Error {
		return "error"
	}
	return "warning"
}

// MarshalText makes JSON say "error" and "warning".
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is one thing to change in a mail server's configuration.
type Finding struct {
	Service   string   `json:"service"` // Postfix: "submission inet"; Sendmail: "daemon MTA"; "" if it holds for all
	Severity  Severity `json:"severity"`
	Parameter string   `json:"parameter"`      // the one that causes it; "" if there is none
	Problem   string   `json:"problem"`        // one sentence: what will happen
	Line      string   `json:"line"`           // the lines to put in, "" if there is nothing to put anywhere
	File      string   `json:"file,omitempty"` // where they go; if "", into main.cf, or a Service's entry of master.cf
}

// String is the finding for a person: a line of words, and below it, indented, the lines to put in.
func (f Finding) String() string {
	var b strings.Builder
	b.WriteString(f.Severity.String())
	b.WriteString(": ")
	if f.Service != "" {
		b.WriteString(f.Service + ": ")
	}
	b.WriteString(f.Problem)
	if f.Line == "" {
		return b.String()
	}
	where := "main.cf"
	switch {
	case f.File != "":
		where = f.File
	case f.Service != "":
		where = "master.cf, " + f.Service
	}
	b.WriteString("\n  put into " + where + ":")
	for line := range strings.Lines(f.Line) {
		b.WriteString("\n    " + strings.TrimRight(line, "\n"))
	}
	return b.String()
}
