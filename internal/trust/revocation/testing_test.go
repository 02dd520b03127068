package revocation

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/trust"
	"domain-secured/internal/trust/fetch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A world is an authority, its server, and a checker with a clock of its own.
type world struct {
	t       testing.TB
	root    *pki.CA
	ca      *pki.CA
	server  *httptest.Server
	dir     string
	checker *Checker

	mu    sync.Mutex
	paths map[string]http.HandlerFunc
	asked map[string]int
	ahead atomic.Int64 // of the clock
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), paths: make(map[string]http.HandlerFunc), asked: make(map[string]int)}
	w.server = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.server.Close)
	w.root = must(pki.NewCA(pki.CAOptions{Name: "Root"}))
	w.ca = must(w.root.Intermediate(pki.CAOptions{Name: "Woodgrove CA", CRL: []string{w.url("/root.crl")}}))
	w.serveList("/root.crl", w.list(w.root))
	w.checker = w.newChecker(w.settings())
	return w
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (w *world) settings() Settings {
	return Settings{Fetch: must(fetch.New(fetch.Options{AllowPrivate: true})), Order: []string{CRL, OCSP}}
}

func (w *world) newChecker(s Settings) *Checker {
	c := New(Options{Dir: w.dir, Paths: trust.SignerPaths, Clock: w.now, Log: slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))}, s)
	w.t.Cleanup(c.Close)
	return c
}

// restart has another process take the place of this one.
func (w *world) restart() {
	w.checker.Close()
	w.checker = w.newChecker(w.settings())
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

// pass lets time pass.
func (w *world) pass(d time.Duration) { w.ahead.Add(int64(d)) }

func (w *world) url(path string) string { return w.server.URL + path }

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	path := r.URL.Path
	if strings.HasPrefix(path, "/ocsp") {
		path = "/ocsp"
	}
	w.asked[path]++
	handle := w.paths[path]
	w.mu.Unlock()
	if handle == nil {
		http.Error(rw, "down", http.StatusServiceUnavailable)
		return
	}
	handle(rw, r)
}

// handle has a path answered, nil: with an error.
func (w *world) handle(path string, handle http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.paths[path] = handle
}

func (w *world) serveList(path string, o crlmaker.Options) {
	data := must(crlmaker.Bytes(o))
	w.handle(path, func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(data) })
}

func (w *world) count(path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked[path]
}

// list are the options of a list that an authority issues now.
func (w *world) list(ca *pki.CA, extensions ...crlmaker.Extension) crlmaker.Options {
	return crlmaker.Options{
		Issuer: ca.Certificate.Leaf.RawSubject, Key: ca.Key, Extensions: extensions,
		ThisUpdate: w.now().Add(-time.Minute).Truncate(time.Second), NextUpdate: w.now().Add(24 * time.Hour).Truncate(time.Second),
	}
}

func (w *world) leaf(o pki.LeafOptions) *x509.Certificate {
	o.DNSNames = []string{"mail1.woodgrovebank.com"}
	return must(w.ca.Leaf(o)).Leaf
}

// question is about a leaf of the authority.
func (w *world) question(leaf *x509.Certificate, others ...*x509.Certificate) Question {
	return Question{Chain: []*x509.Certificate{leaf, w.ca.Certificate.Leaf, w.root.Certificate.Leaf}, Others: others, At: w.now()}
}

func (w *world) ask(q Question) Answer {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	return w.checker.Ask(ctx, q)
}

// want asks about a leaf, and says what it wants to hear.
func (w *world) want(q Question, status Status, words string) {
	w.t.Helper()
	a := w.ask(q)
	if a.Status != status || !strings.Contains(a.Detail, words) {
		w.t.Errorf("%v: %s\nwanted %v: …%s…", a.Status, a.Detail, status, words)
	}
}

func revoked(c *x509.Certificate) func(o crlmaker.Options) crlmaker.Options {
	return func(o crlmaker.Options) crlmaker.Options {
		o.Entries = crlmaker.Entries(c.SerialNumber)
		return o
	}
}

func number(n int) crlmaker.Extension { return crlmaker.BigNumber(big.NewInt(int64(n))) }

// eventually waits until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatal("it did not happen: " + what)
}

// refresh has what is due fetched, and waits for it.
func (w *world) refresh() {
	w.checker.refresh(w.now())
	w.checker.jobs.wait()
}

func pkixOf(all ...crlmaker.Extension) (extensions []pkix.Extension) {
	for _, x := range all {
		extensions = append(extensions, x.PKIX())
	}
	return extensions
}
