package policy

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// vetTable is what is asked about a certificate, for one partner and outside any
// transaction, in this order.
var vetTable = [...]row[vetting]{
	{11, "certificate parses", (*vetting).parses},
	{12, "key and signature strong", (*vetting).strong},
	{13, "within its validity", (*vetting).dates},
	{14, "chain to a root", (*vetting).chain},
	{15, "a name matches", (*vetting).name},
	{16, "not revoked", (*vetting).notRevoked},
	{17, "revocation source named", (*vetting).sourceNamed},
	{18, "revocation known", (*vetting).revocationKnown},
}

// Vetted is what [Vet] found.
type Vetted struct {
	Reason      Reason // [None] if the certificate is good
	Detail      string
	MatchedName string
	Auth        Auth
	Revocation  RevocationSource
	Rows        []Row // only if every row was asked for
	Open        bool  // as in [Verdict]
}

// Vet judges one certificate for one partner: rows 11 to 18 of the table. With
// every it goes on after the first row that fails, to show them all.
//
// domain is the list entry; without one no name is asked for, which proves nothing
// about anybody's mail and is for who looks at a certificate alone. For [EvidenceMTA] what the mail server reported
// stands in for the certificate, which may then be nil.
func Vet(ctx context.Context, e Evidence, p *Partner, domain string, c *Certificate, reported *Reported, at time.Time, every bool) Vetted {
	// RFC 5280 section 4.1.2.5: validity is told in seconds, the last one included.
	at = at.Truncate(time.Second)
	v := vetting{ctx: ctx, evidence: e, partner: p, domain: domain, certificate: c, reported: reported, at: at}
	r := run(vetTable[:], &v, every)
	// Where no row failed because none could be asked, nothing is proven.
	if r.found.outcome == OutcomeOK && v.matched == "" && domain != "" {
		r.found = fail(InternalError, "no name was matched")
	}
	vetted := Vetted{Reason: r.found.reason, Detail: r.found.detail, Rows: r.rows, Open: r.open}
	if r.found.outcome == OutcomeOK {
		vetted.MatchedName, vetted.Auth, vetted.Revocation = v.matched, v.auth(), v.source
	}
	return vetted
}

// vetting is one certificate being judged.
type vetting struct {
	ctx         context.Context
	evidence    Evidence
	partner     *Partner
	domain      string
	certificate *Certificate
	reported    *Reported
	at          time.Time

	chains  []Chain // those still in question
	matched string

	revocation Revocation // of the best chain, once asked
	source     RevocationSource
	asked      bool
}

// unparsed says why the rows about the certificate itself cannot be asked.
func (v *vetting) unparsed() (finding, bool) {
	switch {
	case v.partner.Evidence == EvidenceMTA:
		return skipped(mtaJudges), true
	case v.certificate == nil:
		return skipped(noCertificate), true
	case v.certificate.X509 == nil:
		return skipped("it does not parse"), true
	}
	return finding{}, false
}

func (v *vetting) parses() finding {
	if why, unparsed := v.unparsed(); unparsed {
		if v.certificate != nil && v.certificate.X509 == nil && v.partner.Evidence != EvidenceMTA {
			return fail(CertificateMalformed, "%v", v.certificate.Err)
		}
		return why
	}
	return fine
}

func (v *vetting) strong() finding {
	if why, unparsed := v.unparsed(); unparsed {
		return why
	}
	if weakness := weakness(v.certificate.X509); weakness != "" {
		return fail(CertificateWeak, "%s", weakness)
	}
	return fine
}

// weakness says what is weak about a certificate, "" for nothing.
func weakness(c *x509.Certificate) string {
	if weak := keyWeakness(c); weak != "" {
		return weak
	}
	switch c.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		return fmt.Sprintf("it is signed with %s", c.SignatureAlgorithm)
	}
	return ""
}

// keyWeakness holds a key to what is worth 112 bits or more (NIST SP 800-57
// part 1 section 5.6.1; for elliptic curves P-256, the smallest in use).
func keyWeakness(c *x509.Certificate) string {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < 2048 {
			return fmt.Sprintf("its RSA key has %d bits, not 2048", bits)
		}
	case *ecdsa.PublicKey:
		if size := key.Curve.Params().BitSize; size < 256 {
			return fmt.Sprintf("its key is on the curve %s, smaller than P-256", key.Curve.Params().Name)
		}
	case ed25519.PublicKey:
	default:
		return fmt.Sprintf("its key is of an unsupported kind (%s)", c.PublicKeyAlgorithm)
	}
	return ""
}

