package policy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// end judges the scene's envelope, then its content.
func (s *scene) end(t *testing.T, from ...string) Ending {
	t.Helper()
	v := s.judge(t)
	f := From{Bodies: from}
	return v.Content(t.Context(), s.facts, &f, s.evidence, now)
}

const (
	bankFrom  = "Alice <alice@woodgrovebank.com>"
	otherFrom = "Erin <erin@fabrikam.com>"
)

// TestStampable: a stamp where it is true and nowhere else.
func TestStampable(t *testing.T) {
	for _, c := range []struct {
		what    string
		from    []string
		stamped bool
		change  func(*scene)
	}{
		{"a pass", []string{bankFrom}, true, func(*scene) {}},
		{"From below the domain", []string{"alice@us.woodgrovebank.com"}, true, func(*scene) {}},
		{"two mailboxes of the domain", []string{"alice@woodgrovebank.com, bob@woodgrovebank.com"}, true, func(*scene) {}},
		{"From of another domain", []string{otherFrom}, false, func(*scene) {}},
		{"From of another domain beside", []string{bankFrom + ", " + otherFrom}, false, func(*scene) {}},
		{"From of a domain that ends alike", []string{"a@evilwoodgrovebank.com"}, false, func(*scene) {}},
		{"two From headers", []string{bankFrom, bankFrom}, false, func(*scene) {}},
		{"no From header", nil, false, func(*scene) {}},
		{"From of another domain, off", []string{otherFrom}, true, func(s *scene) { s.partner.FromAlignment = FromAlignmentOff }},
		{"no From header, off", nil, true, func(s *scene) { s.partner.FromAlignment = FromAlignmentOff }},
		{"From of another domain, enforce", []string{otherFrom}, false, func(s *scene) { s.partner.FromAlignment = FromAlignmentEnforce }},
		{"a pass, enforce", []string{bankFrom}, true, func(s *scene) { s.partner.FromAlignment = FromAlignmentEnforce }},
		{"testing", []string{bankFrom}, false, func(s *scene) { s.partner.Mode = ModeTesting }},
		{"off", []string{bankFrom}, false, func(s *scene) { s.partner.Mode = ModeOff }},
		{"refused", []string{bankFrom}, false, func(s *scene) { s.facts.TLSVersion = "" }},
		{"two readings of the sender", []string{bankFrom}, false, func(s *scene) { s.facts.Sender = "fabrikam.com!a%woodgrovebank.com" }},
		{"null sender", []string{bankFrom}, false, func(s *scene) { s.facts.Sender = "" }},
		{"not listed", []string{otherFrom}, false, func(s *scene) { s.facts.Sender = "erin@fabrikam.com" }},
		{"connector off", []string{bankFrom}, false, func(s *scene) { s.connector = []Connector{{Treat: TreatOff}} }},
		{"connector internal", []string{bankFrom}, false, func(s *scene) { s.connector = []Connector{{Treat: TreatInternal}} }},
		{"connector external", []string{bankFrom}, true, func(s *scene) {
			s.connector = []Connector{{Treat: TreatExternal, Partners: []string{"woodgrovebank.com"}}}
			s.facts.TLSVersion = ""
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := newScene()
			s.partner.FromAlignment = FromAlignmentStamp
			c.change(s)
			end := s.end(t, c.from...)
			if (end.Stamp != "") != c.stamped {
				t.Errorf("stamp %q; %s %s", end.Stamp, end.Verdict.Reason, end.Verdict.Detail)
			}
			if internal := c.what == "connector internal"; end.Keep != internal {
				t.Errorf("keep %v", end.Keep)
			}
		})
	}
}

