package ocsp

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	oid "encoding/asn1"
	"encoding/hex"
	"math/big"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"domain-secured/internal/testkit/pki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// now is when the tests judge.
var now = time.Now().UTC().Truncate(time.Second)

// world is an authority that is no root, as those that run responders are, with a
// certificate and one whom it delegated answering to.
type world struct {
	root, ca  *pki.CA
	leaf      *pki.Certificate
	responder *pki.Certificate
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := new(world)
	var err error
	if w.root, err = pki.NewCA(pki.CAOptions{Name: "Root"}); err != nil {
		t.Fatal(err)
	}
	if w.ca, err = w.root.Intermediate(pki.CAOptions{Name: "Issuing CA"}); err != nil {
		t.Fatal(err)
	}
	w.leaf = leaf(t, w.ca, pki.LeafOptions{DNSNames: []string{"mail1.woodgrovebank.com"}})
	w.responder = responder(t, w.ca, pki.LeafOptions{})
	return w
}

func leaf(t testing.TB, ca *pki.CA, o pki.LeafOptions) *pki.Certificate {
	t.Helper()
	c, err := ca.Leaf(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var (
	forOCSP   = usage(1, 3, 6, 1, 5, 5, 7, 3, 9)
	noCheck   = pkix.Extension{Id: oidNoCheck, Value: []byte{5, 0}}
	forNobody = pkix.Extension{Id: oid.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: true, Value: []byte{5, 0}}
)

// usage is an extended key usage extension.
func usage(purpose ...int) pkix.Extension {
	value, _ := oid.Marshal([]oid.ObjectIdentifier{purpose})
	return pkix.Extension{Id: oid.ObjectIdentifier{2, 5, 29, 37}, Value: value}
}

// responder makes a certificate for answering; with Extra it says itself what for.
func responder(t testing.TB, ca *pki.CA, o pki.LeafOptions) *pki.Certificate {
	t.Helper()
	o.CommonNames, o.Usage = []string{"Responder"}, pki.UsageNone
	if o.Extra == nil {
		o.Extra = []pkix.Extension{forOCSP}
	}
	return leaf(t, ca, o)
}

// said is a SingleResponse to be made.
type said struct {
	cert, issuer *x509.Certificate // what it is about
	hash         crypto.Hash       // 0: SHA-1
	serial       *big.Int          // nil: the certificate's
	status       Status
	reason       int // -1: none
	this, next   time.Time
	extensions   []pkix.Extension
}

// reply is a response to be made.
type reply struct {
	said       []said
	by         *pki.Certificate // signs; the name or key in it is this one's, too
	byKey      bool
	as         *x509.Certificate // whom it says it is by, if another
	with       []*pki.Certificate
	version    []byte // DER of the version field
	extensions []pkix.Extension
	hash       crypto.Hash // to sign with; 0: SHA-256
	pss        bool
}

// good is what w's authority itself says of w's leaf, an hour ago for two hours.
func (w *world) good() reply {
	return reply{by: &w.ca.Certificate, said: []said{{
		cert: w.leaf.Leaf, issuer: w.ca.Certificate.Leaf, status: Good, reason: -1, this: now.Add(-time.Hour), next: now.Add(time.Hour),
	}}}
}

// delegated is the same from w's responder, or another one.
func (w *world) delegated(by *pki.Certificate) reply {
	r := w.good()
	r.by, r.with = by, []*pki.Certificate{by}
	return r
}

// algorithmOf are the AlgorithmIdentifiers of what the tests sign with.
var algorithmOf = map[string]string{
	"ECDSA-SHA-1":   "300906072a8648ce3d0401",
	"ECDSA-SHA-256": "300a06082a8648ce3d040302",
	"ECDSA-SHA-384": "300a06082a8648ce3d040303",
	"ECDSA-SHA-512": "300a06082a8648ce3d040304",
	"RSA-SHA-1":     "300d06092a864886f70d0101050500",
	"RSA-SHA-256":   "300d06092a864886f70d01010b0500",
	"RSA-SHA-384":   "300d06092a864886f70d01010c0500",
	"RSA-SHA-512":   "300d06092a864886f70d01010d0500",
	"Ed25519":       "300506032b6570",
	"PSS-SHA-256":   "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120",
	"PSS-SHA-384":   "304106092a864886f70d01010a3034a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130",
	"PSS-SHA-512":   "304106092a864886f70d01010a3034a00f300d06096086480165030402030500a11c301a06092a864886f70d010108300d06096086480165030402030500a203020140",
}

// sign returns the AlgorithmIdentifier and the signature.
func (r *reply) sign(t testing.TB, tbs []byte) (algorithm, signature []byte) {
	t.Helper()
	hash := r.hash
	if hash == 0 {
		hash = crypto.SHA256
	}
	var options crypto.SignerOpts = hash
	digest := sum(hash, tbs)
	name := "ECDSA-" + hash.String()
	switch r.by.Key.(type) {
	case *rsa.PrivateKey:
		name = "RSA-" + hash.String()
		if r.pss {
			name = "PSS-" + hash.String()
			options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
		}
	case ed25519.PrivateKey:
		name, digest, options = "Ed25519", tbs, crypto.Hash(0)
	}
	algorithm, err := hex.DecodeString(algorithmOf[name])
	if err != nil || len(algorithm) == 0 {
		t.Fatalf("%s: %v", name, err)
	}
	if signature, err = r.by.Key.Sign(rand.Reader, digest, options); err != nil {
		t.Fatal(err)
	}
	return algorithm, signature
}

// der encodes and signs r.
func (r reply) der(t testing.TB) []byte {
	t.Helper()
	return r.wrap(t, r.data(t))
}

// data encodes a ResponseData.
func (r *reply) data(t testing.TB) []byte {
	t.Helper()
	as := r.as
	if as == nil {
		as = r.by.Leaf
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(r.version)
		if r.byKey {
			bits, err := publicKeyBits(as)
			if err != nil {
				t.Fatal(err)
			}
			b.AddASN1(explicit(2), func(b *cryptobyte.Builder) { b.AddASN1OctetString(sum(crypto.SHA1, bits)) })
		} else {
			b.AddASN1(explicit(1), func(b *cryptobyte.Builder) { b.AddBytes(as.RawSubject) })
		}
		b.AddASN1GeneralizedTime(now)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for i := range r.said {
				r.said[i].add(t, b)
			}
		})
		addExtensions(t, b, r.extensions)
	})
	return b.BytesOrPanic()
}

