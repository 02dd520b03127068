package mta

import "strings"

// hosts reports whether the fake server takes mail for an address.
func (f *Fake) hosts(address string) bool {
	if f.forward != nil {
		return true
	}
	_, domain, _ := cutLast(address, "@")
	for _, hosted := range f.options.Domains {
		if strings.EqualFold(domain, hosted) {
			return true
		}
	}
	return false
}

// path reads the argument of MAIL and RCPT: the address in the form Postfix hands it on to a policy service
// (without brackets, source route and quotes, otherwise untouched), and what a milter hears: the address as it
// was written, and the parameters after it.
func path(argument, keyword string) (address string, written []string, ok bool) {
	rest, ok := cutPrefixFold(argument, keyword)
	if !ok {
		return "", nil, false
	}
	rest, ok = strings.CutPrefix(strings.TrimSpace(rest), "<")
	if !ok {
		return "", nil, false
	}
	// A quoted local part may hold a bracket.
	address, tail, ok := cutLast(rest, ">")
	if !ok {
		return "", nil, false
	}
	written = append([]string{"<" + address + ">"}, strings.Fields(tail)...)
	if strings.HasPrefix(address, "@") {
		_, address, _ = strings.Cut(address, ":")
	}
	if local, domain, ok := cutLast(address, "@"); ok && strings.HasPrefix(local, `"`) && strings.HasSuffix(local, `"`) && len(local) > 1 {
		address = strings.ReplaceAll(local[1:len(local)-1], `\`, "") + "@" + domain
	}
	return address, written, true
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}
