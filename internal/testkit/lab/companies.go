package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"

	"domain-secured/internal/testkit/apart"
	"domain-secured/internal/testkit/companies"
)

// whole names the run of the lab that has namespaces of its own, and with them the two companies.
const whole = "lab"

// ended is the status of that run, which has said everything itself.
type ended int

func (e ended) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// runApart runs the lab once more, in namespaces. The error is an ended, or apart.ErrNotPossible.
func runApart(ctx context.Context, binary string, out io.Writer) error {
	c, err := apart.Command(ctx, whole, "-binary", binary)
	if err != nil {
		return err
	}
	c.Stdout, c.Stderr = out, os.Stderr
	// It cleans up, and then ends; also if this process is killed, of which it hears when this thread dies (prctl(2)).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c.SysProcAttr.Pdeathsig = syscall.SIGTERM
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	err = c.Run()
	switch {
	case apart.Refused(err):
		return fmt.Errorf("%w: %w", apart.ErrNotPossible, err)
	case c.ProcessState != nil && c.ProcessState.Exited():
		return ended(c.ProcessState.ExitCode())
	}
	return fmt.Errorf("the lab in its namespaces: %w", err)
}

// showCompanies has the two companies write to each other while all sorts of things happen. It returns the two,
// running, and how many outcomes were not as they should be.
func showCompanies(ctx context.Context, binary, dir string, out io.Writer) (pair *companies.Pair, failed int, err error) {
	if err := apart.Settle(dir); err != nil {
		return nil, 0, err
	}
	if pair, err = companies.Setup(ctx, binary, dir); err != nil {
		return nil, 0, err
	}
	fmt.Fprintf(out, `Contoso (%s) and Woodgrove Bank (%s), each with %s and domain-secured beside it,
each on the other's lists, write to each other. It is the bank that things happen to. So that nobody has to wait for
Contoso to notice, its domain-secured is restarted each time, and looks afresh.

`, pair.Contoso.Address, pair.Bank.Address, pair.Bank.Postfix.Name())
	t := newTable(out, column{"mail", 10}, column{"what the sender's side says", 28}, column{"what the receiver's server said", 35}, column{"queue", 7}, column{"expected", 8})
	told := 0
	show := companies.Show{
		Say: func(words string) { fmt.Fprintln(out, words); t.rule() },
		Letter: func(o companies.Outcome, wrong error) {
			told++
			if wrong != nil {
				failed++
			}
			t.letter(o, wrong)
		},
	}
	for _, scene := range companies.Scenes() {
		if err := pair.Play(ctx, scene, show); err != nil {
			return pair, failed, errors.Join(err, pair.Close())
		}
	}
	fmt.Fprintf(out, "\n%d as expected, %d not\n\n", told-failed, failed)
	return pair, failed, nil
}

// letter writes what has become of one.
func (t table) letter(o companies.Outcome, err error) {
	side := o.Status
	switch {
	case o.From.Postfix == nil:
		side = "-"
	case o.Back != nil:
		side += ", is back at " + o.Back.Recipient
	case o.Reply == "":
		side += " (" + o.Said + "); domain-secured: " + o.Waits
	}
	reply := o.Reply
	if reply == "" {
		reply = "nothing: it was not offered the message"
	}
	if len(o.Before) > 0 {
		reply += "; at first: " + strings.Join(o.Before, ", ")
	}
	queue := "empty"
	switch n := o.Waiting(); {
	case o.From.Postfix == nil:
		queue = "-"
	case n == 1:
		queue = "1 waits"
	case n > 1:
		queue = fmt.Sprintf("%d wait", n)
	}
	t.result([]string{o.From.Name + " to " + o.To.Name, side, reply, queue}, fieldLines(o.Stamps()), err)
}
