package postconf

import (
	"errors"
	"strings"
)

// separators of a restriction list and of the options in a group (postconf(5) smtpd_client_restrictions:
// "separated by commas and/or whitespace").
const separators = ", \t\r\n"

// maxTokens is where splitting stops: a list that long is none that a person wrote.
const maxTokens = 10_000

// split takes a list apart as Postfix does: braces, wherever in a token they stand, keep separators together,
// and stay in the token. A closing brace without an opening one is an ordinary character; an opening one that
// is never closed takes the rest.
func split(list string) []string {
	var tokens []string
	start, level := -1, 0
	for i := range len(list) {
		c := list[i]
		if level == 0 && strings.IndexByte(separators, c) >= 0 {
			if start >= 0 {
				if tokens = append(tokens, list[start:i]); len(tokens) == maxTokens {
					return tokens
				}
				start = -1
			}
			continue
		}
		if start < 0 {
			start = i
		}
		switch {
		case c == '{':
			level++
		case c == '}' && level > 0:
			level--
		}
	}
	if start >= 0 {
		tokens = append(tokens, list[start:])
	}
	return tokens
}

// inner is what stands between the braces of a group, without the space around it.
func inner(group string) (string, error) {
	level := 0
	for i := range len(group) {
		switch group[i] {
		case '{':
			level++
		case '}':
			level--
		}
		if level == 0 {
			if i == 0 {
				return "", errors.New("missing '{'")
			}
			if strings.Trim(group[i+1:], " \t\r\n") != "" {
				return "", errors.New("text after '}'")
			}
			return strings.Trim(group[1:i], " \t\r\n"), nil
		}
	}
	return "", errors.New("missing '}'")
}

// policyCall is the argument of check_policy_service: an address alone, or a group that begins with one
// (SMTPD_POLICY_README, "Advanced policy client configuration").
type policyCall struct {
	address string
	options map[string]string
}

// policyOptions are the names that a group may set; any other is fatal to smtpd(8).
var policyOptions = set("timeout max_idle max_ttl retry_delay request_limit try_limit default_action policy_context")

func parsePolicyCall(token string) (policyCall, error) {
	address, options, err := parseGroup(token, policyOptions, valid)
	return policyCall{address, options}, err
}

// parseGroup reads an address, or a group that begins with one and goes on with options: "name=value", or
// "{ name = value }". A name that is not known, or a value that is not valid, is fatal to smtpd(8).
func parseGroup(token string, known map[string]bool, valid func(option, value string) bool) (address string, options map[string]string, err error) {
	if !strings.HasPrefix(token, "{") {
		return token, nil, nil
	}
	body, err := inner(token)
	if err != nil {
		return "", nil, err
	}
	parts := split(body)
	if len(parts) == 0 {
		return "", nil, errors.New("no address between the braces")
	}
	address, options = parts[0], map[string]string{}
	for _, part := range parts[1:] {
		if strings.HasPrefix(part, "{") {
			if part, err = inner(part); err != nil {
				return address, options, err
			}
		}
		name, value, ok := strings.Cut(part, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return address, options, errors.New("missing '=' after " + quote(part))
		}
		if !known[name] {
			return address, options, errors.New("unknown option " + quote(name))
		}
		value = strings.TrimSpace(value)
		if !valid(name, value) {
			return address, options, errors.New("bad value for " + name + ": " + quote(value))
		}
		options[name] = value
	}
	return address, options, nil
}

// valid says whether smtpd(8) starts with this value.
func valid(option, value string) bool {
	switch option {
	case "default_action":
		return value != ""
	case "policy_context":
		return true
	case "request_limit":
		return digits(value)
	case "try_limit":
		return digits(value) && strings.Trim(value, "0") != ""
	default: // times, at least a second
		n, ok := seconds(value)
		return ok && n > 0
	}
}

// seconds reads a time as Postfix writes it: a number with one of s, m, h, d, w behind it; without, seconds
// (postconf(5), "time units"). To Postfix, capitals are a fatal error.
func seconds(s string) (int, bool) {
	unit := 1
	if s != "" {
		if u := strings.IndexByte("smhdw", s[len(s)-1]); u >= 0 {
			unit, s = []int{1, 60, 3600, 86400, 604800}[u], s[:len(s)-1]
		}
	}
	if !digits(s) || len(s) > 9 {
		return 0, false
	}
	n := 0
	for _, c := range s {
		n = n*10 + int(c-'0')
	}
	return n * unit, true
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// quote shortens and quotes something from a configuration file for a sentence.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most] + "..."
	}
	return `"` + strings.ToValidUTF8(s, "?") + `"`
}

func set(words string) map[string]bool {
	m := make(map[string]bool)
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}
