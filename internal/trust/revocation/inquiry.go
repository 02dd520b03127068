package revocation

import (
	"context"
	"crypto/x509"
	"slices"
	"strings"
	"time"

	"domain-secured/internal/trust/crl"
)

// An inquiry is one question, and those that follow from it: who signed a list or
// an answer must not be revoked either.
type inquiry struct {
	*Checker
	ctx      context.Context
	settings *Settings
	others   []*x509.Certificate
	at       time.Time
	asking   []*x509.Certificate // about whom it is asked now, the first question first
}

// maxDepth bounds the questions that follow from questions.
const maxDepth = 4

// ask asks everybody, in order, about the first certificate of a chain.
func (i *inquiry) ask(chain []*x509.Certificate) Answer {
	subject := chain[0]
	if len(chain) < 2 {
		return Answer{Status: Good, Detail: "it is a root"}
	}
	// Nobody vouches for himself.
	if len(i.asking) == maxDepth || slices.ContainsFunc(i.asking, subject.Equal) {
		return Answer{Status: Unknown, Detail: "who says so depends on the answer"}
	}
	i.asking = append(i.asking, subject)
	defer func() { i.asking = i.asking[:len(i.asking)-1] }()

	var details []string
	named := false
	for n, source := range i.settings.Order {
		a := i.askOne(source, chain, i.settings.Order[n+1:])
		if a.definite() {
			return a
		}
		if a.Status == Unknown {
			named = true
			details = append(details, a.Detail)
		}
	}
	switch {
	case named:
		return Answer{Status: Unknown, Detail: strings.Join(details, "; ")}
	case namesSource(subject):
		return Answer{Status: Unknown, Detail: "it names only sources that revocation.order leaves out"}
	}
	return Answer{Status: Unavailable, Detail: "it names no source of revocation"}
}

// askOne asks lists or responders. If there is somebody else to ask after them,
// only half of the time is theirs.
func (i *inquiry) askOne(source string, chain []*x509.Certificate, after []string) Answer {
	one := *i
	others := slices.Contains(after, CRL) || slices.Contains(after, OCSP) && len(chain[0].OCSPServer) > 0
	if deadline, bounded := i.ctx.Deadline(); bounded && others {
		var cancel context.CancelFunc
		one.ctx, cancel = context.WithTimeout(i.ctx, time.Until(deadline)/2)
		defer cancel()
	}
	if source == OCSP {
		return one.askResponders(chain)
	}
	return one.askLists(chain)
}

// notRevoked says why somebody who signs for others is not to be believed, "" if
// he is: every certificate of his chain below the root is asked about.
func (i *inquiry) notRevoked(chain []*x509.Certificate) string {
	for n := range chain[:len(chain)-1] {
		if a := i.ask(chain[n:]); a.Status != Good {
			return "its signer's certificate is " + a.Status.String() + " (" + a.Detail + ")"
		}
	}
	return ""
}

// namesSource reports whether a certificate names anybody who knows.
func namesSource(c *x509.Certificate) bool {
	points, err := crl.Points(c)
	return err != nil || len(points) > 0 || len(c.OCSPServer) > 0
}
