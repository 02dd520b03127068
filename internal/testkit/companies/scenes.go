package companies

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/testkit/smtpclient"
)

// A Scene is something that happens at the bank, what becomes of mail in both directions then, and how it ends.
type Scene struct {
	Name  string // short and stable
	Words string // the same for a person, one line
	Happen,
	Repair func(*Pair) error
	Repaired string // what that is, in words

	ToBank, ToContoso Want
	Impostor          Want // and mail of somebody with the bank's name, if Code is set
}

var sent = Want{Status: "sent"}

// newCertificate is what ends most of it.
func newCertificate(p *Pair) error { return p.Bank.renew(pki.LeafOptions{}) }

// Scenes returns all of them, in their order: each leaves the two as it found them.
func Scenes() []Scene {
	return []Scene{
		{
			Name: "good", Words: "All is well. Neither has seen the other's certificate before.",
			ToBank: sent, ToContoso: sent,
		},
		{
			Name: "expired", Words: "The bank's certificate has expired.",
			Happen: func(p *Pair) error {
				return p.Bank.renew(pki.LeafOptions{NotBefore: time.Now().AddDate(0, -1, 0), NotAfter: time.Now().AddDate(0, 0, -1)})
			},
			ToBank:    Want{Status: "deferred", Waits: "certificate-expired"},
			ToContoso: Want{Status: "deferred", Code: "450 4.7.5", Reason: "certificate-expired"},
			Repair:    newCertificate, Repaired: "The bank has a new certificate.",
		},
		{
			Name: "revoked", Words: "The bank's authority revokes its certificate.",
			Happen: func(p *Pair) error {
				p.Bank.Authority.Revoke(p.Bank.present)
				return nil
			},
			ToBank:    Want{Status: "deferred", Waits: "certificate-revoked"},
			ToContoso: Want{Status: "bounced", Code: "550 5.7.5", Reason: "certificate-revoked"},
			Repair:    newCertificate, Repaired: "The bank has a new certificate. Its message is written once more.",
		},
		{
			Name: "wrong-name", Words: "The bank's certificate is of mail1.northwindtraders.com, no name of the bank's.",
			Happen: func(p *Pair) error {
				return p.Bank.renew(pki.LeafOptions{DNSNames: []string{"mail1.northwindtraders.com"}})
			},
			ToBank:    Want{Status: "deferred", Waits: "certificate-host-mismatch"},
			ToContoso: Want{Status: "deferred", Code: "450 4.7.1", Reason: "certificate-host-mismatch"},
			Repair:    newCertificate, Repaired: "The bank has a certificate with its name.",
		},
		{
			Name: "no-tls", Words: "The bank's Postfix loses its TLS settings: no STARTTLS, neither offered nor used.",
			Happen: func(p *Pair) error {
				return p.Bank.set("smtpd_tls_security_level", "none", "smtp_tls_security_level", "none", tlsPolicy, "")
			},
			ToBank:    Want{Status: "deferred", Waits: "no-starttls"},
			ToContoso: Want{Status: "deferred", Code: "450 4.7.0", Reason: "tls-not-used"},
			Repair: func(p *Pair) error {
				return p.Bank.set("smtpd_tls_security_level", "may", "smtp_tls_security_level", "may", tlsPolicy, p.Bank.policyMap())
			},
			Repaired: "The settings are back.",
		},
		{
			Name: "impostor", Words: "The DNS is forged: the bank's MX is an impostor, with a self-made certificate.",
			Happen:    func(p *Pair) error { return p.move(p.Bank, impostorAddress) },
			ToBank:    Want{Status: "deferred", Waits: "certificate-not-trusted"},
			ToContoso: sent,
			Impostor:  Want{Code: "450 4.7.5", Reason: "certificate-not-trusted"},
			Repair:    func(p *Pair) error { return p.move(p.Bank, p.Bank.Address) },
			Repaired:  "The DNS says the truth again.",
		},
	}
}

