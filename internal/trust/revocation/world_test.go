package revocation

import (
	"bufio"
	"crypto/x509"
	"math/big"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/testkit/slapd"
	"domain-secured/internal/trust/fetch"
)

// TestSlapd: lists from a directory that the certificate names, and from the
// operator's where it names none.
func TestSlapd(t *testing.T) {
	w := newWorld(t)
	held := []*big.Int{big.NewInt(1002)}
	list := w.list(w.ca, number(1))
	list.Entries = crlmaker.Entries(held...)
	d := slapd.Start(t, slapd.Point("Woodgrove CA", "certificateRevocationList;binary", must(crlmaker.Bytes(list))))
	const path = "/cn=Woodgrove%20CA,dc=example?certificateRevocationList;binary?base?objectClass=cRLDistributionPoint"
	for _, server := range []string{"ldap://", "ldap://" + d.Plain} {
		good := w.leaf(pki.LeafOptions{CRL: []string{server + path}})
		bad := w.leaf(pki.LeafOptions{CRL: []string{server + path}, Serial: held[0]})
		if server == "ldap://" {
			w.want(w.question(good), Unknown, "ldap_server")
			w.pass(failureTime + time.Second)
		}
		s := w.settings()
		s.Fetch = must(fetch.New(fetch.Options{AllowPrivate: server != "ldap://", LDAPServer: d.Plain}))
		w.checker.Use(s)
		w.want(w.question(good), Good, "CRL 1")
		w.want(w.question(bad), Revoked, "CRL 1")
		w.restart()
		w.want(w.question(bad), Revoked, "CRL 1")
	}
	// As a directory in Windows has it: by HTTP as well, from a server that is down.
	both := w.leaf(pki.LeafOptions{Serial: held[0], Extra: pkixOf(crlmaker.Points(crlmaker.Point{
		Names: []crlmaker.Name{crlmaker.URI("ldap://" + d.Plain + path), crlmaker.URI(w.url("/down.crl"))},
	}))})
	w.restart()
	w.want(w.question(both), Revoked, "ldap://")
}

