package postconf

import (
	"slices"
	"strings"
)

// booleanNewlines are the releases in which smtpd_forbid_bare_newline was a yes or no; the next of each line knows
// "normalize" (postconf(5) smtpd_forbid_bare_newline).
var booleanNewlines = []version{{3, 8, 4}, {3, 7, 9}, {3, 6, 13}, {3, 5, 23}}

// newlines looks at whether a message can end elsewhere than where its sender's server thinks: what follows is then a
// transaction of its own, over the connection, TLS and certificate of a partner that never sent it.
func (c *checker) newlines() {
	const parameter = "smtpd_forbid_bare_newline"
	const smuggled = "a message can hold another one behind <LF>.<CR><LF>, which is then taken as sent by the partner, with its certificate"
	value, known := c.p[parameter]
	if !known {
		c.oldNewlines(smuggled)
		return
	}
	if c.own(parameter) && c.exempt() != "" {
		return // who comes in there is known
	}
	safe := "normalize"
	if slices.Contains(booleanNewlines, c.s.version()) {
		safe = "yes"
	}
	fix := []setting{{parameter, safe}}
	switch strings.ToLower(value) {
	case "normalize", "yes", "reject":
	case "no":
		c.add(Error, parameter, "SMTP smuggling is not prevented: "+smuggled, fix)
	case "note":
		if !c.s.version().before(version{3, 9, 0}) {
			c.add(Warning, parameter, "\"note\" is not known here to prevent SMTP smuggling: if it does not, "+smuggled, fix)
			return
		}
		fallthrough
	default:
		c.add(Error, parameter, "smtpd stops with a fatal error, and no mail comes in, because smtpd_forbid_bare_newline is "+quote(value), fix)
	}
}

// oldNewlines is for a Postfix that cannot tell such an end of a message, only notice the haste of what follows.
func (c *checker) oldNewlines(smuggled string) {
	const pipelining, keywords = "smtpd_forbid_unauth_pipelining", "smtpd_discard_ehlo_keywords"
	const update = "this Postfix is older than the remedy for SMTP smuggling (3.5.23, 3.6.13, 3.7.9, 3.8.4): "
	// BDAT needs no synchronisation, so that its commands may come in one piece.
	hasty := c.yes(pipelining) || slices.ContainsFunc(steps(c.p, dataList), func(s step) bool { return s.name == "reject_unauth_pipelining" })
	if hasty && hasWord(c.p[keywords], "chunking") {
		c.add(Warning, "", update+"its settings stop the known ways only, and should one be left, "+smuggled, nil)
		return
	}
	// A line for smtpd_data_restrictions would be at odds with the one that asks us there.
	words := "put reject_unauth_pipelining at the end of smtpd_data_restrictions, and the line in"
	var fix []setting
	if _, known := c.p[pipelining]; known {
		words, fix = "put the lines in", []setting{{pipelining, "yes"}}
	}
	if kw := withoutWord(c.p[keywords], "starttls"); !hasWord(kw, "chunking") { // without, another line would take it out again
		fix = append(fix, setting{keywords, strings.Join(append(split(kw), "chunking"), ", ")})
	}
	c.add(Error, "", update+smuggled+" (update; until then, "+words+", to stop the known ways)", fix, pipelining, keywords)
}
