package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"domain-secured/internal/config"
)

// command is one verb. The help is made from it.
type command struct {
	name  string // one word or two: "cert import"
	args  string // what follows the flags
	short string // one clause
	long  string // the paragraphs of its own help
	// setup defines the verb's flags and returns what runs it once they are set.
	setup func(*flag.FlagSet) func(*call) error
}

// call is one use of a verb.
type call struct {
	streams
	ctx    context.Context
	args   []string // without flags
	config string   // the value of --config
}

// commands are all verbs, in the order of the help.
func commands() []*command {
	return []*command{
		serveCommand, checkCommand, explainCommand, probeCommand,
		listShowCommand("receive"), listEditCommand("receive", "add"), listEditCommand("receive", "remove"),
		listShowCommand("send"), listEditCommand("send", "add"), listEditCommand("send", "remove"),
		certImportCommand, certListCommand, certShowCommand, certVerifyCommand, certForgetCommand,
		certRequestCommand, certCloneCommand, certExportCommand,
		exportPostfixCommand, exportSendmailCommand,
		queueCommand, statusCommand, versionCommand,
	}
}

const defaultConfig = "/etc/domain-secured/domain-secured.toml"

// run runs the verb that args begin with and returns the exit code.
func run(ctx context.Context, args []string, s streams) int {
	err := dispatch(ctx, args, s)
	if err == nil {
		return exitOK
	}
	for line := range strings.Lines(words(err)) {
		fmt.Fprintln(s.err, "domain-secured:", strings.TrimSuffix(line, "\n"))
	}
	return exitCode(err)
}

func dispatch(ctx context.Context, args []string, s streams) error {
	if len(args) == 0 {
		printHelp(s.err)
		return usagef("a verb is missing")
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		return help(args[1:], s.out)
	}
	c, rest := find(args)
	if c == nil {
		return unknownVerb(args)
	}
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	cl := &call{streams: s, ctx: ctx}
	flags.StringVar(&cl.config, "config", defaultConfig, "the configuration `FILE`")
	runVerb := c.setup(flags)
	var err error
	cl.args, err = parseAnywhere(flags, rest)
	if errors.Is(err, flag.ErrHelp) {
		c.printHelp(s.out)
		return nil
	}
	if err != nil {
		return usagef("%s: %v (domain-secured help %s)", c.name, err, c.name)
	}
	return runVerb(cl)
}

// find returns the verb that args begin with, and what follows it.
func find(args []string) (*command, []string) {
	for _, c := range commands() {
		words := strings.Fields(c.name)
		if len(args) >= len(words) && slices.Equal(words, args[:len(words)]) {
			return c, args[len(words):]
		}
	}
	return nil, nil
}

func unknownVerb(args []string) error {
	verb := args[0]
	var names, second []string
	for _, c := range commands() {
		first, rest, _ := strings.Cut(c.name, " ")
		if !slices.Contains(names, first) {
			names = append(names, first)
		}
		if first == verb {
			second = append(second, rest)
		}
	}
	if len(second) > 0 {
		return usagef("%s: want one of: %s", verb, strings.Join(second, ", "))
	}
	if near := config.Nearest(verb, names); near != "" {
		return usagef("unknown verb %q (did you mean %q?)", verb, near)
	}
	return usagef("unknown verb %q (domain-secured help)", verb)
}

// parseAnywhere parses flags before and after arguments; what follows -- is none.
func parseAnywhere(flags *flag.FlagSet, args []string) ([]string, error) {
	var rest []string
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		parsed := args[:len(args)-flags.NArg()]
		args = flags.Args()
		if len(args) == 0 {
			return rest, nil
		}
		if len(parsed) > 0 && parsed[len(parsed)-1] == "--" {
			return append(rest, args...), nil
		}
		rest = append(rest, args[0])
		args = args[1:]
	}
}

func help(args []string, w io.Writer) error {
	if len(args) == 0 {
		printHelp(w)
		return nil
	}
	c, _ := find(args)
	if c == nil {
		return unknownVerb(args)
	}
	c.printHelp(w)
	return nil
}

func printHelp(w io.Writer) {
	fmt.Fprint(w, `domain-secured: mail from listed partner domains only over mutual TLS

usage: domain-secured VERB [--config FILE] [flags] [arguments]

`)
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-16s %s\n", c.name, c.short)
	}
	fmt.Fprintf(w, `  %-16s this page, or the page of a verb

Data goes to standard output, words to standard error. Exit codes:
   0 yes, done                      69 the daemon cannot be reached
   1 checked, and the answer is no  75 cannot tell now
  64 usage                          77 permission
  65 bad input file                 78 configuration
`, "help [VERB]")
}

func (c *command) printHelp(w io.Writer) {
	fmt.Fprintf(w, "usage: domain-secured %s [flags]", c.name)
	if c.args != "" {
		fmt.Fprintf(w, " %s", c.args)
	}
	fmt.Fprintf(w, "\n\n%s.\n", c.short)
	if c.long != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(c.long))
	}
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	flags.SetOutput(w)
	flags.String("config", defaultConfig, "the configuration `FILE`")
	c.setup(flags)
	fmt.Fprintln(w, "\nflags:")
	flags.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		if value != "" {
			value = " " + value
		}
		fmt.Fprintf(w, "  --%s%s\n      %s", f.Name, value, usage)
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" {
			fmt.Fprintf(w, " (default %s)", f.DefValue)
		}
		fmt.Fprintln(w)
	})
}
