package milterload

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/testkit/smtpclient"
)

// BenchmarkMilterPostfix measures processor time a message, as a real Postfix has mail looked at by domain-secured,
// and by the C filter with all callbacks. Unlisted mail comes in clear, listed mail over TLS: that, domain-secured
// judges at its policy service, so the time of both doors is in its time. "ratio" is domain-secured's time by the C
// filter's, "machine-ratio" that of all processors with everything that runs.
func BenchmarkMilterPostfix(b *testing.B) {
	needLibmilter(b)
	if _, err := mta.FindPostfix(); err != nil {
		b.Fatal(err)
	}
	policy := "unix:" + filepath.Join(openDir(b), "policy")
	ours, w := startOurs(b, "unix", policy)
	servers := [2]*server{ours, startFilter(b, "unix", nil)}

	certificate, err := pki.SelfSigned(pki.LeafOptions{CommonNames: []string{"mx1.contoso.com"}})
	if err != nil {
		b.Fatal(err)
	}
	postfixes := map[*server]*mta.Postfix{}
	for _, s := range servers {
		main := []string{"smtpd_milters = " + s.milter(), "milter_default_action = tempfail", "virtual_transport = discard:"}
		if s == ours {
			main = append(main, "smtpd_data_restrictions = check_policy_service "+policy)
		}
		p, err := mta.StartPostfix(b.Context(), mta.PostfixOptions{
			Common: mta.Common{Hostname: "mx1.contoso.com", Domains: []string{"contoso.com"}, Certificate: certificate, ClientCA: w.root.Certificate.Leaf},
			Main:   main,
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			if err := p.Close(); err != nil {
				b.Error(err)
			}
		})
		postfixes[s] = p
	}

	leaf := w.leaf.TLSCertificate()
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			c := rounds(b, servers, func(s *server) (Measure, error) {
				o := smtpclient.Options{Addr: postfixes[s].Addr(), Hello: "mail1.woodgrovebank.com"}
				if kind.sender == listed {
					o.TLS, o.Certificate = true, &leaf
				}
				return throughPostfix(b.Context(), postfixes[s], o, kind.sender)
			})
			for i := range servers {
				if c.mean(i, func(s sample) time.Duration { return s.cpu }) == 0 {
					b.Errorf("%s has not been asked", c.names[i])
				}
			}
			cpu := func(i int) float64 { return float64(c.mean(i, func(s sample) time.Duration { return s.cpu })) / 1e3 }
			all := func(i int) float64 {
				return float64(c.mean(i, func(s sample) time.Duration { return s.cpu + s.generator + s.rest }))
			}
			b.ReportMetric(cpu(0)/cpu(1), "ratio")
			b.ReportMetric(cpu(0), "ours-µs/msg")
			b.ReportMetric(cpu(1), "C-µs/msg")
			b.ReportMetric(all(0)/all(1), "machine-ratio")
		})
	}
}

// throughPostfix sends mail over several sessions at once, and waits until Postfix is done with it.
func throughPostfix(ctx context.Context, p *mta.Postfix, o smtpclient.Options, sender string) (Measure, error) {
	const sessions, messages = 4, 150
	open := make([]*smtpclient.Session, sessions)
	err := inParallel(sessions, func(i int) (err error) {
		open[i], err = smtpclient.Dial(ctx, o)
		return err
	})
	for _, s := range open {
		if s != nil {
			defer s.Close()
		}
	}
	if err != nil {
		return Measure{}, err
	}
	mail := smtpclient.Mail{Sender: sender, Recipients: []string{"bob@contoso.com"}, Data: Usual(sender).text()}
	m, err := measure(sessions, messages, func(i int, _ uint64) (Result, error) {
		began := time.Now()
		reply, err := open[i].Send(ctx, mail)
		if err == nil && !reply.Accepted() {
			err = fmt.Errorf("refused: %v", reply)
		}
		return Result{Total: time.Since(began)}, err
	}, nil)
	if err != nil {
		return Measure{}, err
	}
	return m, p.Idle(ctx)
}

// text returns the message as it stands in SMTP.
func (m Mail) text() []byte {
	var text []byte
	for _, field := range m.Header {
		text = fmt.Appendf(text, "%s: %s\n", field[0], field[1])
	}
	return append(append(text, '\n'), m.Body...)
}
