package readiness

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"domain-secured/internal/partner"
	"domain-secured/internal/testkit/pki"
	"domain-secured/policy"
)

// TestAnswer: what each problem of one of two addresses makes of the answer, and of
// the only one.
func TestAnswer(t *testing.T) {
	w := newWorld(t)
	good := w.issue(t, pki.LeafOptions{})
	for _, c := range []struct {
		problem       partner.Problem
		detail        string
		beside, alone Answer
		audience      Audience
	}{
		{partner.RefusedAddress, "not a global unicast address", Ready, Unknown, ForUs},
		{partner.NotTried, "no time was left", Ready, Unknown, ForUs},
		{partner.ConnectFailed, "dial tcp 192.0.2.1:25: connect: connection refused", Ready, Unknown, ForPartner},
		{partner.ConnectFailed, "dial tcp [2001:db8::1]:25: connect: network is unreachable", Ready, Unknown, ForUs},
		{partner.TimedOut, "the greeting: i/o timeout", Ready, Unknown, ForPartner},
		{partner.ConnectionLost, "connection reset by peer", Ready, Unknown, ForPartner},
		{partner.NoGreeting, "EOF", Ready, Unknown, ForPartner},
		{partner.Refused, "the greeting: 554 no", Ready, Unknown, ForPartner},
		{partner.BadReply, "not an SMTP reply", NotReady, NotReady, ForPartner},
		{partner.OutOfTurn, "4 octets came before EHLO was sent", NotReady, NotReady, ForPartner},
		{partner.NoSTARTTLS, "EHLO does not list STARTTLS", NotReady, NotReady, ForPartner},
		{partner.STARTTLSFailed, "STARTTLS: 454 no", NotReady, NotReady, ForPartner},
		{partner.PlaintextAfterSTARTTLS, "4 octets", NotReady, NotReady, ForPartner},
		{partner.HandshakeFailed, "TLS handshake: EOF", NotReady, NotReady, ForPartner},
		{partner.CertificateUnreadable, "x509: malformed", NotReady, NotReady, ForPartner},
		{partner.RefusedAfterTLS, "after the TLS handshake: 530 no", Ready, Unknown, ForUs},
	} {
		bad := failed(c.problem, c.detail)
		if c.problem == partner.HandshakeFailed {
			bad.TLS = &partner.TLS{}
		}
		for _, alone := range []bool{false, true} {
			addresses, want := []*partner.Address{presents(good), bad}, c.beside
			if alone {
				addresses, want = addresses[1:], c.alone
			}
			a := w.assess(t, report(addresses...), Lists{})
			f := find(a, string(c.problem))
			if a.Answer != want || f.For != c.audience || !strings.HasPrefix(f.Sentence, "mx1.woodgrovebank.com ") {
				t.Errorf("%s, alone %v: %s, not %s: %+v", c.problem, alone, a.Answer, want, f)
			}
			// Which of the addresses it is about is said where it is not about all.
			if strings.HasPrefix(f.Sentence, "mx1.woodgrovebank.com (192.0.2.2) ") == alone {
				t.Errorf("%s, alone %v: %s", c.problem, alone, f.Sentence)
			}
		}
	}
}

