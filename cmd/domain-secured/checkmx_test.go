package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"domain-secured/internal/testkit/dnsserver"
)

// TestCheckMX: who is to be sent to, and has others take in the mail, is named.
func TestCheckMX(t *testing.T) {
	names, err := dnsserver.Start(`woodgrovebank.com MX 10 mail1.woodgrovebank.com
woodgrovebank.com MX 20 mx.provider.example
tailspintoys.com MX 10 mx.provider.example
pinned.example MX 10 mx.provider.example
accepted.example MX 10 mx.provider.example
off.example MX 10 mx.provider.example
bare.example A 127.0.0.1
`)
	if err != nil {
		t.Fatal(err)
	}
	defer names.Close()
	names.Behave("broken.example", "MX", dnsserver.ServFail, 0)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "receive.list"), "fabrikam.com\n", 0o644)
	write(t, filepath.Join(dir, "send.list"), "woodgrovebank.com\ntailspintoys.com\npinned.example\naccepted.example\noff.example\nbare.example\nbroken.example\n", 0o644)
	file := filepath.Join(dir, "c.toml")
	write(t, file, fmt.Sprintf(`[dns]
resolver = %q
[defaults]
revocation = "if-available"
send_verify = "vetted"
[partner."pinned.example"]
trust = "pins"
send_verify = "pins"
pins = [%q]
[partner."accepted.example"]
names = ["mx.provider.example"]
[partner."off.example"]
mode = "off"
`, names.Addr(), strings.Repeat("01", 32)), 0o644)
	var out, words bytes.Buffer
	if code := run(t.Context(), []string{"check", "--config", file}, streams{nil, &out, &words}); code != exitOK {
		t.Fatalf("exit code %d\n%s%s", code, &out, &words)
	}
	var about []string
	for line := range strings.Lines(out.String()) {
		if warning, ok := strings.CutPrefix(line, "warning: "); ok && strings.Contains(warning, "MX hosts") {
			about = append(about, strings.Fields(warning)[0])
		}
	}
	if got := strings.Join(about, " "); got != "tailspintoys.com broken.example" {
		t.Errorf("about %q:\n%s", got, &out)
	}
}