// TestStampText: what does not apply is left out, and nothing breaks a line.
func TestStampText(t *testing.T) {
	fingerprint := "sha256:01" + strings.Repeat("0", 62)
	for _, c := range []struct {
		what   string
		change func(*scene, *Verdict)
		want   string
	}{
		{"chain", func(*scene, *Verdict) {}, "mx1.contoso.com; domain=woodgrovebank.com; auth=chain; name=mail1.woodgrovebank.com;\n" +
			"  fingerprint=" + fingerprint + "; revocation=crl; tls=TLSv1.3; client=192.0.2.7"},
		{"pin", func(_ *scene, v *Verdict) { v.Auth, v.MatchedName, v.Revocation = AuthPin, "", "" }, "mx1.contoso.com; domain=woodgrovebank.com; auth=pin;\n" +
			"  fingerprint=" + fingerprint + "; tls=TLSv1.3; client=192.0.2.7"},
		{"external, no TLS", func(s *scene, v *Verdict) {
			v.Auth, v.MatchedName, v.Revocation, v.Fingerprint, s.facts.TLSVersion = AuthExternal, "", "", Hash{}, ""
		}, "mx1.contoso.com; domain=woodgrovebank.com; auth=external;\n  client=192.0.2.7"},
		{"nothing known of the client", func(s *scene, v *Verdict) {
			v.Auth, v.MatchedName, v.Revocation, v.Fingerprint, s.facts.TLSVersion, s.facts.Client = AuthExternal, "", "", Hash{}, "", netip.AddrPort{}
		}, "mx1.contoso.com; domain=woodgrovebank.com; auth=external"},
		{"made up", func(s *scene, v *Verdict) {
			s.facts.Server, s.facts.TLSVersion, v.MatchedName = "mx1\r\nEvil: x", "TLS\x001;x=y", "*.é.example"
		}, "mx1??Evil:?x; domain=woodgrovebank.com; auth=chain; name=*.??.example;\n" +
			"  fingerprint=" + fingerprint + "; revocation=crl; tls=TLS?1?x?y; client=192.0.2.7"},
		{"no name of its own", func(s *scene, v *Verdict) { s.facts.Server = "" }, "unknown; domain=woodgrovebank.com; auth=chain; name=mail1.woodgrovebank.com;\n" +
			"  fingerprint=" + fingerprint + "; revocation=crl; tls=TLSv1.3; client=192.0.2.7"},
		{"IPv6", func(s *scene, v *Verdict) {
			v.Auth, v.MatchedName, v.Revocation, v.Fingerprint, s.facts.TLSVersion = AuthExternal, "", "", Hash{}, ""
			s.facts.Client = netip.MustParseAddrPort("[fe80::1%eth0]:25")
		}, "mx1.contoso.com; domain=woodgrovebank.com; auth=external;\n  client=fe80::1"},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := newScene()
			s.facts.Server = "mx1.contoso.com"
			v := s.judge(t)
			c.change(s, &v)
			if got := v.stamp(s.facts, ""); got != c.want {
				t.Errorf("%q\nwant %q", got, c.want)
			}
		})
	}
	s := newScene()
	v := s.judge(t)
	if got := v.stamp(s.facts, "edge.contoso.com"); !strings.HasPrefix(got, "edge.contoso.com; ") {
		t.Errorf("hostname does not count: %q", got)
	}
}

