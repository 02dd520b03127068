package export

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/testkit/smtpclient"
	"domain-secured/policy"
)

// toServer is a domain, its entry, its server, and whether Sendmail sends there.
type toServer struct {
	domain string
	mode   policy.Mode // "" is not listed
	verify policy.SendVerify
	wait   string
	shown  []string // the names that were seen when the lines were made
	leaf   pki.LeafOptions
	self   bool
	plain  bool
	sent   bool // with check_cert_altnames
	byCN   bool // without
}

func dns(names ...string) pki.LeafOptions { return pki.LeafOptions{DNSNames: names} }

var toServers = []toServer{
	{domain: "good.test", mode: policy.ModeEnforce, shown: []string{"mail1.good.test"}, leaf: dns("x.test", "mail1.good.test"), sent: true},
	{domain: "bare.test", mode: policy.ModeEnforce, shown: []string{"bare.test", "mail1.bare.test"}, leaf: dns("mail1.bare.test", "bare.test"), sent: true},
	{domain: "wild.test", mode: policy.ModeEnforce, shown: []string{"*.wild.test"}, leaf: dns("*.wild.test"), sent: true},
	{domain: "mail.below.test", mode: policy.ModeEnforce, shown: []string{"*.below.test"}, leaf: dns("*.below.test"), sent: true},
	{domain: "cn.test", mode: policy.ModeEnforce, shown: []string{"mail1.cn.test"}, leaf: pki.LeafOptions{CommonNames: []string{"mail1.cn.test"}}, byCN: true},
	{domain: "both.test", mode: policy.ModeEnforce, shown: []string{"mail1.both.test"}, leaf: pki.LeafOptions{CommonNames: []string{"mail1.both.test"}, DNSNames: []string{"mail1.both.test"}}, sent: true, byCN: true},
	// As it says on top: the name of the server, as it was connected to, will do.
	{domain: "spoof.test", mode: policy.ModeEnforce, shown: []string{"mail1.spoof.test"}, leaf: pki.LeafOptions{CommonNames: []string{"[127.77.9.7]"}, DNSNames: []string{"mail1.evil.test"}}, sent: true},
	{domain: "wrong.test", mode: policy.ModeEnforce, shown: []string{"mail1.wrong.test"}, leaf: dns("mail1.other.test")},
	{domain: "self.test", mode: policy.ModeEnforce, shown: []string{"mail1.self.test"}, leaf: dns("mail1.self.test"), self: true},
	{domain: "expired.test", mode: policy.ModeEnforce, shown: []string{"mail1.expired.test"},
		leaf: pki.LeafOptions{DNSNames: []string{"mail1.expired.test"}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)}},
	{domain: "plain.test", mode: policy.ModeEnforce, shown: []string{"mail1.plain.test"}, plain: true},
	{domain: "waits.test", mode: policy.ModeEnforce, wait: "certificate-revoked", shown: []string{"mail1.waits.test"}, leaf: dns("mail1.waits.test")},
	{domain: "pins.test", mode: policy.ModeEnforce, verify: policy.SendVerifyPins, shown: []string{"mail1.pins.test"}, leaf: dns("mail1.pins.test")},
	{domain: "unseen.test", mode: policy.ModeEnforce, leaf: dns("mail1.unseen.test")},
	// As it says on top: what is below is held to the same.
	{domain: "sub.good.test", leaf: dns("sub.good.test")},
	{domain: "sub2.good.test", leaf: dns("mail1.good.test"), sent: true},
	{domain: "testing.test", mode: policy.ModeTesting, leaf: dns("x.test"), self: true, sent: true, byCN: true},
	{domain: "others.test", leaf: dns("x.test"), self: true, sent: true, byCN: true},
	{domain: "plainothers.test", plain: true, sent: true, byCN: true},
}

