package tlsmap

import (
	"strconv"
	"strings"

	"domain-secured/policy"
)

// The maps that there are: Postfix's, and that of the ruleset in contrib/sendmail.
const (
	mapName      = "send"
	sendmailName = "sendmail"
)

// parseKey reads what a mail server looks up: the domain of the recipients, or the next
// hop that is set in its place, with or without a port, in brackets if it is a host
// (transport(5)). Where that is not clear, what is read is what may be listed.
//
// A key that begins with a dot is a mail server's second thought about the domains below
// it (postconf(5) smtp_tls_policy_maps): the first, the full name, was answered with all
// there is to say. ok is false for it.
func parseKey(key string) (d policy.Destination, ok bool) {
	key = strings.TrimSpace(key)
	if strings.HasPrefix(key, ".") {
		return policy.Destination{}, false
	}
	name, port := key, ""
	if inner, bracketed := strings.CutPrefix(key, "["); bracketed {
		d.Host = true
		name, port, _ = strings.Cut(inner, "]")
		port = strings.TrimPrefix(port, ":")
	} else {
		name, port, _ = strings.Cut(key, ":")
	}
	if number, err := strconv.ParseUint(port, 10, 16); err == nil {
		d.Port = uint16(number)
	}
	d.Name = name
	return d, true
}
