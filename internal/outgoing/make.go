package outgoing

import (
	"context"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"domain-secured/internal/partner"
	"domain-secured/policy"
)

// found is what an answer is made of.
type found struct {
	demand *policy.Demand
	// doubt says why mail will wait although something can be insisted on, "" if nothing
	// speaks for that; it is for the log.
	doubt, about string
}

// make makes an answer. After a panic mail waits, whatever was answered before.
func (i *Insister) make(t *destination) {
	if i.survive(func() { i.makeAnswer(t) }) {
		return
	}
	a := i.refusal(faulty())
	a.settings, a.due = i.settings.Load().number, i.clock().Add(retryTime)
	a.ages, a.until = a.due, a.due
	t.answer.Store(a)
}

// makeAnswer makes an answer, remembers it, and says in the log if it is another one.
func (i *Insister) makeAnswer(t *destination) {
	ctx, cancel := context.WithTimeout(i.ctx, lookTime)
	defer cancel()
	s, entry, p := i.terms(t)
	if p == nil {
		return
	}
	if p.Sending() != policy.SendVerifyPins {
		i.survive(func() {
			t.view.resolve(ctx, t.key, s.Outside, i.clock())
			i.early(ctx, t)
			i.look(ctx, t, s)
		})
		if s, entry, p = i.terms(t); p == nil {
			return
		}
	}
	f := i.find(ctx, t, s, entry, p)
	if i.ctx.Err() != nil {
		return // what it comes to is no fault of the partner
	}
	i.remember(t, s, p, f)
	i.say(t, entry, p, f)
}

// terms are the settings of now, and what holds by them for a destination: nothing if it
// is not listed any more, or off.
func (i *Insister) terms(t *destination) (s *Settings, entry string, p *policy.Partner) {
	s = i.settings.Load()
	if _, entry = s.Snapshot.SendingTo(t.name); entry != "" {
		p = s.Snapshot.Partner(entry)
		entry = strings.Clone(entry) // not the whole list that it is a part of
	}
	if p != nil && p.Mode == policy.ModeOff {
		p = nil
	}
	return s, entry, p
}

// survive ends a panic, of what strangers sent, and reports whether there was none.
func (i *Insister) survive(do func()) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			i.log.Error("panic while looking at a partner", "panic", r, "stack", string(debug.Stack()))
		}
	}()
	do()
	return true
}

// find makes of what was seen what to insist on.
func (i *Insister) find(ctx context.Context, t *destination, s *Settings, entry string, p *policy.Partner) (f found) {
	ok := i.survive(func() {
		switch p.Sending() {
		case policy.SendVerifyPins:
			f = pins(p)
		case policy.SendVerifyNames:
			f = i.names(t, s, entry, p)
		default:
			f = i.vetted(ctx, t, entry)
		}
	})
	if !ok {
		f = found{demand: faulty()}
	}
	f.demand.MinTLS, f.demand.MinBits = p.MinTLS, p.MinBits
	return f
}

func pins(p *policy.Partner) found {
	if len(p.Pins) == 0 {
		return found{demand: wait(NoPins, "the domain has no pins of its own")}
	}
	return found{demand: &policy.Demand{Fingerprints: p.Pins}}
}