// TestFromJudged: domains that insist on From headers are judged for it on the
// connection's facts.
func TestFromJudged(t *testing.T) {
	for _, c := range []struct {
		what   string
		from   []string
		reason Reason
		reply  string // code and enhanced code
		change func(*scene)
	}{
		{"proven", []string{bankFrom}, None, "", func(*scene) {}},
		{"not named", []string{otherFrom}, None, "", func(s *scene) { s.facts.TLSVersion = "" }},
		{"no TLS", []string{bankFrom}, FromNotSecured, "450 4.7.1", func(s *scene) { s.facts.TLSVersion = "" }},
		{"no TLS, reject", []string{bankFrom}, FromNotSecured, "550 5.7.1", func(s *scene) { s.facts.TLSVersion = ""; s.partner.OnFailure = OnFailureReject }},
		{"our own fault, reject", []string{bankFrom}, FromNotSecured, "450 4.7.1", func(s *scene) {
			s.evidence.err = errors.New("broken")
			s.partner.OnFailure = OnFailureReject
		}},
		{"second From header", []string{otherFrom, bankFrom}, FromNotSecured, "450 4.7.1", func(s *scene) { s.facts.TLSVersion = "" }},
		{"in a display name", []string{`"alice@woodgrovebank.com" <erin@fabrikam.com>`}, None, "", func(s *scene) { s.facts.TLSVersion = "" }},
		{"malformed", []string{`alice@woodgrovebank.com <erin@fabrikam.com>`}, FromNotSecured, "450 4.7.1", func(s *scene) { s.facts.TLSVersion = "" }},
		{"testing", []string{bankFrom}, FromNotSecured, "", func(s *scene) { s.facts.TLSVersion = ""; s.partner.Mode = ModeTesting }},
		{"off", []string{bankFrom}, None, "", func(s *scene) { s.facts.TLSVersion = ""; s.partner.Mode = ModeOff }},
		{"connector off", []string{bankFrom}, None, "", func(s *scene) { s.facts.TLSVersion = ""; s.connector = []Connector{{Treat: TreatOff}} }},
		{"stamp only", []string{bankFrom}, None, "", func(s *scene) { s.facts.TLSVersion = ""; s.partner.FromAlignment = FromAlignmentStamp }},
	} {
		for _, sender := range []string{"", "erin@fabrikam.com"} {
			t.Run(fmt.Sprintf("%s, sender %q", c.what, sender), func(t *testing.T) {
				s := newScene()
				s.facts.Sender = sender
				s.partner.FromAlignment = FromAlignmentEnforce
				c.change(s)
				end := s.end(t, c.from...)
				v := &end.Verdict
				reply := ""
				if v.Refused() {
					reply = v.Reply.Code + " " + v.Reply.Enhanced
				}
				if v.Reason != c.reason || reply != c.reply || end.Stamp != "" {
					t.Errorf("%q %q (%s), stamp %q", v.Reason, reply, v.Detail, end.Stamp)
				}
				if c.what == "our own fault, reject" && v.Escalate() {
					t.Error("what passes by itself became permanent")
				}
			})
		}
	}
}

// TestManyFromDomains: no certificate proves that many, and no more are asked for.
func TestManyFromDomains(t *testing.T) {
	s := newScene()
	s.facts.Sender = ""
	var list, from strings.Builder
	for i := range 99 {
		fmt.Fprintf(&list, "partner%d.example\n", i)
		fmt.Fprintf(&from, "a@partner%d.example, ", i)
	}
	domains, err := ParseList(list.String())
	if err != nil {
		t.Fatal(err)
	}
	s.partner.FromAlignment, s.partner.Trust, s.partner.Pins = FromAlignmentEnforce, TrustPins, []Hash{{1}} // would pass
	snapshot := NewSnapshot(domains, nil, s.partner, nil, nil)
	sender := snapshot.Sender(s.facts)
	v := snapshot.Judge(context.Background(), s.facts, &sender, s.evidence, now)
	f := From{Bodies: []string{strings.TrimSuffix(from.String(), ", ")}}
	if end := v.Content(t.Context(), s.facts, &f, s.evidence, now); end.Verdict.Reason != FromNotSecured {
		t.Errorf("%q %s", end.Verdict.Reason, end.Verdict.Detail)
	}
	if len(s.evidence.asked) > maxFromDomains+1 {
		t.Errorf("asked %d times", len(s.evidence.asked))
	}
}

// TestFromUnread: a From header that could not be kept may name anybody.
func TestFromUnread(t *testing.T) {
	for insists, want := range map[FromAlignment]Reason{FromAlignmentEnforce: InternalError, FromAlignmentStamp: None} {
		s := newScene()
		s.facts.Sender = "erin@fabrikam.com"
		s.partner.FromAlignment = insists
		v := s.judge(t)
		f := From{Bodies: []string{otherFrom}, Truncated: true}
		end := v.Content(t.Context(), s.facts, &f, s.evidence, now)
		if end.Verdict.Reason != want || end.Verdict.Refused() != (want != None) {
			t.Errorf("%s: %q %q", insists, end.Verdict.Reason, end.Verdict.Reply)
		}
	}
}
