package companies

import (
	"slices"
	"strings"
	"testing"

	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/pki"
)

const log = `Nov 22 09:28:36 mail1 postfix/smtp[26045]: AAAA: to=<bob@contoso.com>, relay=mx1.contoso.com[127.0.1.1]:25, delay=0.17, delays=0.01/0.02/0.13/0.02, dsn=4.7.1, status=deferred (host mx1.contoso.com[127.0.1.1] said: 450 4.7.1 <DATA>: Data command rejected: woodgrovebank.com requires mutual TLS here: certificate-unknown, the client certificate is not known here yet (in reply to DATA command))
Nov 22 09:28:37 mail1 postfix/smtp[26045]: BBBB: to=<bob@contoso.com>, relay=none, delay=1.5, delays=1.4/0.09/0.01/0, dsn=4.7.5, status=deferred (client TLS configuration problem)
Nov 22 09:28:38 mail1 postfix/smtp[26045]: AAAA: to=<bob@contoso.com>, relay=mx1.contoso.com[127.0.1.1]:25, delay=0.17, delays=0.01/0.02/0.13/0.02, dsn=4.7.5, status=deferred (host mx1.contoso.com[127.0.1.1] said: 450 4.7.5 <DATA>: Data command rejected: woodgrovebank.com requires mutual TLS here: certificate-expired, the client certificate has expired (in reply to DATA command))
`

const delivery = `Nov 22 09:28:39 mail1 postfix/smtp[26045]: AAAA: to=<bob@contoso.com>, relay=mx1.contoso.com[127.0.1.1]:25, delay=2.8, delays=2.5/0.05/0.26/0.03, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as CCCC)
`

// TestCheck has outcomes as they must be, and then all that may differ.
func TestCheck(t *testing.T) {
	certificate, err := pki.SelfSigned(pki.LeafOptions{})
	if err != nil {
		t.Fatal(err)
	}
	bank := &Company{Domain: "woodgrovebank.com", Host: "mail1.woodgrovebank.com", Person: "alice", Address: "127.0.2.1", present: certificate}
	contoso := &Company{Domain: "contoso.com", Host: "mx1.contoso.com", Person: "bob"}

	refused := Outcome{Letter: Letter{From: bank, To: contoso, QueueID: "AAAA"}, Queue: []mta.Queued{{ID: "AAAA"}}}
	refused.read(log)
	if !slices.Equal(refused.Before, []string{"certificate-unknown"}) || !strings.HasPrefix(refused.Reply, "450 4.7.5 <DATA>") {
		t.Errorf("%+v", refused)
	}
	want := Want{Status: "deferred", Code: "450 4.7.5", Reason: "certificate-expired"}
	if err := want.check(refused); err != nil {
		t.Error(err)
	}

	own := Outcome{Letter: Letter{From: bank, To: contoso, QueueID: "BBBB"}, Queue: []mta.Queued{{ID: "BBBB"}}, Waits: "certificate-revoked"}
	own.read(log)
	wantOwn := Want{Status: "deferred", Waits: "certificate-revoked"}
	if err := wantOwn.check(own); err != nil {
		t.Error(err)
	}

	arrived := Outcome{Letter: refused.Letter}
	arrived.read(log + delivery)
	if !slices.Equal(arrived.Before, []string{"certificate-unknown", "certificate-expired"}) {
		t.Errorf("%+v", arrived)
	}
	stamp := mta.Field{Name: "Domain-Secured", Value: arrived.stamp()}
	arrived.Arrived = []mta.Message{{Fields: []mta.Field{stamp}}}
	if err := sent.check(arrived); err != nil {
		t.Error(err)
	}

	change := func(o Outcome, change func(*Outcome)) Outcome { change(&o); return o }
	for name, wrong := range map[string]error{
		"status":        sent.check(refused),
		"other status":  want.check(arrived),
		"code":          Want{Status: "deferred", Code: "450 4.7.1", Reason: "certificate-expired"}.check(refused),
		"reason":        Want{Status: "deferred", Code: "450 4.7.5", Reason: "certificate"}.check(refused),
		"asked":         Want{Status: "deferred"}.check(refused),
		"waits":         Want{Status: "deferred", Waits: "certificate-expired"}.check(own),
		"not queued":    want.check(change(refused, func(o *Outcome) { o.Queue = []mta.Queued{{ID: "BBBB"}} })),
		"still queued":  sent.check(change(arrived, func(o *Outcome) { o.Queue = refused.Queue })),
		"came back":     want.check(change(refused, func(o *Outcome) { o.Back = new(mta.Message) })),
		"not back":      Want{Status: "bounced"}.check(change(own, func(o *Outcome) { o.Status, o.Queue = "bounced", nil })),
		"not arrived":   sent.check(change(arrived, func(o *Outcome) { o.Arrived = nil })),
		"arrived":       want.check(change(refused, func(o *Outcome) { o.Arrived = arrived.Arrived })),
		"arrived twice": sent.check(change(arrived, func(o *Outcome) { o.Arrived = append(o.Arrived, o.Arrived[0]) })),
		"no stamp":      sent.check(change(arrived, func(o *Outcome) { o.Arrived = []mta.Message{{}} })),
		"stamp":         sent.check(change(arrived, func(o *Outcome) { o.Arrived = []mta.Message{{Fields: []mta.Field{{Name: "Domain-Secured"}}}} })),
	} {
		if wrong == nil {
			t.Errorf("%s: nothing is wrong", name)
		}
	}
}
