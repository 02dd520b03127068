package outgoing_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/apart"
	"domain-secured/internal/testkit/cases"
	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/daemon"
	"domain-secured/internal/testkit/dnsserver"
	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/pki"
)

// site is contoso.com, which sends by one of the two mail servers, and the world it sends to.
type site struct {
	dir, binary, config string
	dns                 *dnsserver.Server
	postfix             *mta.Postfix
	sendmail            *mta.Sendmail
	daemon              *daemon.Daemon
	log                 *os.File // of all runs of the daemon

	root, other, stranger *pki.CA // other is a partner's own
	ours                  *pki.Certificate
	issuing               *pki.CA // below root, publishes lists
	lists                 string  // URL of those
	servers               map[string]*mta.Fake
	addresses             int
	pins                  []row  // those whose certificates are in the configuration
	partners              string // and their tables
	more                  string // on the send list, besides the rows
}

var revokedSerial = big.NewInt(4711)

func setUp(t *testing.T) *site {
	t.Helper()
	s := &site{servers: make(map[string]*mta.Fake)}
	var err error
	must := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// Postfix's user goes through it, which it may not through t.TempDir.
	s.dir, err = os.MkdirTemp("", "outgoing-")
	must()
	t.Cleanup(func() { os.RemoveAll(s.dir) })
	err = errors.Join(os.Chmod(s.dir, 0o755), os.MkdirAll(s.path("postfix/queue/roots"), 0o755))
	must()
	s.binary, err = cases.Build(t.Context(), s.dir, "-race")
	must()
	s.dns, err = dnsserver.StartAt(apart.Nameserver+":53", "contoso.com A 127.0.0.1\n")
	must()
	t.Cleanup(func() { s.dns.Close() })
	authority := func(name string) *pki.CA {
		ca, problem := pki.NewCA(pki.CAOptions{Name: name, NotBefore: time.Now().Add(-1000 * time.Hour)})
		err = problem
		must()
		return ca
	}
	s.root, s.other, s.stranger = authority("Root"), authority("Woodgrove's own"), authority("Stranger")
	s.publish(t)
	s.write(t, "root.pem", string(s.root.PEM()))
	s.write(t, "other.pem", string(s.other.PEM()))
	s.populate(t)

	s.config = s.path("domain-secured.toml")
	s.write(t, "domain-secured.toml", s.settings())
	s.write(t, "receive.list", "")
	s.write(t, "send.list", s.listed())
	s.log, err = os.Create(s.path("daemon.log"))
	must()
	t.Cleanup(func() { s.log.Close() })
	s.startDaemon(t)
	t.Cleanup(func() {
		if s.daemon == nil {
			return
		}
		if err := s.daemon.Stop(context.Background()); err != nil { // the race detector's exit status, too
			t.Error(err)
		}
	})

	s.ours, err = s.root.Leaf(pki.LeafOptions{DNSNames: []string{"mx1.contoso.com", "contoso.com"}})
	must()
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

// write replaces a file as a careful editor does.
func (s *site) write(t *testing.T, name, text string) {
	t.Helper()
	fresh := s.path(name + ".new")
	if err := errors.Join(os.WriteFile(fresh, []byte(text), 0o644), os.Rename(fresh, s.path(name))); err != nil {
		t.Fatal(err)
	}
}

// publish makes an authority that says what it has revoked.
func (s *site) publish(t *testing.T) {
	lists := make(map[string]crlmaker.Options)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o, there := lists[r.URL.Path]
		if !there {
			http.NotFound(w, r)
			return
		}
		if err := crlmaker.Write(w, o); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	s.lists = server.URL
	var err error
	if s.issuing, err = s.root.Intermediate(pki.CAOptions{Name: "Issuing", CRL: []string{s.lists + "/root.crl"}}); err != nil {
		t.Fatal(err)
	}
	lists["/root.crl"] = crlmaker.Options{Issuer: s.root.Certificate.Leaf.RawSubject, Key: s.root.Key}
	lists["/issuing.crl"] = crlmaker.Options{Issuer: s.issuing.Certificate.Leaf.RawSubject, Key: s.issuing.Key, Entries: crlmaker.Entries(revokedSerial)}
}

func (s *site) startDaemon(t *testing.T) {
	t.Helper()
	var err error
	s.daemon, err = daemon.Start(t.Context(), daemon.Options{
		Binary: s.binary, Args: []string{"serve", "--config", s.config, "--log-format", "text"},
		Env: []string{"SSL_CERT_FILE=" + s.path("root.pem")}, Copy: s.log,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) daemonLog() string {
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// serve starts a mail server for a domain at an address of its own, which it returns.
func (s *site) serve(t *testing.T, domain string, o mta.FakeOptions) string {
	t.Helper()
	s.addresses++
	address := fmt.Sprintf("127.77.%d.%d", s.addresses/200, 1+s.addresses%200)
	s.serveAt(t, address, domain, o)
	return address
}

func (s *site) serveAt(t *testing.T, address, domain string, o mta.FakeOptions) {
	t.Helper()
	o.Listen = address + ":25"
	o.Domains = append(o.Domains, domain)
	if o.Hostname == "" {
		o.Hostname = "mail1." + domain
	}
	server, err := mta.StartFake(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	s.servers[domain] = server
}

func (s *site) records(t *testing.T, format string, args ...any) {
	t.Helper()
	if err := s.dns.Add(fmt.Sprintf(format, args...)); err != nil {
		t.Fatal(err)
	}
}

// logged waits for a line of the daemon's log with all these words.
func (s *site) logged(t *testing.T, from int, words ...string) string {
	t.Helper()
	var found string
	waitUntil(t, fmt.Sprintf("%q in the daemon's log", words), func() bool {
	lines:
		for line := range strings.Lines(s.daemonLog()[from:]) {
			for _, word := range words {
				if !strings.Contains(line, word) {
					continue lines
				}
			}
			found = line
			return true
		}
		return false
	})
	return found
}

func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end, tick := time.After(60*time.Second), time.Tick(10*time.Millisecond); !done(); {
		select {
		case <-tick:
		case <-end:
			t.Fatalf("waiting for %s", what)
		}
	}
}

// A scene is what is played at a site, in this order.
type scene struct {
	name string
	run  func(*testing.T, *site)
}

// play runs scenes at a site on whose mail server they depend, and looks at what the
// daemon has said meanwhile. purge empties the mail server's queue after each.
func (s *site) play(t *testing.T, log func() string, purge func(*testing.T), scenes []scene) {
	for _, sub := range scenes {
		daemonMark, mark := len(s.daemonLog()), len(log())
		t.Run(sub.name, func(t *testing.T) {
			t.Cleanup(func() {
				purge(t)
				if t.Failed() {
					t.Logf("domain-secured:\n%s\nmail server:\n%s", tail(s.daemonLog()[daemonMark:]), tail(log()[mark:]))
				}
			})
			sub.run(t, s)
		})
	}
	for _, word := range []string{"DATA RACE", "panic", "fault of domain-secured", "does not speak"} {
		if log := s.daemonLog(); strings.Contains(log, word) {
			t.Errorf("%q in the daemon's log:\n%s", word, tail(log[strings.Index(log, word):]))
		}
	}
}

func tail(text string) string { return text[max(0, len(text)-24<<10):] }

// hangUp has the daemon take another configuration.
func (s *site) hangUp(t *testing.T) {
	t.Helper()
	from := len(s.daemonLog())
	if err := s.daemon.Hangup(); err != nil {
		t.Fatal(err)
	}
	s.logged(t, from, "configuration read")
}

// list puts domains on the send list in place of what is there.
func (s *site) list(t *testing.T, text string) {
	t.Helper()
	from := len(s.daemonLog())
	s.write(t, "send.list", text)
	s.logged(t, from, "lists read")
}
