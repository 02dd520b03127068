package revocation

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"

	"domain-secured/internal/trust/crl"
	"domain-secured/internal/trust/fetch"
)

// fetchList gets a list from an address, if it has changed there.
func (c *Checker) fetchList(ctx context.Context, client *fetch.Client, k key, address string, signers []*x509.Certificate) error {
	spool, err := c.spool()
	if err != nil {
		return err
	}
	defer spool.Close()
	current := c.lists.get(k, c.Clock())
	var previous fetch.Validators
	if current != nil && c.Clock().Before(current.Info().NextUpdate) {
		previous = fetch.Validators{ETag: current.Info().Source.ETag, LastModified: current.Info().Source.LastModified}
	}
	result, err := client.Get(ctx, address, previous, spool, crl.MaxSize)
	if err != nil {
		return err
	}
	now := c.Clock()
	if result.NotModified {
		c.lists.confirm(k, now)
		return nil
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading what was fetched: %w", err)
	}
	return c.build(spool, k, current, signers, crl.Source{
		URL: address, ETag: result.Validators.ETag, LastModified: result.Validators.LastModified, Fetched: now,
	})
}

// spool returns a file without a name in the folder.
func (c *Checker) spool() (*os.File, error) {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder of CRLs: %w", err)
	}
	file, err := os.CreateTemp(c.Dir, ".new-*")
	if err != nil {
		return nil, fmt.Errorf("storing a CRL: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return nil, fmt.Errorf("storing a CRL: %w", err)
	}
	return file, nil
}

// readList reads a list of the operator's.
func (c *Checker) readList(k key, address string, signers []*x509.Certificate) error {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return fmt.Errorf("making the folder of CRLs: %w", err)
	}
	file, source, err := openFile(address)
	if err != nil {
		return err
	}
	defer file.Close()
	source.Fetched = c.Clock()
	return c.build(bufio.NewReader(file), k, c.lists.get(k, c.Clock()), signers, source)
}

// errSame: it is the list that is there.
var errSame = errors.New("it is the same list")

// build makes a list the one for its key, if it is newer than the current one.
func (c *Checker) build(r io.Reader, k key, current *crl.Index, signers []*x509.Certificate, from crl.Source) error {
	index, err := crl.Build(r, c.lists.path(k), crl.Options{
		Source:  from,
		Signers: func(_, _ []byte) []*x509.Certificate { return signers },
		Accept: func(info *crl.Info) error {
			if current == nil {
				return nil
			}
			return follows(info, current.Info())
		},
	})
	if errors.Is(err, errSame) {
		c.lists.confirm(k, from.Fetched)
		index = current
	} else if err != nil {
		return fmt.Errorf("%q: %w", from.URL, err)
	} else {
		c.lists.put(k, index, signers, from.Fetched)
		c.Log.Debug("new CRL", "crl", index.Info().String(), "entries", index.Info().Entries)
	}
	if due := index.Info().NextUpdate; from.Fetched.After(due) {
		return fmt.Errorf("%v is what is there, and its next update was due %s", index.Info(), due.UTC().Format("2006-01-02T15:04:05Z"))
	}
	return nil
}

// follows says why a list must not take the place of another: RFC 5280 section
// 5.2.3 has the number never go back, and a server or whoever sits before it could
// bring back a list from before a revocation.
func follows(next, current *crl.Info) error {
	if next.Sum == current.Sum && next.Source.URL == current.Source.URL && (next.Source.ETag == current.Source.ETag || next.Source.ETag == "") {
		return errSame
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
