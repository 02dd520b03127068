package postconf

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"domain-secured/internal/testkit/apart"
	"domain-secured/internal/testkit/dnsserver"
	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/testkit/smtpclient"
	"domain-secured/policy"
	"domain-secured/policy/tlsmap"
)

// TestSendingClaims sets up a Postfix for every claim, and looks whether it does what Check says; then puts in the
// lines of all findings, and looks whether all is well.
func TestSendingClaims(t *testing.T) {
	needPostconf(t)
	needRoot(t)
	err := apart.Run(t, func() {
		s := newSendingSite(t)
		for _, c := range sendingClaims {
			t.Run(c.name, func(t *testing.T) {
				mark := len(s.postfix.Log())
				t.Cleanup(func() {
					if t.Failed() {
						t.Log(s.postfix.Log()[mark:])
					}
					s.run(t, "postsuper", "-d", "ALL")
				})
				s.try(t, c)
			})
		}
	})
	if err != nil && (!errors.Is(err, apart.ErrNotPossible) || os.Getenv("CI") != "") {
		t.Fatal(err)
	} else if err != nil {
		t.Skip(err)
	}
}

const sendMap = "socketmap:inet:127.0.0.1:18892:send"

// sendingSite is a Postfix that sends, and where to.
type sendingSite struct {
	dir     string
	postfix *mta.Postfix
	master  string // master.cf
	want    Want

	mu      sync.Mutex
	demands map[string]*policy.Demand
}

// Insist implements [policy.Insister].
func (s *sendingSite) Insist(d policy.Destination) *policy.Demand {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.demands[d.Name]
}

func (s *sendingSite) setDemand(domain string, d *policy.Demand) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.demands[domain] = d
}

func newSendingSite(t *testing.T) *sendingSite {
	t.Helper()
	s := &sendingSite{want: Want{
		Sends: true, TLSMapListen: "inet:127.0.0.1:18892", PostfixVersion: "3.7",
		Send: []Destination{{Domain: "impostor.test"}, {Domain: "good.test"}, {Domain: "pinned.test"}},
	}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	s.dir, err = os.MkdirTemp("", "sending-") // Postfix's user goes through it
	must(err)
	t.Cleanup(func() { os.RemoveAll(s.dir) })
	must(os.Chmod(s.dir, 0o755))
	root, err := pki.NewCA(pki.CAOptions{NotBefore: time.Now().Add(-1000 * time.Hour)})
	must(err)
	leaf := func(o pki.LeafOptions) *pki.Certificate {
		t.Helper()
		c, err := root.Leaf(o)
		must(err)
		return c
	}
	file := func(name string, parts ...[]byte) string {
		t.Helper()
		must(os.WriteFile(filepath.Join(s.dir, name), slices.Concat(parts...), 0o600))
		return filepath.Join(s.dir, name)
	}
	ours, other := leaf(pki.LeafOptions{DNSNames: []string{"mx1.contoso.test"}}), leaf(pki.LeafOptions{DNSNames: []string{"mx9.contoso.test"}})
	expired := leaf(pki.LeafOptions{DNSNames: []string{"mx1.contoso.test"}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)})
	chain := file("mx1.pem", ours.KeyPEM(), ours.PEM())
	file("mixed.pem", ours.PEM(), ours.KeyPEM())
	file("mx1-alone.pem", ours.PEM())
	file("mx1.key", ours.KeyPEM())
	file("other.key", other.KeyPEM())
	file("wrong.pem", other.KeyPEM(), other.PEM())
	file("expired.pem", expired.KeyPEM(), expired.PEM())
	ca := file("root.pem", root.PEM())
	must(os.Chmod(ca, 0o644))

	zone := "contoso.test A 127.0.0.1\n"
	serve := func(domain, address string, o mta.FakeOptions) {
		t.Helper()
		o.Listen, o.Domains, o.Hostname = address+":25", []string{"impostor.test", "good.test", "pinned.test", "demanding.test", "other.test"}, "mx."+domain
		if domain == "relay.test" {
			o.Hostname = domain
		}
		f, err := mta.StartFake(t.Context(), o)
		must(err)
		t.Cleanup(func() { f.Close() })
		zone += fmt.Sprintf("%s MX 10 %s\n%[2]s A %s\n", domain, o.Hostname, address)
	}
	self, err := pki.SelfSigned(pki.LeafOptions{DNSNames: []string{"mx.impostor.test"}})
	must(err)
	serve("impostor.test", "127.77.0.1", mta.FakeOptions{Common: mta.Common{Certificate: self}})
	serve("good.test", "127.77.0.2", mta.FakeOptions{Common: mta.Common{Certificate: leaf(pki.LeafOptions{DNSNames: []string{"good.test"}})}})
	serve("pinned.test", "127.77.0.3", mta.FakeOptions{Common: mta.Common{Certificate: self}})
	serve("other.test", "127.77.0.4", mta.FakeOptions{Common: mta.Common{Certificate: self}})
	serve("relay.test", "127.77.0.9", mta.FakeOptions{})
	s.demand(t, root, self, zone)

	s.postfix, err = mta.StartPostfix(t.Context(), mta.PostfixOptions{
		Common: mta.Common{Hostname: "mx1.contoso.test", Domains: []string{"contoso.test"}, Certificate: ours},
		Dir:    filepath.Join(s.dir, "postfix"),
		Main: []string{
			"smtp_tls_security_level = may", "smtp_tls_policy_maps = " + sendMap, "smtp_tls_fingerprint_digest = sha256",
			"smtp_tls_CAfile = " + ca, "smtp_tls_chain_files = " + chain, "smtp_tls_loglevel = 1",
			"mynetworks = 127.0.0.0/8", "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination",
			"parent_domain_matches_subdomains =",
		},
	})
	must(err)
	t.Cleanup(func() {
		if err := s.postfix.Close(); err != nil {
			t.Error(err)
		}
	})
	master, err := os.ReadFile(s.masterCF())
	must(err)
	s.master = string(master) + "lmtp unix - - n - - lmtp\n"
	return s
}

