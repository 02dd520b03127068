package postconf

import (
	"fmt"
	"strings"
)

const (
	milterList = "smtpd_milters"
	localList  = "non_smtpd_milters"
	overrides  = "receive_override_options"
	noMilters  = "no_milters"
	// freshMilter is how the milter is best called; the verb is its address. The timeouts leave room for the 4.5
	// seconds that the daemon may take.
	freshMilter = "{ %s, connect_timeout=5s, command_timeout=10s, content_timeout=60s, default_action=tempfail }"
	// unstamped is what comes of mail that the milter never sees.
	unstamped = "nothing is stamped, and forged Domain-Secured headers stay"
)

// milter judges how the current service calls our milter (postconf(5) smtpd_milters, smtpd_milter_maps,
// receive_override_options).
func (c *checker) milter() {
	list, calls := c.milters()
	call, likely, near := c.find(calls)
	dead := c.brokenMilters(list, calls)
	off := hasWord(c.p[overrides], noMilters)
	switch {
	case c.isProxied():
		c.proxied()
	case c.wayBack() && (off || call == nil && len(near) == 0):
		// What comes back is as the first pass left it: without the milter, its stamps stay.
	case c.wayBack() && call != nil:
		c.handedBack()
	case dead:
	case off:
		c.unfiltered(overrides, overrides+" has "+noMilters+": "+unstamped, []setting{{overrides, withoutWord(c.p[overrides], noMilters)}})
	case call == nil:
		c.notCalled(list, near)
	default:
		c.maps()
		c.called(list, call, likely, Error)
	}
}

// milters is the list in force in the current service, and the parameter it comes from.
func (c *checker) milters() (parameter string, calls []milterCall) {
	for _, t := range tables(c.p["smtpd_milter_maps"]) {
		if result, ok := t.forEveryone(); ok {
			return "smtpd_milter_maps", parseMilters(result)
		}
	}
	return milterList, parseMilters(c.p[milterList])
}

// find looks for the call that reaches us; near are addresses that look as if they should.
func (c *checker) find(calls []milterCall) (best *milterCall, likely sameness, near []string) {
	for i := range calls {
		m := &calls[i]
		if m.err != nil {
			continue
		}
		switch s := c.compareMilter(m.address); {
		case s == nearly:
			near = append(near, m.address)
		case s > likely:
			best, likely = m, s
		}
	}
	return best, likely, near
}

func (c *checker) compareMilter(address string) sameness {
	e, ok := parseEndpoint(address)
	if !ok {
		return other
	}
	return e.compare(c.filter, c.svc.Chroot, c.s.QueueDirectory)
}

// meant says whether an address is ours but for how it is written: without "inet:", or as Sendmail writes it.
func (c *checker) meant(address string) bool {
	if port, host, ok := strings.Cut(strings.TrimPrefix(address, "inet:"), "@"); ok {
		address = "inet:" + host + ":" + port
	}
	return c.compareMilter(address) != other || c.compareMilter("inet:"+address) != other
}

// brokenMilters reports what Postfix stumbles over in a list, and says whether that is our own entry.
func (c *checker) brokenMilters(list string, calls []milterCall) (dead bool) {
	for _, m := range calls {
		if m.err == nil {
			continue
		}
		sev, what := Error, "Postfix answers 451 4.3.5 to all mail"
		switch {
		case m.fatal && list == localList:
			what = "cleanup stops with a fatal error, and no mail comes in,"
		case m.fatal:
			what = "smtpd stops with a fatal error, and no mail comes in,"
		case list == localList:
			sev, what = Warning, "mail from sendmail(1) waits in the maildrop queue"
		}
		var fix []setting
		if c.meant(m.address) {
			fix, dead = c.callMilter(list), true
		}
		c.add(sev, list, fmt.Sprintf("%s because of %s: %v", what, quote(m.text), m.err), fix)
	}
	return dead
}

// callMilter is the setting that calls us first and keeps the others: what they do then shows in what is stamped, and
// what is refused costs them nothing.
func (c *checker) callMilter(list string) []setting {
	address, _ := c.filter.forPostfix(c.svc.Chroot, c.s.QueueDirectory)
	values := []string{fmt.Sprintf(freshMilter, address)}
	if list == "smtpd_milter_maps" {
		return []setting{{list, ""}, {milterList, strings.Join(append(values, c.otherMilters(c.p[milterList])...), ", ")}}
	}
	return []setting{{list, strings.Join(append(values, c.otherMilters(c.p[list])...), ", ")}}
}

