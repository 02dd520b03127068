// Command domain-secured requires mutual TLS of the mail that comes from listed
// partner domains, beside Postfix or Sendmail.
package main

import (
	"context"
	"io"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// streams are where a verb reads from and writes to: data goes to out, words go
// to err.
type streams struct {
	in       io.Reader
	out, err io.Writer
}
