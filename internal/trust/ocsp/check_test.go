package ocsp

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	oid "encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	lib "golang.org/x/crypto/ocsp"

	"domain-secured/internal/testkit/pki"
)

func TestCheck(t *testing.T) {
	w := newWorld(t)
	issuer := w.ca.Certificate.Leaf
	neighbour := leaf(t, w.ca, pki.LeafOptions{DNSNames: []string{"neighbour.example"}})
	sister, err := w.root.Intermediate(pki.CAOptions{Name: "Sister CA"})
	if err != nil {
		t.Fatal(err)
	}
	twin, err := w.root.Intermediate(pki.CAOptions{Name: "Issuing CA"}) // same name, other key
	if err != nil {
		t.Fatal(err)
	}
	old := pki.LeafOptions{NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(-time.Minute)}
	for _, c := range []struct {
		name string
		make func(*reply)
		want string // status, or words of the error
	}{
		{"by the issuer", func(*reply) {}, "good"},
		{"by the issuer, its name in other letters", func(r *reply) {
			as := *w.ca.Certificate.Leaf
			as.RawSubject = bytes.Replace(as.RawSubject, []byte("Issuing CA"), []byte("ISSUING ca"), 1)
			r.as = &as
		}, "good"},
		{"by another name", func(r *reply) {
			as := *w.ca.Certificate.Leaf
			as.RawSubject = bytes.Replace(as.RawSubject, []byte("Issuing CA"), []byte("Issuing CB"), 1)
			r.as = &as
		}, "neither the issuer nor in it"},
		{"by the issuer's key", func(r *reply) { r.byKey = true }, "good"},
		{"by the issuer, with its own certificate", func(r *reply) { r.with = []*pki.Certificate{&w.ca.Certificate} }, "good"},
		{"by the issuer, with certificates of others", func(r *reply) { r.with = []*pki.Certificate{w.leaf, &w.root.Certificate, w.responder} }, "good"},
		{"SHA-256 CertID", func(r *reply) { r.said[0].hash = crypto.SHA256 }, "good"},
		{"SHA-512 CertID", func(r *reply) { r.said[0].hash = crypto.SHA512 }, "good"},
		{"signed with SHA-384", func(r *reply) { r.hash = crypto.SHA384 }, "good"},
		{"delegated", func(r *reply) { *r = w.delegated(w.responder) }, "good"},
		{"delegated, the issuer's name in other letters", func(r *reply) {
			by, err := w.ca.Resign(w.responder, func(tbs []byte) []byte { return bytes.Replace(tbs, []byte("Issuing CA"), []byte("ISSUING ca"), 1) })
			if err != nil {
				t.Fatal(err)
			}
			*r = w.delegated(by)
		}, "good"},
		{"delegated, by key", func(r *reply) { *r = w.delegated(w.responder); r.byKey = true }, "good"},
		{"delegated, not the first certificate", func(r *reply) {
			*r = w.delegated(w.responder)
			r.with = []*pki.Certificate{&w.ca.Certificate, neighbour, w.responder}
		}, "good"},
		{"revoked", func(r *reply) { r.said[0].status = Revoked }, "revoked"},
		{"unknown", func(r *reply) { r.said[0].status = Unknown }, "unknown"},
		{"version said", func(r *reply) { r.version = []byte{0xa0, 3, 2, 1, 0} }, "good"},
		{"extensions that are not critical", func(r *reply) {
			r.extensions, r.said[0].extensions = []pkix.Extension{noCheck}, []pkix.Extension{noCheck, noCheck}
		}, "good"},
		{"beside others", func(r *reply) {
			other := r.said[0]
			other.cert, other.status = neighbour.Leaf, Revoked
			r.said = []said{other, r.said[0], other}
		}, "good"},
		{"same serial of another issuer first", func(r *reply) {
			other := r.said[0]
			other.issuer, other.status = sister.Certificate.Leaf, Good
			r.said[0].status = Revoked
			r.said = []said{other, r.said[0]}
		}, "revoked"},
		{"just not stale", func(r *reply) { r.said[0].next = now.Add(-5 * time.Minute) }, "good"},
		{"just not of the future", func(r *reply) { r.said[0].this = now.Add(5 * time.Minute) }, "good"},
		{"no next update, fresh", func(r *reply) { r.said[0].this, r.said[0].next = now.Add(-24*time.Hour), time.Time{} }, "good"},

		{"wrong serial", func(r *reply) { r.said[0].serial = big.NewInt(1) }, "not about this certificate"},
		{"negative serial", func(r *reply) { r.said[0].serial = new(big.Int).Neg(w.leaf.Leaf.SerialNumber) }, "not about this certificate"},
		{"other issuer's name", func(r *reply) {
			r.said[0].cert = leaf(t, sister, pki.LeafOptions{Serial: w.leaf.Leaf.SerialNumber}).Leaf
		}, "not about this certificate"},
		{"other issuer's key", func(r *reply) { r.said[0].issuer = twin.Certificate.Leaf }, "not about this certificate"},
		{"about nothing", func(r *reply) { r.said = nil }, "not about this certificate"},
		{"twice", func(r *reply) { r.said = append(r.said, r.said[0]) }, "speaks twice"},
		{"twice by different hashes", func(r *reply) {
			other := r.said[0]
			other.hash, other.status = crypto.SHA256, Revoked
			r.said = append(r.said, other)
		}, "speaks twice"},
		{"stale", func(r *reply) { r.said[0].next = now.Add(-5*time.Minute - time.Second) }, "was to be renewed"},
		{"future", func(r *reply) { r.said[0].this = now.Add(5*time.Minute + time.Second) }, "from the future"},
		{"backwards", func(r *reply) { r.said[0].next = r.said[0].this.Add(-time.Second) }, "next update is before"},
		{"no next update, old", func(r *reply) { r.said[0].this, r.said[0].next = now.Add(-24*time.Hour-6*time.Minute), time.Time{} }, "names no next update"},
		{"critical extension", func(r *reply) { r.extensions = []pkix.Extension{forNobody} }, "critical extension"},
		{"critical single extension", func(r *reply) { r.said[0].extensions = []pkix.Extension{noCheck, forNobody} }, "critical extension"},
		{"critical extension before another", func(r *reply) { r.extensions = []pkix.Extension{forNobody, noCheck} }, "critical extension"},
		{"version 2", func(r *reply) { r.version = []byte{0xa0, 3, 2, 1, 1} }, "does not parse"},
		{"SHA-1 signature", func(r *reply) { r.hash = crypto.SHA1 }, "algorithm that is not accepted"},
		{"large", func(r *reply) { r.extensions = []pkix.Extension{{Id: oidNoCheck, Value: make([]byte, MaxResponse)}} }, "more than 20480 octets"},

		{"signed by the certificate itself", func(r *reply) { *r = w.delegated(w.leaf) }, "not certified for OCSP"},
		{"signed by a neighbour", func(r *reply) { *r = w.delegated(neighbour) }, "not certified for OCSP"},
		{"signed by a neighbour for anything", func(r *reply) { *r = w.delegated(leaf(t, w.ca, pki.LeafOptions{Usage: pki.UsageAny})) }, "not certified for OCSP"},
		{"signed by a neighbour without any usage", func(r *reply) { *r = w.delegated(leaf(t, w.ca, pki.LeafOptions{Usage: pki.UsageNone})) }, "not certified for OCSP"},
		{"signed by a neighbour in the issuer's name", func(r *reply) { *r = w.delegated(neighbour); r.as = issuer }, "signature is wrong"},
		{"signed by a neighbour in the responder's name", func(r *reply) {
			*r = w.delegated(neighbour)
			r.as, r.with = w.responder.Leaf, []*pki.Certificate{w.responder, neighbour}
		}, "signature is wrong"},
		{"signed by the issuer in another name", func(r *reply) { r.as = sister.Certificate.Leaf }, "neither the issuer nor in it"},
		{"signed by the issuer in another's key", func(r *reply) { r.as, r.byKey = sister.Certificate.Leaf, true }, "neither the issuer nor in it"},
		{"signed by one of the issuer's name", func(r *reply) { r.by = &twin.Certificate }, "signature is wrong"},
		{"signed by one of the issuer's name, with it", func(r *reply) { *r = w.delegated(&twin.Certificate) }, "not certified by the issuer itself"},
		{"signed by the root", func(r *reply) { *r = w.delegated(&w.root.Certificate) }, "not certified by the issuer itself"},
		{"delegated without the certificate", func(r *reply) { r.by = w.responder }, "neither the issuer nor in it"},
		{"delegated by another issuer", func(r *reply) { *r = w.delegated(responder(t, sister, pki.LeafOptions{})) }, "not certified by the issuer itself"},
		{"delegated by one of the issuer's name", func(r *reply) { *r = w.delegated(responder(t, twin, pki.LeafOptions{})) }, "not certified by the issuer itself"},
		{"delegated by the root", func(r *reply) { *r = w.delegated(responder(t, w.root, pki.LeafOptions{})) }, "not certified by the issuer itself"},
		{"delegated by the issuer's key in another name", func(r *reply) {
			renamed := *issuer
			renamed.RawSubject = sister.Certificate.Leaf.RawSubject
			ca := &pki.CA{Certificate: pki.Certificate{Leaf: &renamed, Key: w.ca.Key}}
			*r = w.delegated(responder(t, ca, pki.LeafOptions{}))
		}, "not certified by the issuer itself"},
		{"delegated to one that signs itself", func(r *reply) {
			self, err := pki.SelfSigned(pki.LeafOptions{Usage: pki.UsageNone, Extra: []pkix.Extension{forOCSP}})
			if err != nil {
				t.Fatal(err)
			}
			*r = w.delegated(self)
		}, "not certified by the issuer itself"},
		{"delegate expired", func(r *reply) { *r = w.delegated(responder(t, w.ca, old)) }, "certificate expired"},
		{"delegate of tomorrow", func(r *reply) { *r = w.delegated(responder(t, w.ca, pki.LeafOptions{NotBefore: now.Add(time.Hour)})) }, "valid from"},
		{"delegate with a key for something else", func(r *reply) {
			agreement := pkix.Extension{Id: oid.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: []byte{3, 2, 3, 8}}
			*r = w.delegated(responder(t, w.ca, pki.LeafOptions{Extra: []pkix.Extension{forOCSP, agreement}}))
		}, "key is not for signing"},
		{"delegate with a critical extension", func(r *reply) {
			*r = w.delegated(responder(t, w.ca, pki.LeafOptions{Extra: []pkix.Extension{forOCSP, forNobody}}))
		}, "unknown critical extension"},
		{"delegate with a weak key", func(r *reply) { *r = w.delegated(responder(t, w.ca, pki.LeafOptions{Key: pki.RSA1024})) }, "too weak"},
		{"delegate with a weak curve", func(r *reply) { *r = w.delegated(responder(t, w.ca, pki.LeafOptions{Key: pki.ECDSAP224})) }, "too weak"},
		{"delegate's certificate signed with SHA-1", func(r *reply) {
			*r = w.delegated(responder(t, w.ca, pki.LeafOptions{Signature: x509.ECDSAWithSHA1}))
		}, "not certified by the issuer itself"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := w.good()
			c.make(&r)
			answer, err := Check(r.der(t), w.leaf.Leaf, issuer, now, Options{})
			if err != nil {
				if !errors.Is(err, ErrUnusable) || errors.Is(err, ErrTransient) || !strings.Contains(err.Error(), c.want) || answer != (Answer{}) {
					t.Errorf("%v with %+v, want %q", err, answer, c.want)
				}
				return
			}
			if answer.Status.String() != c.want {
				t.Errorf("%+v, want %q", answer, c.want)
			}
		})
	}
}

