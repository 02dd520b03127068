package postconf

import (
	"fmt"
	"net/netip"
)

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
		c.localWaits()
	default:
		c.localNotCalled(near)
	}
}

// localWaits reports that mail from sendmail(1) with a sender of a listed domain is never let in: it has no TLS, and
// while it is refused for now, pickup(8) keeps it and tries again for ever.
func (c *checker) localWaits() {
	here := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if k := c.want.connector(here, 0, anyListener); k != nil && (k.Treat == treatOff || k.Treat == treatInternal) {
		return
	}
	c.put(Finding{Severity: Warning, Parameter: localList, File: tomlFile, Line: toml("local", []netip.Addr{here}, 0, treatOff),
		Problem: "mail from a listed domain that a program on this machine hands in by sendmail(1), as filters and forwarders do, has no TLS and waits in the maildrop queue for ever"})
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
	c.add(Warning, localList, problem, c.callMilter(localList))
}
