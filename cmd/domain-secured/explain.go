package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"

	"domain-secured/internal/config"
	"domain-secured/internal/gate"
	"domain-secured/internal/trust"
	"domain-secured/policy"
)

var explainCommand = &command{
	name:  "explain",
	short: "show what would be decided about a message, and why",
	long: `
Every rule is shown with its outcome, also those after the first that fails. It is
the daemon's own code on the same configuration and store, without the memory of
what happened before (escalate_after). Nothing leaves this machine without --fetch;
what would have is "not looked up" then. The exit code is 0 for a pass or a domain
that is not listed, 1 for a refusal for good, 75 for a refusal for now, as mode
"enforce" would have it; also 75 if that hangs on what was not looked up.

  domain-secured explain --sender alice@woodgrovebank.com --client 192.0.2.7 \
      --tls TLSv1.3 --certificate woodgrove.pem`,
	setup: func(flags *flag.FlagSet) func(*call) error {
		var q explainFlags
		flags.StringVar(&q.sender, "sender", "", "the sender `ADDRESS` of the envelope; required")
		flags.StringVar(&q.client, "client", "", "the client's `IP` address")
		flags.StringVar(&q.listener, "listener", "", "policy_context or daemon `NAME`, for connectors")
		flags.IntVar(&q.port, "port", 0, "our own server's `PORT`, for connectors")
		flags.StringVar(&q.tls, "tls", "", "the session's TLS `VERSION`, as in TLSv1.3; without it there was no TLS")
		flags.IntVar(&q.bits, "bits", 256, "the session's key length in `BITS`")
		flags.StringVar(&q.certificate, "certificate", "", "the certificate that was presented, a `FILE` as for cert import")
		flags.StringVar(&q.fingerprint, "fingerprint", "", "its `SHA-256`, to be looked up in the store")
		flags.StringVar(&q.key, "key-fingerprint", "", "the `SHA-256` of its public key")
		flags.BoolVar(&q.mtaTrusted, "mta-trusted", false, "the mail server itself trusted the certificate")
		flags.StringVar(&q.cn, "cn", "", "the common `NAME` that the mail server saw")
		flags.StringVar(&q.altName, "alt-name", "", "another `NAME` of the certificate that Sendmail told, macro {ds_altname}")
		flags.StringVar(&q.issuerCN, "issuer-cn", "", "the issuer's common `NAME` that the mail server saw")
		flags.StringVar(&q.at, "at", "", "judge as of this `TIME`, as in 2026-11-22T12:00:00Z (default now)")
		flags.BoolVar(&q.fetch, "fetch", false, "allow questions to other machines: TLSA records, CRLs, OCSP")
		flags.BoolVar(&q.json, "json", false, "print JSON")
		return q.run
	},
}

type explainFlags struct {
	sender, client, listener, tls string
	certificate, fingerprint, key string
	cn, altName, issuerCN, at     string
	port, bits                    int
	mtaTrusted, fetch, json       bool
}

// explained is what explain --json prints; the log line of a verdict has the
// same keys.
type explained struct {
	Domain      string               `json:"domain"`
	Entry       string               `json:"entry,omitempty"`
	Listed      bool                 `json:"listed"`
	Result      policy.Result        `json:"result"`
	Reason      policy.Reason        `json:"reason"`
	Detail      string               `json:"detail,omitempty"`
	Action      policy.Action        `json:"action"`
	Reply       string               `json:"reply"`
	WouldReply  string               `json:"would_reply,omitempty"` // in mode enforce, if the mode is testing
	Auth        policy.Auth          `json:"auth"`
	MatchedName string               `json:"matched_name"`
	Mode        policy.Mode          `json:"mode"`
	Revocation  string               `json:"revocation,omitempty"`
	Connector   string               `json:"connector,omitempty"`
	CannotTell  bool                 `json:"cannot_tell,omitempty"` // it hangs on what was not looked up
	Readings    []policy.Explanation `json:"readings"`
}

func (q *explainFlags) run(c *call) error {
	facts, presented, at, err := q.question(c)
	if err != nil {
		return err
	}
	cfg, err := config.Load(c.config, gate.ReadRoots)
	if err != nil {
		return err
	}
	store, err := readStore(c, cfg)
	if err != nil {
		return err
	}
	g, end, err := newJudge(c, cfg, store, q.fetch)
	if err != nil {
		return err
	}
	defer end()
	if q.fetch {
		resolver, err := newResolver(cfg)
		if err != nil {
			return exitf(exitConfiguration, "%s: dns.resolver: %w", cfg.File, err)
		}
		defer g.AskDNS(resolver)()
	}
	verdict, readings := g.Explain(c.ctx, facts, presented, at)
	if err := c.interrupted(); err != nil {
		return err
	}
	if q.json {
		err = c.printJSON(explainVerdict(&verdict, readings))
	} else {
		err = printVerdict(c.out, &verdict, readings)
	}
	if err != nil {
		return err
	}
	return silently(verdictExit(&verdict))
}

// verdictExit is the exit code that mode enforce would lead to.
func verdictExit(v *policy.Verdict) int {
	switch {
	case v.Open:
		return exitNotNow
	case v.Result != policy.ResultFail:
		return exitOK
	case strings.HasPrefix(v.Reply.Code, "5"):
		return exitNo
	}
	return exitNotNow
}

