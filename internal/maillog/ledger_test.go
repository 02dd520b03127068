package maillog

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, time.November, 22, 9, 0, 0, 0, time.UTC)

func newTestLedger() *Ledger {
	return NewLedger(func(domain string) string {
		if domain = strings.ToLower(domain); strings.HasSuffix(domain, ".test") {
			return domain
		}
		return ""
	}, func() time.Time { return now }, func(err error) { panic(err) })
}

const (
	stamp    = "Nov 22 08:49:09 mx1 "
	verified = "Verified TLS connection established to mx.d1.test[192.0.2.1]:25: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"
	toD1     = "to=<u@d1.test>, relay=mx.d1.test[192.0.2.1]:25, delay=0.04, delays=0/0.01/0.02/0.01, "
	sent     = "dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 8F21798E2D1)"
)

// TestLedger has what the tests on a real Postfix cannot bring about: other versions,
// other settings, several hosts, lines out of the ordinary.
func TestLedger(t *testing.T) {
	type want struct {
		secured, unsecured, unknown uint64
		failures                    map[Cause]uint64
		deferred                    int
		unparsed                    uint64
	}
	for name, c := range map[string]struct {
		lines []string
		want  want
	}{
		"verified": {[]string{"postfix/smtp[1]: " + verified, "postfix/smtp[1]: 8569198E275: " + toD1 + sent}, want{secured: 1}},
		"service of another name, long queue id": {[]string{
			"out/relay/smtp[1]: " + verified, "out/relay/smtp[1]: 4Wz2Yk1Hk9z3Bq: " + toD1 + sent}, want{secured: 1}},
		"conn_use, orig_to": {[]string{
			"postfix/smtp[1]: Verified TLS connection reused to mx.d1.test[192.0.2.1]:25: TLSv1.3",
			"postfix/smtp[1]: 8569198E275: to=<u@d1.test>, orig_to=<\"a>, dsn=9\"@d0.test>, relay=mx.d1.test[192.0.2.1]:25, conn_use=2, delay=0.04, delays=0/0/0/0, " + sent}, want{secured: 1}},
		"by another process":                {[]string{"postfix/smtp[2]: " + verified, "postfix/smtp[1]: 8569198E275: " + toD1 + sent}, want{unknown: 1}},
		"by another host":                   {[]string{"postfix/smtp[1]: " + strings.Replace(verified, "mx.d1", "mx.d2", 1), "postfix/smtp[1]: 8569198E275: " + toD1 + sent}, want{unknown: 1}},
		"of an earlier message":             {[]string{"postfix/smtp[1]: " + verified, "postfix/smtp[1]: 8569198E275: " + toD1 + sent, "postfix/smtp[1]: 8569198E276: " + toD1 + sent}, want{secured: 1, unknown: 1}},
		"trusted is not verified":           {[]string{"postfix/smtp[1]: Trusted" + verified[8:], "postfix/smtp[1]: 8569198E275: " + toD1 + sent}, want{unsecured: 1}},
		"no word of TLS":                    {[]string{"postfix/smtp[1]: 8569198E275: " + toD1 + sent}, want{unknown: 1}},
		"3.11 secure":                       {[]string{"postfix/smtp[1]: 8569198E275: " + toD1 + "tls=secure, " + sent}, want{secured: 1}},
		"3.11 fingerprint":                  {[]string{"postfix/smtp[1]: 8569198E275: " + toD1 + "tls=fingerprint, " + sent}, want{secured: 1}},
		"3.11 overridden by the message":    {[]string{"postfix/smtp[1]: Untrusted" + verified[8:], "postfix/smtp[1]: 8569198E275: " + toD1 + "tls=may, " + sent}, want{unsecured: 1}},
		"3.11 overridden, plain":            {[]string{"postfix/smtp[1]: 8569198E275: " + toD1 + "tls=may:none, " + sent}, want{unsecured: 1}},
		"3.11 tls= counts, not the session": {[]string{"postfix/smtp[1]: " + verified, "postfix/smtp[1]: 8569198E275: " + toD1 + "tls=may, " + sent}, want{unsecured: 1}},
		"3.11 failed": {[]string{
			"postfix/smtp[1]: 8569198E275: " + toD1 + "tls=!secure, dsn=4.7.5, status=deferred (Server certificate not verified)"},
			want{failures: map[Cause]uint64{CertificateNotVerified: 1}, deferred: 1}},
		"first of two hosts failed": {[]string{
			"postfix/smtp[1]: server certificate verification failed for mx0.d1.test[192.0.2.9]:25: certificate has expired",
			"postfix/smtp[1]: Untrusted TLS connection established to mx0.d1.test[192.0.2.9]:25: TLSv1.3",
			"postfix/smtp[1]: 8569198E275: Server certificate not verified",
			"postfix/smtp[1]: 8569198E275: TLS is required, but was not offered by host mx2.d1.test[192.0.2.8]",
			"postfix/smtp[1]: " + verified,
			"postfix/smtp[1]: 8569198E275: " + toD1 + sent,
			"postfix/smtp[1]: 8569198E275: " + strings.Replace(toD1, "u@", "v@", 1) + sent,
		}, want{secured: 1, failures: map[Cause]uint64{CertificateExpired: 1, TLSNotUsed: 1}}},
		"a failure does not stick to the next message": {[]string{
			"postfix/smtp[1]: server certificate verification failed for mx.d1.test[192.0.2.1]:25: certificate has expired",
			"postfix/smtp[1]: 8569198E275: " + toD1 + "dsn=4.7.5, status=deferred (Server certificate not verified)",
			"postfix/smtp[1]: 8569198E276: " + toD1 + "dsn=4.7.5, status=deferred (Server certificate not verified)",
		}, want{failures: map[Cause]uint64{CertificateExpired: 1, CertificateNotVerified: 1}, deferred: 2}},
		"suspended is no session": {[]string{
			"postfix/error[1]: 8569198E275: to=<u@d1.test>, relay=none, delay=1, delays=1/0/0/0, dsn=4.7.5, status=deferred (delivery temporarily suspended: Server certificate not verified)",
		}, want{deferred: 1}},
		"what a server says of certificates is not ours": {[]string{
			"postfix/smtp[1]: server certificate verification failed for mx.d1.test[192.0.2.1]:25: num=62:hostname mismatch",
			"postfix/smtp[1]: 8569198E275: host mx0.d1.test[192.0.2.9] said: 450 certificate verification failed for mx.d1.test[192.0.2.1]:25: certificate has expired (in reply to RCPT TO command)",
			"postfix/smtp[1]: 8569198E275: " + toD1 + "dsn=4.7.5, status=deferred (Server certificate not verified)",
		}, want{failures: map[Cause]uint64{CertificateHostMismatch: 1}, deferred: 1}},
		"what a server says is not ours": {[]string{
			"postfix/smtp[1]: 8569198E275: " + toD1 + "dsn=4.7.5, status=deferred (host mx.d1.test[192.0.2.1] said: 450 4.7.5 Server certificate not verified (in reply to MAIL FROM command))",
		}, want{deferred: 1}},
		"deferred, then sent": {[]string{
			"postfix/smtp[1]: 8569198E275: " + toD1 + "dsn=4.4.1, status=deferred (x)",
			"postfix/smtp[2]: 8569198E275: " + toD1 + "tls=secure, " + sent,
		}, want{secured: 1}},
		"one of two recipients waits": {[]string{
			"postfix/smtp[1]: 8569198E275: " + toD1 + "dsn=4.4.1, status=deferred (x)",
			"postfix/smtp[1]: 8569198E275: " + strings.Replace(toD1, "u@", "v@", 1) + "dsn=4.4.1, status=deferred (x)",
			"postfix/smtp[2]: 8569198E275: " + toD1 + "tls=secure, " + sent,
		}, want{secured: 1, deferred: 1}},
		"given up": {[]string{
			"postfix/smtp[1]: 8569198E275: " + toD1 + "dsn=4.4.1, status=deferred (x)",
			"postfix/qmgr[3]: 8569198E275: from=<a@b>, status=expired, returned to sender",
			"postfix/qmgr[3]: 8569198E275: removed",
		}, want{}},
		"deleted by name": {[]string{
			"postfix/smtp[1]: 8569198E275: " + toD1 + "dsn=4.4.1, status=deferred (x)",
			"postfix/smtp[1]: 8569198E276: " + toD1 + "dsn=4.4.1, status=deferred (x)",
			"postfix/postsuper[3]: 8569198E275: removed", "postfix/postsuper[3]: Deleted: 1 message",
		}, want{deferred: 1}},
		"delivered here":    {[]string{"postfix/virtual[1]: 8569198E275: to=<u@d1.test>, relay=virtual, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (delivered to maildir)"}, want{}},
		"not listed":        {[]string{"postfix/smtp[1]: 8569198E275: " + strings.ReplaceAll(toD1, "d1.test", "d1.org") + sent}, want{}},
		"of other programs": {[]string{"dovecot: imap-login: Login: user=<a>", "postfix/smtpd[3]: 8569198E275: client=unknown[192.0.2.1]", "postfix/smtp[1]: warning: to=<x"}, want{}},
		"garbled":           {[]string{"postfix/smtp[1]: 8569198E275: to=<u@d1.test", "postfix/smtp[1]: 8569198E275: to=<u@d1.test>, relay", "postfix/smtp[x]: a", "nothing"}, want{unparsed: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, start := range []string{stamp, "2026-11-22T09:49:09.123456+01:00 mx1 ", "2026-11-22T08:49:09Z mx1 ", "2026-11-22T08:49:09.000001+0000 mx1 "} {
				l := newTestLedger()
				for _, text := range c.lines {
					l.Line(start + text)
				}
				s := l.Summary()
				got := s.Partners["d1.test"]
				if c.want.failures == nil && got.Failures != nil || !maps.Equal(got.Failures, c.want.failures) ||
					got.Secured != c.want.secured || got.Unsecured != c.want.unsecured || got.Unknown != c.want.unknown ||
					got.Deferred != c.want.deferred || s.Unparsed != c.want.unparsed || s.Lines != uint64(len(c.lines)) {
					t.Errorf("%q: %+v", start, s)
				}
				if at := got.LastSent.Time; !at.IsZero() && at.Truncate(time.Second).UTC().Format(time.TimeOnly) != "08:49:09" {
					t.Errorf("%q: sent at %v", start, at)
				}
			}
		})
	}
}

