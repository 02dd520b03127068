package crl

import (
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/pki"
)

// TestAsOpenSSL has openssl verify certificates with the same lists.
func TestAsOpenSSL(t *testing.T) {
	w := newAuthorities(t)
	idp := func(p crlmaker.IssuingPoint) func(*scene) { return func(s *scene) { s.scope(p) } }
	uri := func(s string) []crlmaker.Name { return []crlmaker.Name{crlmaker.URI(s)} }
	for _, c := range []struct {
		name   string
		change func(*scene)
		want   Status
		says   string // openssl, "" for OK
	}{
		{"not listed", func(s *scene) {}, Good, ""},
		{"version 1", func(s *scene) { s.list.Version1, s.list.Extensions, s.entries = true, nil, nil }, Good, ""},
		{"listed", func(s *scene) { s.listed(1) }, Revoked, "certificate revoked"},
		{"on hold", func(s *scene) { s.listed(6) }, Hold, "certificate revoked"},
		{"ended", func(s *scene) { s.list.NextUpdate = s.at.Add(-time.Minute) }, Unknown, "CRL has expired"},
		{"of the future", func(s *scene) { s.list.ThisUpdate = s.at.Add(time.Hour) }, Unknown, "CRL is not yet valid"},
		{"critical", func(s *scene) {
			s.list.Extensions = append(s.list.Extensions, crlmaker.Extension{ID: "1.2.3", Critical: true, Value: []byte{5, 0}})
		}, Unknown, "unhandled critical CRL extension"},
		{"critical, in an entry", func(s *scene) {
			s.entries[0].Extensions = []crlmaker.Extension{{ID: "1.2.3", Critical: true, Value: []byte{5, 0}}}
		}, Unknown, "unhandled critical CRL extension"},
		{"bad signature", func(s *scene) { s.list.Key = s.silent.Key }, Unknown, "CRL signature failure"},
		{"its point", idp(crlmaker.IssuingPoint{Names: uri(point1)}), Good, ""},
		{"another point", idp(crlmaker.IssuingPoint{Names: uri(point2)}), Unknown, "different CRL scope"},
		{"users", idp(crlmaker.IssuingPoint{OnlyUser: true}), Good, ""},
		{"CAs", idp(crlmaker.IssuingPoint{OnlyCA: true}), Unknown, "different CRL scope"},
		{"attributes", idp(crlmaker.IssuingPoint{OnlyAttributes: true}), Unknown, "different CRL scope"},
		{"some reasons", idp(crlmaker.IssuingPoint{OnlyReasons: 1 << 1}), Unknown, "unable to get certificate CRL"},
		{"some reasons, listed", func(s *scene) { idp(crlmaker.IssuingPoint{OnlyReasons: 1 << 1})(s); s.listed(1) }, Revoked, "certificate revoked"},
		{"indirect", (*scene).indirect, Good, ""},
		{"indirect, listed", func(s *scene) {
			s.indirect()
			s.entries = append(s.entries, crlmaker.Entry{Serial: asked, Reason: 1, Issuer: s.ca.Certificate.Leaf.RawSubject})
		}, Revoked, "certificate revoked"},
		{"indirect, another's", func(s *scene) {
			s.indirect()
			s.entries = append(s.entries, crlmaker.Entry{Serial: asked, Reason: 1, Issuer: otherName})
		}, Good, ""},
		{"delta", func(s *scene) { s.deltaSays(-1) }, Good, ""},
		{"delta, listed", func(s *scene) { s.deltaSays(1) }, Revoked, "certificate revoked"},
		{"delta, removed", func(s *scene) { s.deltaSays(8); s.listed(6) }, Good, ""},
		{"delta in place of a list", func(s *scene) { s.list.Extensions = append(s.list.Extensions, crlmaker.Delta(9)) }, Unknown, "unable to get certificate CRL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(w)
			c.change(s)
			if c.name == "bad signature" {
				// No index is built of it.
				s.list.Entries = crlmaker.Of()
				if err := sign(t, der1(t, *s.list), w.ca); err == nil {
					t.Error("an index was built")
				}
			} else if a := s.ask(t); a.Status != c.want {
				t.Errorf("%v: %s", a.Status, a.Detail())
			}
			says := s.verify(t)
			if c.says == "" && !strings.Contains(says, ": OK") || !strings.Contains(says, c.says) {
				t.Errorf("openssl: %s", says)
			}
		})
	}
}

