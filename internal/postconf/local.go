package postconf

import "fmt"

// local looks at mail that sendmail(1) leaves: pickup(8) hands it to cleanup(8), which tells the milters in
// non_smtpd_milters of a client 127.0.0.1, port 0, without TLS (MILTER_README, "Configuring Postfix"). Who forges
// stamps there has a login on this machine.
func (c *checker) local() {
	name := "cleanup"
	if len(c.s.Pickup) > 0 {
		c.at(&c.s.Pickup[0])
		if hasWord(c.p[overrides], noMilters) {
			c.add(Warning, overrides, overrides+" has "+noMilters+" for what sendmail(1) hands in: who may run it can forge Domain-Secured headers",
				[]setting{{overrides, withoutWord(c.p[overrides], noMilters)}})
			return
		}
		if n := c.p["cleanup_service_name"]; n != "" {
			name = n
		}
	}
	c.at(nil)
	for i := range c.s.Cleanup {
		if c.s.Cleanup[i].Name == name {
			c.at(&c.s.Cleanup[i])
		}
	}
	calls := parseMilters(c.p[localList])
	dead := c.brokenMilters(localList, calls)
	call, likely, near := c.find(calls)
	switch {
	case dead:
	case call != nil:
		c.called(localList, call, likely, Warning)
	default:
		c.localNotCalled(near)
	}
}

// localNotCalled reports that local mail goes without us; near are addresses that look as if they were ours.
func (c *checker) localNotCalled(near []string) {
	address, reachable := c.filter.forPostfix(c.svc.Chroot, c.s.QueueDirectory)
	problem := fmt.Sprintf("%s does not name the milter at %s: who may run sendmail(1) on this machine can forge Domain-Secured headers", localList, address)
	if len(near) > 0 {
		problem = fmt.Sprintf("%s names %s, but for cleanup the daemon is at %s: mail from sendmail(1) meets the default action instead", localList, and(near), address)
	}
	if !reachable {
		problem += fmt.Sprintf(" (cleanup is locked into %s and cannot reach the socket %s: let the daemon listen below that directory or at an inet address)", c.s.QueueDirectory, c.filter.path)
		c.add(Warning, localList, problem, nil)
		return
	}
	problem += "; with the line, mail from a listed domain that a program on this machine hands in by sendmail(1) has no TLS and waits in the maildrop queue or bounces, unless a connector for 127.0.0.1 without ports is \"off\""
	c.add(Warning, localList, problem, c.callMilter(localList))
}