// demand starts the DNS, the door, and a server that demands a certificate as a partner of ours does.
func (s *sendingSite) demand(t *testing.T, root *pki.CA, self *pki.Certificate, zone string) {
	t.Helper()
	demanding, err := mta.StartPostfix(t.Context(), mta.PostfixOptions{
		Common: mta.Common{Hostname: "mx.demanding.test", Domains: []string{"demanding.test"}, Certificate: self, ClientCA: root.Certificate.Leaf},
		Dir:    filepath.Join(s.dir, "demanding"),
		Main:   []string{"smtpd_tls_security_level = encrypt", "smtpd_tls_req_ccert = yes"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { demanding.Close() })
	dns, err := dnsserver.StartAt(apart.Nameserver+":53", zone+"demanding.test MX 10 mx.demanding.test\nmx.demanding.test A 127.77.0.5\n")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dns.Close() })
	const address = "127.77.0.5:25"
	out, err := exec.CommandContext(t.Context(), "postconf", "-c", demanding.ConfigDir(), "-M", address+"/inet="+address+" inet n - n - - smtpd").CombinedOutput()
	if err := errors.Join(err, demanding.Reload(t.Context())); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	pin, err := policy.ParseHash(self.Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	s.demands = map[string]*policy.Demand{
		"impostor.test": {Names: []string{"impostor.test"}, MinTLS: 0x0303, MinBits: 128},
		"good.test":     {Names: []string{"good.test"}, MinTLS: 0x0303, MinBits: 128},
		"pinned.test":   {Fingerprints: []policy.Hash{pin}, MinTLS: 0x0303, MinBits: 128},
	}
	l, err := net.Listen("tcp", "127.0.0.1:18892")
	if err != nil {
		t.Fatal(err)
	}
	door := tlsmap.NewServer(s, tlsmap.Version{Major: 3, Minor: 7}, slog.New(slog.DiscardHandler))
	go door.Serve(l)
	t.Cleanup(func() { door.Shutdown(context.Background()) })
}

func (s *sendingSite) masterCF() string { return filepath.Join(s.postfix.ConfigDir(), "master.cf") }

// run runs one of Postfix's programs.
func (s *sendingSite) run(t *testing.T, program string, args ...string) {
	t.Helper()
	out, err := exec.Command(program, append([]string{"-c", s.postfix.ConfigDir()}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", program, args, err, out)
	}
}

// configure has Postfix run with the usual settings and these.
func (s *sendingSite) configure(t *testing.T, main, master []string) *Settings {
	t.Helper()
	if err := s.postfix.SetParameter("mail_name", "Postfix"); err != nil { // main.cf as it was
		t.Fatal(err)
	}
	if err := os.WriteFile(s.masterCF(), []byte(s.master), 0o644); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("%D", s.dir, "%M", sendMap)
	for _, line := range main {
		s.run(t, "postconf", "-e", fill.Replace(line))
	}
	for _, line := range master {
		if name, _, _ := strings.Cut(line, " "); strings.Contains(name, "/") {
			s.run(t, "postconf", "-P", fill.Replace(line))
		} else {
			s.run(t, "postconf", "-M", name+"/unix="+fill.Replace(line))
		}
	}
	old := time.Now().Add(-5 * time.Second) // see instance.write
	for _, name := range []string{"main.cf", "master.cf"} {
		if err := os.Chtimes(filepath.Join(s.postfix.ConfigDir(), name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.postfix.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	settings, err := Read(t.Context(), s.postfix.ConfigDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := settings.LookUp(t.Context(), s.want.Send, s.want.TLSMapListen); err != nil {
		t.Fatal(err)
	}
	return settings
}

// findings are those about mail going out.
func (s *sendingSite) findings(settings *Settings) []Finding {
	c := checker{s: settings, want: s.want}
	c.at(nil)
	c.sending()
	return c.found
}

// send sends a message and returns the line of the log that says what became of it, and the log since; the reply if it
// is not taken.
func (s *sendingSite) send(t *testing.T, domain string) (outcome, log string) {
	t.Helper()
	mark := len(s.postfix.Log())
	reply, err := smtpclient.Send(t.Context(), smtpclient.Options{Addr: s.postfix.Addr()},
		smtpclient.Mail{Sender: "alice@contoso.test", Recipients: []string{"bob@" + domain}, Data: []byte("Subject: hi\n\nhi\n")})
	_, id, queued := strings.Cut(reply.Text, "queued as ")
	if err != nil {
		t.Fatal(err)
	}
	if !queued {
		return reply.String(), ""
	}
	for end, tick := time.After(30*time.Second), time.Tick(10*time.Millisecond); ; {
		log = s.postfix.Log()[mark:]
		for line := range strings.Lines(log) {
			if strings.Contains(line, " "+id+": to=<bob@"+domain+">") && strings.Contains(line, " status=") {
				return line, log
			}
		}
		select {
		case <-tick:
		case <-end:
			t.Fatal("nothing became of it")
		}
	}
}

func (s *sendingSite) try(t *testing.T, c sendingClaim) {
	if c.to == "" {
		c.to = "impostor.test"
	}
	found := s.findings(s.configure(t, c.main, c.master))
	if c.says == "" && len(found) > 0 || c.says != "" && len(found) != 1 {
		t.Errorf("findings: %+v", found)
	}
	if line, log := s.send(t, c.to); !strings.Contains(line, c.outcome) || !strings.Contains(log, c.logged) {
		t.Errorf("want %s, and %q in the log: %s", c.outcome, c.logged, line)
	}
	if c.says == "" || len(found) != 1 {
		return
	}
	f := found[0]
	if f.Severity != c.severity || !strings.Contains(f.Problem, c.says) {
		t.Errorf("%+v, want %v %q", f, c.severity, c.says)
	}
	if c.fixed == "-" {
		return
	}
	if f.Line == "" {
		t.Fatalf("no line: %+v", f)
	}
	main, master := slices.Clone(c.main), slices.Clone(c.master)
	for line := range strings.Lines(f.Line) {
		line = strings.TrimRight(line, "\n")
		if f.Service == "" {
			main = append(main, line)
			continue
		}
		name := strings.Replace(f.Service, " ", "/", 1)
		setting := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(line, "  -o "), "{ "), " }")
		master = append(master, name+"/"+strings.Replace(setting, " = ", "=", 1))
	}
	if found := s.findings(s.configure(t, main, master)); len(found) > 0 {
		t.Errorf("put right: %+v", found)
	}
	want := c.fixed
	if want == "" {
		want = held
	}
	if line, _ := s.send(t, c.to); !strings.Contains(line, want) {
		t.Errorf("put right, want %s: %s", want, line)
	}
}
