package revocation

import (
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/trust/fetch"
)

// TestHopeless: nobody waits for the rest of what is no list, or none that counts.
func TestHopeless(t *testing.T) {
	for name, c := range map[string]struct {
		start func(*world) []byte
		words string
	}{
		"no list": {func(*world) []byte { return []byte{0x30, 0x80} }, "not a well-formed CRL"},
		"SHA-1": {func(w *world) []byte {
			o := w.list(w.ca)
			o.Algorithm = x509.ECDSAWithSHA1
			return must(crlmaker.Bytes(o))[:100]
		}, "SHA-1"},
		"two lists": {func(w *world) []byte {
			one := must(crlmaker.Bytes(w.list(w.ca)))
			return append(one, one...)
		}, "something follows"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			start := c.start(w)
			ended := make(chan struct{})
			w.handle("/ca.crl", func(rw http.ResponseWriter, r *http.Request) {
				_, _ = rw.Write(start)
				_ = http.NewResponseController(rw).Flush()
				<-r.Context().Done()
				close(ended)
			})
			w.want(w.question(w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})), Unknown, c.words)
			select {
			case <-ended:
			case <-time.After(20 * time.Second):
				t.Error("the rest of it is still being fetched")
			}
		})
	}
}

// TestPanic: what goes wrong while a list is being fetched is an answer, and not
// the end.
func TestPanic(t *testing.T) {
	w := newWorld(t)
	s := w.settings()
	s.Fetch = &fetch.Client{} // which no one made
	w.checker.Use(s)
	leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
	w.want(w.question(leaf), Unknown, "a panic while fetching")
	w.serveList("/ca.crl", w.list(w.ca))
	w.checker.Use(w.settings())
	w.pass(failureTime + time.Second)
	w.want(w.question(leaf), Good, "")
}
