package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"runtime"
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

// printJSON writes v to standard output.
func (c *call) printJSON(v any) error {
	encoder := json.NewEncoder(c.out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
