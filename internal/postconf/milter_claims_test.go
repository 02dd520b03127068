package postconf

// milterClaim is one way to set up an smtpd's milters: what Check says of it, and what Postfix does with a message that
// has a forged stamp.
type milterClaim struct {
	name     string
	override []string // of the service; %A is the address of the milter that is meant, %P its port
	chroot   bool
	service  string // which milter is meant: "" one that answers, "slow T" (at DATA), "slow E" (at the end), "down", "inside", "outside" (unix sockets)

	severity Severity
	says     string // part of the problem; "" for no finding at all
	ends     string // the stamps on what is delivered, else the last reply
	fixed    string // the same once the lines are in, if it is not ownStamp
}

const (
	kept   = "forged"
	busy   = "451 4.7.1 Service unavailable"
	wrong  = "451 4.3.5 Server configuration problem"
	shut   = "554 mx.contoso.test ESMTP not accepting connections"
	onHold = "held"
)

func list(value string) []string { return []string{"{ smtpd_milters = " + value + " }"} }

func group(options string) []string { return list("{ %A, " + options + " }") }

var milterClaims = []milterClaim{
	{name: "as it should be", override: group("connect_timeout=5s, command_timeout=10s, content_timeout=60s, default_action=tempfail"), ends: ownStamp},
	{name: "address alone", override: list("%A"), ends: ownStamp},
	{name: "chrooted", override: list("%A"), chroot: true, ends: ownStamp},
	{name: "localhost", override: list("inet:localhost:%P"), ends: ownStamp},
	{name: "port alone", override: list("inet:%P"), ends: ownStamp},
	{name: "address in brackets", override: list("inet:[127.0.0.1]:%P"), ends: ownStamp},
	{name: "options in braces", override: group("{ default_action = tempfail }, { protocol = 6, no_header_reply }"), ends: ownStamp},
	{name: "localhost chrooted", override: list("inet:localhost:%P"), chroot: true, severity: Warning, says: "looks localhost up", ends: busy},
	{name: "another address", override: list("inet:127.0.0.3:%P"), severity: Error, says: "it is never asked", ends: busy},
	{name: "another address, accept", override: append(list("inet:127.0.0.3:%P"), "milter_default_action=accept"), severity: Error, says: "it is never asked", ends: kept},

	{name: "switched off", override: []string{"smtpd_milters="}, severity: Error, says: "switched off here", ends: kept},
	{name: "switched off by a word", override: list("Disable"), severity: Error, says: "does not name the milter", ends: kept},
	{name: "switched off, local milters on", override: []string{"smtpd_milters=", "non_smtpd_milters=%A"}, severity: Error, says: "switched off here", ends: kept},
	{name: "no_milters", override: []string{"receive_override_options=no_milters"}, severity: Error, says: "has no_milters", ends: kept},
	{name: "no_milters among others", override: []string{"{ receive_override_options = no_address_mappings, no_milters }"}, severity: Error, says: "has no_milters", ends: kept},
	{name: "a map for everyone", override: []string{"smtpd_milter_maps=static:DISABLE"}, severity: Error, says: "replaces smtpd_milters for every client", ends: kept},
	{name: "a map for everyone in braces", override: []string{"{ smtpd_milter_maps = static:{disable} }"}, severity: Error, says: "replaces smtpd_milters for every client", ends: kept},
	{name: "a map of all addresses", override: []string{"{ smtpd_milter_maps = cidr:{{0.0.0.0/0 DISABLE}} }"}, severity: Error, says: "replaces smtpd_milters for every client", ends: kept},
	{name: "a map with us for everyone", override: []string{"smtpd_milters=", "smtpd_milter_maps=static:%A"}, severity: Warning, says: "clients that it has an entry for", ends: ownStamp},
	{name: "a map for some", override: []string{"{ smtpd_milter_maps = inline:{ 127.0.0.1=DISABLE } }"}, severity: Warning, says: "clients that it has an entry for", ends: kept, fixed: kept},
	{name: "a map for others", override: []string{"{ smtpd_milter_maps = inline:{ 192.0.2.1=DISABLE } }"}, severity: Warning, says: "clients that it has an entry for", ends: ownStamp},

	{name: "no transport", override: list("127.0.0.1:%P"), severity: Error, says: "it must be inet:host:port", ends: wrong},
	{name: "a transport in capitals", override: list("INET:127.0.0.1:%P"), severity: Error, says: "it must be inet:host:port", ends: wrong},
	{name: "as Sendmail writes it", override: list("inet:%P@127.0.0.1"), severity: Error, says: "garbage after the port", ends: stopped},
	{name: "an option nobody knows", override: group("foo=bar"), severity: Error, says: `unknown option "foo"`, ends: stopped},
	{name: "an option in capitals", override: group("DEFAULT_ACTION=tempfail"), severity: Error, says: `unknown option "DEFAULT_ACTION"`, ends: stopped},
	{name: "text behind the braces", override: list("{ %A }x"), severity: Error, says: "text after '}'", ends: stopped},
	{name: "no time", override: group("command_timeout=0"), severity: Error, says: "bad value for command_timeout", ends: stopped},
	{name: "a time in capitals", override: group("content_timeout=10S"), severity: Error, says: "bad value for content_timeout", ends: stopped},
	{name: "an empty action", override: group("default_action="), severity: Error, says: "bad value for default_action", ends: stopped},
	{name: "an empty action for all", override: append(list("%A"), "milter_default_action="), severity: Error, says: "milter_default_action is empty", ends: stopped},
	{name: "no time for all", override: append(list("%A"), "milter_content_timeout=0"), severity: Error, says: "milter_content_timeout is \"0\"", ends: stopped},

	{name: "protocol 4", override: group("protocol=4"), severity: Warning, says: "version 4", ends: ownStamp},
	{name: "protocol 2 for all", override: append(list("%A"), "milter_protocol=2"), severity: Warning, says: "version 2", ends: ownStamp},
	{name: "protocol 5", override: group("protocol=5"), severity: Error, says: `"5" is no version`, ends: wrong},
	{name: "no protocol", override: append(list("%A"), "milter_protocol=no_header_reply"), severity: Error, says: `"no_header_reply" is no version`, ends: wrong},

	{name: "slow at DATA", service: "slow T", override: group("command_timeout=1s"), severity: Error, says: "gives up after 1s", ends: busy},
	{name: "slow at the end", service: "slow E", override: append(list("%A"), "milter_content_timeout=1s"), severity: Error, says: "gives up after 1s", ends: busy},

	{name: "down", service: "down", override: list("%A"), ends: busy, fixed: busy},
	{name: "down, accept", service: "down", override: group("default_action=accept"), severity: Error, says: `"accept" is taken, and mail is let in unstamped`, ends: kept, fixed: busy},
	{name: "down, accept for all, in capitals", service: "down", override: append(list("%A"), "milter_default_action=ACCEPT"), severity: Error, says: "is let in unstamped", ends: kept, fixed: busy},
	{name: "down, quarantine", service: "down", override: group("default_action=quarantine"), severity: Warning, says: "waits in the hold queue", ends: onHold, fixed: busy},
	{name: "down, reject", service: "down", override: group("default_action=reject"), severity: Warning, says: "bounce", ends: shut, fixed: busy},
	{name: "down, shutdown", service: "down", override: group("default_action=shutdown"), severity: Error, says: "does not know that word yet", ends: wrong, fixed: busy},
	{name: "down, no action", service: "down", override: group("default_action=defer"), severity: Error, says: "does not know that word", ends: wrong, fixed: busy},

	{name: "socket, relative", service: "inside", override: list("unix:ds/milter"), ends: ownStamp},
	{name: "socket, relative, chrooted", service: "inside", override: list("unix:ds/milter"), chroot: true, ends: ownStamp},
	{name: "socket, absolute", service: "inside", override: list("%A"), ends: ownStamp},
	{name: "socket, absolute, chrooted", service: "inside", override: list("%A"), chroot: true, severity: Error, says: "from a smtpd locked into", ends: busy},
	{name: "socket outside", service: "outside", override: list("%A"), ends: ownStamp},
	{name: "socket outside, chrooted", service: "outside", override: list("%A"), chroot: true, severity: Error, says: "cannot reach the socket", ends: busy},
}
