package postconf

import (
	"context"
	"fmt"
	"strings"
)

// Destination is a domain that mail is sent to.
type Destination struct {
	Domain     string
	Subdomains bool // what is below it counts, too
}

// Table is one of Postfix's tables, asked about domains.
type Table struct {
	Name    string
	Found   map[string]string // what it says, by key
	Problem string            // why it could not be asked, "" if it was
}

// LookUp asks, by postmap(1), what Postfix's tables have about destinations: those of transport_maps, and those of
// smtp_tls_policy_maps but for the TLS policy door at listen.
func (s *Settings) LookUp(ctx context.Context, destinations []Destination, listen string) error {
	if len(destinations) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	bin, err := find("postmap")
	if err != nil {
		return err
	}
	var keys strings.Builder
	seen := make(map[string]bool)
	add := func(key string) {
		if !seen[key] {
			seen[key] = true
			keys.WriteString(key + "\n")
		}
	}
	add("*")
	for _, d := range destinations {
		for _, key := range transportKeys(d.Domain) {
			add(key)
		}
		add("." + d.Domain)
	}
	s.Tables = make(map[string]*Table)
	lists := []Params{s.Main}
	for _, svc := range s.Delivery {
		lists = append(lists, svc.Params)
	}
	for _, p := range lists {
		for _, parameter := range []string{"transport_maps", "smtp_tls_policy_maps"} {
			for _, name := range split(p[parameter]) {
				if s.Tables[name] == nil && !asksMap(name, listen, s.QueueDirectory) {
					s.Tables[name] = s.ask(ctx, bin, name, keys.String())
				}
			}
		}
	}
	return nil
}

// ask asks one table (postmap(1), "-q -").
func (s *Settings) ask(ctx context.Context, bin, name, keys string) *Table {
	t := &Table{Name: name, Found: make(map[string]string)}
	// Postfix need not run: what proxymap(8) opens is opened here.
	r := reader{bin: bin, dir: s.Dir, in: keys}
	out, complaints, err := r.run(ctx, "-q", "-", strings.TrimPrefix(name, "proxy:"))
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		t.Found[key] = value
	}
	switch {
	case ctx.Err() != nil:
		t.Problem = "it takes too long"
	case len(complaints) > 0:
		t.Problem = complaints[0]
	case err != nil && len(t.Found) == 0 && strings.Contains(err.Error(), "fatal"):
		t.Problem = err.Error()
	}
	return t
}

// transportKeys are what trivial-rewrite(8) looks a domain up by, in its order (transport(5), "TABLE SEARCH ORDER").
// Parents are asked with a dot in front and without: which of them counts parent_domain_matches_subdomains says.
func transportKeys(domain string) []string {
	keys := []string{domain}
	for rest := domain; ; {
		_, parent, found := strings.Cut(rest, ".")
		if !found {
			return append(keys, "*")
		}
		keys = append(keys, "."+parent, parent)
		rest = parent
	}
}

// lookedUp returns what the first of a list of tables has under the first of keys that any has.
func (s *Settings) lookedUp(list string, keys []string) (value, table string, found bool) {
	for _, key := range keys {
		for _, name := range split(list) {
			if t := s.Tables[name]; t != nil {
				if value, found = t.Found[key]; found {
					return value, name, true
				}
			}
		}
	}
	return "", "", false
}

// unasked describes the tables of a list that could not be asked.
func (s *Settings) unasked(list string) (names []string) {
	for _, name := range split(list) {
		if t := s.Tables[name]; t != nil && t.Problem != "" {
			names = append(names, fmt.Sprintf("%s (%s)", name, t.Problem))
		}
	}
	return names
}
