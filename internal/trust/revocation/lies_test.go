package revocation

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/pki"
)

// A lie is what a server may answer in place of a list, and what is said of it.
type lie struct {
	words  string
	handle http.HandlerFunc
}

// lies are none to be believed. What they have is that nobody is revoked, as of a
// number.
func (w *world) lies(n int) map[string]lie {
	lies := make(map[string]lie)
	add := func(name, words string, handle http.HandlerFunc) { lies[name] = lie{words, handle} }
	serve := func(name, words string, data []byte) {
		add(name, words, func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(data) })
	}
	list := func(name, words string, change func(*crlmaker.Options)) {
		o := w.list(w.ca, number(n))
		change(&o)
		serve(name, words, must(crlmaker.Bytes(o)))
	}
	list("wrong key", "signature does not verify", func(o *crlmaker.Options) { o.Key = w.root.Key })
	list("wrong signature", "signature does not verify", func(o *crlmaker.Options) { o.BadSig = true })
	list("another issuer", "no certificate may sign", func(o *crlmaker.Options) { o.Issuer, o.Key = w.root.Certificate.Leaf.RawSubject, w.root.Key })
	list("stale", "next update was due", func(o *crlmaker.Options) {
		o.ThisUpdate, o.NextUpdate = w.now().Add(-48*time.Hour), w.now().Add(-time.Hour)
	})
	list("of the future", "of the future", func(o *crlmaker.Options) { o.ThisUpdate = w.now().Add(time.Hour) })
	list("no end", "no nextUpdate", func(o *crlmaker.Options) { o.NoNextUpdate = true })
	list("unknown critical extension", "not known", func(o *crlmaker.Options) {
		o.Extensions = append(o.Extensions, crlmaker.Extension{ID: "1.2.3", Critical: true, Value: []byte{5, 0}})
	})
	list("delta", "delta", func(o *crlmaker.Options) { o.Extensions = append(o.Extensions, crlmaker.Delta(int64(n-1))) })
	list("another partition", "other distribution points", func(o *crlmaker.Options) {
		o.Extensions = append(o.Extensions, crlmaker.IssuingPoint{Names: w.names("/other.crl")}.Extension())
	})
	list("SHA-1", "SHA-1", func(o *crlmaker.Options) { o.Algorithm = x509.ECDSAWithSHA1 })
	list("two lists", "follows", func(o *crlmaker.Options) { o.After = []byte{0x30, 0} })

	many := w.list(w.ca, number(n))
	many.Entries = func(yield func(crlmaker.Entry) bool) {
		for n := range 2000 {
			if !yield(crlmaker.Entry{Serial: big.NewInt(int64(n))}) {
				return
			}
		}
	}
	whole := must(crlmaker.Bytes(many))
	for tenth := range 10 {
		part := whole[:len(whole)*tenth/10]
		serve(fmt.Sprintf("%d tenths", tenth), "cut off", part)
		add(fmt.Sprintf("%d tenths and an end", tenth), "ended the connection early", func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Length", fmt.Sprint(len(whole)))
			_, _ = rw.Write(part)
		})
		add(fmt.Sprintf("%d tenths of gzip", tenth), "", func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Encoding", "gzip")
			data := zipped(whole)
			_, _ = rw.Write(data[:len(data)*tenth/10])
		})
	}

	// All of it, and what carries it does not end as it should.
	add("no end of the body", "ended the connection early", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Length", fmt.Sprint(len(whole)+1))
		_, _ = rw.Write(whole)
	})
	add("no last chunk", "ended the connection early", func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = rw.Write(whole)
		_ = http.NewResponseController(rw).Flush()
		panic(http.ErrAbortHandler)
	})
	add("a wrong checksum of gzip", "its gzip encoding is broken", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Encoding", "gzip")
		data := zipped(whole)
		data[len(data)-8] ^= 1 // RFC 1952 section 2.3.1
		_, _ = rw.Write(data)
	})

	serve("nothing", "cut off", nil)
	serve("a page", "neither DER nor PEM", []byte("<html>please log in</html>\n"))
	add("an error", "500", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500); _, _ = rw.Write(whole) })
	add("not modified", "304", func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == "" {
			rw.WriteHeader(http.StatusNotModified)
			return
		}
		rw.WriteHeader(http.StatusInternalServerError)
	})
	add("a redirect loop", "more than 3", func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, r.URL.Path, http.StatusFound) })
	add("a redirect to a file", "neither http nor https", func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, "file:///etc/passwd", http.StatusFound)
	})
	add("a bomb", "more than", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Encoding", "gzip")
		megabyte := zipped(make([]byte, 1<<20))
		for range 2 << 10 { // RFC 1952 section 2.2: one after the other is one
			if _, err := rw.Write(megabyte); err != nil {
				return
			}
		}
	})
	add("a body of 2 GB", "more than", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Length", fmt.Sprint(2<<30))
		_, _ = io.CopyN(rw, zeros{}, 2<<30)
	})
	add("a header of 2 GB", "", func(rw http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		line := []byte("X-Filler: " + strings.Repeat("a", 32<<10) + "\r\n")
		for range 2 << 30 / len(line) {
			if _, err := conn.Write(line); err != nil {
				return
			}
		}
	})
	add("no HTTP", "", func(rw http.ResponseWriter, _ *http.Request) {
		if conn, _, err := http.NewResponseController(rw).Hijack(); err == nil {
			_, _ = conn.Write(whole)
			conn.Close()
		}
	})
	return lies
}

