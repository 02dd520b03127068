package gate

import (
	"crypto/x509"
	"errors"

	"domain-secured/internal/trust"
	"domain-secured/policy"
)

// ReadRoots reads root certificates anew, of files or of "system". A machine
// without system roots is worth a warning, not an error: nothing is trusted then.
func ReadRoots(names []string) (roots *policy.Roots, warning string, err error) {
	var all []*x509.Certificate
	for _, name := range names {
		var some []*x509.Certificate
		if name == "system" {
			if some, err = trust.ReadSystemRoots(); errors.Is(err, trust.ErrNoSystemRoots) {
				warning, err = err.Error(), nil
			}
		} else {
			some, err = trust.ReadRoots(name)
		}
		if err != nil {
			return nil, "", err
		}
		all = append(all, some...)
	}
	r := trust.NewRoots(all)
	roots = &policy.Roots{Pool: r.Pool, ID: r.ID, Turns: r.Turns}
	if len(names) != 1 || names[0] != "system" {
		roots.PEM = trust.MarshalCertificates(all...)
	}
	return roots, warning, nil
}
