package outgoing_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
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
	"domain-secured/internal/testkit/smtpclient"
)

// site is contoso.com, which sends, and the world it sends to.
type site struct {
	dir, binary, config string
	dns                 *dnsserver.Server
	postfix             *mta.Postfix
	daemon              *daemon.Daemon
	log                 *os.File // of all runs of the daemon

	root, other, stranger *pki.CA // other is a partner's own
	issuing               *pki.CA // below root, publishes lists
	lists                 string  // URL of those
	servers               map[string]*mta.Fake
	addresses             int
	pins                  []row  // those whose certificates are in the configuration
	partners              string // and their tables
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

	ours, err := s.root.Leaf(pki.LeafOptions{DNSNames: []string{"mx1.contoso.com", "contoso.com"}})
	must()
	chain := s.path("contoso.pem")
	err = os.WriteFile(chain, append(ours.KeyPEM(), ours.PEM()...), 0o600)
	must()
	s.postfix, err = mta.StartPostfix(t.Context(), mta.PostfixOptions{
		Common: mta.Common{Hostname: "mx1.contoso.com", Domains: []string{"contoso.com"}, Certificate: ours},
		Dir:    s.path("postfix"),
		Main: []string{
			"smtp_tls_security_level = may",
			"smtp_tls_policy_maps = socketmap:inet:127.0.0.1:18892:send",
			"smtp_tls_CAfile = " + s.path("root.pem"),
			"smtp_tls_chain_files = " + chain,
			"smtp_tls_loglevel = 1",
			"mynetworks = 127.0.0.0/8",
			"smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination",
			"smtputf8_enable = yes",
			"transport_maps = inline:{ { byhost.example = smtp:[mail1.byhost.example]:25 } }",
			// One try a second, whatever became of the last.
			"minimal_backoff_time = 1s", "maximal_backoff_time = 1s", "queue_run_delay = 1s",
			"smtp_connect_timeout = 5s",
		},
	})
	must()
	t.Cleanup(func() {
		if err := s.postfix.Close(); err != nil {
			t.Error(err)
		}
	})
	s.chroot(t)
	return s
}

// chroot has smtp(8) run as Debian has it: in the queue directory, where it sees no other
// file.
func (s *site) chroot(t *testing.T) {
	t.Helper()
	etc := s.path("postfix/queue/etc")
	resolver, err := os.ReadFile("/etc/resolv.conf")
	if err := errors.Join(err, os.MkdirAll(etc, 0o755), os.WriteFile(filepath.Join(etc, "resolv.conf"), resolver, 0o644)); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "postconf", "-c", s.postfix.ConfigDir(), "-F", "smtp/unix/chroot = y").CombinedOutput()
	if err != nil {
		t.Fatalf("postconf: %v: %s", err, out)
	}
	if err := s.postfix.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// isChrooted reports whether some smtp(8) sees only the queue directory.
func (s *site) isChrooted() bool {
	roots, _ := filepath.Glob("/proc/[0-9]*/root")
	for _, root := range roots {
		if seen, err := os.Readlink(root); err == nil && seen == s.path("postfix/queue") {
			return true
		}
	}
	return false
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

// send hands Postfix a message and returns its queue id.
func (s *site) send(t *testing.T, sender string, recipients ...string) string {
	t.Helper()
	m := smtpclient.Mail{Sender: sender, Recipients: recipients, Data: []byte("Message-ID: <" + rand.Text() + "@contoso.com>\n\nhi\n")}
	for _, r := range recipients {
		if strings.ContainsFunc(r, func(r rune) bool { return r > '~' }) {
			m.Parameters = "SMTPUTF8"
		}
	}
	reply, err := smtpclient.Send(t.Context(), smtpclient.Options{Addr: s.postfix.Addr()}, m)
	if err != nil {
		t.Fatal(err)
	}
	_, id, found := strings.Cut(reply.Text, "queued as ")
	if !found {
		t.Fatalf("to %q: %v", recipients, reply)
	}
	return id
}

// outcome waits for what became of a message for a recipient, and returns that line of
// Postfix's log. further says whether it is the one; nil takes the first.
func (s *site) outcome(t *testing.T, id, recipient string, further func(line string) bool) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 60*time.Second)
	defer cancel()
	begin := " " + id + ": to=<" + recipient + ">"
	for tick := time.Tick(10 * time.Millisecond); ; {
		for line := range strings.Lines(s.postfix.Log()) {
			if strings.Contains(line, begin) && strings.Contains(line, " status=") && (further == nil || further(line)) {
				return line
			}
		}
		select {
		case <-tick:
		case <-ctx.Done():
			t.Fatalf("no outcome of %s for %s", id, recipient)
		}
	}
}

func sent(line string) bool { return strings.Contains(line, " status=sent ") }

func deferred(line string) bool { return strings.Contains(line, " status=deferred ") }

// purge empties the queue: what waits for ever would go on being tried.
func (s *site) purge(t *testing.T) {
	out, err := exec.Command("postsuper", "-c", s.postfix.ConfigDir(), "-d", "ALL").CombinedOutput()
	if err != nil {
		t.Errorf("postsuper: %v: %s", err, out)
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
