package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"domain-secured/internal/testkit/dnsserver"
	"domain-secured/internal/testkit/mta"
)

// scriptPartners is the command "partners" of a script.
func scriptPartners(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: partners ZONE CERT=ADDRESS...")
	}
	dns, err := dnsserver.Start(ts.ReadFile(args[0]))
	ts.Check(err)
	ts.Defer(func() { _ = dns.Close() })
	files, err := scriptPKI()
	ts.Check(err)
	var servers []mta.FakeOptions
	for _, arg := range args[1:] {
		name, address, _ := strings.Cut(arg, "=")
		o := mta.FakeOptions{Common: mta.Common{Hostname: "mail.woodgrovebank.com", Domains: []string{"woodgrovebank.com"}}, Listen: address}
		for _, f := range files {
			if f.variable == name && f.certificate != nil {
				o.Certificate = f.certificate
			}
		}
		if o.Certificate == nil && name != "-" {
			ts.Fatalf("no certificate %q", name)
		}
		servers = append(servers, o)
	}
	port := startTogether(ts, servers)
	config, err := os.OpenFile(ts.MkAbs("c.toml"), os.O_APPEND|os.O_WRONLY, 0)
	ts.Check(err)
	_, err = fmt.Fprintf(config, "[dns]\nresolver = %q\n[probe]\nport = %s\nallow_private = true\n", dns.Addr(), port)
	ts.Check(err)
	ts.Check(config.Close())
}

// startTogether starts servers at their addresses, all on one port.
func startTogether(ts *testscript.TestScript, servers []mta.FakeOptions) (port string) {
	for try := 1; ; try++ {
		var started []*mta.Fake
		var err error
		port = "0" // the first has the kernel choose
		for _, o := range servers {
			o.Listen = net.JoinHostPort(o.Listen, port)
			var server *mta.Fake
			if server, err = mta.StartFake(context.Background(), o); err != nil {
				break // another process has the port there
			}
			started = append(started, server)
			_, port, _ = net.SplitHostPort(server.Addr())
		}
		if err == nil {
			ts.Defer(func() {
				for _, server := range started {
					_ = server.Close()
				}
			})
			return port
		}
		for _, server := range started {
			_ = server.Close()
		}
		if try == 5 {
			ts.Fatalf("%v", err)
		}
	}
}
