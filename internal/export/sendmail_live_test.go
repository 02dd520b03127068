package export

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"domain-secured/internal/sendmailcf"
	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/testkit/smtpclient"
	"domain-secured/policy"
	"domain-secured/policy/tlsmap"
)

// liveServer is a domain, what is insisted on of it, its server, and what becomes of mail.
type liveServer struct {
	toServer
	demand  func(shown policy.Hash) *policy.Demand // nil is not listed
	to      string                                 // the recipient, if not bob@domain
	waits   string                                 // what the queue says; "" is sent
	inbound bool                                   // its mail is handed in with the certificate of another server
}

func insist(d policy.Demand) func(policy.Hash) *policy.Demand {
	return func(policy.Hash) *policy.Demand {
		if d.MinTLS == 0 {
			d.MinTLS = 0x0303
		}
		if d.MinBits == 0 {
			d.MinBits = 128
		}
		return &d
	}
}

func byNames(names ...string) func(policy.Hash) *policy.Demand {
	return insist(policy.Demand{Names: names})
}

// long is a name that is nearly as long as one may be.
var long = strings.Repeat(strings.Repeat("x", 60)+".", 3) + strings.Repeat("y", 40) + ".test"

func numbered(domain string, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("mail%d.%s", i, domain))
	}
	return names
}

// asShown insists on the very certificate of the server, and another.
func asShown(shown policy.Hash) *policy.Demand {
	return &policy.Demand{Fingerprints: []policy.Hash{{1}, shown}, MinTLS: 0x0303, MinBits: 128}
}

const (
	otherName   = "the certificate has another name"
	notTrusted  = "the certificate is not trusted"
	noneShown   = "the server shows no certificate"
	notExpected = "certificate-not-expected"
)

