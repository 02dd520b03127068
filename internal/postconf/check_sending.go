package postconf

import (
	"fmt"
	"strings"
)

// sending looks at what Postfix's smtp(8) does for domains on the send list, as main.cf has it.
func (c *checker) sending() {
	if !c.want.Sends {
		return
	}
	if c.want.TLSMapListen == "" {
		c.put(Finding{Severity: Error, File: tomlFile, Line: "[tlsmap]\nlisten = \"inet:127.0.0.1:18892\"",
			Problem: `the TLS policy door is off ([tlsmap] listen = ""): mail for domains on the send list leaves for any server`})
		return
	}
	ours := "socketmap:" + c.want.TLSMapListen + ":send"
	if !asksMap(c.p["smtp_tls_policy_maps"], c.want.TLSMapListen, c.s.QueueDirectory) {
		c.add(Error, "smtp_tls_policy_maps", "Postfix does not ask what to insist on, so mail for domains on the send list leaves for any server",
			[]setting{{"smtp_tls_policy_maps", strings.TrimSuffix(ours+", "+c.p["smtp_tls_policy_maps"], ", ")}})
		return
	}
	if d := c.p["smtp_tls_fingerprint_digest"]; !strings.EqualFold(d, "sha256") {
		c.add(Error, "smtp_tls_fingerprint_digest",
			"Postfix compares "+quote(d)+" fingerprints and is told SHA-256 ones, so that no server will do: mail for domains on the send list waits",
			[]setting{{"smtp_tls_fingerprint_digest", "sha256"}})
	}
	var least version
	if n, _ := fmt.Sscanf(c.want.PostfixVersion, "%d.%d", &least[0], &least[1]); n == 2 && c.s.version().before(least) {
		release := c.s.version()
		c.put(Finding{Severity: Error, File: tomlFile, Line: fmt.Sprintf("[tlsmap]\npostfix_version = \"%d.%d\"", release[0], release[1]),
			Problem: "Postfix is older than postfix_version: what it does not know defers all mail for domains on the send list"})
	}
}

// asksMap says whether a list of tables has the socket map "send" of our door (socketmap_table(5)), asked by smtp(8)
// itself or by proxymap(8).
func asksMap(tables, listen, queue string) bool {
	ours, ok := parseEndpoint(listen)
	for _, table := range strings.FieldsFunc(tables, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) }) {
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
