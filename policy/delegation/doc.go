// Package delegation is the door for Postfix's policy delegation protocol
// (SMTPD_POLICY_README, access(5) check_policy_service): it reads a request,
// asks a [policy.Judge], and answers. It parses and renders; it has no rules.
package delegation
