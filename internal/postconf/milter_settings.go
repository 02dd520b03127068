package postconf

import (
	"fmt"
	"strings"
)

// reporter takes a finding that follows from an option of a milter: "default_action", "command_timeout". forAll is for
// what a parameter spoils whatever the group says.
type reporter func(sev Severity, forAll bool, option, problem string)

// milterDefaults are Postfix's own (postconf(5) milter_protocol and others).
var milterDefaults = map[string]string{"protocol": "6", "default_action": "tempfail", "command_timeout": "30s", "content_timeout": "300s"}

// milterAction judges what happens while the daemon is down (postconf(5) milter_default_action).
func (c *checker) milterAction(call *milterCall, report reporter) {
	const option = "default_action"
	value, known := call.setting(c.p, option)
	if !known {
		return
	}
	sev, what := Error, ""
	switch strings.ToLower(value) {
	case "tempfail":
		return
	case "shutdown":
		if c.s.version().knowsShutdown() {
			return
		}
		what = "is answered with 451 4.3.5, since this Postfix does not know that word yet"
	case "accept":
		what = "is let in unstamped, and forged Domain-Secured headers stay"
	case "quarantine":
		sev, what = Warning, "waits in the hold queue until someone releases it by hand, and is then delivered unstamped, forged Domain-Secured headers and all"
	case "reject":
		sev, what = Warning, "is refused for good: a restart of the daemon makes mail of every domain bounce"
	case "":
		report(Error, true, option, "smtpd stops with a fatal error, and no mail comes in, because milter_default_action is empty")
		return
	default:
		what = "is answered with 451 4.3.5, since Postfix does not know that word"
	}
	report(sev, false, option, fmt.Sprintf("while the daemon is down, the default action %s is taken, and mail %s", quote(value), what))
}

// milterTimes judges how long Postfix waits for us: at DATA, and at the end of a message.
func (c *checker) milterTimes(call *milterCall, report reporter) {
	for _, option := range []string{"command_timeout", "content_timeout"} {
		value, known := call.setting(c.p, option)
		n, ok := seconds(value)
		switch {
		case !known || ok && n >= minTimeout:
		case !ok || n == 0:
			report(Error, true, option, fmt.Sprintf("smtpd stops with a fatal error, and no mail comes in, because milter_%s is %s", option, quote(value)))
		default:
			report(Error, false, option, fmt.Sprintf("Postfix gives up after %s, but the daemon may take 4.5 seconds to answer: the rest of the connection then meets the default action", value))
		}
	}
}

// milterVersion judges the protocol that Postfix offers (postconf(5) milter_protocol).
func (c *checker) milterVersion(call *milterCall, report reporter) {
	const option = "protocol"
	value, known := call.setting(c.p, option)
	if !known {
		return
	}
	version := ""
	for _, word := range split(value) {
		switch {
		case strings.EqualFold(word, "no_header_reply"):
		case version == "" && (word == "2" || word == "3" || word == "4" || word == "6"):
			version = word
		default:
			version = "none"
		}
	}
	switch version {
	case "6":
	case "4":
		report(Warning, true, option, "the milter protocol is held to version 4: every command and every header waits for an answer of its own, which slows all mail down")
	case "2", "3":
		report(Warning, true, option, fmt.Sprintf("the milter protocol is held to version %s, which has no DATA: what the milter refuses is sent whole first, and every command and header waits for an answer", version))
	default:
		report(Error, true, option, fmt.Sprintf("Postfix answers 451 4.3.5 to all mail, since %s is no version of the milter protocol", quote(value)))
	}
}
