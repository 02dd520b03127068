package postconf

import "strings"

// outcome is what an action does to mail when Postfix takes it because the policy service did not answer.
type outcome int

const (
	waits   outcome = iota // refused for now
	bounces                // refused for good
	passes                 // let in
	lost                   // accepted and thrown away
	errs                   // Postfix cannot make sense of it and answers 451 4.3.5
	dies                   // smtpd(8) does not even start
)

// openActions are the actions of access(5) that let mail in, or leave the decision to the next restriction.
var openActions = set("dunno ok relay filter hold prepend redirect bcc warn info defer_if_reject")

// judgeAction says what a default action does (postconf(5) smtpd_policy_service_default_action; access(5)).
func judgeAction(action string, p Params) outcome {
	word, text, _ := strings.Cut(strings.ReplaceAll(action, "\t", " "), " ")
	text = strings.TrimSpace(text)
	w := strings.ToLower(word)
	switch {
	case w == "":
		return dies
	case openActions[w]:
		return passes
	case w == "discard":
		return lost
	case w == "reject":
		return bounces
	case w == "defer", w == "defer_if_permit":
		return waits
	case digits(action):
		return passes // "all numerical" is OK, even 450: a reply code needs a text behind it
	case len(word) == 3 && digits(word) && text != "" && (word[0] == '4' || word[0] == '5'):
		if word[0] == '5' {
			return bounces
		}
		return waits
	}
	if strings.Contains(action, ":") {
		return errs // tables are not allowed here
	}
	// Anything else is a restriction list of its own.
	const name = "the action"
	q := Params{name: action, "smtpd_restriction_classes": p["smtpd_restriction_classes"]}
	for _, class := range split(p["smtpd_restriction_classes"]) {
		q[class] = p[class]
	}
	for _, s := range steps(q, name) {
		switch s.kind {
		case broken, unknown:
			return errs
		case refuses:
			if s.name == "reject" {
				return bounces
			}
			return waits
		case permits, mayOK, asks:
			return passes
		}
	}
	return passes // said no to nothing in particular
}
