package postconf

import (
	"fmt"
	"slices"
	"strings"
)

const (
	dataList = "smtpd_data_restrictions"
	eodList  = "smtpd_end_of_data_restrictions"
	// minTimeout is what Postfix has to wait at least: the daemon may take 4.5 seconds.
	minTimeout = 5
	// fresh is how the policy service is best asked; the first verb is its address.
	fresh = "{ %s, timeout=10s, { default_action = 450 4.7.5 domain security is unavailable } }"
)

// lists are the restriction lists a policy service may stand in, the best place first.
var lists = []string{dataList, eodList, "smtpd_recipient_restrictions", "smtpd_relay_restrictions",
	"smtpd_sender_restrictions", "smtpd_helo_restrictions", "smtpd_client_restrictions"}

// use is one check_policy_service with our address.
type use struct {
	list    string
	before  []step // what Postfix evaluates first
	all     []step
	self    step
	call    policyCall
	likely  sameness
	drafts  []draft
	rewrite bool // its argument has to change
}

// draft is a finding to be, before it is known whether this use is the one that counts.
type draft struct {
	sev       Severity
	parameter string
	problem   string
	fix       []setting // nil for the one that asks us as it should be
}

// policy judges how the current service asks us, and says whether it does.
func (c *checker) policy() bool {
	var uses []*use
	var near []string
	dead := false // by a mistake in the line that asks us
	for _, list := range lists {
		all := steps(c.p, list)
		for i, s := range all {
			if s.kind != asks {
				continue
			}
			call, err := parsePolicyCall(s.arg)
			likely := c.compare(call.address)
			if err != nil {
				var fix []setting
				if likely != other && list == dataList {
					fix, dead = c.askFirst(""), true
				}
				c.add(Error, list, fmt.Sprintf("smtpd stops with a fatal error, and no mail comes in, because of %s: %v", quote(s.String()), err),
					fix, "smtpd_restriction_classes")
				continue
			}
			switch likely {
			case same, perhaps:
				uses = append(uses, &use{list: list, before: all[:i], all: all, self: s, call: call, likely: likely})
			case nearly:
				if list == dataList {
					near = append(near, call.address)
				}
			}
		}
	}
	if len(uses) == 0 {
		uses = c.byTable()
	}
	switch {
	case len(uses) == 0 && dead:
		return true
	case len(uses) == 0:
		c.notAsked(near)
		return false
	}
	var best *use
	for _, u := range uses {
		c.judge(u)
		if best == nil || u.errors() < best.errors() {
			best = u
		}
	}
	argument := ""
	if !best.rewrite {
		argument = best.self.arg
	}
	for _, d := range best.drafts {
		if d.fix == nil {
			d.fix = c.askFirst(argument)
			if best.list != dataList { // twice would be judged, logged and counted twice
				d.fix = append(d.fix, setting{best.list, c.others(best.list)})
			}
		}
		c.addPolicy(d, best.list)
	}
	return true
}

// byTable finds the uses in restriction classes that an access table of smtpd_data_restrictions may lead to
// (RESTRICTION_CLASS_README): which mail gets there is up to the table.
func (c *checker) byTable() (uses []*use) {
	var tables []string
	for _, s := range steps(c.p, dataList) {
		if s.kind == mayOK {
			tables = append(tables, s.String())
		}
	}
	if len(tables) == 0 {
		return nil
	}
	for _, class := range split(c.p["smtpd_restriction_classes"]) {
		all := steps(c.p, class)
		for i, s := range all {
			call, err := parsePolicyCall(s.arg)
			if s.kind != asks || err != nil {
				continue
			}
			if likely := c.compare(call.address); likely == same || likely == perhaps {
				u := &use{list: dataList, before: all[:i], all: all, self: s, call: call, likely: likely}
				u.noFix(Warning, dataList, fmt.Sprintf("the policy service is asked only where %s answers %s: keep the table in step with the receive list, what it lacks is let in unjudged", and(tables), class))
				uses = append(uses, u)
			}
		}
	}
	return uses
}

func (c *checker) compare(address string) sameness {
	e, ok := parseEndpoint(address)
	if !ok {
		return other
	}
	return e.compare(c.ours, c.svc.Chroot, c.s.QueueDirectory)
}

