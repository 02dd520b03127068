package revocation

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"

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
		if its := i.ask(append([]*x509.Certificate{r}, chain[1:]...)); its.Status != Good {
			return Answer{Status: Unknown, Detail: fmt.Sprintf("OCSP: its signer's certificate is %v (%s)", its.Status, its.Detail)}
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
	release, err := c.jobs.turn(ctx)
	if err != nil {
		return err
	}
	defer release()
	request, err := ocsp.Request(subject, issuer, 0)
	if err != nil {
		return err
	}
	var problems []error
	for _, server := range subject.OCSPServer[:min(len(subject.OCSPServer), maxResponders)] {
		// GET first: caches can answer it. But they may be out of date, and not every
		// responder answers it.
		for _, query := range []query{get, post} {
			response, err := query(ctx, client, server, request)
			if err != nil {
				problems = append(problems, err)
				continue
			}
			a := &answer{server: server, subject: subject, issuer: issuer, used: c.Clock()}
			if a.answer, err = ocsp.Check(response, subject, issuer, c.Clock(), ocsp.Options{}); err != nil {
				problems = append(problems, fmt.Errorf("asking %q: %w", server, err))
				continue
			}
			// It has not heard of the certificate yet, or any longer: that is not kept for as
			// long as an answer would be.
			if a.answer.Status == ocsp.Unknown {
				problems = append(problems, errors.New(a.String()))
				continue
			}
			if err = c.answers.put(k, a, response, c.Clock()); err == nil {
				return nil
			}
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// A query is a way to ask a responder.
type query func(ctx context.Context, client *fetch.Client, server string, request []byte) ([]byte, error)

func get(ctx context.Context, client *fetch.Client, server string, request []byte) ([]byte, error) {
	url, short := ocsp.GetURL(server, request)
	if !short {
		return nil, fmt.Errorf("asking %q: its address is too long for GET", server)
	}
	var response bytes.Buffer
	if _, err := client.Get(ctx, url, fetch.Validators{}, &response, ocsp.MaxResponse); err != nil {
		return nil, err
	}
	return response.Bytes(), nil
}

func post(ctx context.Context, client *fetch.Client, server string, request []byte) ([]byte, error) {
	return client.Post(ctx, server, ocsp.RequestType, request, ocsp.MaxResponse)
}