// verify has openssl verify a leaf like the one that is asked for.
func (s *scene) verify(t *testing.T) string {
	t.Helper()
	leaf, err := s.ca.Leaf(pki.LeafOptions{DNSNames: []string{"a.example"}, Serial: asked, Extra: extras(crlmaker.Points(s.points...))})
	if err != nil {
		t.Fatal(err)
	}
	s.list.Entries = crlmaker.Of(s.entries...)
	lists := []byte(pemOf(t, *s.list))
	// openssl wants to know of the authorities, too.
	lists = append(lists, pemOf(t, by(s.root, crlmaker.Number(1)))...)
	args := []string{"verify", "-crl_check", "-extended_crl", "-purpose", "any"}
	if s.delta.Key != nil {
		// It looks for a delta CRL only where one is named.
		s.list.Extensions = append(s.list.Extensions, crlmaker.Freshest(crlmaker.Point{Names: []crlmaker.Name{crlmaker.URI("http://delta/")}}))
		lists = []byte(pemOf(t, *s.list))
		s.delta.Entries = crlmaker.Of(s.changes...)
		lists = append(lists, pemOf(t, *s.delta)...)
		args = append(args, "-use_deltas")
	}
	args = append(args, "-attime", fmt.Sprint(s.at.Unix()), "-CAfile", write(t, s.root.PEM()),
		"-untrusted", write(t, append(append(s.ca.PEM(), s.lists.PEM()...), leaf.PEM()...)), "-CRLfile", write(t, lists), write(t, leaf.PEM()))
	says, err := openssl(t, args...)
	if err != nil && says == "" {
		t.Fatal(err)
	}
	return says
}

// TestOpenSSLReads has openssl read what is made for the tests, and say what is on
// it.
func TestOpenSSLReads(t *testing.T) {
	for _, kind := range []pki.KeyKind{pki.ECDSAP256, pki.RSA2048, pki.Ed25519} {
		ca := newCA(t, pki.CAOptions{Key: kind})
		o := by(ca, crlmaker.Number(77), crlmaker.KeyID([]byte("key")), crlmaker.IssuingPoint{OnlyUser: true}.Extension())
		o.Entries = many(100)
		data := der1(t, o)
		says, err := openssl(t, "crl", "-inform", "DER", "-in", write(t, data), "-noout", "-text", "-CAfile", write(t, ca.PEM()))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(says, "verify OK") || strings.Count(says, "Serial Number: ") != 100 || !strings.Contains(says, "Only User Certificates") {
			t.Errorf("%s: %s", kind, says)
		}
		if kind == pki.Ed25519 {
			continue
		}
		x := build(t, data, ca.Certificate.Leaf)
		for line := range strings.Lines(says) {
			if digits, ok := strings.CutPrefix(strings.TrimSpace(line), "Serial Number: "); ok {
				n, _ := new(big.Int).SetString(digits, 16)
				if _, listed, err := x.Lookup(ca.Certificate.Leaf.RawSubject, n); !listed || err != nil {
					t.Errorf("%s is not listed: %v", digits, err)
				}
			}
		}
	}
}

// TestMadeByOpenSSL reads lists that an authority run with openssl makes, which by
// default are of version 1.
func TestMadeByOpenSSL(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	const plain = "V\t361122120000Z\t\t01\tunknown\t/CN=good\nR\t361122120000Z\t260102030405Z\t02\tunknown\t/CN=revoked\n"
	for _, c := range []struct {
		name, database, extensions string
		listed                     map[int64]Reason
		numbered                   bool
	}{
		{"version 1", plain, "", map[int64]Reason{2: 0}, false},
		{"version 2", plain +
			"R\t361122120000Z\t260102030405Z,keyCompromise\t80FF\tunknown\t/CN=compromised\n" +
			"R\t361122120000Z\t260102030405Z,certificateHold\t7B\tunknown\t/CN=held\n" +
			"R\t361122120000Z\t260102030405Z,CACompromise\t04\tunknown\t/CN=compromised too\n",
			"crl_extensions = x\n[x]\nauthorityKeyIdentifier = keyid\n",
			map[int64]Reason{2: 0, 0x80ff: 1, 0x7b: 6, 4: 2}, true},
	} {
		dir := t.TempDir()
		file := func(name, text string) string {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		config := "[ca]\ndefault_ca = d\n[d]\ndefault_md = sha256\ndefault_crl_days = 7\ndatabase = " + file("index.txt", c.database) + "\n"
		if c.numbered {
			config += "crlnumber = " + file("crlnumber", "1F\n") + "\n"
		}
		out := filepath.Join(dir, "crl.pem")
		if says, err := openssl(t, "ca", "-gencrl", "-config", file("config", config+c.extensions),
			"-cert", write(t, ca.PEM()), "-keyfile", write(t, ca.KeyPEM()), "-out", out); err != nil {
			t.Fatal(err, says)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(data)
		for form, data := range map[string][]byte{"PEM": data, "DER": block.Bytes} {
			x := build(t, data, ca.Certificate.Leaf)
			for i := range int64(0x8100) {
				reason, listed, err := x.Lookup(ca.Certificate.Leaf.RawSubject, big.NewInt(i))
				want, wanted := c.listed[i]
				if err != nil || listed != wanted || reason != want {
					t.Fatalf("%s, %s: %x: %v, %t, %v", c.name, form, i, reason, listed, err)
				}
			}
			if n := x.Info().Number; (n != nil) != c.numbered || c.numbered && n.Int64() != 0x1f {
				t.Errorf("%s, %s: number %v", c.name, form, n)
			}
		}
	}
}
