package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf16"
)

// version is set by the build (-ldflags -X main.version=…).
var version = "0.1.0-dev"

var versionCommand = &command{
	name:  "version",
	short: "print the version",
	setup: func(flags *flag.FlagSet) func(*call) error {
		asJSON := flags.Bool("json", false, "print JSON")
		return func(c *call) error {
			if len(c.args) > 0 {
				return usagef("version: takes no arguments")
			}
			if *asJSON {
				return c.printJSON(map[string]string{"version": version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
			}
			_, err := fmt.Fprintf(c.out, "domain-secured %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		}
	},
}

// printJSON writes v to standard output. What could trick a terminal is escaped: all
// that is not ASCII stands in strings.
func (c *call) printJSON(v any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return err
	}
	var out strings.Builder
	for _, r := range b.String() {
		if r < unicode.MaxASCII || unicode.IsPrint(r) {
			out.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&out, "\\u%04x", unit)
		}
	}
	_, err := io.WriteString(c.out, out.String())
	return err
}