func TestYear(t *testing.T) {
	for at, want := range map[string]string{
		"Nov 22 09:00:00 h t: x": "2026-11-22", "Nov 23 08:59:59 h t: x": "2026-11-23", // a clock may be wrong
		"Nov 23 09:00:01 h t: x": "2025-11-23", "Dec 31 23:59:59 h t: x": "2025-12-31", "Jan  1 00:00:00 h t: x": "2026-01-01",
	} {
		l, ok := parseLine(at, now)
		if !ok || l.time.Format(time.DateOnly) != want {
			t.Errorf("%s: %v, %v", at, l.time, ok)
		}
	}
	for _, bad := range []string{"", "Nov 22", "Nov 22 09:00:00", "Nov 32 09:00:00 h t: x", "Nov 22 09:00:00 h t", "2026-11-22 09:00:00 h t: x", "Nov 22 09:00:00 h a b: x", "Nov 22 09:00:00 h t[-1]: x", "Nov 22 09:00:00  t: x"} {
		if l, ok := parseLine(bad, now); ok {
			t.Errorf("%q is taken for %+v", bad, l)
		}
	}
}

// TestBounds: whoever fills the log fills no memory.
func TestBounds(t *testing.T) {
	l := newTestLedger()
	long := strings.Repeat("x", 5000)
	for i := range maxPartners + 100 {
		l.Line(fmt.Sprintf("%spostfix/smtp[%d]: %X: to=<u@d%d.test>, relay=%s[192.0.2.1]:25, delay=1, dsn=2.0.0, status=sent (ok)", stamp, i, i+1<<20, i, long))
		l.Line(fmt.Sprintf("%spostfix/smtp[1]: Verified TLS connection established to h%d[192.0.2.1]:25: x", stamp, i))
	}
	for i := range maxDeferred + 100 {
		l.Line(fmt.Sprintf("%spostfix/smtp[1]: %X: to=<u@d1.test>, relay=none, dsn=4.4.1, status=deferred (ok)", stamp, i+1<<20))
		l.Line(fmt.Sprintf("%spostfix/smtp[1]: 8569198E275: to=<u%d@d1.test>, relay=none, dsn=4.4.1, status=deferred (ok)", stamp, i))
	}
	s := l.Summary()
	if len(s.Partners) != maxPartners || s.Others.Unknown != 100 || len(l.agents) > maxProcesses {
		t.Errorf("%d partners, %+v, %d agents", len(s.Partners), s.Others, len(l.agents))
	}
	for _, session := range l.agents {
		if len(session.peers) > maxPeers || len(session.counted) > maxRecipients {
			t.Errorf("%d peers, %d counted", len(session.peers), len(session.counted))
		}
	}
	if d := s.Partners["d1.test"].Deferred; d != maxDeferred || l.deferrals.messages != maxDeferred || len(l.deferrals.waiting["8569198E275"]["d1.test"].recipients) > maxRecipients {
		t.Errorf("%d deferred", d)
	}
	if relay := s.Partners["d2.test"].LastSent.Relay; len(relay) > maxText {
		t.Errorf("%d octets of a name", len(relay))
	}
	// What is not heard of any more is forgotten, and there is room again.
	now = now.Add(deferredTime + time.Minute)
	defer func() { now = now.Add(-deferredTime - time.Minute) }()
	l.Line("Nov 23 08:49:09 mx1 postfix/smtp[1]: ABCDEF: " + toD1 + "dsn=4.4.1, status=deferred (x)")
	if d := l.Summary().Partners["d1.test"].Deferred; d != 1 {
		t.Errorf("%d deferred", d)
	}
}

