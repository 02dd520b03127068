package crl

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"domain-secured/internal/trust/dn"
)

// Options are for [Build].
type Options struct {
	// Source is asked where the list is from once all of it has been read; nil: that
	// is not kept.
	Source func() Source
	// Signers returns the certificates that may have signed a list of this issuer
	// (DER of Name), by a key with this identifier if that is not nil. Certificates
	// of other names, or whose key may not sign CRLs, do no harm.
	Signers func(issuer, keyID []byte) []*x509.Certificate
	// Accept, if it is not nil, is asked about a list whose signature is good before
	// it replaces an earlier one. Its error is Build's.
	Accept func(*Info) error
}

// maxSigners bounds the signatures that are tried.
const maxSigners = 32

// Build reads a list from r to its end, DER or PEM, and leaves the index of it in
// the file path, in place of what is there. Nothing is there unless the list is
// well-formed and one of the signers signed it: the file appears whole or not at
// all. It takes some megabytes of memory, and of the folder about twice the list
// while it runs.
//
// The file is not forced to the disk: after a power failure, [Open] finds out.
func Build(r io.Reader, path string, o Options) (*Index, error) {
	dir := filepath.Dir(path)
	s := newSpill(dir)
	defer s.close()
	c := collector{spill: s, numbers: make(map[string]int)}
	l, err := read(r, c.take)
	if err != nil {
		return nil, err
	}
	signer, err := l.signedBy(o.Signers(l.issuer, l.extensions.keyID))
	if err != nil {
		return nil, err
	}
	var from Source
	if o.Source != nil {
		from = o.Source()
	}
	info, err := c.info(l, signer, from)
	if err != nil {
		return nil, err
	}
	if o.Accept != nil {
		if err := o.Accept(info); err != nil {
			return nil, err
		}
	}
	return create(path, s, info)
}

// A collector takes entries.
type collector struct {
	spill   *spill
	issuer  int // of the last entry, 0 for the list's
	issuers [][]byte
	octets  int
	numbers map[string]int
	unknown oid
}

func (c *collector) take(e *entry) error {
	// RFC 5280 section 5.3.3: it holds until another one is named.
	if e.issuer != nil {
		if err := c.another(e.issuer); err != nil {
			return err
		}
	}
	if e.unknown != "" {
		c.unknown = e.unknown
	}
	return c.spill.add(e.serial, e.reason, c.issuer)
}

func (c *collector) another(names []byte) error {
	n, known := c.numbers[string(names)]
	if !known {
		c.octets += len(names)
		if len(c.issuers) == maxIssuers || c.octets > maxIssuersLen {
			return fmt.Errorf("%w: it names too many issuers", ErrTooLarge)
		}
		c.issuers = append(c.issuers, bytes.Clone(names))
		n = len(c.issuers)
		c.numbers[string(names)] = n
	}
	c.issuer = n
	return nil
}

func (c *collector) info(l *list, signer *x509.Certificate, from Source) (*Info, error) {
	info := &Info{
		Source: from,
		Issuer: l.issuer, ThisUpdate: l.thisUpdate, NextUpdate: l.nextUpdate,
		Number: l.extensions.number, Base: l.extensions.base,
		Entries: c.spill.records, Size: l.size, Sum: l.sum,
		Signer: signer.Raw, UnknownCritical: l.extensions.unknown,
		AuthorityKeyID:           l.extensions.authority,
		IssuingDistributionPoint: l.extensions.issuingPoint,
		FreshestCRL:              l.extensions.freshest,
		Issuers:                  c.issuers,
	}
	if c.unknown != "" {
		info.UnknownCritical = append(info.UnknownCritical, c.unknown.String())
	}
	if err := info.complete(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if info.point.indirect {
		return info, nil
	}
	// RFC 5280 section 5.2.5: without indirectCRL it lists its own issuer's alone.
	for _, names := range info.issuers {
		for _, name := range names {
			if !dn.Same(name, info.Issuer) {
				return nil, fmt.Errorf("%w: it lists certificates of another issuer and is no indirect CRL", ErrMalformed)
			}
		}
	}
	return info, nil
}

// signedBy returns which of the certificates made the signature.
func (l *list) signedBy(candidates []*x509.Certificate) (*x509.Certificate, error) {
	var failure error
	for _, c := range candidates[:min(len(candidates), maxSigners)] {
		if !dn.Same(c.RawSubject, l.issuer) || !maySign(c) {
			continue
		}
		err := l.algorithm.verify(c.PublicKey, l.digest, l.signature)
		if err == nil {
			return c, nil
		}
		if failure == nil || errors.Is(err, ErrAlgorithm) {
			failure = err
		}
	}
	if failure == nil {
		failure = ErrSigner
	}
	return nil, fmt.Errorf("%w: issuer %q, key identifier %x", failure, nameText(l.issuer), l.extensions.keyID)
}

// maySign reports whether the key of a certificate is for CRLs: RFC 5280 section
// 6.3.3 (f).
func maySign(c *x509.Certificate) bool {
	return extensionOf(c, oidKeyUsage) == nil || c.KeyUsage&x509.KeyUsageCRLSign != 0
}

// create writes an index beside path, opens it and moves it there.
func create(path string, s *spill, info *Info) (x *Index, err error) {
	file, err := os.CreateTemp(filepath.Dir(path), tempPattern)
	if err != nil {
		return nil, fmt.Errorf("writing the CRL's index: %w", err)
	}
	defer func() {
		if err != nil {
			file.Close()
			os.Remove(file.Name())
		}
	}()
	if err := writeIndex(file, s, info); err != nil {
		return nil, err
	}
	if x, err = load(file); err != nil {
		return nil, err
	}
	// A CRL is public, and the daemon reads what an operator's command left.
	if err := file.Chmod(0o644); err != nil {
		return nil, fmt.Errorf("writing the CRL's index: %w", err)
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return nil, fmt.Errorf("writing the CRL's index: %w", err)
	}
	return x, nil
}