// wrap signs a ResponseData and puts it into an OCSPResponse.
func (r *reply) wrap(t testing.TB, tbs []byte) []byte {
	t.Helper()
	algorithm, signature := r.sign(t, tbs)
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(0)
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidBasic)
				b.AddASN1(asn1.OCTET_STRING, func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddBytes(tbs)
						b.AddBytes(algorithm)
						b.AddASN1BitString(signature)
						if len(r.with) == 0 {
							return
						}
						b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
							b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
								for _, c := range r.with {
									b.AddBytes(c.DER)
								}
							})
						})
					})
				})
			})
		})
	})
	return b.BytesOrPanic()
}

var hashOIDs = map[crypto.Hash]oid.ObjectIdentifier{
	crypto.SHA1:   {1, 3, 14, 3, 2, 26},
	crypto.SHA256: {2, 16, 840, 1, 101, 3, 4, 2, 1},
	crypto.SHA384: {2, 16, 840, 1, 101, 3, 4, 2, 2},
	crypto.SHA512: {2, 16, 840, 1, 101, 3, 4, 2, 3},
}

func (s *said) add(t testing.TB, b *cryptobyte.Builder) {
	t.Helper()
	hash, serial := s.hash, s.serial
	if hash == 0 {
		hash = crypto.SHA1
	}
	if serial == nil {
		serial = s.cert.SerialNumber
	}
	name, key, err := issuerHashes(s.cert, s.issuer, hash)
	if err != nil {
		t.Fatal(err)
	}
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(hashOIDs[hash])
				b.AddASN1NULL()
			})
			b.AddASN1OctetString(name)
			b.AddASN1OctetString(key)
			b.AddASN1BigInt(serial)
		})
		switch s.status {
		case Good:
			b.AddASN1(implicit(0), func(*cryptobyte.Builder) {})
		case Unknown:
			b.AddASN1(implicit(2), func(*cryptobyte.Builder) {})
		case Revoked:
			b.AddASN1(explicit(1), func(b *cryptobyte.Builder) {
				b.AddASN1GeneralizedTime(s.this)
				if s.reason >= 0 {
					b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(s.reason)) })
				}
			})
		}
		b.AddASN1GeneralizedTime(s.this)
		if !s.next.IsZero() {
			b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(s.next) })
		}
		addExtensions(t, b, s.extensions)
	})
}

func addExtensions(t testing.TB, b *cryptobyte.Builder, extensions []pkix.Extension) {
	t.Helper()
	if extensions == nil {
		return
	}
	der, err := oid.Marshal(extensions)
	if err != nil {
		t.Fatal(err)
	}
	b.AddASN1(explicit(1), func(b *cryptobyte.Builder) { b.AddBytes(der) })
}
