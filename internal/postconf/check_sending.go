package postconf

import (
	"fmt"
	"slices"
	"strings"
)

// sending looks at what Postfix's smtp(8) does for domains on the send list.
func (c *checker) sending() {
	if !c.want.Sends {
		return
	}
	if c.want.TLSMapListen == "" && !c.inTable() {
		c.put(Finding{Severity: Error, File: tomlFile, Line: "[tlsmap]\nlisten = \"inet:127.0.0.1:18892\"",
			Problem: `the TLS policy door is off ([tlsmap] listen = ""): mail for domains on the send list leaves for any server`})
		return
	}
	used := c.routes()
	if len(c.s.Delivery) == 0 {
		c.delivers()
	}
	for i := range c.s.Delivery {
		if svc := &c.s.Delivery[i]; svc.Type == "unix" && used[svc.Name] && c.s.Transports[svc.Name] == "smtp" {
			c.at(svc)
			c.delivers()
		}
	}
	c.at(nil)
	var least version
	if n, _ := fmt.Sscanf(c.want.PostfixVersion, "%d.%d", &least[0], &least[1]); n == 2 && c.s.version().before(least) {
		release := c.s.version()
		c.put(Finding{Severity: Error, File: tomlFile, Line: fmt.Sprintf("[tlsmap]\npostfix_version = \"%d.%d\"", release[0], release[1]),
			Problem: "Postfix is older than postfix_version: what it does not know defers all mail for domains on the send list"})
	}
}

// delivers looks at one smtp(8).
func (c *checker) delivers() {
	if !c.asked() {
		return
	}
	if d := c.p["smtp_tls_fingerprint_digest"]; !strings.EqualFold(d, "sha256") {
		c.add(Error, "smtp_tls_fingerprint_digest",
			"Postfix compares "+quote(d)+" fingerprints and is told SHA-256 ones, so that no server will do: mail for domains on the send list waits",
			[]setting{{"smtp_tls_fingerprint_digest", "sha256"}})
	}
	// postconf(5) smtp_fallback_relay: it is tried when the servers of a domain do not do, and Postfix asks about it
	// by its own name.
	if relay := c.p["smtp_fallback_relay"]; relay != "" {
		c.add(Error, "smtp_fallback_relay",
			"where the servers of a listed domain do not prove themselves, Postfix hands the mail to "+relay+" in their place, of which nothing is asked",
			[]setting{{"smtp_fallback_relay", ""}}, "fallback_relay")
	}
	// postconf(5) tls_required_enable, since 3.10: a header takes TLS policy away.
	if !c.s.version().before(version{3, 10, 0}) && c.yes("tls_required_enable") {
		c.add(Error, "tls_required_enable",
			"a message with a header \"TLS-Required: no\" leaves for any server, also if its recipient's domain is listed",
			[]setting{{"tls_required_enable", "no"}})
	}
	c.client()
	c.trustFiles()
}

// asked looks at whether smtp(8) is told what to insist on.
func (c *checker) asked() bool {
	const parameter = "smtp_tls_policy_maps"
	tables := c.p[parameter]
	if !asksMap(tables, c.want.TLSMapListen, c.s.QueueDirectory) {
		if !c.inTable() {
			c.add(Error, parameter, "Postfix does not ask what to insist on, so mail for domains on the send list leaves for any server",
				[]setting{{parameter, c.oursFirst()}})
			return false
		}
		return true // a table that was exported
	}
	// What stands before ours is asked first, and of those names that ours would answer it has the last word.
	var before []string
	for _, table := range split(tables) {
		if asksMap(table, c.want.TLSMapListen, c.s.QueueDirectory) {
			break
		}
		before = append(before, table)
	}
	list := strings.Join(before, ", ")
	for _, weak := range []bool{true, false} {
		var taken []string
		for _, d := range c.want.Send {
			value, _, found := c.s.lookedUp(list, []string{d.Domain})
			if found && insists(value) != weak {
				taken = append(taken, d.Domain)
			}
		}
		if len(taken) == 0 {
			continue
		}
		if weak {
			c.add(Error, parameter, "a table before our map has a policy that any server satisfies for "+and(taken), []setting{{parameter, c.oursFirst()}})
			continue
		}
		c.add(Warning, parameter, "a table before our map has the policy for "+and(taken)+", and we are not asked", []setting{{parameter, c.oursFirst()}})
	}
	if unasked := c.s.unasked(list); len(unasked) > 0 {
		c.add(Warning, parameter, "what a table before our map has for listed domains could not be found out: "+and(unasked), []setting{{parameter, c.oursFirst()}})
	}
	return true
}

// oursFirst is smtp_tls_policy_maps with our map in front of the others.
func (c *checker) oursFirst() string {
	tables := []string{"socketmap:" + c.want.TLSMapListen + ":send"}
	for _, table := range split(c.p["smtp_tls_policy_maps"]) {
		if asksMap(table, c.want.TLSMapListen, c.s.QueueDirectory) {
			tables[0] = table
			continue
		}
		tables = append(tables, table)
	}
	return strings.Join(tables, ", ")
}

// inTable says whether tables insist on something of every listed domain, as what "export postfix" prints does.
func (c *checker) inTable() bool {
	return len(c.want.Send) > 0 && !slices.ContainsFunc(c.want.Send, func(d Destination) bool {
		value, _, _ := c.s.lookedUp(c.p["smtp_tls_policy_maps"], []string{d.Domain})
		return !insists(value)
	})
}

// insists says whether a policy is one that not any server satisfies (postconf(5) smtp_tls_policy_maps).
func insists(policy string) bool {
	fields := strings.FieldsFunc(policy, func(r rune) bool { return strings.ContainsRune(separators, r) })
	return len(fields) > 0 && slices.Contains([]string{"secure", "verify", "fingerprint", "dane-only"}, strings.ToLower(fields[0]))
}

// asksMap says whether a list of tables has the socket map "send" of our door (socketmap_table(5)), asked by smtp(8)
// itself or by proxymap(8).
func asksMap(tables, listen, queue string) bool {
	ours, ok := parseEndpoint(listen)
	for _, table := range split(tables) {
		table, isMap := strings.CutPrefix(strings.TrimPrefix(table, "proxy:"), "socketmap:")
		address, isSend := strings.CutSuffix(table, ":send")
		if !isMap || !isSend {
			continue
		}
		theirs, valid := parseEndpoint(address)
		if how := theirs.compare(ours, false, queue); ok && valid && (how == same || how == perhaps || how == nearly && ours.unix) {
			return true // where a chrooted smtp(8) misses a socket, mail waits, and Postfix says so
		}
	}
	return false
}
