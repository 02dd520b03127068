package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"domain-secured/internal/partner"
	"domain-secured/internal/readiness"
)

// report is a page of text, 80 columns wide as far as its words allow.
type report struct {
	*bufio.Writer
	now time.Time
}

const (
	pageWidth  = 80
	labelWidth = 15 // with its indentation
)

// row prints a label and what belongs to it, "" for nothing.
func (p *report) row(label, value string) {
	if value != "" {
		p.wrap(fmt.Sprintf("  %-*s", labelWidth-2, label), labelWidth, harmless(value))
	}
}

// wrap prints text behind a head, the lines below it as far in.
func (p *report) wrap(head string, indent int, text string) {
	line := head
	empty := true
	for _, word := range strings.Fields(text) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > pageWidth {
			fmt.Fprintln(p, line)
			line, empty = strings.Repeat(" ", indent), true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	fmt.Fprintln(p, line)
}

// printAssessment prints an assessment for people: a block for each address, in the
// order of the MX records, then the answer, then what is to be done and by whom.
func printAssessment(w io.Writer, a *readiness.Assessment, now time.Time) error {
	p := &report{bufio.NewWriter(w), now}
	p.wrap("", 2, heading(a))
	shown := make(map[string]bool)
	for _, h := range a.Hosts {
		if len(h.Addresses) == 0 {
			fmt.Fprintf(p, "\n%s\n", hostTitle(h))
			p.row("problem", problemWords(h.Problem, h.Detail))
		}
		for _, address := range h.Addresses {
			fmt.Fprintf(p, "\n%s %s port %d\n", hostTitle(h), address.Address.Address, address.Port)
			p.address(h, address, shown)
		}
	}
	fmt.Fprintln(p)
	p.wrap("", 2, a.Domain+": "+answerWords(a))
	p.sentences(a, readiness.ForPartner, "For the partner:")
	p.sentences(a, readiness.ForUs, "For you:")
	if slices.ContainsFunc(a.Hosts, func(h *readiness.Host) bool { return len(h.Addresses) > 0 }) {
		fmt.Fprintln(p)
		p.wrap("", 0, "Mail from there is judged by the certificate that its servers present as clients, which cannot be seen from here; mostly it is the same one.")
	}
	return p.Flush()
}

func heading(a *readiness.Assessment) string {
	on := "on no list"
	switch {
	case a.OnReceiveList && a.OnSendList:
		on = "on both lists"
	case a.OnReceiveList:
		on = "on the receive list"
	case a.OnSendList:
		on = "on the send list"
	}
	s := fmt.Sprintf("%s, %s", a.Domain, on)
	if a.Entry != a.Domain {
		s += ", covered by " + a.Entry
	}
	if a.MXSecure {
		s += ", MX records proven by DNSSEC"
	}
	return s
}

func hostTitle(h *readiness.Host) string {
	if h.Source == partner.SourceProbe {
		return h.Name + " (probe_hosts)"
	}
	return fmt.Sprintf("%s (MX %d)", h.Name, h.Preference)
}

func problemWords(problem partner.Problem, detail string) string {
	if detail == "" || problem == partner.NoSuchName || problem == partner.NoAddress { // say it all
		return string(problem)
	}
	return string(problem) + ": " + detail
}

func (p *report) address(h *readiness.Host, a *readiness.Address, shown map[string]bool) {
	switch {
	case a.Greeting != "":
		p.row("greeting", a.Greeting)
	case !a.Reachable:
		p.row("reachable", "no")
	}
	if a.TLS != nil && a.TLS.Version != "" {
		p.row("STARTTLS", a.TLS.Version+", "+a.TLS.Cipher)
		asks := "not asked for"
		if a.TLS.ClientCertificateRequested {
			asks = "asked for"
		}
		p.row("client cert.", asks)
	}
	if a.Problem != "" {
		p.row("problem", problemWords(a.Problem, a.Detail))
	}
	for _, c := range a.Certificates {
		p.certificate(h, c, shown)
	}
	if len(a.Certificates) == 0 {
		p.row("TLSA", tlsaWords(h, nil))
	}
}

// answerWords are the answer and the findings that led to it.
func answerWords(a *readiness.Assessment) string {
	why := []readiness.Weight{readiness.Fault}
	s := "not ready"
	switch a.Answer {
	case readiness.Ready:
		return "ready"
	case readiness.Unknown:
		why, s = []readiness.Weight{readiness.Doubt, readiness.Unseen}, "cannot tell"
	}
	var tokens []string
	for _, f := range a.Findings {
		token := strings.TrimSpace(f.Host + " " + f.Token)
		if slices.Contains(why, f.Weight) && !slices.Contains(tokens, token) {
			tokens = append(tokens, token)
		}
	}
	return s + ": " + strings.Join(tokens, ", ")
}

func (p *report) sentences(a *readiness.Assessment, audience readiness.Audience, title string) {
	first := true
	for _, f := range a.Findings {
		if f.For != audience {
			continue
		}
		if first {
			fmt.Fprintf(p, "\n%s\n", title)
			first = false
		}
		p.wrap("- ", 2, f.Sentence)
	}
}