var liveServers = []liveServer{
	{toServer: toServer{domain: "vetted.test", leaf: dns("x.test")}, demand: asShown},
	{toServer: toServer{domain: "pinned.test", leaf: dns("x.test"), self: true}, demand: asShown, to: "bob@Pinned.TEST"},
	{toServer: toServer{domain: "another.test", leaf: dns("mail1.another.test")}, demand: insist(policy.Demand{Fingerprints: []policy.Hash{{1}}}), waits: notExpected},
	{toServer: toServer{domain: "plainvetted.test", plain: true}, demand: insist(policy.Demand{Fingerprints: []policy.Hash{{1}}}), waits: noneShown},
	{toServer: toServer{domain: "named.test", leaf: dns("x.test", "mail1.named.test")}, demand: byNames("named.test", "mail0.named.test", "mail1.named.test")},
	{toServer: toServer{domain: "bare.test", leaf: dns("bare.test")}, demand: byNames("bare.test")},
	{toServer: toServer{domain: "wild.test", leaf: dns("*.wild.test")}, demand: byNames("wild.test", "mail.wild.test")},
	{toServer: toServer{domain: "cn.test", leaf: pki.LeafOptions{CommonNames: []string{"mail1.cn.test"}}}, demand: byNames("cn.test", "mail1.cn.test")},
	{toServer: toServer{domain: "route.test", leaf: dns("y.test")}, demand: byNames("route.test"), to: "@other.test:bob@route.test", waits: otherName},
	{toServer: toServer{domain: "bang.test", leaf: dns("y.test")}, demand: byNames("bang.test"), to: "bang.test!bob", waits: otherName},
	{toServer: toServer{domain: "percent.test", leaf: dns("y.test")}, demand: byNames("percent.test"), to: "bob%percent.test", waits: otherName},
	{toServer: toServer{domain: "dot.test", leaf: dns("y.test")}, demand: byNames("dot.test"), to: "bob@dot.test.", waits: otherName},
	{toServer: toServer{domain: "comment.test", leaf: dns("y.test")}, demand: byNames("comment.test"), to: "bob@comment.test (x@stranger.test)", waits: otherName},
	{toServer: toServer{domain: "quoted.test", leaf: dns("y.test")}, demand: byNames("quoted.test"), to: `"<x@stranger.test>"@quoted.test`, waits: otherName},
	{toServer: toServer{domain: "first.test", leaf: dns("y.test")}, demand: byNames("first.test"), to: "stranger.test!bob@first.test", waits: otherName},
	{toServer: toServer{domain: "many.test", leaf: dns("mail29.many.test")}, demand: byNames(numbered("many.test", 30)...)},
	{toServer: toServer{domain: "excess.test", leaf: dns("mail30.excess.test")}, demand: byNames(numbered("excess.test", 100)...), waits: otherName},
	{toServer: toServer{domain: "long.test", leaf: dns("mail0." + long)}, demand: byNames(numbered(long, 100)...)},
	{toServer: toServer{domain: "upper.test", leaf: dns("y.test")}, demand: byNames("upper.test"), to: "bob@UPPER.Test", waits: otherName},
	// The name of the server as it was connected to is nothing, unlike in the access map.
	{toServer: toServer{domain: "spoof.test", leaf: pki.LeafOptions{CommonNames: []string{"[127.77.8.20]"}, DNSNames: []string{"mail1.evil.test"}}}, demand: byNames("spoof.test"), waits: otherName},
	{toServer: toServer{domain: "wrong.test", leaf: dns("mail1.other.test")}, demand: byNames("wrong.test", "mail1.wrong.test"), waits: otherName},
	{toServer: toServer{domain: "self.test", leaf: dns("self.test"), self: true}, demand: byNames("self.test"), waits: notTrusted},
	{toServer: toServer{domain: "plain.test", plain: true}, demand: byNames("plain.test"), waits: noneShown},
	{toServer: toServer{domain: "weak.test", leaf: dns("weak.test")}, demand: insist(policy.Demand{Names: []string{"weak.test"}, MinBits: 512}), waits: "the cipher is too weak"},
	{toServer: toServer{domain: "old.test", leaf: dns("old.test")}, demand: insist(policy.Demand{Names: []string{"old.test"}, MinTLS: 0x0305}), waits: "tls-too-weak"},
	{toServer: toServer{domain: "roots.test", leaf: dns("roots.test")}, demand: insist(policy.Demand{Names: []string{"roots.test"}, RootsFile: "roots.pem"}), waits: "roots-need-send_verify-vetted"},
	{toServer: toServer{domain: "waits.test", leaf: dns("waits.test")}, demand: insist(policy.Demand{Wait: "certificate-revoked"}), waits: "certificate-revoked"},
	{toServer: toServer{domain: "others.test", leaf: dns("x.test"), self: true}},
	{toServer: toServer{domain: "plainothers.test", plain: true}},
	// What the client of the session has shown that handed the mail in is not the server's.
	{toServer: toServer{domain: "lent.test", leaf: pki.LeafOptions{CommonNames: []string{"x"}}}, demand: byNames("lent.test"), waits: otherName, inbound: true},
	{toServer: toServer{domain: "lentplain.test", plain: true}, demand: asShown, waits: noneShown, inbound: true},
}

// table is an insister without rules.
type table map[string]*policy.Demand

func (t table) Insist(d policy.Destination) *policy.Demand { return t[strings.ToLower(d.Name)] }

// ruleset returns contrib/sendmail/sending.mc for a door at that port.
func ruleset(t *testing.T, port string) string {
	t.Helper()
	text, err := os.ReadFile("../../contrib/sendmail/sending.mc")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), "inet:18892@") != 1 {
		t.Fatal("the ruleset does not ask our port")
	}
	return strings.Replace(string(text), "inet:18892@", "inet:"+port+"@", 1)
}