// TestDomain: what the DNS says of the domain and of its hosts.
func TestDomain(t *testing.T) {
	w := newWorld(t)
	for problem, want := range map[partner.Problem]Answer{
		partner.NoSuchName: NotReady, partner.NoMail: NotReady, partner.NoMX: NotReady, partner.DNSFailed: Unknown, partner.DNSBogus: Unknown,
	} {
		a := w.assess(t, &partner.Report{Domain: "woodgrovebank.com", Problem: problem, Detail: "MX records of woodgrovebank.com: no"}, Lists{})
		if f := find(a, string(problem)); a.Answer != want || !strings.HasPrefix(f.Sentence, "woodgrovebank.com ") {
			t.Errorf("%s: %s, not %s: %s", problem, a.Answer, want, f.Sentence)
		}
	}
	good := w.issue(t, pki.LeafOptions{})
	for problem, audience := range map[partner.Problem]Audience{partner.NoSuchName: ForPartner, partner.NoAddress: ForPartner, partner.DNSFailed: ForUs, partner.BadName: ForUs} {
		r := report(presents(good))
		r.Hosts = append(r.Hosts, &partner.Host{Name: "mx2.woodgrovebank.com", Source: partner.SourceMX, Problem: problem, Detail: "no"})
		if a := w.assess(t, r, Lists{}); a.Answer != Ready || find(a, string(problem)).For != audience {
			t.Errorf("%s: %s %+v", problem, a.Answer, find(a, string(problem)))
		}
		r.Hosts = r.Hosts[1:]
		if a := w.assess(t, r, Lists{}); a.Answer != Unknown {
			t.Errorf("%s alone: %s", problem, a.Answer)
		}
	}
	sender := report(presents(good))
	sender.Problem, sender.Hosts[0].Source = partner.NoMail, partner.SourceProbe
	if a := w.assess(t, sender, Lists{}); a.Answer != Ready || find(a, string(partner.NoMail)).Weight != Remark {
		t.Errorf("who only sends: %s %+v", a.Answer, a.Findings)
	}
	r := report(presents(good))
	r.Hosts = append(r.Hosts, &partner.Host{Name: "mx9.woodgrovebank.com", Source: partner.SourceProbe, Problem: partner.NoSuchName})
	if f := find(w.assess(t, r, Lists{}), string(partner.NoSuchName)); f.For != ForUs || !strings.Contains(f.Sentence, "mend probe_hosts") {
		t.Errorf("a probe host: %+v", f)
	}
}

// TestRequest: who is to be sent to has to ask for a certificate.
func TestRequest(t *testing.T) {
	w := newWorld(t)
	address := presents(w.issue(t, pki.LeafOptions{}))
	address.TLS.ClientCertificateRequested = false
	for lists, want := range map[Lists]Answer{{}: NotReady, {Send: true}: NotReady, {Receive: true, Send: true}: NotReady, {Receive: true}: Ready} {
		if a := w.assess(t, report(address), lists); a.Answer != want || find(a, NotRequested).For != ForPartner {
			t.Errorf("%+v: %s, not %s", lists, a.Answer, want)
		}
	}
	// Whether it would have asked is not known of a handshake that failed; who asks and
	// breaks off wants one.
	address.Problem, address.Detail, address.TLS.Version = partner.HandshakeFailed, "TLS handshake: remote error: tls: bad certificate", ""
	if a := w.assess(t, report(address), Lists{}); a.Answer != NotReady || find(a, NotRequested).Token != "" {
		t.Errorf("%s %+v", a.Answer, a.Findings)
	}
	address.TLS.ClientCertificateRequested = true
	if a := w.assess(t, report(address), Lists{}); a.Answer != Unknown || !strings.Contains(find(a, string(partner.HandshakeFailed)).Sentence, "a probe presents none") {
		t.Errorf("%s %+v", a.Answer, a.Findings)
	}
}

