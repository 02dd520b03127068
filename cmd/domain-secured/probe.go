package main

import (
	"cmp"
	"flag"
	"fmt"
	"time"

	"domain-secured/internal/config"
	"domain-secured/internal/gate"
	"domain-secured/internal/partner"
	"domain-secured/internal/readiness"
	"domain-secured/internal/trust"
)

var probeCommand = &command{
	name:  "probe",
	args:  "DOMAIN...",
	short: "look at partners' mail servers: are they ready for mutual TLS?",
	long: `
It connects to every address of every MX host, and of probe_hosts, over SMTP and
STARTTLS, and judges what is presented there as serve would judge it, by the
partner's settings or the defaults; the domain need not be on a list. What is
wrong comes last, in sentences that can be sent to the partner.

The exit code is 0 if the partner is ready, 1 if it is not, 75 if that cannot be
told now: the DNS failed, no server could be reached, or revocation is unknown.
Of several domains the worst counts, and 1 before 75.

Mail that comes in is judged by the certificate that the partner presents as a
client. That one cannot be seen from here; mostly it is the same.

With --learn those certificates are stored that have a chain to one of the
partner's roots and a name that speaks for it, as serve does when it looks.`,
	setup: func(flags *flag.FlagSet) func(*call) error {
		var p probeFlags
		flags.BoolVar(&p.json, "json", false, "print JSON, an object for each domain")
		flags.BoolVar(&p.learn, "learn", false, "store the good certificates that are found")
		return p.run
	},
}

type probeFlags struct{ json, learn bool }

// probesAtOnce are the domains that are looked at at the same time.
const probesAtOnce = 4

func (p *probeFlags) run(c *call) error {
	domains, err := parseDomains(c.args)
	if err != nil {
		return usagef("probe: %v", err)
	}
	cfg, err := config.Load(c.config, gate.ReadRoots)
	if err != nil {
		return err
	}
	resolver, err := newResolver(cfg)
	if err != nil {
		return exitf(exitConfiguration, "probe: dns.resolver: %w", err)
	}
	store := trust.NewStore(storeDir(cfg))
	if _, err := store.Refresh(); err != nil {
		fmt.Fprintln(c.err, "domain-secured:", err)
	}
	g, end, err := newJudge(c, cfg, store, true)
	if err != nil {
		return err
	}
	defer end()
	inspector := g.Inspector(resolver)
	defer inspector.Close()

	looks := make([]chan *partner.Report, len(domains))
	prober, slots := partner.NewProber(), make(chan struct{}, probesAtOnce)
	for i, domain := range domains {
		looks[i] = make(chan *partner.Report, 1)
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			looks[i] <- prober.Probe(c.ctx, probeTarget(inspector, domain), partner.Options{
				Resolver: resolver, Port: uint16(cfg.ProbePort), AllowPrivate: cfg.AllowPrivate, Hello: cfg.Hostname, TLSA: true, EveryKey: true,
			})
		}()
	}
	worst := exitOK
	for i, domain := range domains {
		entry, _ := inspector.Settings(domain)
		lists := readiness.Lists{Receive: cfg.Snapshot.Receive.Contains(entry), Send: cfg.Snapshot.Send.Contains(entry)}
		code, err := p.report(c, inspector, <-looks[i], lists, i > 0)
		if err != nil {
			return err
		}
		if code == exitNo || worst == exitOK {
			worst = code
		}
	}
	return silently(worst)
}

func probeTarget(inspector *gate.Inspector, domain string) partner.Target {
	_, settings := inspector.Settings(domain)
	return partner.Target{Domain: domain, Hosts: settings.ProbeHosts}
}

// report prints what became of one domain, and returns its exit code.
func (p *probeFlags) report(c *call, inspector *gate.Inspector, r *partner.Report, lists readiness.Lists, another bool) (int, error) {
	a, err := readiness.Assess(c.ctx, inspector, r, lists, time.Now())
	if err := cmp.Or(err, c.interrupted()); err != nil {
		return 0, err
	}
	var stored, known []*trust.Certificate
	var problem error // said when what was found has been said
	if p.learn {
		stored, known, problem = inspector.Learn(c.ctx, r.Domain, r)
		for _, certificate := range stored {
			a.Learned = append(a.Learned, fingerprint(certificate.Fingerprint))
		}
	}
	if p.json {
		err = c.printJSON(a)
	} else {
		if another {
			fmt.Fprintln(c.out)
		}
		err = printAssessment(c.out, a, time.Now())
	}
	if err != nil {
		return 0, err
	}
	say := func(word string, certificates []*trust.Certificate) {
		for _, certificate := range certificates {
			fmt.Fprintf(c.err, "%s: %s %s\n", word, fingerprint(certificate.Fingerprint), describe(certificate, time.Now()))
		}
	}
	say("stored", stored)
	say("already stored", known)
	if p.learn && problem == nil && len(stored)+len(known) == 0 {
		fmt.Fprintf(c.err, "nothing to store of %s: no certificate has both a chain to one of its roots and a name that speaks for it\n", r.Domain)
	}
	return map[readiness.Answer]int{readiness.Ready: exitOK, readiness.NotReady: exitNo, readiness.Unknown: exitNotNow}[a.Answer], problem
}
