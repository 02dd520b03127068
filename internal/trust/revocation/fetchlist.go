package revocation

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"domain-secured/internal/trust/crl"
	"domain-secured/internal/trust/fetch"
)

// A listing gets one list from its address.
type listing struct {
	*Checker
	client  *fetch.Client
	key     key
	address string
	part    *part // of a file; nil if it is fetched
	signers []*x509.Certificate
	// useless says why a list has no say about who is asked about; nil if nobody is.
	useless func(*crl.Info) error
}

// fetch gets the list, if it has changed there. It is read, sorted and hashed as it
// comes: nothing of it counts before its end has come and its signature is verified.
func (l *listing) fetch(ctx context.Context) error {
	release, err := l.jobs.turn(ctx)
	if err != nil {
		return err
	}
	defer release()
	current := l.lists.current(l.key, l.Clock())
	var previous fetch.Validators
	if current != nil && l.Clock().Before(current.Info().NextUpdate) {
		previous = fetch.Validators{ETag: current.Info().Source.ETag, LastModified: current.Info().Source.LastModified}
	}
	a := l.arrive(ctx, previous)
	defer a.stop()
	err = l.build(a, current, func() crl.Source {
		v := a.result.Validators
		return crl.Source{URL: l.address, ETag: v.ETag, LastModified: v.LastModified, Fetched: l.Clock()}
	})
	var failed *notFetched
	switch {
	case errors.Is(err, errNotModified):
		now := l.Clock()
		l.lists.confirm(l.key, now)
		return l.usable(current.Info(), now)
	case errors.As(err, &failed):
		return failed.err
	}
	return err
}

// readFile reads a list of the operator's.
func (l *listing) readFile() error {
	file, list, source, err := l.part.open()
	if err != nil {
		return err
	}
	defer file.Close()
	source.Fetched = l.Clock()
	return l.build(bufio.NewReader(list), l.lists.current(l.key, l.Clock()), func() crl.Source { return source })
}

// errSame: it is the list that is there.
var errSame = errors.New("it is the same list")

// build makes a list the one for its key, if it follows the current one. Where it
// is from is asked at its end.
func (l *listing) build(r io.Reader, current *crl.Index, source func() crl.Source) error {
	if err := os.MkdirAll(l.Dir, 0o755); err != nil {
		return fmt.Errorf("making the folder of CRLs: %w", err)
	}
	var from crl.Source
	index, err := crl.Build(r, l.lists.path(l.key), crl.Options{
		Source: func() crl.Source {
			from = source()
			return from
		},
		Signers: func(_, _ []byte) []*x509.Certificate { return l.signers },
		Accept: func(info *crl.Info) error {
			switch {
			case len(info.UnknownCritical) > 0:
				return fmt.Errorf("%v has a critical extension that is not known: %s", info, info.UnknownCritical[0])
			case info.ThisUpdate.After(from.Fetched.Add(crl.Skew)):
				return fmt.Errorf("%v is of the future", info)
			case current == nil:
				return nil
			}
			return l.follows(info, current.Info())
		},
	})
	if errors.Is(err, errSame) {
		l.lists.confirm(l.key, from.Fetched)
		index = current
	} else if err != nil {
		return fmt.Errorf("%q: %w", l.address, err)
	} else {
		l.lists.put(l.key, index, l.signers, from.Fetched)
		l.Log.Debug("new CRL", "crl", index.Info().String(), "entries", index.Info().Entries)
	}
	return l.usable(index.Info(), from.Fetched)
}

// usable says why what is there now is of no use, so that it is not fetched again
// at once.
func (l *listing) usable(info *crl.Info, now time.Time) error {
	if now.After(info.NextUpdate) {
		return fmt.Errorf("%v is what is there, and its next update was due %s", info, info.NextUpdate.UTC().Format(time.RFC3339))
	}
	if l.useless != nil {
		if err := l.useless(info); err != nil {
			return fmt.Errorf("%v is what is there: %w", info, err)
		}
	}
	return nil
}

// follows says why a list must not take the place of another: RFC 5280 section
// 5.2.3 has the number never go back, and a server or whoever sits before it could
// bring back a list from before a revocation. Nor may it put one there that is
// for something else, whose number would then keep the right one out.
func (l *listing) follows(next, current *crl.Info) error {
	if next.Sum == current.Sum && next.Source.URL == current.Source.URL && (next.Source.ETag == current.Source.ETag || next.Source.ETag == "") {
		return errSame
	}
	elsewhere := (next.Base == nil) != (current.Base == nil) || !sameScope(next, current)
	if l.useless != nil {
		useless := l.useless(current) != nil
		elsewhere = !useless && l.useless(next) != nil
		if useless && l.useless(next) == nil {
			return nil
		}
	}
	// The operator may put something else into his file, or the same in another order.
	// Another key of the issuer may count from another number.
	if l.part != nil && (elsewhere || !next.SameKey(current)) {
		return nil
	}
	if elsewhere {
		return fmt.Errorf("%v is for something else than %v, which is kept", next, current)
	}
	now := next.Source.Fetched
	if now.After(next.NextUpdate) && !now.After(current.NextUpdate) {
		return fmt.Errorf("the next update of %v was due %s, and %v is kept", next, next.NextUpdate.UTC().Format(time.RFC3339), current)
	}
	older := next.ThisUpdate.Before(current.ThisUpdate)
	if next.Number != nil && current.Number != nil && next.Number.Cmp(current.Number) != 0 {
		older = next.Number.Cmp(current.Number) < 0
	}
	if older {
		return fmt.Errorf("%v is older than %v, which is kept: the issuer's server is out of step", next, current)
	}
	return nil
}
