package postconf

import (
	"fmt"
	"strings"
)

// askFirst is the setting that asks us first in smtpd_data_restrictions and keeps what else stands there.
// argument is what check_policy_service has now, if that is as it should be.
func (c *checker) askFirst(argument string) []setting {
	if argument == "" {
		address, _ := c.ours.forPostfix(c.svc.Chroot, c.s.QueueDirectory)
		argument = fmt.Sprintf(fresh, address)
	}
	value := "check_policy_service " + argument
	if rest := c.others(dataList); rest != "" {
		value += ", " + rest
	}
	return []setting{{dataList, value}}
}

// others is a restriction list without us.
func (c *checker) others(list string) string {
	var rest []string
	tokens := split(c.p[list])
	warn := ""
	for i := 0; i < len(tokens); i++ {
		token := tokens[i]
		name := strings.ToLower(token)
		if name == "warn_if_reject" {
			warn = token + " "
			continue
		}
		if takesArgument(name) && i+1 < len(tokens) {
			i++
			token += " " + tokens[i]
		}
		if !c.isOurs(token) && !c.onlyOurs(token) {
			rest = append(rest, warn+token)
		}
		warn = ""
	}
	return strings.Join(rest, ", ")
}

// isOurs says whether a restriction with its argument asks us, or tries to.
func (c *checker) isOurs(restriction string) bool {
	name, arg, _ := strings.Cut(restriction, " ")
	if !strings.EqualFold(name, "check_policy_service") {
		return false
	}
	call, _ := parsePolicyCall(strings.TrimSpace(arg))
	return c.compare(call.address) != other
}

// onlyOurs says whether a restriction is a class that does nothing but ask us.
func (c *checker) onlyOurs(class string) bool {
	const name = "the class"
	q := Params{name: class, "smtpd_restriction_classes": c.p["smtpd_restriction_classes"]}
	for _, n := range split(q["smtpd_restriction_classes"]) {
		q[n] = c.p[n]
	}
	all := steps(q, name)
	for _, s := range all {
		if s.kind != asks || !c.isOurs(s.String()) {
			return false
		}
	}
	return len(all) > 0
}

func takesArgument(name string) bool {
	return name == "check_policy_service" || name == "sleep" || mayOKNames[name] || noOKNames[name] ||
		permitArgNames[name] || harmlessArgNames[name]
}

// and joins words for a sentence.
func and(words []string) string {
	const most = 5
	if len(words) > most {
		words = append(words[:most:most], fmt.Sprintf("%d more", len(words)-most))
	}
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