// set changes parameters of the company's Postfix, given as name and value in turn.
func (c *Company) set(settings ...string) error {
	for i := 0; i < len(settings); i += 2 {
		if err := c.Postfix.SetParameter(settings[i], settings[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// A Show is how a scene is told: say takes a line of words, letter what has become of one, and what is wrong with
// that, nil for nothing.
type Show struct {
	Say    func(words string)
	Letter func(o Outcome, wrong error)
}

// Play has a scene happen. An error says that it could not be carried out.
func (p *Pair) Play(ctx context.Context, s Scene, show Show) error {
	if err := p.play(ctx, s, show); err != nil {
		return fmt.Errorf("scene %s: %w", s.Name, err)
	}
	return nil
}

func (p *Pair) play(ctx context.Context, s Scene, show Show) error {
	show.Say(s.Words)
	if s.Happen != nil {
		if err := errors.Join(s.Happen(p), p.Contoso.LookAfresh(ctx)); err != nil {
			return err
		}
	}
	toBank, err := p.Contoso.Write(ctx, p.Bank)
	if err != nil {
		return err
	}
	toContoso, err := p.Bank.Write(ctx, p.Contoso)
	if err != nil {
		return err
	}
	if err := p.tell(ctx, show, toBank, s.ToBank, toContoso, s.ToContoso); err != nil {
		return err
	}
	if s.Impostor.Code != "" {
		if err := p.tryImpostor(ctx, show, s.Impostor); err != nil {
			return err
		}
	}
	if s.Repair == nil {
		return nil
	}

	show.Say(s.Repaired)
	if err := errors.Join(s.Repair(p), p.Contoso.LookAfresh(ctx)); err != nil {
		return err
	}
	switch s.ToContoso.Status {
	case "deferred":
		return p.tell(ctx, show, toBank, sent, toContoso, sent)
	case "bounced":
		if toContoso, err = p.Bank.Write(ctx, p.Contoso); err != nil {
			return err
		}
		return p.tell(ctx, show, toBank, sent, toContoso, sent)
	}
	return p.tell(ctx, show, toBank, sent, Letter{}, Want{})
}

// tell shows what becomes of two letters; the second one may be none.
func (p *Pair) tell(ctx context.Context, show Show, a Letter, wantA Want, b Letter, wantB Want) error {
	o, wrong, err := a.await(ctx, wantA)
	if err != nil {
		return err
	}
	show.Letter(o, wrong)
	if b.From == nil {
		return nil
	}
	if o, wrong, err = b.await(ctx, wantB); err != nil {
		return err
	}
	show.Letter(o, wrong)
	return nil
}

// tryImpostor has the impostor write to Contoso in the bank's name, as often as it takes for Contoso to have looked at
// whom the DNS calls the bank. Nothing must have come to him, either.
func (p *Pair) tryImpostor(ctx context.Context, show Show, w Want) error {
	impostor := &Company{Name: "The impostor", Domain: p.Bank.Domain, Host: p.Bank.Host, Person: p.Bank.Person}
	certificate := p.impostorCertificate.TLSCertificate()
	o := Outcome{Letter: Letter{From: impostor, To: p.Contoso, ID: "<forged@" + p.Bank.Host + ">"}}
	until := time.Now().Add(outcomeTimeout)
	for tick := time.Tick(200 * time.Millisecond); ; {
		reply, err := smtpclient.Send(ctx, smtpclient.Options{
			Addr: p.Contoso.Postfix.Addr(), Hello: p.Bank.Host, TLS: true, Certificate: &certificate,
		}, mail(impostor, p.Contoso, o.ID))
		if err != nil {
			return err
		}
		if o.Reply = reply.String(); strings.Contains(o.Reply, w.Reason) || reply.Accepted() || time.Now().After(until) {
			break
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick:
		}
	}
	wrong := w.check(o)
	stolen, err := p.impostor.Messages()
	if err != nil {
		return err
	}
	if len(stolen) > 0 {
		wrong = errors.Join(wrong, fmt.Errorf("%d messages for the bank have come to the impostor", len(stolen)))
	}
	show.Letter(o, wrong)
	return nil
}
