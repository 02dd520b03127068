package postconf

import (
	"fmt"
	"slices"
	"strings"

	"domain-secured/internal/finding"
)

// Severity and Finding are those of every check.
type (
	Severity = finding.Severity
	Finding  = finding.Finding
)

const (
	Warning = finding.Warning
	Error   = finding.Error
)

// Check compares the settings of a Postfix with what has to hold for listed mail to be judged, for what passed to be
// stamped, for forged stamps to be removed, and for mail to listed domains to be held to what is insisted on. It does no I/O. Errors come first.
func Check(s *Settings, want Want) []Finding {
	if s == nil {
		return nil
	}
	c := checker{s: s, want: want}
	c.doors()
	for _, w := range s.Warnings {
		c.put(Finding{Severity: Warning, Parameter: namedIn(w), Problem: "postconf warns: " + w})
	}
	services := s.Services
	if len(services) == 0 {
		c.put(Finding{Severity: Warning, Problem: "no service in master.cf runs smtpd: this Postfix takes no mail by SMTP, and only main.cf was looked at"})
		services = []Service{{Params: s.Main}}
	}
	for i := range services {
		c.at(&services[i])
		asked := c.door && c.policy()
		// Where a service keeps us out on purpose, it does not matter what TLS it has.
		if asked || !c.own("smtpd_data_restrictions") || c.exempt() == "" {
			c.tls(asked)
		}
		if c.stamps {
			c.milter()
		}
		if c.door || c.stamps {
			c.newlines()
			c.xclient()
		}
	}
	if c.stamps {
		c.at(nil)
		c.filters()
		c.networks()
		c.local()
	}
	c.at(nil)
	c.sending()
	slices.SortStableFunc(c.found, func(a, b Finding) int { return int(b.Severity) - int(a.Severity) })
	return c.found
}

// doors reads where we listen.
func (c *checker) doors() {
	const address = "%s is no address that Postfix could ask: it must be inet:host:port or unix:/path"
	if listen := c.want.PolicyListen; listen == "" {
		c.put(Finding{Severity: Warning, Problem: `the policy door is off ([policy] listen = ""): Postfix tells a certificate's fingerprint to nobody else, so every listed message is refused as certificate-not-reported unless its partner has evidence = "mta"`})
	} else if c.ours, c.door = parseEndpoint(listen); !c.door {
		c.put(Finding{Severity: Error, Problem: fmt.Sprintf(address, quote(listen))})
	}
	if listen := c.want.MilterListen; listen == "" {
		c.put(Finding{Severity: Warning, Problem: `the milter door is off ([milter] listen = ""): no message is stamped, and forged Domain-Secured headers stay`})
	} else if c.filter, c.stamps = parseEndpoint(listen); !c.stamps {
		c.put(Finding{Severity: Error, Problem: fmt.Sprintf(address, quote(listen))})
	}
}

// checker judges one service at a time.
type checker struct {
	s      *Settings
	want   Want
	ours   endpoint // of the policy door
	door   bool     // ours is set
	filter endpoint // of the milter door
	stamps bool     // filter is set
	svc    *Service
	p      Params // what holds for svc
	found  []Finding
}

// at turns to a service; nil is main.cf.
func (c *checker) at(svc *Service) {
	if svc == nil {
		svc = &Service{Params: c.s.Main}
	}
	c.svc, c.p = svc, svc.Params
	if c.p == nil {
		c.p = c.s.Main
	}
}

// put keeps a finding once: what main.cf causes shows in every service.
func (c *checker) put(f Finding) {
	if !slices.Contains(c.found, f) {
		c.found = append(c.found, f)
	}
}

// setting is what a parameter should be, its value expanded as in Params.
type setting struct{ name, value string }

// add reports a finding about the current service. causes are the parameters it follows from: if the service
// has one of them its own way, the finding is the service's and its lines are for master.cf, else main.cf's.
func (c *checker) add(sev Severity, parameter, problem string, fix []setting, causes ...string) {
	f := Finding{Severity: sev, Parameter: parameter, Problem: problem}
	own := c.own(append(causes, parameter)...)
	if own {
		f.Service = c.svc.String()
	}
	var lines []string
	for _, s := range fix {
		lines = append(lines, s.line(own))
	}
	f.Line = strings.Join(lines, "\n")
	c.put(f)
}

// own says whether the service has one of these parameters other than main.cf has it.
func (c *checker) own(names ...string) bool {
	for _, name := range names {
		if _, ok := c.svc.Overrides[name]; ok || c.p[name] != c.s.Main[name] {
			return true
		}
	}
	return false
}

// line is the setting as main.cf takes it, or as a continuation line of a service's entry in master.cf
// (master(5), "-o { name = value }").
func (s setting) line(service bool) string {
	value := strings.ReplaceAll(s.value, "$", "$$") // it was expanded when read, and will be again
	switch {
	case !service:
		return strings.TrimRight(s.name+" = "+value, " ")
	case value == "" || !strings.ContainsAny(value, " \t{}"):
		return "  -o " + s.name + "=" + value
	}
	return "  -o { " + s.name + " = " + value + " }"
}

// yes reads a boolean of Postfix, which knows "yes" and "no" only.
func (c *checker) yes(name string) bool { return strings.EqualFold(c.p[name], "yes") }

// namedIn is the parameter that a warning of postconf names, as in "main.cf: unused parameter: foo=bar".
func namedIn(warning string) string {
	for _, lead := range []string{"unused parameter: ", "overriding earlier entry: ", "undefined parameter: "} {
		if _, rest, ok := strings.Cut(warning, lead); ok {
			name, _, _ := strings.Cut(rest, "=")
			return strings.TrimSpace(name)
		}
	}
	return ""
}
