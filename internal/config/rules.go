package config

import (
	"errors"
	"net/netip"
	"slices"
	"sort"
	"strings"

	"domain-secured/policy"
)

// maxContact keeps a reply within the 512 octets of RFC 5321 section 4.5.3.1.5.
const maxContact = 100

// rules fills in what the rules go by: defaults, partners, connectors.
func (b *builder) rules() {
	defaults := b.partner([]any{"defaults"}, "", partnerKeys{defaultKeys: b.keys.Defaults}, b.meta.IsDefined("defaults", "roots"))
	partners := make(map[string]*policy.Partner, len(b.keys.Partner))
	names := make([]string, 0, len(b.keys.Partner))
	for name := range b.keys.Partner {
		names = append(names, name)
	}
	if has, isTable := tableAt(b.text, "partner"); has && !isTable {
		b.bad([]any{"partner"}, "partner is no table: settings of a domain stand in [partner.\"example.com\"]")
	}
	sort.Strings(names) // problems and warnings in the same order each time
	for _, name := range names {
		path := []any{"partner", name}
		domain, err := policy.ParseDomain(name)
		if err != nil {
			b.bad(path, "[partner.%q]: %v", name, err)
			continue
		}
		if partners[domain] != nil {
			b.bad(path, "[partner.%q]: %s has a table already", name, domain)
		}
		k := partnerKeys{defaultKeys: b.keys.Defaults}
		// The decoder writes into a slice that is there: not into the defaults'.
		k.Roots = slices.Clone(k.Roots)
		if err := b.meta.PrimitiveDecode(b.keys.Partner[name], &k); err != nil {
			b.problems = append(b.problems, notTOML(b.file, err)...)
			continue
		}
		partners[domain] = b.partner(path, domain, k, b.meta.IsDefined("partner", name, "roots"))
	}
	connectors := make([]policy.Connector, len(b.keys.Connector))
	for i := range b.keys.Connector {
		connectors[i] = b.connector(i)
	}
	b.out.Snapshot = policy.NewSnapshot(nil, nil, defaults, partners, connectors)
}

// partner makes the settings of one partner, or with domain "" the defaults.
func (b *builder) partner(at []any, domain string, k partnerKeys, ownRoots bool) *policy.Partner {
	path := func(key string) []any { return append(slices.Clone(at), key) }
	// What is inherited and wrong was said of the defaults.
	check := func(key string) *checker {
		if domain == "" || b.isSet(path(key)) {
			return &b.checker
		}
		return new(checker)
	}
	p := &policy.Partner{
		Domain:        domain,
		Mode:          oneOf(check("mode"), path("mode"), k.Mode, policy.ModeOff, policy.ModeTesting, policy.ModeEnforce),
		NameMatch:     oneOf(check("name_match"), path("name_match"), k.NameMatch, policy.NameMatchExchange, policy.NameMatchStrict),
		Evidence:      oneOf(check("evidence"), path("evidence"), k.Evidence, policy.EvidenceCertificate, policy.EvidenceMTA),
		Trust:         oneOf(check("trust"), path("trust"), k.Trust, policy.TrustChain, policy.TrustPins),
		Usage:         oneOf(check("usage"), path("usage"), k.Usage, policy.UsageClient, policy.UsageClientOrServer, policy.UsageAny),
		MinTLS:        policy.ParseTLSVersion(oneOf(check("min_tls"), path("min_tls"), k.MinTLS, "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")),
		MinBits:       k.MinBits,
		Revocation:    oneOf(check("revocation"), path("revocation"), k.Revocation, policy.RevocationRequire, policy.RevocationIfAvailable, policy.RevocationOff),
		OnFailure:     oneOf(check("on_failure"), path("on_failure"), k.OnFailure, policy.OnFailureTempfail, policy.OnFailureReject),
		EscalateAfter: check("escalate_after").duration(path("escalate_after"), k.EscalateAfter),
		FromAlignment: oneOf(check("from_alignment"), path("from_alignment"), k.FromAlignment, policy.FromAlignmentOff, policy.FromAlignmentStamp, policy.FromAlignmentEnforce),
		SendVerify:    oneOf(check("send_verify"), path("send_verify"), k.SendVerify, policy.SendVerifyDefault, policy.SendVerifyNames, policy.SendVerifyVetted, policy.SendVerifyPins),
		Contact:       k.Contact,
		Subdomains:    k.Subdomains,
		DANE:          k.DANE,
		MTAIssuer:     k.MTAIssuer,
	}
	if k.MinBits < 0 || k.MinBits > 1024 {
		check("min_bits").bad(path("min_bits"), "%s = %d is not a number of key bits", dotted(path("min_bits")), k.MinBits)
	}
	if !printable(k.Contact) || len(k.Contact) > maxContact {
		check("contact").bad(path("contact"), "%s: only printable ASCII can go into a reply, and at most %d characters", dotted(path("contact")), maxContact)
	}
	p.Pins = b.pins(path("pins"), k.Pins)
	p.Names = b.names(path("names"), k.Names)
	p.ClientAddresses = b.prefixes(path("client_addresses"), k.ClientAddresses)
	for _, host := range k.ProbeHosts {
		p.ProbeHosts = append(p.ProbeHosts, b.hostName(path("probe_hosts"), host))
	}
	b.contradictions(path, p, ownRoots)
	p.Roots = b.rootsFor(path("roots"), k.Roots, p)
	return p
}