func altnames(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../contrib/sendmail/altnames.mc")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// serveDoor has the door answer at l, and returns what ends it.
func serveDoor(t *testing.T, l net.Listener, demands table) (end func()) {
	door := tlsmap.NewServer(demands, tlsmap.Version{Major: 3, Minor: 7}, slog.New(slog.DiscardHandler))
	served := make(chan error, 1)
	go func() { served <- door.Serve(l) }()
	end = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := errors.Join(door.Shutdown(ctx), <-served); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return end
}

// TestSendmailAsks has a real Sendmail ask the door before it delivers, by the ruleset in
// contrib; then the door is gone.
func TestSendmailAsks(t *testing.T) {
	if err := mta.FindSendmail(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	root, err := pki.NewCA(pki.CAOptions{NotBefore: time.Now().Add(-1000 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	lent, err := root.Leaf(dns("lent.test"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	demands := table{}
	var servers []*mta.Fake
	mailers, smtp := "", "0"
	for i, to := range liveServers {
		address := fmt.Sprintf("127.77.8.%d", i+1)
		server, shown := start(t, root, to.toServer, net.JoinHostPort(address, smtp))
		if to.inbound {
			shown = sha256.Sum256(lent.Leaf.Raw)
		}
		_, smtp, _ = net.SplitHostPort(server.Addr()) // the first has the kernel choose
		servers = append(servers, server)
		mailers += to.domain + "\trelay:[" + address + "]\n"
		if to.demand != nil {
			demands[to.domain] = to.demand(shown)
		}
	}
	for name, text := range map[string]string{"mailertable": mailers, "access": ""} {
		if err := mta.MakeSendmailMap(t.Context(), filepath.Join(dir, name), text); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closeDoor := serveDoor(t, l, demands)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	ours, err := root.Leaf(dns("mx1.contoso.test"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := mta.StartSendmail(t.Context(), mta.SendmailOptions{
		Common: mta.Common{Hostname: "mx1.contoso.test", Domains: []string{"contoso.test"}, Certificate: ours, ClientCA: root.Certificate.Leaf},
		Dir:    filepath.Join(dir, "sendmail"),
		Config: []string{
			"FEATURE(`mailertable', `hash " + dir + "/mailertable')dnl",
			"FEATURE(`access_db', `hash -T<TMPF> " + dir + "/access')dnl", // not needed, and not in the way
			"FEATURE(`check_cert_altnames')dnl",
			"define(`RELAY_MAILER_ARGS', `TCP $h " + smtp + "')dnl",
		},
		Rulesets: []string{altnames(t), ruleset(t, port)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	// "check --sendmail" knows it when it sees it.
	if cf, err := sendmailcf.Read(s.ConfigFile()); err != nil || cf.SendMap != "inet:"+port+"@127.0.0.1" {
		t.Errorf("the ruleset in sendmail.cf is taken for %q: %v", cf.SendMap, err)
	}
	send := func(recipient string, withTLS bool) {
		t.Helper()
		o := smtpclient.Options{Addr: s.Addr()}
		if withTLS {
			certificate := lent.TLSCertificate()
			o.TLS, o.Certificate = true, &certificate
		}
		reply, err := smtpclient.Send(t.Context(), o, smtpclient.Mail{Sender: "alice@contoso.test", Recipients: []string{recipient}, Data: []byte("Subject: hi\n\nhi\n")})
		if err != nil || !strings.HasPrefix(reply.String(), "250") {
			t.Fatal(recipient, reply, err)
		}
	}
	queue := filepath.Join(dir, "sendmail", "mqueue")
	for _, to := range liveServers {
		if to.to == "" {
			to.to = "bob@" + to.domain
		}
		send(to.to, to.inbound)
	}
	for i, to := range liveServers {
		t.Run(to.domain, func(t *testing.T) {
			sent, why := outcomeFor(t, servers[i], queue, to.domain, 1)
			if sent != (to.waits == "") || !sent && !strings.Contains(why, to.waits) {
				t.Errorf("sent %v: %s, want %q", sent, why, to.waits)
			}
		})
	}
	closeDoor()
	t.Run("down", func(t *testing.T) {
		late := map[string]int{"vetted.test": 0, "others.test": 0}
		for i, to := range liveServers {
			if _, ok := late[to.domain]; ok {
				late[to.domain] = i
				send("late@"+to.domain, false)
			}
		}
		for domain, i := range late {
			if sent, why := outcomeFor(t, servers[i], queue, "late@"+domain, 2); sent {
				t.Errorf("%s: it was sent: %s", domain, why)
			}
		}
		// It is back: what waited leaves.
		l, err := net.Listen("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		serveDoor(t, l, demands)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		for domain, i := range late {
			if _, err := servers[i].Delivered(ctx, func(m mta.Message) bool { return strings.Contains(string(m.Raw), "late@"+domain) }); err != nil {
				t.Errorf("%s: %v", domain, err)
			}
		}
	})
	if t.Failed() {
		t.Log(s.Log())
	}
}
