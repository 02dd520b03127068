package revocation

import (
	"bytes"
	"crypto/x509"
	"slices"

	"domain-secured/internal/trust/crl"
	"domain-secured/internal/trust/dn"
)

// maxSigners bounds the certificates that are tried for one question.
const maxSigners = 8

// signers returns the certificates, besides that of the issuer, by which lists
// about the first certificate of a chain may be signed: who has the name of the
// issuer or of a CRL issuer that the certificate names, and whose own path ends in
// the same root and is not revoked. RFC 5280 section 6.3.3 (f).
func (i *inquiry) signers(chain []*x509.Certificate) []*x509.Certificate {
	candidates := i.candidates(chain)
	if len(candidates) == 0 {
		return nil
	}
	// The rest of the time is for the lists themselves.
	one := *i
	ctx, cancel := share(i.ctx, 2)
	defer cancel()
	one.ctx = ctx
	return slices.DeleteFunc(candidates, func(c *x509.Certificate) bool {
		return ctx.Err() != nil || !slices.ContainsFunc(i.paths(c, chain), func(path []*x509.Certificate) bool { return one.notRevoked(path, chain) })
	})
}

// candidates are those with the right name and a key of their own.
func (i *inquiry) candidates(chain []*x509.Certificate) []*x509.Certificate {
	subject, issuer := chain[0], chain[1]
	points, err := crl.Points(subject)
	if err != nil {
		return nil
	}
	var all []*x509.Certificate
	consider := func(c *x509.Certificate) {
		if len(all) == maxSigners || bytes.Equal(c.RawSubjectPublicKeyInfo, issuer.RawSubjectPublicKeyInfo) && dn.Same(c.RawSubject, issuer.RawSubject) {
			return
		}
		for _, known := range all {
			if known.Equal(c) {
				return
			}
		}
		if dn.Same(c.RawSubject, subject.RawIssuer) {
			all = append(all, c)
			return
		}
		for _, point := range points {
			if point.IssuedBy(c.RawSubject) {
				all = append(all, c)
				return
			}
		}
	}
	for _, c := range chain[1:] {
		consider(c)
	}
	for _, c := range i.others {
		consider(c)
	}
	return all
}

// maxPaths bounds the paths of a signer that are tried.
const maxPaths = 4

// paths are the valid paths of a signer to the root of the chain.
func (i *inquiry) paths(c *x509.Certificate, chain []*x509.Certificate) [][]*x509.Certificate {
	root := chain[len(chain)-1]
	if c.Equal(root) {
		return [][]*x509.Certificate{{c}}
	}
	if i.Paths == nil {
		return nil
	}
	paths := i.Paths(c, root, append(chain[1:len(chain)-1:len(chain)-1], i.others...), i.at)
	return paths[:min(len(paths), maxPaths)]
}