func TestAnswer(t *testing.T) {
	w := newWorld(t)
	check := func(r reply) Answer {
		t.Helper()
		answer, err := Check(r.der(t), w.leaf.Leaf, w.ca.Certificate.Leaf, now, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	r := w.good()
	if got, want := check(r), (Answer{Status: Good, ProducedAt: now, ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour), Until: now.Add(time.Hour)}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	r.said[0].next = time.Time{}
	if got, want := check(r), (Answer{Status: Good, ProducedAt: now, ThisUpdate: now.Add(-time.Hour), Until: now.Add(23 * time.Hour)}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	for _, c := range []struct {
		reason, want int
		hold         bool
	}{{-1, 0, false}, {0, 0, false}, {1, 1, false}, {6, 6, true}, {8, 8, false}, {99, 99, false}} {
		r := w.good()
		r.said[0].status, r.said[0].reason = Revoked, c.reason
		got := check(r)
		if got.Status != Revoked || got.Reason != c.want || got.Hold != c.hold || !got.RevokedAt.Equal(now.Add(-time.Hour)) {
			t.Errorf("reason %d: %+v", c.reason, got)
		}
	}
	if got := check(w.delegated(w.responder)); !got.Responder.Equal(w.responder.Leaf) || got.NoCheck {
		t.Errorf("%+v", got)
	}
	unchecked := responder(t, w.ca, pki.LeafOptions{Extra: []pkix.Extension{forOCSP, noCheck}})
	if got := check(w.delegated(unchecked)); !got.Responder.Equal(unchecked.Leaf) || !got.NoCheck {
		t.Errorf("%+v", got)
	}
	// The key that answers may have more than one certificate; one by the issuer is enough.
	sister, err := w.root.Intermediate(pki.CAOptions{Name: "Sister CA"})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := responder(t, sister, pki.LeafOptions{})
	r = w.delegated(w.responder)
	r.with = []*pki.Certificate{elsewhere, w.responder}
	if got := check(r); !got.Responder.Equal(w.responder.Leaf) {
		t.Errorf("%+v", got)
	}
}

func TestOptions(t *testing.T) {
	w := newWorld(t)
	r := w.good()
	der := r.der(t)
	for _, c := range []struct {
		at   time.Time
		o    Options
		good bool
	}{
		{now.Add(2 * time.Hour), Options{}, false},
		{now.Add(2 * time.Hour), Options{Skew: 61 * time.Minute}, true},
		{now.Add(-2 * time.Hour), Options{}, false},
		{now.Add(-59 * time.Minute), Options{Skew: time.Nanosecond}, true},
	} {
		if _, err := Check(der, w.leaf.Leaf, w.ca.Certificate.Leaf, c.at, c.o); (err == nil) != c.good {
			t.Errorf("at %v with %+v: %v", c.at, c.o, err)
		}
	}
	r.said[0].next = time.Time{}
	if _, err := Check(r.der(t), w.leaf.Leaf, w.ca.Certificate.Leaf, now, Options{MaxAge: time.Minute}); err == nil || !strings.Contains(err.Error(), "older than 1m0s") {
		t.Errorf("an answer of an hour ago: %v", err)
	}
}

func TestAlgorithms(t *testing.T) {
	for _, c := range []struct {
		key  pki.KeyKind
		hash crypto.Hash
		pss  bool
		good bool
	}{
		{pki.RSA2048, crypto.SHA1, false, false}, {pki.RSA2048, crypto.SHA256, false, true}, {pki.RSA2048, crypto.SHA384, false, true}, {pki.RSA2048, crypto.SHA512, false, true},
		{pki.RSA2048, crypto.SHA256, true, true}, {pki.RSA2048, crypto.SHA384, true, true}, {pki.RSA2048, crypto.SHA512, true, true},
		{pki.ECDSAP256, crypto.SHA256, false, true}, {pki.ECDSAP384, crypto.SHA384, false, true}, {pki.ECDSAP256, crypto.SHA512, false, true}, {pki.ECDSAP256, crypto.SHA1, false, false},
		{pki.Ed25519, 0, false, true},
	} {
		ca, err := pki.NewCA(pki.CAOptions{Key: c.key})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{ca: ca, leaf: leaf(t, ca, pki.LeafOptions{})}
		r := w.good()
		r.hash, r.pss = c.hash, c.pss
		if _, err := Check(r.der(t), w.leaf.Leaf, ca.Certificate.Leaf, now, Options{}); (err == nil) != c.good {
			t.Errorf("%s, %v, PSS %v: %v", c.key, c.hash, c.pss, err)
		}
	}
}

func TestPSSParameters(t *testing.T) {
	for name, want := range map[string]x509.SignatureAlgorithm{"PSS-SHA-256": x509.SHA256WithRSAPSS, "PSS-SHA-384": x509.SHA384WithRSAPSS, "PSS-SHA-512": x509.SHA512WithRSAPSS} {
		good := algorithmOf[name][4:] // without the tag and length around it
		for _, c := range []struct {
			from, to string
			want     x509.SignatureAlgorithm
		}{
			{"", "", want},
			{"0500a2030201", "0500a2030301", x509.UnknownSignatureAlgorithm},                               // salt that is no number
			{good[len(good)-2:], "14", x509.UnknownSignatureAlgorithm},                                     // salt of 20 octets
			{"864886f70d010108", "864886f70d010109", x509.UnknownSignatureAlgorithm},                       // not MGF1
			{"608648016503040", "608648016503041", x509.UnknownSignatureAlgorithm},                         // another hash
			{"a00f300d0609608648016503040", "a10f300d0609608648016503040", x509.UnknownSignatureAlgorithm}, // no hash
		} {
			last := strings.LastIndex(good, c.from)
			der, err := hex.DecodeString(good[:last] + c.to + good[last+len(c.from):])
			if err != nil {
				t.Fatal(err)
			}
			if got := signatureAlgorithm(der); got != c.want {
				t.Errorf("%s with %q for %q: %v", name, c.to, c.from, got)
			}
		}
	}
}

func TestNoResponse(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		response []byte
		class    error
		words    string
	}{
		{lib.MalformedRequestErrorResponse, ErrUnusable, "request malformed"},
		{lib.InternalErrorErrorResponse, ErrTransient, "internal error"},
		{lib.TryLaterErrorResponse, ErrTransient, "try later"},
		{lib.SigRequredErrorResponse, ErrUnusable, "signed requests"},
		{lib.UnauthorizedErrorResponse, ErrTransient, "not authorised"},
		{[]byte{0x30, 3, 10, 1, 99}, ErrUnusable, "unknown status"},
		{[]byte{0x30, 3, 10, 1, 0}, ErrUnusable, "does not parse"},
		{nil, ErrUnusable, "does not parse"},
		{[]byte("<html>no OCSP here</html>"), ErrUnusable, "does not parse"},
	} {
		_, err := Check(c.response, w.leaf.Leaf, w.ca.Certificate.Leaf, now, Options{})
		if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%x: %v", c.response, err)
		}
	}
}

// TestBroken: no beginning of an answer is one, nor is one with anything behind it,
// nor one with a bit that fell over in what is signed.
func TestBroken(t *testing.T) {
	w := newWorld(t)
	r := w.good()
	whole := r.der(t)
	fails := func(what string, n int, response []byte) {
		t.Helper()
		if _, err := Check(response, w.leaf.Leaf, w.ca.Certificate.Leaf, now, Options{}); !errors.Is(err, ErrUnusable) && !errors.Is(err, ErrTransient) {
			t.Errorf("%s %d: %v", what, n, err)
		}
	}
	for n := range whole {
		fails("truncated at", n, whole[:n])
	}
	fails("more", 1, append(whole[:len(whole):len(whole)], 0))
	tbs := r.data(t)
	fails("unsigned", 0, r.wrap(t, append(tbs[:len(tbs):len(tbs)], 0)))
	at := strings.Index(string(whole), string(tbs))
	for n := at; n < at+len(tbs); n++ {
		flipped := []byte(string(whole))
		flipped[n] ^= 1
		fails("flipped", n, flipped)
	}
}

// TestLibrary has golang.org/x/crypto/ocsp make the answers.
func TestLibrary(t *testing.T) {
	w := newWorld(t)
	issuer := w.ca.Certificate.Leaf
	for _, hash := range []crypto.Hash{0, crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		for status, want := range map[int]Status{lib.Good: Good, lib.Revoked: Revoked, lib.Unknown: Unknown} {
			template := lib.Response{
				Status: status, SerialNumber: w.leaf.Leaf.SerialNumber, IssuerHash: hash, ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour),
				RevokedAt: now.Add(-2 * time.Hour), RevocationReason: lib.CertificateHold,
			}
			der, err := lib.CreateResponse(issuer, issuer, template, w.ca.Key)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := Check(der, w.leaf.Leaf, issuer, now, Options{})
			if err != nil || answer.Status != want || answer.Hold != (want == Revoked) || answer.Responder != nil {
				t.Errorf("%+v, %v", answer, err)
			}
			template.Certificate = w.responder.Leaf
			if der, err = lib.CreateResponse(issuer, w.responder.Leaf, template, w.responder.Key); err != nil {
				t.Fatal(err)
			}
			answer, err = Check(der, w.leaf.Leaf, issuer, now, Options{})
			if err != nil || answer.Status != want || !answer.Responder.Equal(w.responder.Leaf) {
				t.Errorf("delegated: %+v, %v", answer, err)
			}
		}
	}
}

// TestNeighbour is what a partner whose certificate is revoked would do: have any
// certificate of the same authority say that it is good. The library believes it.
func TestNeighbour(t *testing.T) {
	w := newWorld(t)
	neighbour := leaf(t, w.ca, pki.LeafOptions{Usage: pki.UsageClient})
	template := lib.Response{Status: lib.Good, SerialNumber: w.leaf.Leaf.SerialNumber, ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour), Certificate: neighbour.Leaf}
	der, err := lib.CreateResponse(w.ca.Certificate.Leaf, neighbour.Leaf, template, neighbour.Key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lib.ParseResponseForCert(der, w.leaf.Leaf, w.ca.Certificate.Leaf); err != nil {
		t.Errorf("the library does not believe it any more: %v", err)
	}
	if answer, err := Check(der, w.leaf.Leaf, w.ca.Certificate.Leaf, now, Options{}); !errors.Is(err, ErrUnusable) {
		t.Errorf("%+v, %v", answer, err)
	}
}
