// The lab sets up Contoso's and Woodgrove Bank's mail servers with domain-secured beside them, has them write to each
// other, and has things happen to the bank. Then it sends contoso.com real messages, from a partner and from impostors.
// It shows what came of all that. It touches its own temporary folder, loopback, and a network namespace of its own,
// nothing else.
//
//	go run ./internal/testkit/lab [-binary PATH] [-mta postfix|sendmail|fake]
//
// Where nothing is said and Postfix cannot run, a fake MTA takes its place, and the bank does without a mail server.
// The two companies need Postfix and root. With KEEP=1 in the environment all stays up until Ctrl-C, to be talked to.
// Exit status: 0 all as expected, 1 not, 64 usage, 130 interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"domain-secured/internal/testkit/apart"
	"domain-secured/internal/testkit/cases"
	"domain-secured/internal/testkit/companies"
)

func main() {
	// The last two are for a terminal that is closed, and for "| head": nothing must be left behind then, either.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	status := run(ctx, os.Args[1:], os.Getenv("KEEP") == "1", os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

func run(ctx context.Context, args []string, keep bool, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("lab", flag.ContinueOnError)
	flags.SetOutput(stderr)
	binary := flags.String("binary", "", "the domain-secured to try; built from this module when empty")
	server := flags.String("mta", "", "postfix, sendmail or fake; postfix when empty, or the fake one where it cannot run")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		return 64
	}
	failed, err := lab(ctx, *binary, cases.Server(*server), keep, stdout)
	var status ended
	switch {
	case errors.As(err, &status):
		return int(status)
	case err != nil && ctx.Err() != nil: // whatever the error: a program that was killed, a wait that ended
		fmt.Fprintln(stderr, "lab: interrupted")
		return 130
	case err != nil:
		fmt.Fprintln(stderr, "lab:", err)
		return 1
	case failed > 0:
		return 1
	}
	return 0
}

// lab runs it all and returns how many cases did not come out as they should.
func lab(ctx context.Context, binary string, server cases.Server, keep bool, out io.Writer) (failed int, err error) {
	if server == "" {
		if err := cases.Postfix.Find(); err != nil {
			fmt.Fprintf(out, "Using a fake MTA, not Postfix: %v. Contoso and Woodgrove Bank would write to each other: that is left out.\n\n", err)
			server = cases.Fake
		}
	}
	dir, err := os.MkdirTemp("", "domain-secured-lab-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if binary == "" {
		if binary, err = cases.Build(ctx, dir); err != nil {
			return 0, err
		}
	} else if binary, err = filepath.Abs(binary); err != nil {
		return 0, err
	}

	var pair *companies.Pair
	switch {
	case server != "" && server != cases.Postfix: // the two companies have Postfix
	case apart.Inside(whole):
		if pair, failed, err = showCompanies(ctx, binary, dir, out); err != nil {
			return failed, err
		}
		defer func() { err = errors.Join(err, pair.Close()) }()
	default:
		err := runApart(ctx, binary, out)
		if !errors.Is(err, apart.ErrNotPossible) {
			return 0, err
		}
		fmt.Fprintf(out, "Contoso and Woodgrove Bank would write to each other: that is left out, %v.\n\n", err)
	}

	site, err := cases.Setup(ctx, cases.SetupOptions{Binary: binary, Dir: dir, Server: server})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, site.Close()) }()
	fmt.Fprintf(out, "%s for contoso.com at %s, domain-secured beside it. Partners: woodgrovebank.com, tailspintoys.com, litwareinc.com.\n\n",
		site.MTA.Name(), site.MTA.Addr())

	t := newCasesTable(out)
	all, wrong := cases.All(), 0
	for _, c := range all {
		result, err := cases.Run(ctx, site.MTA, site.World, c)
		if ctx.Err() != nil {
			return failed, ctx.Err()
		}
		if err == nil {
			err = result.Check(c)
		}
		if err != nil {
			wrong++
		}
		t.row(c, result, err)
	}
	fmt.Fprintf(out, "\n%d passed, %d failed\n", len(all)-wrong, wrong)
	failed += wrong
	if keep {
		return failed, keepUp(ctx, site, pair, binary, out)
	}
	return failed, nil
}