// FuzzLine: no line panics, and each is counted for one domain at most.
func FuzzLine(f *testing.F) {
	for _, seed := range []string{
		stamp + "postfix/smtp[1]: " + verified, stamp + "postfix/smtp[1]: 8569198E275: " + toD1 + sent,
		"2026-11-22T09:49:09.123456+01:00 mx1 postfix/smtp[1]: 8569198E275: " + toD1 + "tls=!secure, dsn=4.7.5, status=deferred (Server certificate not verified)",
		stamp + "postfix/smtp[1]: server certificate verification failed for mx.d1.test[192.0.2.1]:25: num=62:hostname mismatch",
		stamp + "postfix/smtp[1]: 8569198E275: to=<\"a\\\"> , \"@d1.test>, orig_to=<x>, relay=none, dsn=4.4.1, status=deferred (x)",
		stamp + "postfix/qmgr[1]: 8569198E275: removed", stamp + "postfix/postsuper[1]: Deleted: 9 messages",
		stamp + "postfix/smtp[1]: 8569198E275: TLS is required, but was not offered by host mx2.d1.test[192.0.2.8]",
	} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		l := newTestLedger()
		before := uint64(0)
		for _, text := range []string{first, second, first} {
			l.Line(text)
			s := l.Summary()
			total := uint64(0)
			for _, c := range s.Partners {
				total += c.Secured + c.Unsecured + c.Unknown
				if c.Deferred < 0 || len(c.LastFail.Text) > 3*maxText+10 || strings.ContainsAny(c.LastFail.Text+c.LastSent.Relay, "\x00\x1b\n") {
					t.Errorf("%+v", c)
				}
			}
			if total > before+1 || s.Unparsed > s.Lines {
				t.Errorf("%d messages after %d, %+v", total, before, s)
			}
			before = total
		}
		if l.Summary().Lines != 3 {
			t.Error("a line is not counted")
		}
	})
}

// FuzzLines: it does not matter in what parts a log is read.
func FuzzLines(f *testing.F) {
	f.Add("a\nbc\n\nd", uint16(1))
	f.Add(strings.Repeat("x", maxLine+3)+"\ny\n", uint16(8191))
	f.Fuzz(func(t *testing.T, text string, size uint16) {
		read := func(size int) (all []string) {
			var l lines
			for rest := text; rest != ""; {
				n := min(size, len(rest))
				l.take([]byte(rest[:n]), func(s string) { all = append(all, s) })
				rest = rest[n:]
			}
			return all
		}
		whole, parts := read(len(text)+1), read(int(size)+1)
		if fmt.Sprint(whole) != fmt.Sprint(parts) {
			t.Errorf("%q in parts of %d", text, size)
		}
		for i, want := range strings.Split(text, "\n") {
			if i < len(whole) && whole[i] != want[:min(len(want), maxLine)] {
				t.Errorf("line %d is %q", i, whole[i])
			}
		}
	})
}
