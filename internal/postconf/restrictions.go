package postconf

import "strings"

// kind is what a restriction can do to the ones behind it.
type kind int

const (
	harmless kind = iota // says no or nothing
	permits              // says OK for some or all mail: the rest of the list is skipped
	mayOK                // an access table, whose entries may say OK
	asks                 // a policy service, which may say OK unless it is ours
	refuses              // says no to everything
	broken               // Postfix answers 451 4.3.5 to every message that gets here
	unknown              // a name that this package does not know
)

// step is one restriction of a list, in the order in which Postfix evaluates them, classes opened up.
type step struct {
	kind   kind
	name   string // lower-cased
	arg    string // its argument, if it takes one
	warned bool   // warn_if_reject stands in front of it, or of a class that it is in
	top    int    // index of the token in the list itself through which evaluation got here
}

// What smtpd(8) knows, by what it can do (postconf(5) smtpd_client_restrictions and the lists after it;
// access(5)). Names of older versions are kept: an unknown name makes a finding.
var (
	permitNames = set(`permit permit_inet_interfaces permit_mynetworks permit_naked_ip_address permit_mx_backup
		permit_auth_destination check_relay_domains permit_sasl_authenticated permit_tls_all_clientcerts
		permit_tls_clientcerts`)
	permitArgNames = set(`permit_dnswl_client permit_rhswl_client`)
	refuseNames    = set(`reject defer defer_if_permit`)
	harmlessNames  = set(`defer_if_reject reject_unauth_pipelining reject_plaintext_session
		reject_unknown_client_hostname reject_unknown_client reject_unknown_reverse_client_hostname
		reject_maps_rbl reject_invalid_helo_hostname reject_invalid_hostname reject_unknown_helo_hostname
		reject_unknown_hostname reject_non_fqdn_helo_hostname reject_non_fqdn_hostname reject_unknown_address
		reject_unknown_sender_domain reject_unverified_sender reject_non_fqdn_sender
		reject_authenticated_sender_login_mismatch reject_known_sender_login_mismatch
		reject_unauthenticated_sender_login_mismatch reject_sender_login_mismatch reject_unlisted_sender
		reject_unauth_destination defer_unauth_destination reject_unknown_recipient_domain
		reject_non_fqdn_recipient check_recipient_maps reject_unlisted_recipient reject_multi_recipient_bounce
		reject_unverified_recipient`)
	harmlessArgNames = set(`reject_rbl_client reject_rbl reject_rhsbl_client reject_rhsbl_reverse_client
		reject_rhsbl_helo reject_rhsbl_sender reject_rhsbl_recipient`)
	mayOKNames = set(`check_client_access check_ccert_access check_sasl_access check_helo_access
		check_sender_access check_recipient_access`)
	// An OK from these is an error to Postfix ("not allowed for security reasons"), and check_etrn_access looks
	// at ETRN only: none of them lets mail past.
	noOKNames = set(`check_reverse_client_hostname_access check_etrn_access
		check_client_ns_access check_client_mx_access check_client_a_access
		check_reverse_client_hostname_ns_access check_reverse_client_hostname_mx_access
		check_reverse_client_hostname_a_access check_helo_ns_access check_helo_mx_access check_helo_a_access
		check_sender_ns_access check_sender_mx_access check_sender_a_access check_recipient_ns_access
		check_recipient_mx_access check_recipient_a_access`)
)

// shorthand is the restriction that a bare table stands for in a list ("" for none: there Postfix refuses).
var shorthand = map[string]string{
	"smtpd_client_restrictions":    "check_client_access",
	"smtpd_helo_restrictions":      "check_helo_access",
	"smtpd_sender_restrictions":    "check_sender_access",
	"smtpd_relay_restrictions":     "check_recipient_access",
	"smtpd_recipient_restrictions": "check_recipient_access",
}

const (
	maxDepth = 50     // of classes in classes; Postfix itself runs until its stack ends
	maxSteps = 10_000 // of an opened-up list
)

// walker opens up one restriction list.
type walker struct {
	params  Params
	classes map[string]bool // postconf(5) smtpd_restriction_classes; unlike the rest, case counts
	bare    string          // what a bare table stands for
	steps   []step
}

// steps is the list in parameter name, as Postfix would walk it if every restriction said "dunno".
func steps(p Params, name string) []step {
	w := walker{params: p, classes: map[string]bool{}, bare: shorthand[name]}
	for _, class := range split(p["smtpd_restriction_classes"]) {
		w.classes[class] = true
	}
	w.list(split(p[name]), false, 0, -1)
	return w.steps
}

func (w *walker) list(tokens []string, warned bool, depth, top int) {
	outer := top
	warnNext := false
	for i := 0; i < len(tokens) && len(w.steps) < maxSteps; i++ {
		if outer < 0 {
			top = i
		}
		token := tokens[i]
		name := strings.ToLower(token)
		if name == "warn_if_reject" {
			warnNext = true
			continue
		}
		s := step{name: name, warned: warned || warnNext, top: top}
		warnNext = false
		// Only what follows a name can be its argument, so that a list that ends early is never read past.
		next := func() bool {
			if i+1 < len(tokens) {
				i++
				s.arg = tokens[i]
				return true
			}
			return false
		}
		switch {
		case strings.Contains(token, ":"):
			s.name, s.arg, s.kind = w.bare, token, mayOK
			if w.bare == "" {
				s.name, s.arg, s.kind = token, "", broken
			}
		case name == "check_policy_service":
			s.kind = asks
			if !next() || !strings.Contains(s.arg, ":") {
				s.kind = broken
			}
		case name == "sleep":
			if !next() || !digits(s.arg) {
				s.kind = broken
			}
		case mayOKNames[name], noOKNames[name]:
			if mayOKNames[name] {
				s.kind = mayOK
			}
			if !next() || !strings.Contains(s.arg, ":") {
				s.kind = broken
			}
		case permitArgNames[name]:
			s.kind = permits
			next()
		case harmlessArgNames[name]:
			next()
		case permitNames[name]:
			s.kind = permits
		case refuseNames[name]:
			s.kind = refuses
		case harmlessNames[name]:
		case w.classes[token]:
			if depth < maxDepth {
				w.list(split(w.params[token]), s.warned, depth+1, top)
				continue
			}
			s.kind = broken
		default:
			s.kind = unknown
		}
		if s.kind == refuses && s.warned {
			s.kind = harmless
		}
		w.steps = append(w.steps, s)
	}
}

// String is the restriction as it stands in the list, lower-cased, with its argument.
func (s step) String() string {
	if s.arg == "" {
		return s.name
	}
	return s.name + " " + s.arg
}