// otherMilters are the entries of a list that Postfix can read and that have nothing to do with us.
func (c *checker) otherMilters(list string) (rest []string) {
	for _, m := range parseMilters(list) {
		if m.err == nil && c.compareMilter(m.address) == other {
			rest = append(rest, m.text)
		}
	}
	return rest
}

// unfiltered reports that a service that others reach does without us, milder where only who has logged in gets in.
func (c *checker) unfiltered(parameter, problem string, fix []setting) {
	sev := Error
	if c.own(milterCauses...) && c.exempt() != "" {
		sev = Warning
		problem += " (" + c.exempt() + ": right if these may be trusted with stamps)"
	}
	c.add(sev, parameter, problem, fix, milterCauses...)
}

var milterCauses = []string{milterList, "smtpd_milter_maps", overrides}

// notCalled reports that no entry of the list in force reaches us.
func (c *checker) notCalled(list string, near []string) {
	address, reachable := c.filter.forPostfix(c.svc.Chroot, c.s.QueueDirectory)
	if !reachable {
		c.jail(c.filter)
		if len(near) > 0 {
			return // the address is right as soon as smtpd is out of its jail
		}
	}
	fix := c.callMilter(list)
	if len(near) > 0 {
		from := ""
		if c.filter.unix && c.svc.Chroot {
			from = "from a smtpd locked into " + c.s.QueueDirectory + " "
		}
		c.add(Error, list, fmt.Sprintf("%s names %s, but %sthe daemon is at %s: it is never asked, and mail meets the default action instead", list, and(near), from, address), fix, milterCauses...)
		return
	}
	problem := fmt.Sprintf("%s does not name the milter at %s: %s", list, address, unstamped)
	switch {
	case list != milterList:
		problem = fmt.Sprintf("%s replaces smtpd_milters for every client, and the milter at %s is not in it: %s", list, address, unstamped)
	case c.own(list) && c.p[list] == "":
		problem = fmt.Sprintf("%s is switched off here: %s", list, unstamped)
	}
	c.unfiltered(list, problem, fix)
}

// jail reports a socket that a chrooted process cannot see.
func (c *checker) jail(e endpoint) {
	c.put(Finding{Service: c.svc.String(), Severity: Error, Parameter: "chroot", Line: c.svc.withoutChroot(),
		Problem: fmt.Sprintf("what this service runs is locked into %s and cannot reach the socket %s: let the daemon listen below that directory or at an inet address, or take it out of there as the line does", c.s.QueueDirectory, e.path)})
}

// maps looks at what may take the milter away for some clients.
func (c *checker) maps() {
	if maps := c.p["smtpd_milter_maps"]; maps != "" {
		c.add(Warning, "smtpd_milter_maps", "clients that it has an entry for meet the milters named there, or none (DISABLE), instead of those in smtpd_milters: where ours is not among them, "+unstamped, nil)
	}
}

// called judges how a list calls us; worst bounds how bad it can be.
func (c *checker) called(list string, call *milterCall, likely sameness, worst Severity) {
	report := func(sev Severity, forAll bool, option, problem string) {
		parameter, fix := list, c.callMilter(list)
		if _, own := call.options[option]; !own && option != "" {
			parameter = "milter_" + option
			if forAll {
				fix = []setting{{parameter, milterDefaults[option]}}
			}
		}
		c.add(min(sev, worst), parameter, problem, fix, list)
	}
	if likely == perhaps {
		address, _ := c.filter.forPostfix(c.svc.Chroot, c.s.QueueDirectory)
		report(Warning, false, "", fmt.Sprintf("only a lookup tells whether %s is the daemon at %s: if it is not, %s", call.address, address, unstamped))
	}
	if e, _ := parseEndpoint(call.address); !e.unix && c.svc.Chroot && (e.host == "" || strings.EqualFold(e.host, "localhost")) {
		report(Warning, false, "", "this service is locked into "+c.s.QueueDirectory+" and looks localhost up there: without etc/hosts in it, the milter is not found and mail meets the default action")
	}
	c.milterAction(call, report)
	c.milterTimes(call, report)
	c.milterVersion(call, report)
}