// openssl runs a responder that knows serial numbers, until the test ends, and
// returns its address.
func (w *world) openssl(signer *pki.Certificate, index string) string {
	program, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			w.t.Fatal(err)
		}
		w.t.Skip(err)
	}
	dir := w.t.TempDir()
	for name, data := range map[string][]byte{
		"index.txt": []byte(index), "ca.pem": w.ca.PEM(), "signer.pem": signer.PEM(), "signer.key": signer.KeyPEM(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	command := exec.Command(program, "ocsp", "-index", "index.txt", "-CA", "ca.pem", "-rsigner", "signer.pem", "-rkey", "signer.key", "-port", "0", "-nmin", "60")
	command.Dir = dir
	out, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n') // ACCEPT [::]:41533 PID=20824
	fields := strings.Fields(line)
	if err != nil || len(fields) < 2 || fields[0] != "ACCEPT" {
		w.t.Fatalf("openssl says %q, %v", line, err)
	}
	_, port, err := net.SplitHostPort(fields[1])
	if err != nil {
		w.t.Fatal(err)
	}
	return "http://127.0.0.1:" + port
}

// TestOpenSSL: openssl is the responder, for the authority and in its own name.
func TestOpenSSL(t *testing.T) {
	w := newWorld(t)
	const index = "V\t301122080000Z\t\t1001\tunknown\t/CN=good\n" +
		"R\t301122080000Z\t251122080000Z,keyCompromise\t1002\tunknown\t/CN=bad\n" +
		"R\t301122080000Z\t251122080000Z,certificateHold\t1003\tunknown\t/CN=held\n"
	signs := crlmaker.Extension{ID: "2.5.29.37", Value: []byte{0x30, 0x0a, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 9}}
	responder := must(w.ca.Leaf(pki.LeafOptions{Usage: pki.UsageNone, Extra: pkixOf(signs), CRL: []string{w.url("/ca.crl")}}))
	neighbour := must(w.ca.Leaf(pki.LeafOptions{}))
	w.serveList("/ca.crl", w.list(w.ca))
	for signer, believed := range map[*pki.Certificate]bool{&w.ca.Certificate: true, responder: true, neighbour: false} {
		server := w.openssl(signer, index)
		w.pass(failureTime + time.Second)
		for serial, want := range map[int64]Status{0x1001: Good, 0x1002: Revoked, 0x1003: OnHold, 0x1004: Unknown} {
			if !believed {
				want = Unknown
			}
			w.restart()
			if err := os.RemoveAll(w.dir); err != nil {
				t.Fatal(err)
			}
			leaf := w.leaf(pki.LeafOptions{Serial: big.NewInt(serial), OCSP: []string{server}})
			w.want(w.question(leaf), want, "OCSP")
		}
	}
}

// TestRollover: under traffic lists follow each other, servers fail and bring back
// old ones, an authority gets another key and its servers another certificate. No
// answer is ever wrong: nobody who is good is revoked, and nobody who was known to
// be revoked is good.
func TestRollover(t *testing.T) {
	w := newWorld(t)
	type subject struct {
		q       Question
		revoked bool
		known   atomic.Bool // it was said that he is revoked
		answers [Revoked + 1]atomic.Int64
	}
	old := w.ca
	next := must(w.root.Intermediate(pki.CAOptions{Name: "Woodgrove CA", CRL: []string{w.url("/root.crl")}}))
	var subjects []*subject
	var bad []*big.Int
	for n, ca := range []*pki.CA{old, old, next, next} {
		leaf := must(ca.Leaf(pki.LeafOptions{CRL: []string{w.url("/ca.crl")}})).Leaf
		s := &subject{revoked: n%2 == 1, q: Question{
			Chain:  []*x509.Certificate{leaf, ca.Certificate.Leaf, w.root.Certificate.Leaf},
			Others: []*x509.Certificate{old.Certificate.Leaf, next.Certificate.Leaf},
		}}
		if s.revoked {
			bad = append(bad, leaf.SerialNumber)
		}
		subjects = append(subjects, s)
	}
	var mu sync.Mutex
	var lists [][]byte // the last one is the current one
	issue := func(n int) {
		ca := old
		if n >= 20 {
			ca = next // and has the others' revocations, too
		}
		o := w.list(ca, number(n))
		o.NextUpdate = w.now().Add(48 * time.Hour)
		if n%2 == 0 { // one that can be brought back
			o.NextUpdate = w.now().Add(60 * 24 * time.Hour)
		}
		if n >= 10 {
			o.Entries = crlmaker.Entries(bad...)
		}
		data := must(crlmaker.Bytes(o))
		mu.Lock()
		lists = append(lists, data)
		mu.Unlock()
		w.serveList("/root.crl", w.list(w.root, number(n)))
	}
	var random atomic.Bool
	var asked atomic.Int64
	w.handle("/ca.crl", func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		data := lists[len(lists)-1]
		if random.Load() {
			switch rand.N(4) {
			case 0:
				data = lists[rand.N(len(lists))]
			case 1:
				data = data[:rand.N(len(data))]
			case 2:
				http.Error(rw, "down", http.StatusServiceUnavailable)
				data = nil
			}
		}
		mu.Unlock()
		_, _ = rw.Write(data)
	})
	issue(1)
	stop := make(chan struct{})
	var asking sync.WaitGroup
	for range 3 {
		asking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				s := subjects[rand.N(len(subjects))]
				q, known := s.q, s.known.Load()
				q.At = w.now()
				a := w.ask(q)
				s.answers[a.Status].Add(1)
				asked.Add(1)
				switch {
				case a.Status == Revoked && s.revoked:
					s.known.Store(true)
				case a.Status == Revoked, a.Status == OnHold, a.Status == Unavailable, a.Status == Good && known:
					t.Errorf("%v, revoked %v, known %v: %s", a.Status, s.revoked, known, a.Detail)
				}
			}
		})
	}
	good := func(s *subject) bool { return s.answers[Good].Load() > 0 }
	eventually(t, "all are good", func() bool { return !slices.ContainsFunc(subjects, func(s *subject) bool { return !good(s) }) })
	random.Store(true)
	for n := 2; n <= 40; n++ {
		before := asked.Load()
		w.pass(25 * time.Hour)
		issue(n)
		w.checker.refresh(w.now())
		eventually(t, "there is traffic", func() bool { return asked.Load() > before+50 })
		if n == 15 { // another certificate of the servers, none of ours
			w.checker.Use(w.settings())
		}
	}
	close(stop)
	asking.Wait()
	random.Store(false)
	w.pass(25 * time.Hour)
	issue(41)
	w.refresh()
	w.pass(failureTime + time.Second)
	for _, s := range subjects { // has it fetched who knows who signs now
		q := s.q
		q.At = w.now()
		w.ask(q)
	}
	w.checker.jobs.wait()
	for n, s := range subjects {
		q := s.q
		q.At = w.now()
		want := Good
		if s.revoked {
			want = Revoked
		}
		w.want(q, want, "CRL 41")
		t.Logf("subject %d: %d good, %d unknown, %d revoked", n, s.answers[Good].Load(), s.answers[Unknown].Load(), s.answers[Revoked].Load())
		if s.known.Load() != s.revoked {
			t.Errorf("nobody ever said of subject %d that it is revoked", n)
		}
	}
}
