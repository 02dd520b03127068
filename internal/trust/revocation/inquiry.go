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
	*trail
}

// A trail is how an inquiry got to where it is. What follows from a question has
// the question's.
type trail struct {
	asking    [maxDepth]*x509.Certificate // about whom it is asked now, the first question first
	depth     int                         // how many they are
	questions int                         // how many more there may be
}

// Bounds of the questions that follow from questions.
const (
	maxDepth     = 4
	maxQuestions = 32
)

// ask asks everybody, in order, about the first certificate of a chain.
func (i *inquiry) ask(chain []*x509.Certificate) Answer {
	subject := chain[0]
	if len(chain) < 2 {
		return Answer{Status: Good, Detail: "it is a root"}
	}
	// Nobody vouches for himself.
	if i.depth == maxDepth || slices.ContainsFunc(i.asking[:i.depth], subject.Equal) {
		return Answer{Status: Unknown, Detail: "who says so depends on the answer"}
	}
	if i.questions--; i.questions < 0 {
		return Answer{Status: Unknown, Detail: "too many questions follow from the question"}
	}
	i.asking[i.depth] = subject
	i.depth++
	defer func() { i.depth-- }()

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
	if slices.Contains(after, CRL) || slices.Contains(after, OCSP) && len(chain[0].OCSPServer) > 0 {
		half := *i
		var cancel context.CancelFunc
		half.ctx, cancel = share(i.ctx, 2)
		defer cancel()
		i = &half
	}
	if source == OCSP {
		return i.askResponders(chain)
	}
	return i.askLists(chain)
}

// share is for one of n who have the time of a context.
func share(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	deadline, bounded := ctx.Deadline()
	if !bounded || n < 2 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(n))
}

// notRevoked reports whether nobody on the path of a signer is revoked. Who is in
// the chain is left out: whoever asks about its first certificate asks about the
// others as well, and knows what he wants to know of them.
func (i *inquiry) notRevoked(path, chain []*x509.Certificate) bool {
	for n := range path[:len(path)-1] {
		if !slices.ContainsFunc(chain[1:], path[n].Equal) && i.ask(path[n:]).Status != Good {
			return false
		}
	}
	return true
}

// namesSource reports whether a certificate names anybody who knows.
func namesSource(c *x509.Certificate) bool {
	points, err := crl.Points(c)
	return err != nil || len(points) > 0 || len(c.OCSPServer) > 0
}
