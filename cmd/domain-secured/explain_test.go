package main

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"domain-secured/internal/testkit/dnsserver"
	"domain-secured/internal/testkit/pki"
)

// TestExplainFetches has explain ask a DNS server that has the partner's TLSA record.
func TestExplainFetches(t *testing.T) {
	certificate, err := pki.SelfSigned(pki.LeafOptions{DNSNames: []string{"mail1.woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	names := serveNames(t, "woodgrovebank.com. MX 10 mail1.woodgrovebank.com.\nmail1.woodgrovebank.com. A 192.0.2.7\n"+
		"_25._tcp.mail1.woodgrovebank.com. TLSA 3 0 0 "+hex.EncodeToString(certificate.DER)+"\n")
	names.Secure(".")
	dir := t.TempDir()
	for name, text := range map[string]string{
		"c.toml":       "state_dir = \"state\"\n[dns]\nresolver = \"" + names.Addr() + "\"\n[partner.\"woodgrovebank.com\"]\nrevocation = \"off\"\ndane = true\n",
		"receive.list": "woodgrovebank.com\n", "send.list": "", "theirs.pem": string(certificate.PEM()),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	explain := func(flags ...string) (string, int) {
		t.Helper()
		var out, errs strings.Builder
		args := []string{"explain", "--config", filepath.Join(dir, "c.toml"), "--sender", "alice@woodgrovebank.com",
			"--tls", "TLSv1.3", "--certificate", filepath.Join(dir, "theirs.pem")}
		code := run(t.Context(), append(args, flags...), streams{out: &out, err: &errs})
		return out.String() + errs.String(), code
	}
	if out, code := explain(); code != exitNotNow || !strings.Contains(out, "cannot tell: ") || names.Asked("woodgrovebank.com", "MX") != 0 {
		t.Errorf("exit code %d, asked %d times:\n%s", code, names.Asked("woodgrovebank.com", "MX"), out)
	}
	if out, code := explain("--fetch"); code != exitOK || !strings.Contains(out, "pass: auth=dane\n") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

func serveNames(t *testing.T, zone string) *dnsserver.Server {
	t.Helper()
	names, err := dnsserver.Start(zone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { names.Close() })
	return names
}