func (v *vetting) dates() finding {
	if why, unparsed := v.unparsed(); unparsed {
		return why
	}
	c := v.certificate.X509
	switch {
	case v.at.Before(c.NotBefore):
		return fail(CertificateNotYetValid, "valid from %s", stamp(c.NotBefore))
	case v.at.After(c.NotAfter):
		return fail(CertificateExpired, "valid until %s", stamp(c.NotAfter))
	}
	return fine
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (v *vetting) chain() finding {
	if v.partner.Evidence == EvidenceMTA {
		return v.mtaTrusted()
	}
	if why, unparsed := v.unparsed(); unparsed {
		return why
	}
	// Past the row above, only a look at every row gets here with other dates: the
	// chain is then judged as of the nearest moment at which the leaf was valid.
	at := v.at
	if c := v.certificate.X509; at.After(c.NotAfter) {
		at = c.NotAfter
	} else if at.Before(c.NotBefore) {
		at = c.NotBefore
	}
	chains, why, err := v.evidence.Chains(v.ctx, v.certificate, v.partner.Roots, v.partner.Usage, at)
	if err != nil {
		return fail(InternalError, "building the chain: %v", err)
	}
	v.chains = keep(chains, func(chain Chain) bool {
		weak := weakCA(chain)
		why = cmp.Or(weak, why)
		return weak == ""
	})
	if len(v.chains) == 0 {
		return fail(CertificateNotTrusted, "%s", why)
	}
	return fine
}

// weakCA says which key of a chain above the leaf is too weak to sign for it.
func weakCA(chain Chain) string {
	for _, ca := range chain[1:] {
		if weak := keyWeakness(ca); weak != "" {
			return fmt.Sprintf("in the chain, of %q: %s", ca.Subject, weak)
		}
	}
	return ""
}

// mtaTrusted stands in for rows 6 and 10 to 14: the mail server trusted the
// certificate, and it was issued by whom the partner named.
func (v *vetting) mtaTrusted() finding {
	switch r := v.reported; {
	case r.Presence == PresenceNo:
		return skipped(noCertificate)
	case !r.Trusted:
		return fail(CertificateNotTrusted, "the mail server did not trust it")
	case v.partner.MTAIssuer == "" || r.IssuerCN != v.partner.MTAIssuer:
		return fail(CertificateNotTrusted, "the issuer is %q, not mta_issuer = %q", r.IssuerCN, v.partner.MTAIssuer)
	}
	return ok("as the mail server says")
}

func (v *vetting) name() finding {
	if v.domain == "" {
		return skipped("no domain is given")
	}
	if v.partner.Evidence == EvidenceMTA {
		if v.reported.Presence == PresenceNo {
			return skipped(noCertificate)
		}
		return v.matchAny(v.reported.names())
	}
	if why, unparsed := v.unparsed(); unparsed {
		return why
	}
	if len(v.chains) == 0 { // only in a look at every row
		return v.matchAny(names(v.partner.NameMatch, v.certificate.X509, false))
	}
	// Names may count in one chain and not in another.
	var mismatch finding
	good := keep(v.chains, func(chain Chain) bool {
		f := v.matchAny(names(v.partner.NameMatch, v.certificate.X509, namesConstrained(chain)))
		if f.outcome != OutcomeOK {
			mismatch = f
		}
		return f.outcome == OutcomeOK
	})
	if len(good) == 0 {
		return mismatch
	}
	v.chains = good
	return ok(v.matched)
}

// keep returns the chains that are good: all of them, mostly, and then no others
// are made. The chains are shared and never changed.
func keep(chains []Chain, good func(Chain) bool) []Chain {
	for i, chain := range chains {
		if good(chain) {
			continue
		}
		kept := slices.Clone(chains[:i])
		for _, chain := range chains[i+1:] {
			if good(chain) {
				kept = append(kept, chain)
			}
		}
		return kept
	}
	return chains
}

func (v *vetting) matchAny(presented []string) finding {
	name, matches := matchName(v.partner, v.domain, presented)
	if !matches {
		return fail(CertificateHostMismatch, "it names %q", presented)
	}
	v.matched = name
	return ok(name)
}

func (v *vetting) auth() Auth {
	switch {
	case v.partner.Evidence == EvidenceMTA:
		return AuthMTA
	case v.partner.Names != nil:
		return AuthProvider
	}
	return AuthChain
}
