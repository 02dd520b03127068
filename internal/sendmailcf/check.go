package sendmailcf

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"domain-secured/internal/finding"
)

// Want is what our own configuration says.
type Want struct {
	MilterListen string // [milter] listen: "inet:host:port", "unix:/path", "" for off
	MTAEvidence  bool   // a partner has evidence = "mta"
	Sending      bool   // there are domains on the send list
	TLSMapListen string // [tlsmap] listen

	Send iter.Seq[string]  // the domains on that list that are held to something; nil for none
	Held func(string) bool // whether a domain is, be it by an entry for one above it
}

// mcFile is the file that lines are for. sendmail.cf is made of it.
const mcFile = "sendmail.mc"

type checker struct {
	s     *Settings
	want  Want
	found []finding.Finding
}

func (c *checker) put(severity finding.Severity, parameter, line, format string, args ...any) {
	f := finding.Finding{Severity: severity, Parameter: parameter, Problem: fmt.Sprintf(format, args...), Line: line}
	if line != "" {
		f.File = mcFile
	}
	c.found = append(c.found, f)
}

// Check compares a sendmail.cf with what has to hold for listed mail to be judged, and for what passed to be stamped.
// Errors come first.
func Check(s *Settings, want Want) []finding.Finding {
	c := &checker{s: s, want: want}
	c.milter()
	c.fingerprint()
	c.tls()
	c.crl()
	c.features()
	c.sending()
	c.routes(want.Send)
	slices.SortStableFunc(c.found, func(a, b finding.Finding) int { return int(b.Severity) - int(a.Severity) })
	return c.found
}

// sending looks for what holds mail going out to the send list: the ruleset that asks us.
func (c *checker) sending() {
	switch {
	case !c.want.Sending:
	case c.s.SendMap == "":
		c.put(finding.Warning, "", "", "Sendmail does not ask about mail going out, and mail to the domains on the send list goes as all mail does, but for those that have TLS_Rcpt lines in its access map: contrib/sendmail/sending.mc has it ask")
	case c.want.TLSMapListen == "":
		c.put(finding.Error, "", "", `Sendmail asks %s about mail going out, and that door is off ([tlsmap] listen = ""): all of it waits`, c.s.SendMap)
	case !reaches(c.s.SendMap, c.want.TLSMapListen):
		c.put(finding.Error, "", "", "Sendmail asks %s about mail going out, and domain-secured listens at %s ([tlsmap] listen): all of it waits, or somebody else answers", c.s.SendMap, c.want.TLSMapListen)
	}
	if size := c.s.option("ConnectionCacheSize"); c.s.SendMap != "" && size != "" && size != "0" {
		c.put(finding.Warning, "ConnectionCacheSize", "define(`confMCI_CACHE_SIZE', `0')dnl", "Sendmail keeps sessions (ConnectionCacheSize=%s): where send_verify is names, one message of a queue run goes out, and others wait for the next run", size)
	}
}

// milter looks for our filter, and at what becomes of mail without it.
func (c *checker) milter() {
	if c.want.MilterListen == "" {
		c.put(finding.Error, "", "", `the milter door is off ([milter] listen = ""), and Sendmail knows no other: all mail is let in unjudged`)
		return
	}
	at := slices.IndexFunc(c.s.Filters, func(f Filter) bool { return reaches(f.Socket, c.want.MilterListen) })
	if at < 0 {
		c.put(finding.Error, "InputMailFilters", filterLine("domain-secured", c.want.MilterListen),
			"no filter asks domain-secured at %s: all mail is let in unjudged", c.want.MilterListen)
		return
	}
	f := c.s.Filters[at]
	line := filterLine(f.Name, c.want.MilterListen)
	input := strings.FieldsFunc(c.s.option("InputMailFilters"), isSeparator)
	daemons := c.s.Daemons
	if len(daemons) == 0 {
		daemons = []Daemon{{}}
	}
	for _, d := range daemons {
		switch {
		case d.own && !slices.Contains(d.Filters, f.Name):
			c.put(finding.Error, "DaemonPortOptions", "", "daemon %s has filters of its own (I=), and %s is not among them: what comes in there is let in unjudged", d.Name, f.Name)
		case !d.own && !slices.Contains(input, f.Name):
			c.once(finding.Error, "InputMailFilters", line, "the filter %s is known, but not asked (MAIL_FILTER instead of INPUT_MAIL_FILTER?): all mail is let in unjudged", f.Name)
		}
	}
	switch f.Failure {
	case "T", "4":
	case "R":
		c.put(finding.Warning, "InputMailFilters", line, "with F=R all mail is refused for good while domain-secured does not answer")
	default:
		c.put(finding.Error, "InputMailFilters", line, "without F=T mail is let in unjudged, forged stamps and all, while domain-secured does not answer")
	}
	for _, stage := range []string{"S", "R", "E"} {
		if limit, ok := duration(f.Times[stage]); ok && limit < minTime {
			c.once(finding.Warning, "InputMailFilters", line, "the filter is given less time (%s:%s) than domain-secured may take (4.5 s): then it counts as failed for the rest of the session", stage, f.Times[stage])
		}
	}
}

// once keeps one finding of a parameter and severity.
func (c *checker) once(severity finding.Severity, parameter, line, format string, args ...any) {
	if !slices.ContainsFunc(c.found, func(f finding.Finding) bool { return f.Severity == severity && f.Parameter == parameter }) {
		c.put(severity, parameter, line, format, args...)
	}
}

// minTime is what a verdict may take, and a bit.
const minTime = 5 * time.Second

// duration reads a time as convtime of Sendmail does: "1m30s", seconds without a unit.
func duration(text string) (sum time.Duration, ok bool) {
	if text == "" {
		return 0, false
	}
	n := time.Duration(-1)
	for i := range len(text) {
		unit := time.Second
		switch letter := text[i]; letter {
		case '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			n = max(n, 0)*10 + time.Duration(letter-'0')
			if n > 1_000_000 {
				return 0, false
			}
			continue
		case 's':
		case 'm':
			unit = time.Minute
		case 'h':
			unit = time.Hour
		case 'd':
			unit = 24 * time.Hour
		case 'w':
			unit = 7 * 24 * time.Hour
		default:
			return 0, false
		}
		if n < 0 {
			return 0, false
		}
		sum, n = sum+n*unit, -1
	}
	return sum + max(n, 0)*time.Second, true
}

// fingerprint: a certificate is known by its SHA-256, and by nothing else.
func (c *checker) fingerprint() {
	const line = "define(`confCERT_FINGERPRINT_ALGORITHM', `sha256')dnl"
	const refused = `every listed message is refused as certificate-not-reported unless its partner has evidence = "mta"`
	const name = "CertFingerprintAlgorithm"
	switch algorithm := c.s.option(name); strings.ToLower(algorithm) {
	case "sha256":
	case "":
		c.put(finding.Error, name, line, "Sendmail tells no SHA-256 of certificates: %s", refused)
	case "md5", "sha1":
		c.put(finding.Error, name, line, "Sendmail tells %s of certificates, and not SHA-256: %s", algorithm, refused)
	default:
		c.put(finding.Error, name, line, "with %s Sendmail may end every session that has a certificate, or offer no TLS: %s", algorithm, refused)
	}
}