// question turns the flags into what a mail server would have told.
func (q *explainFlags) question(c *call) (*policy.Facts, *policy.Certificate, time.Time, error) {
	fail := func(format string, args ...any) (*policy.Facts, *policy.Certificate, time.Time, error) {
		return nil, nil, time.Time{}, usagef("explain: "+format, args...)
	}
	switch {
	case len(c.args) > 0:
		return fail("takes no arguments, only flags: %q", c.args[0])
	case q.sender == "":
		return fail("--sender is missing")
	case q.certificate != "" && q.fingerprint != "":
		return fail("--certificate and --fingerprint are two ways to say the same: give one")
	case q.port < 0 || q.port > 65535:
		return fail("--port: %d is not a port", q.port)
	}
	f := &policy.Facts{Sender: q.sender, Listener: q.listener, ListenerPort: uint16(q.port), TLSVersion: q.tls}
	if q.tls != "" {
		if policy.ParseTLSVersion(q.tls) == 0 {
			return fail("--tls: %q is not a version such as TLSv1.3", q.tls)
		}
		f.Bits = q.bits
	}
	if q.client != "" {
		addr, err := netip.ParseAddr(q.client)
		if err != nil {
			return fail("--client: %q is not an IP address", q.client)
		}
		f.Client = netip.AddrPortFrom(addr.Unmap(), 0)
	}
	at, err := parseAt("explain", q.at)
	if err != nil {
		return nil, nil, time.Time{}, err
	}
	presented, err := q.reported(&f.Certificate)
	return f, presented, at, err
}

// reported fills in what the mail server would have said of the certificate, and
// returns the certificate if it was given.
func (q *explainFlags) reported(r *policy.Reported) (*policy.Certificate, error) {
	*r = policy.Reported{Presence: policy.PresenceNo, Trusted: q.mtaTrusted, CN: q.cn, AltName: q.altName, IssuerCN: q.issuerCN}
	hash := func(flag, s string, into *policy.Hash) error {
		if s == "" {
			return nil
		}
		h, err := policy.ParseHash(s)
		if err != nil {
			return usagef("explain: --%s: %v", flag, err)
		}
		*into = h
		return nil
	}
	if err := hash("fingerprint", q.fingerprint, &r.Fingerprint); err != nil {
		return nil, err
	}
	if err := hash("key-fingerprint", q.key, &r.Key); err != nil {
		return nil, err
	}
	var presented *policy.Certificate
	if q.certificate != "" {
		certificates, err := readCertificates(q.certificate)
		if err != nil {
			return nil, err
		}
		if len(certificates) > 1 {
			return nil, exitf(exitInput, "%s: it holds %d certificates that could be the one presented: give one, with its intermediates", q.certificate, len(certificates))
		}
		leaf := certificates[0]
		presented = &policy.Certificate{Fingerprint: policy.Hash(leaf.Fingerprint), X509: leaf.X509, Presented: leaf.Presented}
		r.Fingerprint, r.Key = presented.Fingerprint, policy.Hash(trust.KeyFingerprint(leaf.X509))
	}
	if !r.Fingerprint.IsZero() || !r.Key.IsZero() || r.Trusted {
		r.Presence = policy.PresenceYes
	}
	return presented, nil
}

func explainVerdict(v *policy.Verdict, readings []policy.Explanation) explained {
	e := explained{
		Domain: v.Domain, Listed: v.Listed, Result: v.Result, Reason: v.Reason, Detail: v.Detail, Action: v.Action,
		Auth: v.Auth, MatchedName: v.MatchedName, Mode: v.Mode, Revocation: string(v.Revocation), Connector: v.Connector, CannotTell: v.Open,
		Readings: append([]policy.Explanation{}, readings...),
	}
	if v.Entry != v.Domain {
		e.Entry = v.Entry
	}
	if v.Action == policy.ActionNone {
		e.WouldReply = v.Reply.String()
	} else {
		e.Reply = v.Reply.String()
	}
	return e
}

// printRows prints rows of the table.
func printRows(out io.Writer, rows []policy.Row) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		outcome := string(row.Outcome)
		if row.Reason != policy.None {
			outcome += " " + string(row.Reason)
		}
		fmt.Fprintf(w, "  %2d\t%s\t%s\t%s\n", row.Number, row.Check, outcome, harmless(row.Detail))
	}
	return w.Flush()
}

func printVerdict(out io.Writer, v *policy.Verdict, readings []policy.Explanation) error {
	for _, reading := range readings {
		fmt.Fprintf(out, "%s", harmless(reading.Domain))
		if reading.Entry != reading.Domain {
			fmt.Fprintf(out, " (listed as %s)", reading.Entry)
		}
		fmt.Fprintln(out)
		if err := printRows(out, reading.Rows); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	if v.Open {
		fmt.Fprintln(out, "cannot tell: what was not looked up may decide (--fetch allows it); without it")
	}
	switch {
	case !v.Listed:
		fmt.Fprintf(out, "none: %s is not listed\n", harmless(cmp.Or(v.Domain, "a sender without a domain")))
	case v.Result == policy.ResultNone && v.Mode == policy.ModeOff:
		fmt.Fprintln(out, `none: mode = "off"`)
	case v.Result == policy.ResultNone:
		fmt.Fprintf(out, "none: %s\n", v.Detail)
	case v.Result == policy.ResultPass:
		fmt.Fprintf(out, "pass: auth=%s", v.Auth)
		if v.MatchedName != "" {
			fmt.Fprintf(out, " name=%s", v.MatchedName)
		}
		fmt.Fprintln(out)
	default:
		fmt.Fprintf(out, "fail: %s (%s)\n", v.Reason, harmless(v.Detail))
		word := "the client is told"
		if v.Action == policy.ActionNone {
			word = `mode = "testing", else the client would be told`
		}
		fmt.Fprintf(out, "%s: %s\n", word, v.Reply)
	}
	return nil
}
