package main

import (
	"crypto"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"domain-secured/internal/trust"
)

// keyOutput is where a new key goes, and what is made with it.
type keyOutput struct{ key, out string }

func (o *keyOutput) define(flags *flag.FlagSet, suffixes string) {
	flags.StringVar(&o.key, "key", "", "the `KEYFILE` to write, of mode 0600 (default NAME.key)")
	flags.StringVar(&o.out, "out", "", "the `FILE` to write the rest to, - for standard output (default NAME"+suffixes+")")
}

// settle gives the files the names that they have by default: after name, which
// is a host name or a wildcard.
func (o *keyOutput) settle(name, suffix string) error {
	name = strings.Replace(name, "*.", "wildcard.", 1)
	if o.key == "" {
		o.key = name + ".key"
	}
	if o.out == "" {
		o.out = name + suffix
	}
	switch {
	case o.key == "-":
		return errors.New("--key: a private key is not written to standard output")
	case filepath.Clean(o.key) == filepath.Clean(o.out):
		return errors.New("--key and --out name the same file")
	}
	return nil
}

// write writes the key and what was made with it: both, or neither.
func (o *keyOutput) write(c *call, key crypto.Signer, made []byte) error {
	text, err := trust.MarshalKey(key)
	if err != nil {
		return err
	}
	pin, err := trust.PublicKeyFingerprint(key.Public())
	if err != nil {
		return err
	}
	if err := writeNew(o.key, text, 0o600); err != nil {
		return err
	}
	if o.out == "-" {
		_, err = c.out.Write(made)
	} else {
		err = writeNew(o.out, made, 0o644)
	}
	if err != nil {
		// It was made a moment ago and nothing has been done with it.
		return errors.Join(err, os.Remove(o.key))
	}
	fmt.Fprintf(c.err, "key: %s, not encrypted, readable by its owner only\n", o.key)
	fmt.Fprintf(c.err, "SHA-256 of the public key, to pin: %s\n", fingerprint(pin))
	return nil
}

// shown is where what was made went, in words.
func (o *keyOutput) shown() string {
	if o.out == "-" {
		return "standard output"
	}
	return o.out
}

// writeNew writes a file that is not there yet and gives the error its exit code.
func writeNew(name string, data []byte, mode fs.FileMode) error {
	err := trust.WriteNew(name, data, mode)
	switch {
	case errors.Is(err, fs.ErrExist):
		return exitf(exitInput, "%s exists, and is not overwritten: name another file, or move that one away", name)
	case errors.Is(err, fs.ErrNotExist):
		return exitf(exitInput, "%w", err)
	}
	return err
}
