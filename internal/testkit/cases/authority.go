package cases

import (
	"fmt"
	"math/big"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/pki"
)

// An Authority is a company's own: a root, and below it who issues and revokes the certificates of its servers.
// It publishes what is revoked on a port of 127.0.0.1.
type Authority struct {
	Root    *pki.CA // "Woodgrove Bank CA"
	Issuing *pki.CA

	server   *http.Server
	listener net.Listener

	mu        sync.Mutex
	revoked   []*big.Int
	number    int64
	published bool // the list that comes late
}

// NewAuthority makes the authority of a company, "Woodgrove Bank". It must be closed.
func NewAuthority(company string) (*Authority, error) {
	a := new(Authority)
	var err error
	if a.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("publish revocation lists: %w", err)
	}
	if a.Root, err = pki.NewCA(pki.CAOptions{Name: company + " CA"}); err == nil {
		a.Issuing, err = a.Root.Intermediate(pki.CAOptions{Name: company + " Issuing CA", CRL: []string{a.url("root.crl")}})
	}
	if err != nil {
		a.listener.Close()
		return nil, err
	}
	a.server = &http.Server{Handler: http.HandlerFunc(a.publish), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = a.server.Serve(a.listener) }()
	return a, nil
}

func (a *Authority) url(list string) string {
	return "http://" + a.listener.Addr().String() + "/" + list
}

// Issue signs a certificate that says where the list of the revoked ones is.
func (a *Authority) Issue(o pki.LeafOptions) (*pki.Certificate, error) {
	o.CRL = []string{a.url("issuing.crl")}
	return a.Issuing.Leaf(o)
}

// issueEarly signs one whose list is not published yet.
func (a *Authority) issueEarly(o pki.LeafOptions) (*pki.Certificate, error) {
	o.CRL = []string{a.url("late.crl")}
	return a.Issuing.Leaf(o)
}

// Revoke publishes a new list with these certificates, besides those that are on it.
func (a *Authority) Revoke(certificates ...*pki.Certificate) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.number++
	for _, c := range certificates {
		a.revoked = append(a.revoked, c.Leaf.SerialNumber)
	}
}

// Publish publishes the list that [Unpublished] names: until then there are errors instead.
func (a *Authority) Publish() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.published = true
}

func (a *Authority) publish(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	by, revoked, number, published := a.Issuing, slices.Clone(a.revoked), a.number, a.published
	a.mu.Unlock()
	if r.URL.Path == "/root.crl" {
		by, revoked = a.Root, nil
	}
	if r.URL.Path == "/late.crl" && !published {
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	list, err := crlmaker.Bytes(crlmaker.Options{
		Issuer: by.Certificate.Leaf.RawSubject, Key: by.Key, Entries: crlmaker.Entries(revoked...), Extensions: []crlmaker.Extension{crlmaker.Number(number)},
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(list)
}

// Close ends its server.
func (a *Authority) Close() { a.server.Close() }