// TestSendmail has a real Sendmail deliver by the lines.
func TestSendmail(t *testing.T) {
	if err := mta.FindSendmail(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	t.Run("check_cert_altnames", func(t *testing.T) {
		deliver(t, []string{"FEATURE(`check_cert_altnames')dnl"}, func(to toServer) bool { return to.sent })
	})
	t.Run("common names", func(t *testing.T) {
		deliver(t, nil, func(to toServer) bool { return to.byCN })
	})
}

func deliver(t *testing.T, config []string, sends func(toServer) bool) {
	root, err := pki.NewCA(pki.CAOptions{NotBefore: time.Now().Add(-1000 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var entries []Entry
	var servers []*mta.Fake
	mailers, port := "", "0"
	for i, to := range toServers {
		address := fmt.Sprintf("127.77.9.%d", i+1)
		server, _ := start(t, root, to, net.JoinHostPort(address, port))
		_, port, _ = net.SplitHostPort(server.Addr()) // the first has the kernel choose
		servers = append(servers, server)
		mailers += to.domain + "\trelay:[" + address + "]\n"
		if to.mode == "" {
			continue
		}
		e := entry(to.domain, to.mode, &policy.Demand{Wait: to.wait})
		if to.verify != "" {
			e.Partner.SendVerify = to.verify
		}
		if to.shown != nil {
			e.Names = [][]string{to.shown}
		}
		entries = append(entries, e)
	}
	for name, text := range map[string]string{"access": Sendmail(entries), "mailertable": mailers} {
		if err := mta.MakeSendmailMap(t.Context(), filepath.Join(dir, name), text); err != nil {
			t.Fatal(err)
		}
	}
	ours, err := root.Leaf(dns("mx1.contoso.test"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := mta.StartSendmail(t.Context(), mta.SendmailOptions{
		Common: mta.Common{Hostname: "mx1.contoso.test", Domains: []string{"contoso.test"}, Certificate: ours, ClientCA: root.Certificate.Leaf},
		Dir:    filepath.Join(dir, "sendmail"),
		Config: append(config,
			"FEATURE(`access_db', `hash -T<TMPF> "+dir+"/access')dnl",
			"FEATURE(`mailertable', `hash "+dir+"/mailertable')dnl",
			"define(`RELAY_MAILER_ARGS', `TCP $h "+port+"')dnl",
		),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, to := range toServers {
		reply, err := smtpclient.Send(t.Context(), smtpclient.Options{Addr: s.Addr()},
			smtpclient.Mail{Sender: "alice@contoso.test", Recipients: []string{"bob@" + to.domain}, Data: []byte("Subject: hi\n\nhi\n")})
		if err != nil || !strings.HasPrefix(reply.String(), "250") {
			t.Fatal(to.domain, reply, err)
		}
	}
	for i, to := range toServers {
		t.Run(to.domain, func(t *testing.T) {
			if sent, why := outcome(t, servers[i], filepath.Join(dir, "sendmail", "mqueue"), to.domain); sent != sends(to) {
				t.Errorf("sent %v: %s", sent, why)
			}
		})
	}
	if t.Failed() {
		t.Log(Sendmail(entries), s.Log())
	}
}

func start(t *testing.T, root *pki.CA, to toServer, listen string) (server *mta.Fake, shown policy.Hash) {
	t.Helper()
	o := mta.FakeOptions{Common: mta.Common{Domains: []string{to.domain}}, Listen: listen}
	var err error
	switch {
	case to.plain:
	case to.self:
		o.Certificate, err = pki.SelfSigned(to.leaf)
	default:
		o.Certificate, err = root.Leaf(to.leaf)
	}
	if err != nil {
		t.Fatal(err)
	}
	if o.Certificate != nil {
		shown = sha256.Sum256(o.Certificate.Leaf.Raw)
	}
	server, err = mta.StartFake(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server, shown
}

var deferral = regexp.MustCompile(`(?m)^M.+`)

// outcome waits until the server has a message, or Sendmail's queue says why one waits.
func outcome(t *testing.T, server *mta.Fake, queue, domain string) (sent bool, why string) {
	t.Helper()
	return outcomeFor(t, server, queue, domain, 1)
}

// outcomeFor is outcome of what is the server's n-th message, to an address that has this.
func outcomeFor(t *testing.T, server *mta.Fake, queue, address string, n int) (sent bool, why string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for tick := time.Tick(20 * time.Millisecond); ; {
		if messages, err := server.Messages(); err != nil || len(messages) >= n {
			return true, fmt.Sprint(err)
		}
		files, _ := filepath.Glob(filepath.Join(queue, "qf*"))
		for _, name := range files {
			text, err := os.ReadFile(name)
			if errors.Is(err, os.ErrNotExist) {
				continue // it was just delivered
			}
			lines := strings.Split(string(text), "\n")
			if !slices.ContainsFunc(lines, func(line string) bool {
				line = strings.ToLower(line)
				return strings.HasPrefix(line, "r") && (strings.Contains(line, "@"+address) || strings.Contains(line, "%"+address) || strings.Contains(line, "<"+address))
			}) {
				continue
			}
			if found := deferral.FindString(string(text)); found != "" {
				return false, found
			}
		}
		select {
		case <-tick:
		case <-ctx.Done():

			t.Fatalf("nothing became of it; the queue has %q", files)
		}
	}
}
