package revocation

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"domain-secured/internal/trust/fetch"
	"domain-secured/internal/trust/ocsp"
)

// maxResponders bounds the responders of a certificate that are asked.
const maxResponders = 3

// askResponders asks by OCSP about the first certificate of a chain (RFC 6960).
func (i *inquiry) askResponders(chain []*x509.Certificate) Answer {
	subject, issuer := chain[0], chain[1]
	if len(subject.OCSPServer) == 0 {
		return Answer{Status: Unavailable, Detail: "it names no OCSP responder"}
	}
	k := keyOf(OCSP+" "+subject.SerialNumber.String(), issuer)
	a := i.answers.get(k, subject, issuer, i.at, i.Clock())
	if a == nil {
		if i.settings.Fetch == nil {
			return Answer{Status: Unknown, Detail: fmt.Sprintf("%q: nothing is fetched here", subject.OCSPServer[0])}
		}
		client := i.settings.Fetch
		j := i.jobs.start(k, func(ctx context.Context) error { return i.fetchAnswer(ctx, client, k, subject, issuer) })
		release, may := i.wait()
		err := j.wait(i.ctx, may)
		release()
		if err != nil {
			return Answer{Status: Unknown, Detail: fmt.Sprintf("OCSP: %v", err)}
		}
		if a = i.answers.get(k, subject, issuer, i.at, i.Clock()); a == nil {
			return Answer{Status: Unknown, Detail: "the OCSP answer is not of the time that it is asked about"}
		}
	}
	return i.believe(a, chain)
}

// believe says what an answer means, once it is known that who signed it is not
// revoked: RFC 6960 section 4.2.2.2.1.
func (i *inquiry) believe(a *answer, chain []*x509.Certificate) Answer {
	if r := a.answer.Responder; r != nil && !a.answer.NoCheck {
		if why := i.notRevoked(append([]*x509.Certificate{r}, chain[1:]...)); why != "" {
			return Answer{Status: Unknown, Detail: "OCSP: " + why}
		}
	}
	detail := a.String()
	switch {
	case a.answer.Status == ocsp.Good:
		return Answer{Status: Good, Source: OCSP, Detail: detail}
	case a.answer.Status == ocsp.Revoked && a.answer.Hold:
		return Answer{Status: OnHold, Source: OCSP, Detail: detail}
	case a.answer.Status == ocsp.Revoked:
		return Answer{Status: Revoked, Source: OCSP, Detail: detail}
	}
	return Answer{Status: Unknown, Detail: detail}
}

// fetchAnswer asks the responders of a certificate in turn.
func (c *Checker) fetchAnswer(ctx context.Context, client *fetch.Client, k key, subject, issuer *x509.Certificate) error {
	request, err := ocsp.Request(subject, issuer, 0)
	if err != nil {
		return err
	}
	var problems []error
	for _, server := range subject.OCSPServer[:min(len(subject.OCSPServer), maxResponders)] {
		response, err := query(ctx, client, server, request)
		if err == nil {
			var checked ocsp.Answer
			if checked, err = ocsp.Check(response, subject, issuer, c.Clock(), ocsp.Options{}); err == nil {
				return c.answers.put(k, &answer{
					server: server, response: response, answer: checked, subject: subject, issuer: issuer, used: c.Clock(),
				}, c.Clock())
			}
			err = fmt.Errorf("asking %q: %w", server, err)
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// query asks with GET where that is possible: caches can answer it.
func query(ctx context.Context, client *fetch.Client, server string, request []byte) ([]byte, error) {
	url, short := ocsp.GetURL(server, request)
	if !short {
		return client.Post(ctx, server, ocsp.RequestType, request, ocsp.MaxResponse)
	}
	var response strings.Builder
	if _, err := client.Get(ctx, url, fetch.Validators{}, &response, ocsp.MaxResponse); err != nil {
		return nil, err
	}
	return []byte(response.String()), nil
}
