package readiness

import (
	"strings"
	"testing"

	"domain-secured/internal/testkit/pki"
	"domain-secured/policy"
)

// TestUntrusted: why a chain does not reach a root, as far as that can be seen.
func TestUntrusted(t *testing.T) {
	w := newWorld(t)
	self, err := pki.SelfSigned(pki.LeafOptions{DNSNames: []string{"mx1.woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := pki.NewCA(pki.CAOptions{Name: "Stranger"})
	if err != nil {
		t.Fatal(err)
	}
	strange, err := stranger.Leaf(pki.LeafOptions{DNSNames: []string{"mx1.woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	sentence := func(c *pki.Certificate, with ...*pki.Certificate) string {
		address := presents(c)
		for _, more := range with {
			address.TLS.Chain = append(address.TLS.Chain, presents(more).TLS.Chain...)
		}
		a := w.assess(t, report(address), Lists{})
		return find(a, string(policy.CertificateNotTrusted)).Sentence
	}
	if got := sentence(self); !strings.Contains(got, "presents a self-signed certificate") {
		t.Error(got)
	}
	if got := sentence(strange); !strings.Contains(got, `presents its certificate alone`) || !strings.Contains(got, `"CN=Stranger"`) {
		t.Error(got)
	}
	if got := sentence(strange, &stranger.Certificate); !strings.Contains(got, `without a chain to a root that is trusted here, issuer "CN=Stranger"`) {
		t.Error(got)
	}
	w.settings.Usage = policy.UsageClient
	if got := sentence(w.issue(t, pki.LeafOptions{Usage: pki.UsageServer})); !strings.Contains(got, "for servers only") {
		t.Error(got)
	}
	w.settings.Evidence, w.settings.MTAIssuer = policy.EvidenceMTA, "Woodgrove Root"
	if got := sentence(strange); !strings.Contains(got, `would not be accepted here: the issuer is "Stranger"`) {
		t.Error(got)
	}
}

// TestEveryReason has a sentence of its own, for whom it concerns.
func TestEveryReason(t *testing.T) {
	w := newWorld(t)
	c := w.issue(t, pki.LeafOptions{})
	a := &assessor{Assessment: &Assessment{Entry: "woodgrovebank.com"}, partner: &w.settings}
	address := presents(c)
	host := &Host{Host: report(address).Hosts[0]}
	shown := &Address{Address: address, TLS: &TLS{Version: "TLSv1", Cipher: "TLS_RSA_WITH_3DES_EDE_CBC_SHA"}}
	said := make(map[string]policy.Reason)
	weights := map[policy.Reason]Weight{
		policy.RevocationNotKnown: Doubt, policy.DNSSECInvalid: Doubt, policy.InternalError: Doubt,
	}
	for _, reason := range policy.Reasons() {
		switch reason {
		case policy.ClientAddressMismatch, policy.TLSNotUsed, policy.CertificateMissing, policy.CertificateNotReported, policy.CertificateUnknown, policy.FromNotSecured:
			continue // of a client, or of a message
		}
		f := a.ofRow(host, shown, address.TLS.Chain, &Certificate{Fingerprint: "sha256:00", NotBefore: c.Leaf.NotBefore, NotAfter: c.Leaf.NotAfter}, policy.Row{Reason: reason, Detail: "this is why"})
		want, us := weights[reason]
		if !us {
			want = Fault
		}
		if f.Weight != want || (f.For == ForUs) != us || f.rest == "" {
			t.Errorf("%s: %+v", reason, f)
		}
		if other, twice := said[f.rest]; twice && !us {
			t.Errorf("%s and %s say the same: %s", reason, other, f.rest)
		}
		said[f.rest] = reason
	}
}

// TestAllAtOnce: two kinds of keys, of which one certificate is bad in two ways, and the
// same at two addresses: each is said once.
func TestAllAtOnce(t *testing.T) {
	w := newWorld(t)
	good := w.issue(t, pki.LeafOptions{})
	bad := w.issue(t, pki.LeafOptions{Key: pki.RSA1024, DNSNames: []string{"mx.fabrikam.com", "a.fabrikam.com", "b.fabrikam.com", "c.fabrikam.com", "d.fabrikam.com", "e.fabrikam.com"}})
	r := report(presents(good, bad), presents(good, bad))
	r.Hosts[0].Name = "mx.fabrikam.com"
	a := w.assess(t, r, Lists{})
	if a.Answer != NotReady || len(a.Findings) != 3 {
		t.Fatalf("%s %+v", a.Answer, a.Findings)
	}
	weak, mismatch, outside := a.Findings[0], a.Findings[1], a.Findings[2]
	if weak.Token != "certificate-weak" || !strings.Contains(weak.Sentence, "mx.fabrikam.com presents a certificate that is too weak (its RSA key has 1024 bits, not 2048)") || len(weak.Addresses) != 2 {
		t.Errorf("%+v", weak)
	}
	if mismatch.Token != "certificate-host-mismatch" || !strings.Contains(mismatch.Sentence, "for mx.fabrikam.com, a.fabrikam.com, b.fabrikam.com, c.fabrikam.com, d.fabrikam.com and 1 more, and no name") {
		t.Errorf("%+v", mismatch)
	}
	if outside.Token != OutsideDomain || outside.Weight != Remark || outside.For != ForUs {
		t.Errorf("%+v", outside)
	}
}
