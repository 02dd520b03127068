package trust

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"domain-secured/internal/trust/dn"
)

// maxComparisons bounds the work on names and constraints of all chains of a
// certificate. Public authorities stay below a thousand for one.
const maxComparisons = 250_000

var errTooManyNames = errors.New("there are too many names and name constraints in the chain to compare")

// checkNames applies every name constraint of a chain to all certificates below
// it: RFC 5280 sections 4.2.1.10 and 6.1.3 (b) and (c). crypto/x509 has done so,
// but does not know directory names, takes the host of a mailbox or URI for a
// domain, and passes over what it does not know unless that is critical.
// comparisons counts.
func checkNames(chain []*x509.Certificate, selfIssued []bool, comparisons *int) error {
	names := make([][]generalName, len(chain))
	read := make([]bool, len(chain))
	for i := len(chain) - 1; i > 0; i-- {
		value, ok := extension(chain[i], oidNameConstraints)
		if !ok {
			continue
		}
		permitted, excluded, err := readConstraints(value)
		if err != nil {
			return fmt.Errorf("in the chain, %.200q: %w", chain[i].Subject, err)
		}
		for j := i - 1; j >= 0; j-- {
			c := chain[j]
			// RFC 5280 section 4.2.1.10: only what an authority issued to itself is let off.
			if selfIssued[j] {
				continue
			}
			if !read[j] {
				if names[j], err = namesOf(c); err != nil {
					return fmt.Errorf("in the chain, %.200q: %w", c.Subject, err)
				}
				read[j] = true
			}
			for _, name := range names[j] {
				if *comparisons += name.cost(permitted) + name.cost(excluded); *comparisons > maxComparisons {
					return errTooManyNames
				}
				if why := name.outside(permitted, excluded); why != "" {
					return fmt.Errorf("in the chain, %.200q: its %s %s the name constraints of %.200q", c.Subject, name, why, chain[i].Subject)
				}
			}
		}
	}
	return nil
}

// A subtree is one GeneralSubtree (RFC 5280 section 4.2.1.10).
type subtree struct {
	base generalName
	odd  bool // with a minimum or maximum, which nobody defines for any kind
}

var errConstraints = errors.New("its name constraints do not parse")

func readConstraints(value []byte) (permitted, excluded []subtree, err error) {
	in := cryptobyte.String(value)
	var list cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() || list.Empty() {
		return nil, nil, errConstraints
	}
	for n, trees := range []*[]subtree{&permitted, &excluded} {
		var some cryptobyte.String
		var present bool
		if !list.ReadOptionalASN1(&some, &present, context(uint8(n)).Constructed()) || present && some.Empty() {
			return nil, nil, errConstraints
		}
		for !some.Empty() {
			var tree subtree
			var one, minimum cryptobyte.String
			var limited bool
			if !some.ReadASN1(&one, cbasn1.SEQUENCE) || !tree.base.read(&one) ||
				!one.ReadOptionalASN1(&minimum, &limited, context(0)) {
				return nil, nil, errConstraints
			}
			tree.odd = !one.Empty() || limited && !bytes.Equal(minimum, []byte{0})
			*trees = append(*trees, tree)
		}
	}
	if !list.Empty() {
		return nil, nil, errConstraints
	}
	return permitted, excluded, nil
}

// outside says how a name is not where it must be, or "".
func (n generalName) outside(permitted, excluded []subtree) string {
	limited, within := false, false
	for _, tree := range permitted {
		if tree.base.kind != n.kind {
			continue
		}
		if tree.odd || !n.kind.comparable() {
			return "cannot be compared with"
		}
		limited = true
		within = within || n.within(tree.base.value)
	}
	for _, tree := range excluded {
		if tree.base.kind != n.kind {
			continue
		}
		if tree.odd || !n.kind.comparable() {
			return "cannot be compared with"
		}
		if n.within(tree.base.value) || n.mayReach(tree.base.value) {
			return "is excluded by"
		}
	}
	if limited && !within {
		return "is not permitted by"
	}
	return ""
}

// within reports whether a name lies in the subtree of a constraint.
func (n generalName) within(base []byte) bool {
	switch n.kind {
	case kindDNS:
		return domainWithin(string(n.value), string(base))
	case kindMail:
		mailbox, host := splitMail(n.value)
		wanted, of := splitMail(base)
		if wanted != "" {
			return mailbox == wanted && strings.EqualFold(host, of)
		}
		return hostWithin(host, of)
	case kindURI:
		uri, err := url.Parse(string(n.value))
		return err == nil && uri.Hostname() != "" && hostWithin(uri.Hostname(), string(base))
	case kindIP:
		return addressWithin(n.value, base)
	case kindDirectory:
		return nameWithin(n.value, base)
	}
	return false
}

// mayReach reports whether a name that is not within an excluded subtree may
// still stand for one that is.
func (n generalName) mayReach(base []byte) bool {
	switch n.kind {
	case kindDNS:
		// A wildcard speaks for all that is below it, as partners are matched.
		below, wildcard := strings.CutPrefix(string(n.value), "*.")
		return wildcard && domainWithin(strings.TrimPrefix(string(base), "."), below)
	case kindDirectory:
		// What RFC 5280 section 7.1 does not compare may be the same nevertheless.
		return oddText(n.value) || oddText(base)
	case kindURI:
		uri, err := url.Parse(string(n.value))
		return err != nil || uri.Hostname() == ""
	}
	return false
}

// domainWithin: a dNSName is within a domain if labels were added to it, or none.
// A leading dot, which RFC 5280 does not know here (erratum 5997), means one at
// least.
func domainWithin(name, base string) bool {
	name, base = strings.ToLower(name), strings.ToLower(base)
	return base == "" || name == base || strings.HasSuffix(name, "."+strings.TrimPrefix(base, "."))
}

// splitMail returns the part of an address up to the @, which is compared octet
// by octet (RFC 5280 section 7.5), and its host.
func splitMail(address []byte) (mailbox, host string) {
	at := bytes.LastIndexByte(address, '@') + 1
	return string(address[:at]), string(address[at:])
}

// hostWithin: the host of a mailbox or URI is the host that the constraint names
// or, after a leading dot, one below it.
func hostWithin(host, base string) bool {
	host, base = strings.ToLower(host), strings.ToLower(base)
	return base == "" || host == base || strings.HasPrefix(base, ".") && strings.HasSuffix(host, base)
}

// addressWithin: a constraint is an address and a mask of the same length.
func addressWithin(address, base []byte) bool {
	if len(base) != 2*len(address) {
		return false
	}
	network, mask := base[:len(address)], base[len(address):]
	for i, octet := range address {
		if (octet^network[i])&mask[i] != 0 {
			return false
		}
	}
	return true
}

// nameWithin: a directory name is within one that it begins with (RFC 5280
// section 7.1).
func nameWithin(name, base []byte) bool {
	nameRDNs, ok := relativeNames(name)
	baseRDNs, also := relativeNames(base)
	if !ok || !also || len(nameRDNs) < len(baseRDNs) {
		return false
	}
	var start cryptobyte.Builder
	start.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(slices.Concat(nameRDNs[:len(baseRDNs)]...))
	})
	der, err := start.Bytes()
	return err == nil && dn.Same(der, base)
}