// TestStrength: a version is what the server can do; bits may be our own choice.
func TestStrength(t *testing.T) {
	w := newWorld(t)
	good := w.issue(t, pki.LeafOptions{})
	for _, c := range []struct {
		version, cipher string
		minBits         int
		want            Answer
		token           string
	}{
		{"TLS 1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", 128, Ready, ""},
		{"TLS 1.3", "TLS_AES_128_GCM_SHA256", 256, Ready, BitsNotCertain},
		{"TLS 1.3", "TLS_CHACHA20_POLY1305_SHA256", 256, Ready, ""},
		{"TLS 1.1", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", 128, NotReady, "tls-too-weak"},
		{"TLS 1.0", "TLS_RSA_WITH_AES_128_CBC_SHA", 128, NotReady, "tls-too-weak"},
		{"TLS 1.2", "TLS_RSA_WITH_3DES_EDE_CBC_SHA", 128, NotReady, "tls-too-weak"},
	} {
		w.settings.MinBits = c.minBits
		address := presents(good)
		address.TLS.Version, address.TLS.Cipher = c.version, c.cipher
		a := w.assess(t, report(address), Lists{})
		if a.Answer != c.want || c.token == "" && len(a.Findings) > 0 || find(a, c.token).Token != c.token {
			t.Errorf("%s %s, min_bits = %d: %s %+v", c.version, c.cipher, c.minBits, a.Answer, a.Findings)
		}
		if shown := a.Hosts[0].Addresses[0].TLS.Version; policy.ParseTLSVersion(shown) == 0 {
			t.Errorf("%q is no version", shown)
		}
	}
}

// TestTLSARecords: a record that names another certificate is worth a word, one that
// names an authority is not looked at.
func TestTLSARecords(t *testing.T) {
	w := newWorld(t)
	good := w.issue(t, pki.LeafOptions{})
	one := []byte{1}
	for _, c := range []struct {
		name    string
		status  partner.TLSAStatus
		records []partner.TLSA
		match   bool
		want    string
	}{
		{"none", partner.TLSANone, nil, false, ""},
		{"match", partner.TLSASecure, []partner.TLSA{{Usage: 3, Selector: 1, Matching: 1, Data: one}}, true, ""},
		{"mismatch", partner.TLSASecure, []partner.TLSA{{Usage: 3, Selector: 1, Matching: 1, Data: one}}, false, TLSAMismatch},
		{"an authority", partner.TLSASecure, []partner.TLSA{{Usage: 3, Selector: 1, Matching: 1, Data: one}, {Usage: 2, Selector: 1, Matching: 1, Data: one}}, false, ""},
		{"not proven", partner.TLSAInsecure, nil, false, ""},
		{"failed", partner.TLSAFailed, nil, false, TLSAFailed},
	} {
		r := report(presents(good))
		r.Hosts[0].TLSAStatus, r.Hosts[0].TLSA, r.Hosts[0].TLSADetail = c.status, c.records, "no answer"
		r.Hosts[0].Addresses[0].TLS.Chain[0].TLSAMatch = c.match
		a := w.assess(t, r, Lists{})
		if a.Answer != Ready || c.want == "" && len(a.Findings) > 0 || find(a, c.want).Token != c.want {
			t.Errorf("%s: %s %+v", c.name, a.Answer, a.Findings)
		}
	}
}

// TestHostileWords: nothing that a stranger says gets through as it is, or without end.
func TestHostileWords(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("x", 60_000)
	c, err := pki.SelfSigned(pki.LeafOptions{
		CommonNames: []string{"\x1b[31mred\nforged: yes\u202e"}, Organization: long,
		Names: []pki.Name{pki.DNS("\x1b[0m" + long), pki.DNS("mx1.woodgrovebank.com\n- all is well")},
	})
	if err != nil {
		t.Fatal(err)
	}
	address := presents(c)
	address.Problem, address.Detail = partner.RefusedAfterTLS, "after the TLS handshake: 5"
	a := w.assess(t, report(address), Lists{})
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Findings {
		if utf8.RuneCountInString(f.Sentence) > maxSentence || strings.ContainsAny(f.Sentence, "\x1b\n\u202e") {
			t.Errorf("%d characters: %.200q", len(f.Sentence), f.Sentence)
		}
	}
	if len(text) > 20_000 || strings.Contains(string(text), `\u001b`) || strings.Contains(string(text), "\u202e") {
		t.Errorf("%d octets of JSON: %.3000s", len(text), text)
	}
	if a.Answer != NotReady {
		t.Error(a.Answer)
	}
}

// TestSoon: the end of a certificate is announced, but not that of a short-lived one
// for all of its life.
func TestSoon(t *testing.T) {
	w := newWorld(t)
	day := 24 * time.Hour
	for _, c := range []struct {
		age, left time.Duration
		want      bool
	}{
		{76 * day, 15 * day, false}, {77 * day, 13 * day, true}, {3 * day, 3 * day, false}, {5 * day, day, true},
	} {
		certificate := w.issue(t, pki.LeafOptions{NotBefore: w.now.Add(-c.age), NotAfter: w.now.Add(c.left)})
		a := w.assess(t, report(presents(certificate)), Lists{})
		if got := find(a, ExpiresSoon).Token != ""; got != c.want {
			t.Errorf("%v old, %v left: %v", c.age, c.left, a.Findings)
		}
	}
}