// addPolicy reports a draft, milder where the service keeps us out on purpose.
func (c *checker) addPolicy(d draft, list string) {
	causes := append(split(c.p["smtpd_restriction_classes"]), list, "smtpd_restriction_classes")
	if list != dataList && list != eodList { // those two are never delayed
		causes = append(causes, "smtpd_delay_reject")
	}
	if d.sev == Error && c.own(append(causes, d.parameter)...) {
		if why := c.exempt(); why != "" {
			d.sev, d.fix = Warning, nil
			d.problem += " (" + why + ": right if that is meant)"
		}
	}
	c.add(d.sev, d.parameter, d.problem, d.fix, causes...)
}

// notAsked reports that nothing in the current service's lists reaches us; near are addresses in the right list that
// look as if they should.
func (c *checker) notAsked(near []string) {
	address, reachable := c.ours.forPostfix(c.svc.Chroot, c.s.QueueDirectory)
	if !reachable && (c.exempt() == "" || !c.own(dataList)) {
		c.put(Finding{Service: c.svc.String(), Severity: Error, Parameter: "chroot", Line: c.svc.withoutChroot(),
			Problem: fmt.Sprintf("this smtpd is locked into %s and cannot reach the socket %s: let the daemon listen below that directory or at an inet address, or take smtpd out of there as the line does", c.s.QueueDirectory, c.ours.path)})
		if len(near) > 0 {
			return // the address is right as soon as smtpd is out of its jail
		}
	}
	problem := "the policy service at " + address + " is not asked in smtpd_data_restrictions: listed mail is let in unjudged"
	switch {
	case len(near) > 0 && c.ours.unix && c.svc.Chroot:
		problem = fmt.Sprintf("smtpd_data_restrictions asks %s, but from a smtpd locked into %s the daemon is at %s: it is never asked, and mail meets the default action instead", and(near), c.s.QueueDirectory, address)
	case len(near) > 0:
		problem = fmt.Sprintf("smtpd_data_restrictions asks %s, but the daemon is at %s: it is never asked, and mail meets the default action instead", and(near), address)
	case c.p[dataList] == "" && c.own(dataList):
		problem = "smtpd_data_restrictions is switched off here, and the policy service with it: listed mail is let in unjudged"
	}
	c.addPolicy(draft{sev: Error, parameter: dataList, problem: problem, fix: c.askFirst("")}, dataList)
}

func (u *use) add(sev Severity, parameter, problem string) {
	u.drafts = append(u.drafts, draft{sev: sev, parameter: parameter, problem: problem})
}

// noFix is for what only its author can put right.
func (u *use) noFix(sev Severity, parameter, problem string) {
	u.drafts = append(u.drafts, draft{sev, parameter, problem, []setting{}})
}

func (u *use) errors() (n int) {
	for _, d := range u.drafts {
		n += int(d.sev)
	}
	return n
}