func zipped(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(data)
	_ = z.Close()
	return b.Bytes()
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// TestLies: whatever a server says, nobody is good because of it, what was known
// stays known, and nothing is left on the disk.
func TestLies(t *testing.T) {
	for name := range newWorld(t).lies(1) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
			lie := w.lies(100)[name]
			w.handle("/ca.crl", lie.handle)
			w.want(w.question(leaf), Unknown, lie.words)
			before := w.count("/ca.crl")
			w.want(w.question(leaf), Unknown, lie.words)
			if n := w.count("/ca.crl"); n != before {
				t.Errorf("it was asked again at once")
			}
			for _, name := range w.folder() {
				if strings.HasPrefix(name, ".") {
					t.Errorf("%s was left", name)
				}
			}

			w.serveList("/ca.crl", revoked(leaf)(w.list(w.ca, number(200))))
			w.pass(failureTime + time.Second)
			w.want(w.question(leaf), Revoked, "CRL 200")
			w.pass(15 * time.Hour)
			w.handle("/ca.crl", w.lies(300)[name].handle)
			before = w.count("/ca.crl")
			w.refresh()
			if w.count("/ca.crl") == before {
				t.Error("it was not refreshed")
			}
			w.want(w.question(leaf), Revoked, "CRL 200")
			w.restart()
			w.want(w.question(leaf), Revoked, "CRL 200")
		})
	}
}

// TestDrip: a server that answers an octet at a time keeps a question no longer
// than it may wait, and Close not at all.
func TestDrip(t *testing.T) {
	w := newWorld(t)
	data := must(crlmaker.Bytes(w.list(w.ca)))
	dripping := make(chan struct{}, 1000)
	w.handle("/ca.crl", func(rw http.ResponseWriter, r *http.Request) {
		for _, octet := range data {
			if _, err := rw.Write([]byte{octet}); err != nil || http.NewResponseController(rw).Flush() != nil {
				return
			}
			dripping <- struct{}{}
			select {
			case <-r.Context().Done():
				return
			case <-time.After(time.Second):
			}
		}
	})
	leaf := w.leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})
	ctx, cancel := context.WithCancel(context.Background())
	answered := make(chan Answer)
	go func() { answered <- w.checker.Ask(ctx, w.question(leaf)) }()
	<-dripping
	cancel()
	if a := <-answered; a.Status != Unknown {
		t.Errorf("%v: %s", a.Status, a.Detail)
	}
	start := time.Now()
	w.checker.Close()
	if took := time.Since(start); took >= closeTime {
		t.Errorf("Close took %v", took)
	}
}
