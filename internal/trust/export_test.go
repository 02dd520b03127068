package trust

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"
)

func TestReadPublic(t *testing.T) {
	w := newWorld(t)
	chain := join(block("CERTIFICATE", w.leaf.DER), block("CERTIFICATE", w.intermediate.DER))
	for _, c := range []struct {
		what   string
		data   []byte
		hadKey bool
	}{
		{"certificates", chain, false},
		{"as Postfix has it", join(w.leaf.KeyPEM(), chain), true},
		{"the key last", join(chain, w.leaf.KeyPEM()), true},
		{"the key between", join(block("CERTIFICATE", w.intermediate.DER), w.leaf.KeyPEM(), block("CERTIFICATE", w.leaf.DER)), true},
		{"a key that is encrypted", join(block("ENCRYPTED PRIVATE KEY", []byte("x")), chain), true},
	} {
		got, hadKey, err := ReadPublic(c.data)
		if err != nil || len(got) != 1 || hadKey != c.hadKey {
			t.Errorf("%s: %d, %v, %v", c.what, len(got), hadKey, err)
			continue
		}
		for _, with := range []bool{true, false} {
			text, err := got[0].Public(with)
			want := chain
			if !with {
				want = block("CERTIFICATE", w.leaf.DER)
			}
			if err != nil || !bytes.Equal(text, want) {
				t.Errorf("%s: %v\n%s", c.what, err, text)
			}
		}
		if der, err := got[0].PublicDER(); err != nil || !bytes.Equal(der, w.leaf.DER) {
			t.Errorf("%s in DER: %v", c.what, err)
		}
	}
}

func TestReadPublicRefuses(t *testing.T) {
	w := newWorld(t)
	p12, err := pkcs12.Modern.Encode(w.leaf.Key, w.leaf.Leaf, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		data []byte
		want string
	}{
		{"a key alone", w.leaf.KeyPEM(), ErrPrivateKey.Error()},
		{"PKCS #12", p12, ErrPKCS12.Error()},
		{"a key and garbage", join(w.leaf.KeyPEM(), block("CERTIFICATE", []byte("x"))), "its certificate 1 does not parse: "},
		{"a key, cut off", join(w.leaf.PEM(), w.leaf.KeyPEM()[:100]), "a PEM block in it is damaged or cut off"},
		{"a request", block("CERTIFICATE REQUEST", []byte("x")), `it holds a "CERTIFICATE REQUEST", not only certificates`},
		{"a key and a request", join(w.leaf.KeyPEM(), block("CERTIFICATE REQUEST", []byte("x"))), `it holds a "CERTIFICATE REQUEST", not only certificates and a private key`},
		{"empty", nil, "it is empty"},
	} {
		if got, _, err := ReadPublic(c.data); got != nil || err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, %v", c.what, got, err)
		}
	}
}

// TestPublicOfStored: what a partner presented is given as it came, even if it
// does not parse, but a private key never is.
func TestPublicOfStored(t *testing.T) {
	w := newWorld(t)
	odd := &Certificate{DER: []byte("no certificate"), Err: errors.New("it does not parse")}
	if der, err := odd.PublicDER(); err != nil || !bytes.Equal(der, odd.DER) {
		t.Errorf("%q, %v", der, err)
	}
	key, err := MarshalKey(w.leaf.Key)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := ReadBundle(key, nil)
	if err != nil || len(bundle.Keys) != 1 {
		t.Fatal(bundle, err)
	}
	private := &Certificate{DER: pemBytes(t, key)}
	if der, err := private.PublicDER(); der != nil || !errors.Is(err, ErrPrivateKey) {
		t.Errorf("%q, %v", der, err)
	}
	if text, err := private.Public(true); text != nil || !errors.Is(err, ErrPrivateKey) {
		t.Errorf("%q, %v", text, err)
	}
}
