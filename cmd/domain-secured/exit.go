package main

import (
	"errors"
	"fmt"
	"io/fs"

	"domain-secured/internal/config"
)

// The exit codes are those of sysexits.h, and 1 for a plain no.
const (
	exitOK            = 0
	exitNo            = 1  // checked, and the answer is no
	exitUsage         = 64 // EX_USAGE
	exitInput         = 65 // EX_DATAERR
	exitUnreachable   = 69 // EX_UNAVAILABLE
	exitNotNow        = 75 // EX_TEMPFAIL
	exitPermission    = 77 // EX_NOPERM
	exitConfiguration = 78 // EX_CONFIG
)

// exit is an error that knows its exit code. Without an error in it there is
// nothing to say: the verb said it all.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

func exitf(code int, format string, args ...any) error {
	return &exit{code, fmt.Errorf(format, args...)}
}

func usagef(format string, args ...any) error { return exitf(exitUsage, format, args...) }

// silently ends with a code and without a word.
func silently(code int) error {
	if code == exitOK {
		return nil
	}
	return &exit{code: code}
}

// words is what an error has to say, "" for nothing.
func words(err error) string {
	if e, ok := err.(*exit); ok && e.err == nil {
		return ""
	}
	return err.Error()
}

func exitCode(err error) int {
	var e *exit
	var problems config.Problems
	switch {
	case errors.As(err, &e):
		return e.code
	case errors.Is(err, fs.ErrPermission):
		return exitPermission
	case errors.As(err, &problems):
		return exitConfiguration
	case errors.Is(err, fs.ErrNotExist): // what the configuration names, or itself
		return exitConfiguration
	}
	return exitNotNow
}
