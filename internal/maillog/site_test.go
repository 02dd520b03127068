package maillog_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/testkit/smtpclient"
)

// site is a private Postfix that sends to fake servers, each of another kind. Each
// takes the mail of the domain KIND.example.
type site struct {
	postfix *mta.Postfix
	servers map[string]*mta.Fake
}

// newSite starts one. policies are TLS policies by kind, in place of "secure".
func newSite(t *testing.T, policies map[string]string, settings ...string) *site {
	t.Helper()
	if _, err := mta.FindPostfix(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	ca, err := pki.NewCA(pki.CAOptions{})
	check(t, err)
	leaf := func(name string, change func(*pki.LeafOptions)) *pki.Certificate {
		o := pki.LeafOptions{DNSNames: []string{name}}
		if change != nil {
			change(&o)
		}
		c, err := ca.Leaf(o)
		check(t, err)
		return c
	}
	selfSigned, err := pki.SelfSigned(pki.LeafOptions{DNSNames: []string{"mx.selfsigned.example"}})
	check(t, err)
	certificates := map[string]*pki.Certificate{
		"good":   leaf("mx.good.example", nil),
		"pinned": leaf("whatever.example", nil),
		"expired": leaf("mx.expired.example", func(o *pki.LeafOptions) {
			o.NotAfter = time.Now().Add(-time.Hour)
			o.NotBefore = time.Now().Add(-48 * time.Hour)
		}),
		"mismatch":   leaf("mx.other.example", nil),
		"selfsigned": selfSigned,
		"plain":      nil,
		"lax":        selfSigned,
		"wrongpin":   leaf("mx.wrongpin.example", nil),
		"old":        leaf("mx.old.example", nil),
		"nopolicy":   leaf("mx.nopolicy.example", nil),
	}
	s := &site{servers: map[string]*mta.Fake{}}
	var transports, policy []string
	for kind, certificate := range certificates {
		fake, err := mta.StartFake(t.Context(), mta.FakeOptions{Common: mta.Common{Domains: []string{kind + ".example"}, Certificate: certificate}})
		check(t, err)
		t.Cleanup(func() { fake.Close() })
		s.servers[kind] = fake
		_, port, _ := net.SplitHostPort(fake.Addr())
		nexthop := "[127.0.0.1]:" + port
		transports = append(transports, fmt.Sprintf("{ %s.example = smtp:%s }", kind, nexthop))
		want := fmt.Sprintf("secure match=%s.example:.%s.example", kind, kind)
		switch {
		case policies[kind] != "":
			want = policies[kind]
		case kind == "pinned":
			want = "fingerprint match=" + certificate.Fingerprint()
		case kind == "lax":
			want = "encrypt"
		case kind == "old":
			want += " protocols=TLSv1" // which the server does not speak
		case kind == "nopolicy":
			want += " attribute=unknown" // to Postfix, so that the policy cannot be used
		}
		policy = append(policy, fmt.Sprintf("{ %s = %s }", nexthop, want))
	}
	transports = append(transports, "{ down.example = smtp:[127.0.0.1]:"+closedPort(t)+" }")
	dir, err := os.MkdirTemp("", "maillog-")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	check(t, os.Chmod(dir, 0o755))
	root := filepath.Join(dir, "root.pem")
	check(t, os.WriteFile(root, ca.Certificate.PEM(), 0o644))
	s.postfix, err = mta.StartPostfix(t.Context(), mta.PostfixOptions{
		Common: mta.Common{Domains: []string{"contoso.example"}},
		Dir:    filepath.Join(dir, "postfix"),
		Main: append([]string{
			"mynetworks = 127.0.0.0/8", "smtpd_relay_restrictions = permit_mynetworks, reject",
			"transport_maps = inline:{" + strings.Join(transports, ", ") + "}",
			"smtp_tls_policy_maps = inline:{" + strings.Join(policy, ", ") + "}",
			"smtp_tls_CAfile = " + root, "smtp_tls_loglevel = 1", "smtp_tls_security_level = may",
			"smtp_tls_fingerprint_digest = sha256",
			"default_destination_rate_delay = 0s",
		}, settings...),
	})
	check(t, err)
	t.Cleanup(func() {
		if err := s.postfix.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// closedPort is one on which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// send has Postfix take a message.
func (s *site) send(t *testing.T, recipients ...string) {
	t.Helper()
	reply, err := smtpclient.Send(t.Context(), smtpclient.Options{Addr: s.postfix.Addr()}, smtpclient.Mail{
		Sender: "alice@contoso.example", Recipients: recipients, Data: []byte("Subject: test\n\ntext\n"),
	})
	check(t, err)
	if !reply.Accepted() {
		t.Fatalf("refused: %v", reply)
	}
}

// await waits until done says yes.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 30*time.Second, errors.New("it took too long"))
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("waiting for %s: %v", what, context.Cause(ctx))
		case <-time.After(10 * time.Millisecond):
		}
	}
}