// remember keeps an answer: what makes mail wait for a moment, anything else until it
// has to be looked at again.
func (i *Insister) remember(t *destination, s *Settings, p *policy.Partner, f found) {
	now := i.clock()
	a := &answer{settings: s.number, demand: f.demand, counted: i.counts.of(p, f.demand)}
	switch {
	case f.demand.Wait != "":
		a.due = now.Add(retryTime)
		a.ages, a.until = a.due, a.due
		t.view.again = earlier(t.view.again, a.due)
	case p.Sending() == policy.SendVerifyPins:
		a.due = now.Add(i.goodTime)
		a.ages, a.until = a.due, a.due
	default:
		a.until = now.Add(i.goodTime)
		a.due = earlier(a.until, t.view.mxUntil)
		a.ages = earlier(a.until, t.view.mxAgain)
		a.ages = earlier(a.ages, t.view.again)
	}
	t.answer.Store(a)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// early has what is known before all servers have been seen answered to those who would
// else be told to come again. It does not take the place of anything that holds.
func (i *Insister) early(ctx context.Context, t *destination) {
	s, entry, p := i.terms(t)
	now := i.clock()
	if a := t.answer.Load(); p == nil || a != nil && a.settings == s.number && a.demand.Wait == "" && now.Before(a.due) {
		return
	}
	if d := i.find(ctx, t, s, entry, p).demand; d.Wait == "" {
		t.answer.Store(&answer{settings: s.number, demand: d, counted: i.counts.of(p, d), until: now.Add(i.goodTime)})
	}
}

// partnerOutside is what the verb probe calls it.
const partnerOutside = "mx-outside-domain"

// names insists on names: those of the rule, of hosts, and of certificates that the
// servers showed and that are trusted.
func (i *Insister) names(t *destination, s *Settings, entry string, p *policy.Partner) found {
	rootsFile := ""
	if p.Roots != nil && p.Roots.PEM != nil {
		var err error
		if rootsFile, err = s.Bundles.write(p.Roots); err != nil {
			return found{demand: wait(NoRootsFile, err.Error())}
		}
	}
	presented := slices.Concat(t.view.names(i.inspector, entry, p, i.clock())...)
	f := found{demand: &policy.Demand{RootsFile: rootsFile, Names: p.SendNames(entry, t.view.hosts, presented)}}
	if len(presented) > 0 || p.Evidence == policy.EvidenceMTA { // whom that trusts is not known here
		return f
	}
	if p.Names == nil && t.view.isOutside(entry) {
		f.doubt = partnerOutside
		f.about = "no MX host is directly below the domain, as at a hosting provider, and none shows a trusted certificate for it: set names if the provider's will do"
		return f
	}
	if f.doubt, f.about = t.view.blame(); f.doubt == "" {
		f.doubt, f.about = string(policy.CertificateNotTrusted), "no server shows a certificate that is trusted and has a name that speaks for the domain"
	}
	return f
}

// vetted insists on the certificates that the servers showed, as far as they are good.
func (i *Insister) vetted(ctx context.Context, t *destination, entry string) found {
	good, why, detail, err := t.view.judge(ctx, i.inspector, entry, i.clock())
	switch {
	case err != nil:
		return found{demand: wait(string(policy.InternalError), err.Error())}
	case len(good) > 0:
		return found{demand: &policy.Demand{Fingerprints: good}, doubt: why, about: detail}
	case why == "":
		if why, detail = t.view.blame(); why == "" {
			why, detail = NoServer, "nothing could be seen of any server of "+t.name
		}
	}
	return found{demand: wait(why, detail)}
}

// look looks at the servers, if that is due. When one of several has been seen, that is
// made use of: another may take long.
func (i *Insister) look(ctx context.Context, t *destination, s *Settings) {
	hosts := t.view.hosts
	if i.clock().Before(t.view.again) || len(hosts) == 0 || s.Outside == nil || s.Outside.Resolver == nil {
		return
	}
	o := partner.Options{
		Resolver: s.Outside.Resolver, Port: s.Outside.Port, AllowPrivate: s.Outside.AllowPrivate, Hello: s.Outside.Hello, EveryKey: true,
		Complain: func(err error) {
			i.log.Error("a fault of domain-secured itself, please report it", "error", err)
		},
	}
	if t.port != 0 {
		o.Port = t.port
	}
	reports := make(chan *partner.Report, len(hosts))
	for _, host := range hosts {
		go func() {
			var r *partner.Report
			i.survive(func() { r = i.prober.Probe(ctx, partner.Target{Hosts: []string{host}}, o) })
			reports <- r
		}()
	}
	for left := len(hosts); left > 0; {
		select {
		case r := <-reports:
			if left--; r != nil {
				t.view.take(r)
			}
		case <-t.again:
		}
		if left > 0 {
			i.early(ctx, t)
		}
	}
	t.view.again = i.clock().Add(i.goodTime / 2)
}