// isSet reports whether the file has a value at path, names all.
func (b *builder) isSet(path []any) bool {
	key := make([]string, len(path))
	for i := range path {
		key[i] = path[i].(string)
	}
	return b.meta.IsDefined(key...)
}

// contradictions notes settings that cannot hold together.
func (b *builder) contradictions(path func(string) []any, p *policy.Partner, ownRoots bool) {
	isPartner := p.Domain != ""
	if p.Trust == policy.TrustPins && isPartner && len(p.Pins) == 0 {
		b.bad(path("trust"), `%s: trust = "pins" without pins: nothing could ever pass`, dotted(path("")[:2]))
	}
	if p.SendVerify == policy.SendVerifyPins && isPartner && len(p.Pins) == 0 {
		b.bad(path("send_verify"), `%s: send_verify = "pins" without pins: nothing could ever be sent`, dotted(path("")[:2]))
	}
	switch {
	case p.SendVerify == policy.SendVerifyNames && p.Trust == policy.TrustPins:
		b.bad(path("send_verify"), `%s = "names" with trust = "pins": where only a pin is trusted, a name proves nothing`, dotted(path("send_verify")))
	case p.SendVerify == policy.SendVerifyVetted && p.Evidence == policy.EvidenceMTA:
		b.bad(path("send_verify"), `%s = "vetted" with evidence = "mta": what only the mail server judges cannot be judged here`, dotted(path("send_verify")))
	}
	if p.Evidence != policy.EvidenceMTA {
		if p.MTAIssuer != "" {
			b.bad(path("mta_issuer"), `%s: mta_issuer is only looked at with evidence = "mta"`, dotted(path("mta_issuer")))
		}
		return
	}
	where := dotted(path("evidence"))
	if isPartner && p.MTAIssuer == "" {
		b.bad(path("evidence"), `%s = "mta" needs mta_issuer, the common name of the issuer that the MTA is to report`, where)
	}
	if p.Revocation != policy.RevocationOff {
		b.bad(path("evidence"), `%s = "mta" needs revocation = "off": an MTA reports nothing to check it with`, where)
	}
	if ownRoots {
		b.bad(path("roots"), `%s: with evidence = "mta" the MTA's own roots count, not these`, dotted(path("roots")))
	}
}

func (b *builder) pins(path []any, pins []string) []policy.Hash {
	var hashes []policy.Hash
	for _, pin := range pins {
		hash, err := policy.ParseHash(pin)
		if err != nil {
			b.bad(path, "%s: %v: a pin is the SHA-256 of a certificate or public key", dotted(path), err)
			continue
		}
		hashes = append(hashes, hash)
	}
	return hashes
}

func (b *builder) names(path []any, names []string) []string {
	var checked []string
	for _, name := range names {
		lower, ok := policy.CheckName(name)
		if !ok {
			b.bad(path, "%s: %q is not a name that a certificate can count with", dotted(path), name)
			continue
		}
		checked = append(checked, lower)
	}
	return checked
}

func (b *builder) prefixes(path []any, addresses []string) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, address := range addresses {
		prefix, err := parsePrefix(address)
		if err != nil {
			b.bad(path, "%s: %q is not an address or network such as \"192.0.2.0/24\"", dotted(path), address)
			continue
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes
}

func parsePrefix(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, err
		}
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err == nil && prefix.Addr().Is4In6() {
		return netip.Prefix{}, errors.New("an IPv4 network is written as one")
	}
	return prefix.Masked(), err
}

// rootsFor reads a partner's roots; those of partners with the same ones are read,
// and complained of, once.
func (b *builder) rootsFor(path []any, names []string, p *policy.Partner) *policy.Roots {
	if p.Trust == policy.TrustPins || p.Evidence == policy.EvidenceMTA {
		return nil // no chain is built
	}
	absolute := make([]string, len(names))
	for i, name := range names {
		absolute[i] = name
		if name != systemRoots {
			absolute[i] = b.path(name)
		}
	}
	key := strings.Join(absolute, "\x00")
	roots, known := b.read[key]
	if known {
		return roots
	}
	if len(names) == 0 {
		b.bad(path, `%s is empty: nothing could ever be trusted (pins alone: trust = "pins")`, dotted(path))
		b.read[key] = nil
		return nil
	}
	roots, warning, err := b.roots(absolute)
	if err != nil {
		b.bad(path, "%s: %v", dotted(path), err)
	}
	if warning != "" {
		b.warn("%s", warning)
	}
	b.read[key] = roots
	return roots
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
