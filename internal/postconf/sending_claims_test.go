package postconf

// sendingClaim is one way to set up how mail is sent: what Check says of it, what Postfix does, and what it does
// when the lines of the findings are put in.
type sendingClaim struct {
	name   string
	main   []string // %D is a folder with certificates
	master []string // "smtp/unix/name=value", as for "postconf -P", or a whole entry

	to       string // the recipient's domain; impostor.test if empty, whose server proves nothing
	severity Severity
	says     string // part of the problem, "" for no finding at all
	outcome  string // part of the line in Postfix's log
	logged   string // another part of the log
	fixed    string // the outcome once the lines are in, that of the impostor if empty; "-" if there is no line
}

const (
	held     = "dsn=4.7.5, status=deferred (Server certificate not verified)"
	atOther  = "relay=relay.test[127.77.0.9]:25, "
	gone     = "status=sent"
	anywhere = "relay=mx.impostor.test[127.77.0.1]:25, "
	noTLS    = "status=deferred (TLS is required, but our TLS engine is unavailable)"
	ourCert  = "client-signature ECDSA"
)

var sendingClaims = []sendingClaim{
	{name: "as it should be", outcome: held},
	{name: "as it should be, a good server", to: "good.test", outcome: gone, logged: ourCert},
	{name: "no policy", main: []string{"smtp_tls_policy_maps ="}, severity: Error, says: "does not ask", outcome: anywhere},
	{name: "md5", main: []string{"smtp_tls_fingerprint_digest = md5"}, to: "pinned.test", severity: Error, says: `compares "md5"`, outcome: held, fixed: gone},
	{name: "no TLS but by policy", main: []string{"smtp_tls_security_level = none"}, outcome: held},
	{name: "no TLS but by policy, a good server", main: []string{"smtp_tls_security_level = none"}, to: "good.test", outcome: gone},

	{name: "fallback relay", main: []string{"smtp_fallback_relay = [relay.test]"}, severity: Error, says: "hands the mail to [relay.test]", outcome: atOther},
	{name: "fallback relay by its other name", main: []string{"fallback_relay = [relay.test]"}, severity: Error, says: "hands the mail to [relay.test]", outcome: atOther},
	{name: "fallback relay of the service", master: []string{"smtp/unix/smtp_fallback_relay=[relay.test]"}, severity: Error, says: "hands the mail to [relay.test]", outcome: atOther},
	{name: "fallback relay of another service", master: []string{"relay/unix/smtp_fallback_relay=[relay.test]"}, outcome: held},
	{name: "policy of the service", master: []string{"smtp/unix/smtp_tls_policy_maps="}, severity: Error, says: "does not ask", outcome: anywhere},

	{name: "relayhost", main: []string{"relayhost = [relay.test]"}, severity: Error, says: "goes to [relay.test]", outcome: atOther},
	{name: "relayhost past MX", main: []string{"relayhost = relay.test:25"}, severity: Error, says: "goes to relay.test:25", outcome: atOther},
	{name: "relayhost, but a transport", main: []string{"relayhost = [relay.test]", "transport_maps = inline:{ impostor.test=smtp:, good.test=smtp:, pinned.test=smtp: }"}, outcome: held},
	{name: "relayhost, and a transport without a word", main: []string{"relayhost = [relay.test]", "transport_maps = inline:{ impostor.test=: }"}, severity: Error, says: "goes to [relay.test]", outcome: atOther},
	{name: "default_transport with a host", main: []string{"default_transport = smtp:[relay.test]"}, severity: Error, says: "goes to [relay.test]", outcome: atOther},
	{name: "default_transport is lmtp", main: []string{"default_transport = lmtp:inet:relay.test:24"}, severity: Error, says: "is no smtp(8)", outcome: "status=deferred (connect to relay.test[127.77.0.9]:24"},
	{name: "transport to a host", main: []string{"transport_maps = inline:{ impostor.test=smtp:[relay.test] }"}, severity: Error, says: "goes to [relay.test]", outcome: atOther},
	{name: "transport of all", main: []string{"transport_maps = inline:{ *=smtp:[relay.test] }"}, severity: Error, says: "goes to [relay.test]", outcome: atOther},
	{name: "transport of a parent", main: []string{"transport_maps = inline:{ .test=smtp:[relay.test] }"}, severity: Error, says: "goes to [relay.test]", outcome: atOther},
	{name: "transport of a parent without its dot", main: []string{"transport_maps = inline:{ test=smtp:[relay.test] }"}, outcome: held},
	{name: "transport of a parent that matches", main: []string{"transport_maps = inline:{ test=smtp:[relay.test] }", "parent_domain_matches_subdomains = transport_maps"}, severity: Error, says: "goes to [relay.test]", outcome: atOther},
	{name: "transport with a host alone", main: []string{"transport_maps = inline:{ impostor.test=:[relay.test] }"}, severity: Error, says: "goes to [relay.test]", outcome: atOther},
	{name: "transport to itself", main: []string{"transport_maps = inline:{ impostor.test=smtp:impostor.test:25 }"}, outcome: held},
	{name: "transport of others", main: []string{"transport_maps = inline:{ other.test=smtp:[relay.test] }"}, outcome: held},
	{name: "transport to nowhere", main: []string{"transport_maps = inline:{ {impostor.test=error:5.1.2 no mail} }"}, outcome: "550 5.1.2"},
	{name: "transport by a service of its own", main: []string{"transport_maps = inline:{ impostor.test=own: }"}, master: []string{"own unix - - n - - smtp"}, outcome: held},
	{name: "transport by a service without policy", main: []string{"transport_maps = inline:{ impostor.test=own: }"}, master: []string{"own unix - - n - - smtp -o smtp_tls_policy_maps="}, severity: Error, says: "does not ask", outcome: anywhere},
	{name: "a table that cannot be asked", main: []string{"transport_maps = regexp:%D/none"}, severity: Warning, says: "could not be found out", outcome: "451 4.3.0", fixed: "-"},
	{name: "relayhost by sender", main: []string{"sender_dependent_relayhost_maps = inline:{ alice@contoso.test=[relay.test] }"}, severity: Warning, says: "goes where that says", outcome: atOther},
	{name: "transport by sender", main: []string{"sender_dependent_default_transport_maps = inline:{ alice@contoso.test=smtp:[relay.test] }"}, severity: Warning, says: "goes where that says", outcome: atOther},
	{name: "relayhost by sender, but a transport", main: []string{"sender_dependent_relayhost_maps = inline:{ alice@contoso.test=[relay.test] }", "transport_maps = inline:{ impostor.test=smtp:, good.test=smtp:, pinned.test=smtp: }"}, outcome: held},

	{name: "another table first", main: []string{"smtp_tls_policy_maps = inline:{ impostor.test=may }, %M"}, severity: Error, says: "any server satisfies for impostor.test", outcome: anywhere},
	{name: "another table first, as strict", main: []string{"smtp_tls_policy_maps = inline:{ impostor.test=secure }, %M"}, severity: Warning, says: "we are not asked", outcome: held},
	{name: "another table last", main: []string{"smtp_tls_policy_maps = %M, inline:{ impostor.test=may }"}, outcome: held},
	{name: "another table first, for others", main: []string{"smtp_tls_policy_maps = inline:{ other.test=may, .impostor.test=may }, %M"}, outcome: held},
	{name: "tables in its place", main: []string{"smtp_tls_policy_maps = inline:{ { impostor.test = secure match=impostor.test }, { good.test = secure }, { pinned.test = fingerprint match=00 } }"}, outcome: held},
	{name: "tables in its place that lack one", main: []string{"smtp_tls_policy_maps = inline:{ { good.test = secure }, { pinned.test = secure } }"}, severity: Error, says: "does not ask", outcome: anywhere},

	{name: "no certificate", main: []string{"smtp_tls_chain_files ="}, to: "demanding.test", severity: Error, says: "presents no certificate", outcome: "status=deferred", fixed: "-"},
	{name: "certificate in two files", main: []string{"smtp_tls_chain_files =", "smtp_tls_cert_file = %D/mx1-alone.pem", "smtp_tls_key_file = %D/mx1.key"}, to: "demanding.test", outcome: gone, logged: ourCert},
	{name: "certificate in one file, as of old", main: []string{"smtp_tls_chain_files =", "smtp_tls_cert_file = %D/mixed.pem"}, to: "demanding.test", outcome: gone, logged: ourCert},
	{name: "certificate missing", main: []string{"smtp_tls_chain_files = %D/none.pem"}, to: "demanding.test", severity: Error, says: "presents no certificate", outcome: "status=deferred", logged: "error opening chain file", fixed: "-"},
	{name: "certificate missing, its key not", main: []string{"smtp_tls_chain_files = %D/mx1.key, %D/none.pem"}, to: "good.test", severity: Error, says: "presents no certificate", outcome: gone, logged: "error opening chain file", fixed: "-"},
	{name: "certificate missing, as of old", main: []string{"smtp_tls_chain_files =", "smtp_tls_cert_file = %D/none.pem"}, to: "good.test", severity: Error, says: "has no TLS at all", outcome: noTLS, fixed: "-"},
	{name: "key missing", main: []string{"smtp_tls_chain_files =", "smtp_tls_cert_file = %D/mx1-alone.pem", "smtp_tls_key_file = %D/none.pem"}, to: "good.test", severity: Error, says: "has no TLS at all", outcome: noTLS, fixed: "-"},
	{name: "another key, not listed", main: []string{"smtp_tls_chain_files = %D/other.key, %D/mx1-alone.pem"}, to: "other.test", severity: Error, says: "other mail leaves in clear text", outcome: gone, logged: "disabling TLS support", fixed: "-"},
	{name: "certificate before its key", main: []string{"smtp_tls_chain_files = %D/mixed.pem"}, to: "good.test", severity: Error, says: "a certificate stands before its key", outcome: noTLS, fixed: "-"},
	{name: "another key", main: []string{"smtp_tls_chain_files = %D/other.key, %D/mx1-alone.pem"}, to: "good.test", severity: Error, says: "has no TLS at all", outcome: noTLS, fixed: "-"},
	{name: "no key", main: []string{"smtp_tls_chain_files =", "smtp_tls_cert_file = %D/mx1-alone.pem"}, to: "good.test", severity: Error, says: "there is no key in it", outcome: noTLS, fixed: "-"},
	{name: "certificate expired", main: []string{"smtp_tls_chain_files = %D/expired.pem"}, to: "demanding.test", severity: Error, says: "ended on ", outcome: "status=deferred", fixed: "-"},
	{name: "certificate with another name", main: []string{"smtp_tls_chain_files = %D/wrong.pem"}, to: "demanding.test", severity: Warning, says: "says EHLO mx1.contoso.test", outcome: gone, fixed: "-"},
	{name: "another EHLO", main: []string{"smtp_helo_name = mx2.contoso.test"}, to: "demanding.test", severity: Warning, says: "says EHLO mx2.contoso.test", outcome: gone, fixed: "-"},
	{name: "certificate of the service", master: []string{"smtp/unix/smtp_tls_chain_files=%D/expired.pem"}, to: "demanding.test", severity: Error, says: "ended on ", outcome: "status=deferred", fixed: "-"},
}
