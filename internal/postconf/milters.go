package postconf

import (
	"errors"
	"strings"
)

// milterCall is one entry of a list of milters: an address alone, or a group that begins with one (MILTER_README,
// "Different settings for different Milter applications").
type milterCall struct {
	text    string // as it stands in the list
	address string
	options map[string]string
	err     error // what Postfix stumbles over
	fatal   bool  // err stops the process that reads the list; otherwise it answers 451 4.3.5
}

// milterOptions are the names that a group may set; they stand for the parameters with "milter_" in front.
var milterOptions = set("connect_timeout command_timeout content_timeout protocol default_action")

// parseMilters reads smtpd_milters, non_smtpd_milters, or what smtpd_milter_maps has for a client.
func parseMilters(list string) (calls []milterCall) {
	// postconf(5) smtpd_milter_maps says this of a lookup result; smtpd(8) asks no further where it comes from.
	if strings.EqualFold(strings.TrimSpace(list), "DISABLE") {
		return nil
	}
	for _, token := range split(list) {
		calls = append(calls, parseMilter(token))
	}
	return calls
}

func parseMilter(token string) milterCall {
	m := milterCall{text: token}
	m.address, m.options, m.err = parseGroup(token, milterOptions, func(option, value string) bool {
		if option == "protocol" || option == "default_action" {
			return value != ""
		}
		n, ok := seconds(value)
		return ok && n > 0
	})
	if m.err != nil {
		m.fatal = true
		if words := split(strings.Trim(token, "{} \t\r\n")); m.address == "" && len(words) > 0 {
			m.address = words[0] // whom it was meant for
		}
		return m
	}
	e, ok := parseEndpoint(m.address)
	switch {
	case !ok:
		m.err = errors.New("it must be inet:host:port or unix:path")
	case !e.unix && e.port[0] >= '0' && e.port[0] <= '9' && !digits(e.port):
		// "inet:port@host" is how Sendmail writes it.
		m.err, m.fatal = errors.New("garbage after the port: it must be inet:host:port"), true
	}
	return m
}

// setting is what holds for this milter; not known is a parameter that this Postfix does not have.
func (m *milterCall) setting(p Params, option string) (value string, known bool) {
	if value, known = m.options[option]; !known {
		value, known = p["milter_"+option]
	}
	return value, known
}

// tables takes a list of lookup tables apart: kind, and what it is asked for or made of.
func tables(list string) (found []table) {
	for _, token := range split(list) {
		kind, rest, _ := strings.Cut(token, ":")
		if strings.HasPrefix(rest, "{") {
			if text, err := inner(rest); err == nil {
				found = append(found, table{kind, text, true})
				continue
			}
		}
		found = append(found, table{kind, rest, false})
	}
	return found
}

// table is one lookup table: "hash:/path", "static:value", "cidr:{ { pattern result } ... }".
type table struct {
	kind, text string
	inline     bool // text is what it is made of (DATABASE_README, "inline")
}

// forEveryone is what a table has for every client, as far as it shows without a lookup.
func (t table) forEveryone() (result string, ok bool) {
	switch {
	case t.kind == "static":
		return t.text, true
	case t.kind == "cidr" && t.inline:
		for _, entry := range split(t.text) {
			if rule, err := inner(entry); err == nil {
				entry = rule
			}
			if pattern, result, ok := strings.Cut(entry, " "); ok && (pattern == "0.0.0.0/0" || pattern == "::/0") {
				return strings.TrimSpace(result), true
			}
		}
	}
	return "", false
}
