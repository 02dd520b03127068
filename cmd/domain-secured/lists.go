package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"

	"domain-secured/internal/config"
	"domain-secured/internal/gate"
	"domain-secured/policy"
)

// listWords say what a list is for.
var listWords = map[string]string{
	"receive": "domains that mail is received from only over mutual TLS",
	"send":    "domains that mail is sent to only over mutual TLS",
}

func listShowCommand(which string) *command {
	return &command{
		name:  which + " list",
		short: "print the " + listWords[which],
		setup: func(flags *flag.FlagSet) func(*call) error {
			asJSON := flags.Bool("json", false, "print JSON")
			return func(c *call) error {
				if len(c.args) > 0 {
					return usagef("%s list: takes no arguments", which)
				}
				cfg, err := config.Load(c.config, gate.ReadRoots)
				if err != nil {
					return err
				}
				list := cfg.Snapshot.Receive
				if which == "send" {
					list = cfg.Snapshot.Send
				}
				if *asJSON {
					return c.printJSON(slices.AppendSeq(make([]string, 0, list.Len()), list.All()))
				}
				for domain := range list.All() {
					if _, err := fmt.Fprintln(c.out, domain); err != nil {
						return err
					}
				}
				return nil
			}
		},
	}
}

func listEditCommand(which, verb string) *command {
	preposition, hint := "to", "\n\nA domain that is there already stays as it is."
	if verb == "remove" {
		preposition, hint = "from", "\n\nA domain that is not there is said not to be, and that is all."
	}
	return &command{
		name:  which + " " + verb,
		args:  "DOMAIN...",
		short: fmt.Sprintf("%s domains %s the %s list", verb, preposition, which),
		long: "The list file is changed in place: comments and order stay. A running daemon takes\n" +
			"it over by itself within a second." + hint,
		setup: func(*flag.FlagSet) func(*call) error {
			return func(c *call) error { return editList(c, which, verb) }
		},
	}
}

func editList(c *call, which, verb string) error {
	domains, err := parseDomains(c.args)
	if err != nil {
		return usagef("%s %s: %v", which, verb, err)
	}
	cfg, err := config.Read(c.config, gate.ReadRoots)
	if err != nil {
		return err
	}
	name := cfg.Lists.Receive
	if which == "send" {
		name = cfg.Lists.Send
	}
	edit := config.ListEdit{Add: domains}
	if verb == "remove" {
		edit = config.ListEdit{Remove: domains}
	}
	done, err := config.EditList(name, edit)
	if err != nil {
		return err
	}
	say := func(domains []string, what string) {
		if len(domains) > 0 {
			fmt.Fprintf(c.err, "%s: %s %s\n", strings.Join(domains, ", "), what, name)
		}
	}
	say(done.Added, "added to")
	say(done.Removed, "removed from")
	say(done.Present, "already in")
	say(done.Absent, "not in")
	return nil
}

// parseDomains reads the domains given as arguments, each once.
func parseDomains(args []string) ([]string, error) {
	if len(args) == 0 {
		return nil, fmt.Errorf("name a domain")
	}
	var domains []string
	for _, arg := range args {
		domain, err := policy.ParseDomain(arg)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(domains, domain) {
			domains = append(domains, domain)
		}
	}
	return domains, nil
}
