package gate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"domain-secured/internal/trust"
	"domain-secured/policy"
)

// soon is how long before its end a certificate of ours is worth a word; of one that
// lives for less than four times that, a quarter of its life.
const soon = 30 * 24 * time.Hour

// CheckOwn judges certificates of our own as partners will: their dates, key, chain to
// one of the default roots, and revocation. It returns a sentence for each thing that
// is wrong with one of the files.
func (g *Gate) CheckOwn(ctx context.Context, files []string, now time.Time) []string {
	var problems []string
	for _, file := range files {
		found, err := g.checkOwn(ctx, file, now)
		if err != nil {
			found = []string{err.Error()}
		}
		for _, problem := range found {
			problems = append(problems, fmt.Sprintf("[own] %s: %s", file, problem))
		}
	}
	return problems
}

func (g *Gate) checkOwn(ctx context.Context, file string, now time.Time) (problems []string, err error) {
	defer func() {
		if r := recover(); r != nil { // over what an issuer says of it
			g.logPanic(r)
			err = errors.New("it cannot be judged: a fault of domain-secured itself, see its log")
		}
	}()
	data, err := trust.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	certificates, _, err := trust.ReadPublic(data)
	if err != nil {
		return nil, err
	}
	p := *g.snapshot.Load().Defaults
	p.Revocation, p.Usage, p.Evidence = policy.RevocationRequire, policy.UsageClientOrServer, policy.EvidenceCertificate
	if p.Roots == nil { // where pins alone are trusted
		if p.Roots, _, err = ReadRoots([]string{"system"}); err != nil {
			return nil, err
		}
	}
	for _, c := range certificates { // smtpd_tls_chain_files may have one for each kind of key
		name := trust.Describe(c.X509)
		if problem := ending(c, now); problem != "" {
			problems = append(problems, name+" "+problem)
		}
		found := g.Verify(ctx, &p, "", asStored(c), now)
		for _, row := range found.Rows {
			if row.Outcome == policy.OutcomeFail {
				problems = append(problems, fmt.Sprintf("%s would be refused: %s, %s", name, row.Reason, row.Detail))
			}
		}
	}
	return problems, nil
}

// ending says that a certificate ends soon. That it has ended is what a row says.
func ending(c *trust.Certificate, now time.Time) string {
	left := c.X509.NotAfter.Sub(now)
	if left < 0 || left > min(soon, c.X509.NotAfter.Sub(c.X509.NotBefore)/4) {
		return ""
	}
	return fmt.Sprintf("is valid until %s only: renew it", c.X509.NotAfter.UTC().Format(time.RFC3339))
}
