package trust

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strings"
	"testing"

	"domain-secured/internal/testkit/pki"
)

// deepWorld is a root with two authorities below each other and a leaf.
func deepWorld(t testing.TB) (root, upper, lower *pki.CA, mail *pki.Certificate) {
	t.Helper()
	root = ca(t, nil, "Root")
	upper = ca(t, root, "Upper")
	lower = ca(t, upper, "Lower")
	return root, upper, lower, leaf(t, lower, "mail1.contoso.com")
}

func TestOwn(t *testing.T) {
	root, upper, lower, mail := deepWorld(t)
	other := leaf(t, upper, "other.example")
	alone, err := pki.SelfSigned(pki.LeafOptions{DNSNames: []string{"mail1.contoso.com"}})
	if err != nil {
		t.Fatal(err)
	}
	// The same authority by another root, made later, as after a cross-certification.
	cross := crossCertify(t, ca(t, nil, "Other Root"), upper)
	// The root, which names itself as its issuer in another case.
	shouting, err := root.Resign(&root.Certificate, func(tbs []byte) []byte {
		return bytes.Replace(tbs, []byte("\x04Root"), []byte("\x04ROOT"), 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	r, u, l, m, o := root.Certificate.Leaf, upper.Certificate.Leaf, lower.Certificate.Leaf, mail.Leaf, other.Leaf
	type list = []*x509.Certificate
	for _, c := range []struct {
		what                          string
		key                           crypto.Signer
		given, chain, roots, stranger list
		gap                           *x509.Certificate
	}{
		{"in order", mail.Key, list{m, l, u}, list{m, l, u}, nil, nil, u},
		{"with the root", mail.Key, list{m, l, u, r}, list{m, l, u}, list{r}, nil, nil},
		{"with a root in two spellings", mail.Key, list{m, l, u, shouting.Leaf}, list{m, l, u}, list{shouting.Leaf}, nil, nil},
		{"backwards", mail.Key, list{r, u, l, m}, list{m, l, u}, list{r}, nil, nil},
		{"everything twice", mail.Key, list{u, m, l, u, r, m, l, r}, list{m, l, u}, list{r}, nil, nil},
		{"alone", mail.Key, list{m}, list{m}, nil, nil, m},
		{"one missing", mail.Key, list{m, u, r}, list{m}, list{r}, list{u}, m},
		{"somebody else's", mail.Key, list{o, m, l, u}, list{m, l, u}, nil, list{o}, u},
		{"self-signed", alone.Key, list{alone.Leaf}, list{alone.Leaf}, nil, nil, nil},
		{"self-signed among others", alone.Key, list{r, m, alone.Leaf}, list{alone.Leaf}, list{r}, list{m}, nil},
		{"cross-certified", mail.Key, list{m, l, cross}, list{m, l, cross}, nil, nil, cross},
	} {
		t.Run(c.what, func(t *testing.T) {
			own, err := (&Bundle{Keys: []crypto.Signer{c.key}, Certificates: c.given}).Own()
			if err != nil {
				t.Fatal(err)
			}
			for what, pair := range map[string][2]list{"chain": {own.Chain, c.chain}, "roots": {own.Roots, c.roots}, "strangers": {own.Strangers, c.stranger}} {
				if !slices.EqualFunc(pair[0], pair[1], (*x509.Certificate).Equal) {
					t.Errorf("%s: %s, not %s", what, subjects(pair[0]), subjects(pair[1]))
				}
			}
			if gap := own.Gap(); gap != c.gap {
				t.Errorf("the gap is at %v", gap)
			}
			text, err := own.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(text, []byte("-----BEGIN PRIVATE "+"KEY-----\n")) {
				t.Errorf("it begins %.30s", text)
			}
			pair, err := tls.X509KeyPair(text, text)
			if err != nil || len(pair.Certificate) != len(c.chain) {
				t.Errorf("as crypto/tls reads it: %d certificates, %v", len(pair.Certificate), err)
			}
			for i, der := range pair.Certificate {
				if !bytes.Equal(der, c.chain[i].Raw) {
					t.Errorf("%d is another", i)
				}
			}
		})
	}
}

// crossCertify makes a certificate for an authority's name and key by another.
func crossCertify(t testing.TB, by, of *pki.CA) *x509.Certificate {
	t.Helper()
	template := *of.Certificate.Leaf
	template.NotBefore = template.NotBefore.Add(1e9)
	der, err := x509.CreateCertificate(rand.Reader, &template, by.Certificate.Leaf, of.Key.Public(), by.Key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func subjects(certificates []*x509.Certificate) string {
	var all []string
	for _, c := range certificates {
		all = append(all, Describe(c))
	}
	return strings.Join(all, ", ")
}

// TestOwnNewest: of two certificates of one key the later one is presented, as
// after a renewal that kept the key; of two that may have issued it, too.
func TestOwnNewest(t *testing.T) {
	root, upper, lower, mail := deepWorld(t)
	later := *mail.Leaf
	later.NotBefore = later.NotBefore.Add(1e9)
	der, err := x509.CreateCertificate(rand.Reader, &later, lower.Certificate.Leaf, mail.Key.Public(), lower.Key)
	if err != nil {
		t.Fatal(err)
	}
	renewed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	cross := crossCertify(t, ca(t, nil, "Other Root"), upper)
	given := []*x509.Certificate{mail.Leaf, upper.Certificate.Leaf, cross, lower.Certificate.Leaf, renewed, root.Certificate.Leaf}
	for range 2 {
		own, err := (&Bundle{Keys: []crypto.Signer{mail.Key}, Certificates: given}).Own()
		if err != nil {
			t.Fatal(err)
		}
		if want := []*x509.Certificate{renewed, lower.Certificate.Leaf, cross}; !slices.EqualFunc(own.Chain, want, (*x509.Certificate).Equal) {
			t.Errorf("%s", subjects(own.Chain))
		}
		if len(own.Strangers) != 2 || len(own.Roots) != 1 {
			t.Errorf("strangers %s, roots %s", subjects(own.Strangers), subjects(own.Roots))
		}
		slices.Reverse(given)
	}
}

func TestOwnRefuses(t *testing.T) {
	w := newWorld(t)
	key, other := w.leaf.Key, aKey(t, KeyRSA3072)
	both := []*x509.Certificate{w.leaf.Leaf, w.intermediate.Certificate.Leaf}
	for _, c := range []struct {
		what   string
		bundle Bundle
		want   string
	}{
		{"nothing", Bundle{}, ErrNoKey.Error()},
		{"no key", Bundle{nil, both}, ErrNoKey.Error()},
		{"no certificate", Bundle{[]crypto.Signer{key}, nil}, ErrNoCertificate.Error()},
		{"two keys", Bundle{[]crypto.Signer{key, other}, both}, ErrSeveralKeys.Error()},
		{"another key", Bundle{[]crypto.Signer{other}, both}, "the private key belongs to none of the certificates (2)"},
		{"the key of none", Bundle{[]crypto.Signer{aKey(t, KeyECDSAP256)}, both}, "the private key belongs to none of the certificates (2)"},
	} {
		if own, err := c.bundle.Own(); own != nil || err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, %v", c.what, own, err)
		}
	}
	if _, err := (&Bundle{[]crypto.Signer{key, key}, both}).Own(); err != nil {
		t.Errorf("the same key twice: %v", err)
	}
}

// TestOwnEndless: authorities that issue each other make no endless chain.
func TestOwnEndless(t *testing.T) {
	a, b := ca(t, nil, "A"), ca(t, nil, "B")
	given := []*x509.Certificate{crossCertify(t, a, b), crossCertify(t, b, a)}
	mail := leaf(t, a, "mail1.contoso.com")
	own, err := (&Bundle{[]crypto.Signer{mail.Key}, append(given, mail.Leaf)}).Own()
	if err != nil || len(own.Chain) != 3 {
		t.Errorf("%v, %v", own, err)
	}
	// And a long one ends.
	authority := ca(t, nil, "0")
	var long []*x509.Certificate
	for range maxOwnChain + 5 {
		authority = ca(t, authority, "next")
		long = append(long, authority.Certificate.Leaf)
	}
	mail = leaf(t, authority, "mail1.contoso.com")
	own, err = (&Bundle{[]crypto.Signer{mail.Key}, append(long, mail.Leaf)}).Own()
	if err != nil || len(own.Chain) != maxOwnChain {
		t.Errorf("%d in the chain, %v", len(own.Chain), err)
	}
}