// judge collects what is wrong with one use.
func (c *checker) judge(u *use) {
	c.place(u)
	var passers, tables, stoppers, broke, strange []string
	for _, s := range u.before {
		switch s.kind {
		case permits:
			passers = append(passers, s.String())
		case mayOK, asks:
			tables = append(tables, s.String())
		case refuses:
			stoppers = append(stoppers, s.String())
		}
	}
	for _, s := range u.all {
		switch s.kind {
		case broken:
			broke = append(broke, quote(s.String()))
		case unknown:
			strange = append(strange, quote(s.String()))
		}
	}
	tables = slices.DeleteFunc(tables, func(t string) bool { return c.isOurs(t) })
	if len(passers) > 0 {
		u.add(Error, u.list, fmt.Sprintf("%s stands in front of the policy service: listed mail that it permits is let in unjudged", and(passers)))
	}
	if len(tables) > 0 {
		u.add(Warning, u.list, fmt.Sprintf("%s stands in front of the policy service: where it answers OK, listed mail is let in unjudged", and(tables)))
	}
	if len(stoppers) > 0 {
		u.add(Error, u.list, fmt.Sprintf("%s stands in front of the policy service and refuses every message", and(stoppers)))
	}
	if len(broke) > 0 {
		u.noFix(Error, u.list, fmt.Sprintf("Postfix cannot make sense of %s and answers 451 4.3.5 to all mail that gets there", and(broke)))
	}
	if len(strange) > 0 {
		u.noFix(Warning, u.list, fmt.Sprintf("%s is no restriction that this program knows: if Postfix does not either, it answers 451 4.3.5 to all mail that gets there", and(strange)))
	}
	if u.self.warned {
		u.add(Error, u.list, "warn_if_reject stands in front of the policy service: its refusals are only logged, and listed mail is let in whatever it proves")
	}
	if u.likely == perhaps {
		ours, _ := c.ours.forPostfix(c.svc.Chroot, c.s.QueueDirectory)
		u.rewrite = true
		u.add(Warning, u.list, fmt.Sprintf("only a lookup tells whether %s is the daemon at %s: if it is not, listed mail is not judged here", u.call.address, ours))
	}
	if e, _ := parseEndpoint(u.call.address); !e.unix && c.svc.Chroot && (e.host == "" || strings.EqualFold(e.host, "localhost")) {
		u.rewrite = true
		u.add(Warning, u.list, "this smtpd is locked into "+c.s.QueueDirectory+" and looks localhost up there: without etc/hosts in it, the daemon is not found and mail meets the default action")
	}
	c.action(u)
	c.timeout(u)
}

// place says what comes of the list that we are asked in.
func (c *checker) place(u *use) {
	delay := c.yes("smtpd_delay_reject")
	switch {
	case u.list == dataList:
	case u.list == eodList:
		u.add(Warning, u.list, "the policy service is asked only after the whole message was sent, and too late for the milter to take over its verdict")
	case !delay && (u.list == "smtpd_client_restrictions" || u.list == "smtpd_helo_restrictions"):
		u.add(Error, u.list, "with smtpd_delay_reject = no, this list is evaluated before the sender is known: listed mail is let in unjudged")
	case !delay && u.list == "smtpd_sender_restrictions":
		u.add(Warning, u.list, "the policy service is asked before the message has a queue id, so the milter cannot take over its verdict")
	default:
		u.add(Error, u.list, "Postfix skips this list for mail to <postmaster> without a domain, which lets listed mail in unjudged, and asks before the message has a queue id, so the milter cannot take over the verdict")
	}
}

// action judges what happens while the daemon is down.
func (c *checker) action(u *use) {
	parameter, value := "smtpd_policy_service_default_action", c.p["smtpd_policy_service_default_action"]
	if v, ok := u.call.options["default_action"]; ok {
		parameter, value = u.list, v
	}
	sev, what := Error, ""
	switch judgeAction(value, c.p) {
	case waits:
		return
	case bounces:
		sev, what = Warning, "is refused for good: a restart of the daemon makes mail of every domain bounce"
	case passes:
		what = "is let in, listed mail unjudged"
	case lost:
		what = "is accepted and thrown away"
	case dies:
		u.add(Error, parameter, "smtpd stops with a fatal error, and no mail comes in, because the default action is empty")
		u.drafts[len(u.drafts)-1].fix = []setting{{parameter, "451 4.3.5 Server configuration problem"}} // Postfix's own
		return
	case errs:
		sev, what = Warning, "is answered with 451 4.3.5, since Postfix cannot make sense of that"
	}
	u.rewrite = true
	u.add(sev, parameter, fmt.Sprintf("while the daemon is down, the default action %s is taken, and mail %s", quote(value), what))
}

// timeout judges how long Postfix waits for us.
func (c *checker) timeout(u *use) {
	parameter, value := "smtpd_policy_service_timeout", c.p["smtpd_policy_service_timeout"]
	if v, ok := u.call.options["timeout"]; ok {
		parameter, value = u.list, v
	}
	if n, ok := seconds(value); ok && n < minTimeout {
		u.rewrite = true
		u.add(Warning, parameter, fmt.Sprintf("Postfix gives up after %s, but the daemon may take 4.5 seconds to answer: mail is deferred that would have passed", value))
	}
}
