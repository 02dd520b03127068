package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"
)

// passwords answers for the files of a verb.
type passwords struct {
	c    *call
	file string // --password-file
	read *string
}

// maxPassword bounds a password, in octets.
const maxPassword = 4096

// of returns what asks for the password of a file: --password-file knows it, or
// the person at the terminal.
func (p *passwords) of(name string) func() (string, error) {
	return func() (string, error) {
		if p.file != "" {
			return p.fromFile()
		}
		if terminal, ok := p.c.in.(*os.File); ok && term.IsTerminal(int(terminal.Fd())) {
			return p.prompt(int(terminal.Fd()), name)
		}
		return "", usagef("%s: it needs a password: --password-file FILE, or --password-file - for standard input", name)
	}
}

// fromFile reads the first line, once: it is for all files.
func (p *passwords) fromFile() (string, error) {
	if p.read != nil {
		return *p.read, nil
	}
	from := p.c.in
	if p.file != "-" {
		f, err := os.Open(p.file)
		if err != nil {
			return "", inputError(err)
		}
		defer f.Close()
		from = f
	}
	line, err := bufio.NewReader(io.LimitReader(from, maxPassword)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", inputError(fmt.Errorf("reading the password: %w", err))
	}
	if len(line) == maxPassword && !strings.HasSuffix(line, "\n") {
		return "", exitf(exitInput, "reading the password: the first line is longer than %d bytes", maxPassword)
	}
	line = strings.TrimRight(line, "\r\n")
	p.read = &line
	return line, nil
}

// prompt asks at the terminal, which shows nothing of the answer and is as it was
// before when this ends, also by an interrupt.
func (p *passwords) prompt(terminal int, name string) (string, error) {
	state, err := term.GetState(terminal)
	if err != nil {
		return "", fmt.Errorf("asking for the password: %w", err)
	}
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupts)
	fmt.Fprintf(p.c.err, "password of %s: ", name)
	defer fmt.Fprintln(p.c.err)
	var word []byte
	done := make(chan error, 1)
	go func() {
		var err error
		word, err = term.ReadPassword(terminal)
		done <- err
	}()
	select {
	case err = <-done:
	case <-interrupts:
		// The goroutine is left waiting: the process is about to end.
		err = errors.Join(errors.New("interrupted"), term.Restore(terminal, state))
	}
	if err != nil {
		return "", exitf(exitNotNow, "asking for the password: %w", err)
	}
	return string(word), nil
}
