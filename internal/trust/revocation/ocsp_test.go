package revocation

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"path"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/pki"
)

// responder answers about whoever is asked about. It makes what an authority
// would with another implementation than the one that is tested.
type responder struct {
	w      *world
	signer *x509.Certificate
	key    crypto.Signer
	status int
	reason int
	as     func(*ocsp.Response)
}

func (r *responder) ServeHTTP(rw http.ResponseWriter, q *http.Request) {
	data, _ := io.ReadAll(q.Body)
	if q.Method == http.MethodGet {
		text, _ := url.PathUnescape(path.Base(q.URL.EscapedPath()))
		data, _ = base64.StdEncoding.DecodeString(text)
	}
	request, err := ocsp.ParseRequest(data)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	template := ocsp.Response{
		Status: r.status, SerialNumber: request.SerialNumber, RevocationReason: r.reason, RevokedAt: r.w.now().Add(-time.Hour),
		ThisUpdate: r.w.now().Add(-time.Minute), NextUpdate: r.w.now().Add(2 * time.Hour),
	}
	issuer := r.w.ca.Certificate.Leaf
	if r.signer != issuer {
		template.Certificate = r.signer
	}
	if r.as != nil {
		r.as(&template)
	}
	answer, err := ocsp.CreateResponse(issuer, r.signer, template, r.key)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = rw.Write(answer)
}

func (w *world) responder() *responder {
	r := &responder{w: w, signer: w.ca.Certificate.Leaf, key: w.ca.Key}
	w.handle("/ocsp", r.ServeHTTP)
	return r
}

func TestOCSP(t *testing.T) {
	w := newWorld(t)
	r := w.responder()
	asked := func(o pki.LeafOptions) *x509.Certificate {
		o.OCSP = []string{w.url("/ocsp")}
		return w.leaf(o)
	}
	leaf := asked(pki.LeafOptions{})
	w.want(w.question(leaf), Good, "good by OCSP")
	w.want(w.question(leaf), Good, "good by OCSP")
	if n := w.count("/ocsp"); n != 1 {
		t.Errorf("asked %d times", n)
	}
	// It survives a restart and is asked again before it ends.
	w.restart()
	w.handle("/ocsp", nil)
	w.want(w.question(leaf), Good, "good by OCSP")
	r.status, r.reason = ocsp.Revoked, ocsp.KeyCompromise
	w.handle("/ocsp", r.ServeHTTP)
	w.pass(90 * time.Minute)
	w.checker.refresh(w.now())
	w.checker.jobs.wait()
	w.want(w.question(leaf), Revoked, "revoked by OCSP")

	r.reason = ocsp.CertificateHold
	w.want(w.question(asked(pki.LeafOptions{})), OnHold, "on hold by OCSP")
	r.status = ocsp.Unknown
	w.want(w.question(asked(pki.LeafOptions{})), Unknown, "unknown by OCSP")
	w.handle("/ocsp", nil)
	w.want(w.question(asked(pki.LeafOptions{})), Unknown, "503")
}

// TestOrder: the first definite answer counts.
func TestOrder(t *testing.T) {
	w := newWorld(t)
	r := w.responder()
	leaf := w.leaf(pki.LeafOptions{OCSP: []string{w.url("/ocsp")}, CRL: []string{w.url("/ca.crl")}})
	w.want(w.question(leaf), Good, "OCSP") // the CRL cannot be had
	w.serveList("/ca.crl", w.list(w.ca))
	w.pass(failureTime + time.Second)
	w.want(w.question(leaf), Good, "not on CRL")
	r.status = ocsp.Revoked
	leaf = w.leaf(pki.LeafOptions{OCSP: []string{w.url("/ocsp")}, CRL: []string{w.url("/ca.crl")}})
	w.want(w.question(leaf), Good, "not on CRL")
	s := w.settings()
	s.Order = []string{OCSP, CRL}
	w.checker.Use(s)
	w.want(w.question(leaf), Revoked, "OCSP")
	s.Order = []string{OCSP}
	w.checker.Use(s)
	w.want(w.question(w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})), Unknown, "leaves out")
}

// TestResponder: who answers for the issuer must not be revoked either, unless the
// issuer says that he is not to be asked about.
func TestResponder(t *testing.T) {
	w := newWorld(t)
	r := w.responder()
	signs := pkix.Extension{Id: []int{2, 5, 29, 37}, Value: []byte{0x30, 0x0a, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 9}}
	noCheck := pkix.Extension{Id: []int{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{5, 0}}
	use := func(o pki.LeafOptions) *x509.Certificate {
		o.Usage = pki.UsageNone
		c := must(w.ca.Leaf(o))
		r.signer, r.key = c.Leaf, c.Key
		return c.Leaf
	}
	leaf := func() *x509.Certificate { return w.leaf(pki.LeafOptions{OCSP: []string{w.url("/ocsp")}}) }

	use(pki.LeafOptions{Extra: []pkix.Extension{signs, noCheck}})
	w.want(w.question(leaf()), Good, "")
	use(pki.LeafOptions{Extra: []pkix.Extension{noCheck}}) // may not answer
	w.want(w.question(leaf()), Unknown, "")
	checked := use(pki.LeafOptions{Extra: []pkix.Extension{signs}, CRL: []string{w.url("/ca.crl")}})
	w.serveList("/ca.crl", w.list(w.ca))
	one := leaf()
	w.want(w.question(one), Good, "")
	w.serveList("/ca.crl", revoked(checked)(w.list(w.ca, crlmaker.Number(9))))
	w.pass(14 * time.Hour)
	w.checker.refresh(w.now())
	w.checker.jobs.wait()
	w.want(w.question(leaf()), Unknown, "its signer's certificate is revoked")
	// One who would have to be asked about himself.
	use(pki.LeafOptions{Extra: []pkix.Extension{signs}, OCSP: []string{w.url("/ocsp")}})
	w.want(w.question(leaf()), Unknown, "")
}
