package postconf

// claim is one way to set up an smtpd: what Check says of it, what Postfix does, and what it does when the lines of
// the findings are put in.
type claim struct {
	name     string
	override []string // of the service; %A is the address of the policy service that is meant, %P its port
	chroot   bool
	service  string // which policy service is meant: "" one that answers, "down", "inside", "outside" (unix sockets)
	rcpt     string

	severity Severity
	says     string // part of the problem; "" for no finding at all
	reply    string // what DATA, or the verb before that fails, is answered with
	noFP     bool   // asked, but without a fingerprint
	fixed    string // the reply once the lines are in, if it is not the policy service's refusal
}

const (
	policyWord = "450 4.7.5 refused by policy"
	refused    = "450 4.7.5 <DATA>: Data command rejected: refused by policy"
	letIn      = "354"
	config     = "451 4.3.5 Server configuration error"
	problem    = "451 4.3.5 <DATA>: Data command rejected: Server configuration problem"
	away       = "450 4.7.5 <DATA>: Data command rejected: domain security is unavailable"
	stopped    = "nothing: smtpd ends before it says a word"
)

func data(list string) []string { return []string{"{ smtpd_data_restrictions = " + list + " }"} }

func down(option string) []string {
	return data("check_policy_service { %A, " + option + " }")
}

const ask = "check_policy_service %A"

