package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"domain-secured/internal/config"
	"domain-secured/policy"
)

const (
	// mxTime bounds the questions to the DNS that check asks, and maxMX their number:
	// the daemon asks when there is mail.
	mxTime   = 5 * time.Second
	maxMX    = 100
	mxAtOnce = 8
)

// outsideWarnings are about domains on the send list whose mail is taken in by others, as
// a hosting provider, while nothing says that these will do.
func outsideWarnings(ctx context.Context, cfg *config.Config) []string {
	ctx, cancel := context.WithTimeout(ctx, mxTime)
	defer cancel()
	var domains []string
	for domain := range cfg.Snapshot.Send.All() {
		p := cfg.Snapshot.Partner(domain)
		if p.Mode != policy.ModeOff && p.Names == nil && p.Sending() != policy.SendVerifyPins && len(domains) < maxMX {
			domains = append(domains, domain)
		}
	}
	if len(domains) == 0 {
		return nil
	}
	resolver, err := newResolver(cfg)
	if err != nil {
		return []string{fmt.Sprintf("the MX hosts of domains on the send list cannot be looked up: %v", err)}
	}
	warnings := make([]string, len(domains))
	var work sync.WaitGroup
	slots := make(chan struct{}, mxAtOnce)
	for i, domain := range domains {
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			hosts, _, err := resolver.MX(ctx, domain)
			if err != nil {
				warnings[i] = fmt.Sprintf("%s is on the send list, and its MX hosts cannot be looked up: %v", domain, err)
				return
			}
			var names []string
			for _, mx := range hosts {
				if mx.Host == domain || strings.TrimSuffix(mx.Host, "."+domain) != mx.Host {
					return
				}
				names = append(names, mx.Host)
			}
			warnings[i] = fmt.Sprintf("%s is on the send list, and its MX hosts are not of the domain (%s): mail to it waits unless their certificate names it, or names says that theirs will do",
				domain, strings.Join(names[:min(len(names), 3)], ", "))
		})
	}
	work.Wait()
	return slices.DeleteFunc(warnings, func(s string) bool { return s == "" })
}