var claims = []claim{
	{name: "as it should be", override: data(ask), reply: refused},
	{name: "names in any case", override: data("Check_Policy_SERVICE %A"), reply: refused},
	{name: "in a class", override: data("Mixed"), reply: refused},
	{name: "a class is not found in other case", override: data("mixed, " + ask), severity: Warning, says: `"mixed" is no restriction`, reply: config, fixed: config},
	{name: "chrooted", override: data(ask), chroot: true, reply: refused},
	{name: "localhost", override: data("check_policy_service inet:localhost:%P"), reply: refused},
	{name: "port alone", override: data("check_policy_service inet:%P"), reply: refused},
	{name: "localhost chrooted", override: data("check_policy_service inet:localhost:%P"), chroot: true, severity: Warning, says: "looks localhost up", reply: problem},
	{name: "another address", override: data("check_policy_service inet:127.0.0.3:%P"), severity: Error, says: "it is never asked", reply: problem},
	{name: "switched off", override: []string{"smtpd_data_restrictions="}, severity: Error, says: "switched off here", reply: letIn},

	{name: "recipients", override: []string{"{ smtpd_recipient_restrictions = " + ask + " }"}, severity: Error, says: "<postmaster>", reply: "450 4.7.5 <a@contoso.test>: Recipient address rejected"},
	{name: "recipients, postmaster", override: []string{"{ smtpd_recipient_restrictions = " + ask + " }"}, rcpt: "postmaster", severity: Error, says: "<postmaster>", reply: letIn},
	{name: "sender, postmaster", override: []string{"{ smtpd_sender_restrictions = " + ask + " }"}, rcpt: "postmaster", severity: Error, says: "<postmaster>", reply: letIn},
	{name: "sender at once, postmaster", override: []string{"{ smtpd_sender_restrictions = " + ask + " }", "smtpd_delay_reject=no"}, rcpt: "postmaster", severity: Warning, says: "before the message has a queue id", reply: "450 4.7.5 <alice@woodgrovebank.test>: Sender", fixed: "450 4.7.5"},
	{name: "data, postmaster", override: data(ask), rcpt: "postmaster", reply: refused},

	{name: "behind permit_mynetworks", override: data("permit_mynetworks, " + ask), severity: Error, says: "permit_mynetworks stands in front", reply: letIn},
	{name: "behind permit in a class", override: data("okclass " + ask), severity: Error, says: "permit stands in front", reply: letIn},
	{name: "behind a table that says OK", override: data("check_sender_access static:OK, " + ask), severity: Warning, says: "check_sender_access static:OK stands in front", reply: letIn},
	{name: "behind a table that may not say OK", override: data("check_reverse_client_hostname_access static:OK, " + ask), reply: config, fixed: config},
	{name: "behind reject", override: data("defer, " + ask), severity: Error, says: "refuses every message", reply: "450 4.3.2 <DATA>"},
	{name: "behind a bare table", override: data("inline:{a=b} " + ask), severity: Error, says: "cannot make sense of", reply: config, fixed: config},
	{name: "warned", override: data("warn_if_reject " + ask), severity: Error, says: "warn_if_reject", reply: letIn},
	{name: "a warned class", override: data("warn_if_reject Mixed"), severity: Error, says: "warn_if_reject", reply: letIn},
	{name: "a warning used up", override: data("warned"), reply: refused},
	{name: "a warning at a class's end", override: data("endwarn, " + ask), reply: refused},

	{name: "down", service: "down", override: data(ask), reply: problem, fixed: problem},
	{name: "down, 450 alone", service: "down", override: down("default_action=450"), severity: Error, says: `"450" is taken, and mail is let in`, reply: letIn, fixed: away},
	{name: "down, 450 with text", service: "down", override: down("{ default_action = 450 4.7.5 costs $$5 }"), reply: "450 4.7.5 <DATA>: Data command rejected: costs $5", fixed: "450 4.7.5 <DATA>: Data command rejected: costs $5"},
	{name: "down, dunno", service: "down", override: down("default_action=DUNNO"), severity: Error, says: "is let in", reply: letIn, fixed: away},
	{name: "down, permit", service: "down", override: down("default_action=permit"), severity: Error, says: "is let in", reply: letIn, fixed: away},
	{name: "down, a restriction", service: "down", override: down("default_action=reject_unauth_pipelining"), severity: Error, says: "is let in", reply: letIn, fixed: away},
	{name: "down, defer_if_permit", service: "down", override: down("{ default_action = defer_if_permit 4.7.5 x }"), reply: "450 4.7.5", fixed: "450 4.7.5"},
	{name: "down, defer_if_reject", service: "down", override: down("{ default_action = defer_if_reject 4.7.5 x }"), severity: Error, says: "is let in", reply: letIn, fixed: away},
	{name: "down, reject", service: "down", override: down("{ default_action = reject go away }"), severity: Warning, says: "bounce", reply: "554 5.7.1", fixed: away},
	{name: "down, a class that defers", service: "down", override: down("default_action=deferclass"), reply: "450 4.3.2", fixed: "450 4.3.2"},
	{name: "down, no action", service: "down", override: down("{ default_action = 250 ok }"), severity: Warning, says: "451 4.3.5", reply: config, fixed: away},
	{name: "down, default action of all", service: "down", override: append(data(ask), "smtpd_policy_service_default_action=dunno"), severity: Error, says: "is let in", reply: letIn, fixed: away},
	{name: "an option nobody knows", override: data("check_policy_service { %A, foo=bar }"), severity: Error, says: `unknown option "foo"`, reply: stopped},
	{name: "an action in pieces", override: data("check_policy_service { %A, default_action = 450 4.7.5 x }"), severity: Error, says: "missing '='", reply: stopped},
	{name: "an empty action", override: data("check_policy_service { %A, default_action= }"), severity: Error, says: "bad value", reply: stopped},
	{name: "a time in words", override: data("check_policy_service { %A, timeout=soon }"), severity: Error, says: "bad value", reply: stopped},
	{name: "a time in capitals", override: data("check_policy_service { %A, timeout=10S }"), severity: Error, says: "bad value", reply: stopped},
	{name: "an empty action for all", override: append(data(ask), "smtpd_policy_service_default_action="), severity: Error, says: "the default action is empty", reply: stopped},

	{name: "socket, relative", service: "inside", override: data("check_policy_service unix:ds/policy"), reply: refused},
	{name: "socket, relative, chrooted", service: "inside", override: data("check_policy_service unix:ds/policy"), chroot: true, reply: refused},
	{name: "socket, absolute", service: "inside", override: data(ask), reply: refused},
	{name: "socket, absolute, chrooted", service: "inside", override: data(ask), chroot: true, severity: Error, says: "from a smtpd locked into", reply: problem},
	{name: "socket outside", service: "outside", override: data(ask), reply: refused},
	{name: "socket outside, chrooted", service: "outside", override: data(ask), chroot: true, severity: Error, says: "cannot reach the socket", reply: problem},

	{name: "no STARTTLS", override: append(data(ask), "smtpd_tls_security_level=none"), severity: Error, says: "no STARTTLS", reply: "502 5.5.1"},
	{name: "STARTTLS the old way", override: append(data(ask), "smtpd_tls_security_level=", "smtpd_use_tls=yes"), reply: refused},
	{name: "a level in capitals", override: append(data(ask), "smtpd_tls_security_level=MAY"), reply: refused},
	{name: "TLS without STARTTLS", override: append(data(ask), "smtpd_tls_security_level=none", "smtpd_tls_wrappermode=yes", "smtpd_discard_ehlo_keywords=starttls"), reply: refused},
	{name: "a level that is none", override: append(data(ask), "smtpd_tls_security_level=yes"), severity: Error, says: `"yes" is no TLS level`, reply: stopped},
	{name: "STARTTLS hidden", override: append(data(ask), "smtpd_discard_ehlo_keywords=dsn,starttls"), severity: Error, says: "STARTTLS is not announced", reply: "502 5.5.1"},
	{name: "no certificate of its own", override: append(data(ask), "smtpd_tls_chain_files="), severity: Error, says: "no certificate of its own", reply: "454 4.7.0"},
	{name: "certificate none", override: append(data(ask), "smtpd_tls_chain_files=", "smtpd_tls_cert_file=none"), severity: Error, says: "no certificate of its own", reply: "454 4.7.0"},
	{name: "not asking", override: append(data(ask), "smtpd_tls_ask_ccert=no"), severity: Error, says: "no client is asked for its certificate", reply: refused, noFP: true},
	{name: "requiring without TLS required", override: append(data(ask), "smtpd_tls_ask_ccert=no", "smtpd_tls_req_ccert=yes"), severity: Error, says: "smtpd_tls_req_ccert does nothing", reply: refused, noFP: true},
	{name: "requiring", override: append(data(ask), "smtpd_tls_ask_ccert=no", "smtpd_tls_req_ccert=yes", "smtpd_tls_security_level=encrypt"), severity: Warning, says: "turns away every client", reply: "closed: EOF"},
	{name: "digest in capitals", override: append(data(ask), "smtpd_tls_fingerprint_digest=SHA256"), reply: refused},
	{name: "digest md5", override: append(data(ask), "smtpd_tls_fingerprint_digest=md5"), severity: Error, says: "the md5 fingerprint", reply: refused},
	{name: "soft bounce", override: append(data(ask), "soft_bounce=yes"), severity: Warning, says: "every permanent refusal", reply: refused},
}
