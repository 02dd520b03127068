package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/readiness"
	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/dnsserver"
	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/trust"
	"domain-secured/policy"
)

// probeSite is a real Postfix that is the MX of several domains, each on a port of
// its own where it does things in a way of its own.
type probeSite struct {
	dir     string
	dns     *dnsserver.Server
	postfix *mta.Postfix
	good    *pki.Certificate
}

// probed is one use of the verb.
type probed struct {
	code     int
	out, err string
}

func (p probed) assessment(t *testing.T) *readiness.Assessment {
	t.Helper()
	var a readiness.Assessment
	if err := json.Unmarshal([]byte(p.out), &a); err != nil {
		t.Fatalf("%v in %s%s", err, p.out, p.err)
	}
	return &a
}

// text is without line breaks.
func (p probed) text() string { return strings.Join(strings.Fields(p.out), " ") }

func setUpProbe(t *testing.T) *probeSite {
	t.Helper()
	s := &probeSite{dir: t.TempDir()}
	root, err := pki.NewCA(pki.CAOptions{Name: "Woodgrove Root", NotBefore: time.Now().Add(-1000 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := pki.NewCA(pki.CAOptions{Name: "Stranger"})
	if err != nil {
		t.Fatal(err)
	}
	intermediate, err := root.Intermediate(pki.CAOptions{Name: "Woodgrove Issuing", NotBefore: time.Now().Add(-1000 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	chainFile := func(name string, ca *pki.CA, o pki.LeafOptions) (*pki.Certificate, string) {
		c, err := ca.Leaf(o)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(s.dir, name+".pem")
		write(t, file, string(append(c.KeyPEM(), c.PEM()...)), 0o600)
		return c, "smtpd_tls_chain_files = " + file
	}
	mail1 := []string{"mail1.woodgrovebank.com"}
	s.good, _ = chainFile("good", intermediate, pki.LeafOptions{DNSNames: mail1})
	_, untrusted := chainFile("untrusted", stranger, pki.LeafOptions{DNSNames: mail1})
	_, wrong := chainFile("wrong", intermediate, pki.LeafOptions{DNSNames: []string{"mail.provider.example", "*.provider.example"}})
	_, expired := chainFile("expired", intermediate, pki.LeafOptions{
		DNSNames: []string{"mail1.contoso.com"}, NotBefore: time.Now().Add(-72 * time.Hour), NotAfter: time.Now().Add(-48 * time.Hour),
	})
	lists, issuing := s.publish(t, root)
	_, listed := chainFile("listed", issuing, pki.LeafOptions{DNSNames: mail1, CRL: []string{lists + "/issuing.crl"}})
	_, silent := chainFile("silent", issuing, pki.LeafOptions{DNSNames: mail1, CRL: []string{lists + "/none.crl"}})
	_, revoked := chainFile("revoked", issuing, pki.LeafOptions{DNSNames: mail1, CRL: []string{lists + "/issuing.crl"}, Serial: revokedSerial})
	_, server := chainFile("server", intermediate, pki.LeafOptions{DNSNames: mail1, Usage: pki.UsageServer})
	s.postfix, err = mta.StartPostfix(t.Context(), mta.PostfixOptions{
		Common: mta.Common{Hostname: "mail1.woodgrovebank.com", Domains: []string{"woodgrovebank.com"}, Certificate: s.good, ClientCA: root.Certificate.Leaf},
		Services: []mta.Service{
			{Name: "unasked", Settings: []string{"smtpd_tls_ask_ccert = no"}},
			{Name: "plain", Settings: []string{"smtpd_tls_security_level = none"}},
			{Name: "untrusted", Settings: []string{untrusted}},
			{Name: "wrong", Settings: []string{wrong}},
			{Name: "expired", Settings: []string{expired}},
			{Name: "listed", Settings: []string{listed}},
			{Name: "silent", Settings: []string{silent}},
			{Name: "revoked", Settings: []string{revoked}},
			{Name: "server", Settings: []string{server}},
			{Name: "required", Settings: []string{"smtpd_tls_security_level = encrypt", "smtpd_tls_req_ccert = yes"}},
			{Name: "old", Settings: []string{"smtpd_tls_protocols = <=TLSv1.2"}},
		},
	})
	if errors.Is(err, mta.ErrNoPostfix) {
		missing(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.postfix.Close(); err != nil {
			t.Error(err)
		}
	})
	s.dns, err = dnsserver.Start("woodgrovebank.com MX 10 mail1.woodgrovebank.com\nmail1.woodgrovebank.com A 127.0.0.1\n")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.dns.Close(); err != nil {
			t.Error(err)
		}
	})
	write(t, filepath.Join(s.dir, "root.pem"), string(root.PEM()), 0o644)
	write(t, filepath.Join(s.dir, "receive.list"), "", 0o644)
	write(t, filepath.Join(s.dir, "send.list"), "", 0o644)
	return s
}

var revokedSerial = big.NewInt(4711)

// publish makes an authority that publishes what it revoked, and returns the URL below which it does.
func (s *probeSite) publish(t *testing.T, root *pki.CA) (url string, issuing *pki.CA) {
	t.Helper()
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
	issuing, err := root.Intermediate(pki.CAOptions{Name: "Woodgrove Revoking", CRL: []string{server.URL + "/root.crl"}})
	if err != nil {
		t.Fatal(err)
	}
	lists["/root.crl"] = crlmaker.Options{Issuer: root.Certificate.Leaf.RawSubject, Key: root.Key}
	lists["/issuing.crl"] = crlmaker.Options{Issuer: issuing.Certificate.Leaf.RawSubject, Key: issuing.Key, Entries: crlmaker.Entries(revokedSerial)}
	return server.URL, issuing
}

func write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// probe runs the verb on woodgrovebank.com where its server is the one at addr, with
// further lines of configuration.
func (s *probeSite) probe(t *testing.T, addr, more string, args ...string) probed {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.dir, "c.toml")
	write(t, file, fmt.Sprintf(`state_dir = "state"
[dns]
resolver = %q
[probe]
port = %s
allow_private = true
[defaults]
roots = ["root.pem"]
revocation = "off"
%s
`, s.dns.Addr(), port, more), 0o644)
	var out, words bytes.Buffer
	code := run(t.Context(), slices.Concat([]string{"probe", "--config", file, "woodgrovebank.com"}, args), streams{nil, &out, &words})
	return probed{code, out.String(), words.String()}
}

// TestProbePostfix looks at a real Postfix with all that is right and wrong.
func TestProbePostfix(t *testing.T) {
	s := setUpProbe(t)
	settings := "[partner.\"woodgrovebank.com\"]\n"
	digits := strings.ToLower(strings.ReplaceAll(s.good.Fingerprint(), ":", ""))
	expires := s.good.Leaf.NotAfter.UTC().Format(time.DateOnly)
	for _, c := range []struct {
		name, service, more string
		code                int
		want                []string // in the text
		never               []string
	}{
		{"good", "", "", exitOK, []string{
			"woodgrovebank.com, on no list", "mail1.woodgrovebank.com (MX 10) 127.0.0.1 port ", "STARTTLS TLSv1.3, TLS_", "certificate mail1.woodgrovebank.com SHA-256", "client cert. asked for",
			"SHA-256 " + digits, "issuer CN=Woodgrove Issuing", "key ECDSA P-256", " to " + expires + ", 30 days left",
			"chain by CN=Woodgrove Issuing, by CN=Woodgrove Root", "names mail1.woodgrovebank.com: exchange yes, strict no", "TLSA not proven by DNSSEC",
			"verdict pass, auth=chain, name=mail1.woodgrovebank.com", "woodgrovebank.com: ready", "as clients, which cannot be seen from here",
		}, []string{"For the partner", "For you"}},
		{"by the strict rule", "", settings + `name_match = "strict"`, exitNo, []string{
			"exchange yes, strict no", "woodgrovebank.com: not ready: mail1.woodgrovebank.com certificate-host-mismatch",
			"no name in it speaks for woodgrovebank.com: have one issued with woodgrovebank.com.",
		}, nil},
		{"does not ask", "unasked", "", exitNo, []string{
			"client cert. not asked for", "verdict pass", "not ready: mail1.woodgrovebank.com client-certificate-not-requested",
			"For the partner: - mail1.woodgrovebank.com does not ask for a client certificate",
		}, nil},
		{"no STARTTLS", "plain", "", exitNo, []string{"problem no-starttls", "- mail1.woodgrovebank.com does not offer STARTTLS: offer it."}, []string{"verdict"}},
		{"untrusted", "untrusted", "", exitNo, []string{
			"chain none (1 presented): x509: certificate signed by unknown authority", "mail1.woodgrovebank.com: exchange yes, strict no", "fail, certificate-not-trusted",
			`- mail1.woodgrovebank.com presents its certificate alone, and there is no way from its issuer "CN=Stranger" to a root`,
		}, []string{"host-mismatch"}},
		{"wrong name", "wrong", "", exitNo, []string{
			"*.provider.example: exchange no, strict no", "chain by CN=Woodgrove Issuing",
			"presents a certificate for mail.provider.example, *.provider.example, and no name in it speaks for woodgrovebank.com: " +
				"have one issued with mail1.woodgrovebank.com, woodgrovebank.com or *.woodgrovebank.com.",
		}, []string{"For you"}},
		{"the names of a provider", "wrong", settings + `names = ["mail.provider.example"]`, exitOK, []string{
			"mail.provider.example: one of names; exchange no", "verdict pass, auth=provider, name=mail.provider.example",
		}, nil},
		// Everything that is wrong is said, not the first alone.
		{"expired, and another's", "expired", "", exitNo, []string{
			"EXPIRED 2 days ago", "not ready: mail1.woodgrovebank.com certificate-expired, mail1.woodgrovebank.com certificate-host-mismatch",
			"presents a certificate that expired on " + time.Now().Add(-48*time.Hour).UTC().Format(time.DateOnly) + ": renew it.",
		}, []string{"certificate-not-trusted"}},
		{"for servers only", "server", "", exitOK, []string{"verdict pass"}, nil},
		{"for servers only, and clients wanted", "server", settings + `usage = "client"`, exitNo, []string{
			"a certificate for servers only (extended key usage serverAuth)", `For you: - mail1.woodgrovebank.com presents a certificate for servers only, and usage = "client" refuses it`,
		}, nil},
		{"pinned", "", settings + `pins = ["` + digits + `"]`, exitOK, []string{"chain not asked", "verdict pass, auth=pin"}, nil},
		{"other pins", "", settings + "trust = \"pins\"\npins = [\"" + strings.Repeat("0a", 32) + `"]`, exitNo, []string{
			"fail, pin-mismatch", "presents a certificate that is not one of those agreed on (SHA-256 " + digits + ")",
		}, nil},
		{"old TLS", "old", settings + `min_tls = "TLSv1.3"`, exitNo, []string{
			"STARTTLS TLSv1.2", "mail1.woodgrovebank.com tls-too-weak", "offers nothing better than TLSv1.2 with TLS_ECDHE_", "allow TLS 1.3 or newer",
		}, nil},
		{"insists on a certificate", "required", "", exitOK, []string{"client cert. asked for", "verdict pass"}, nil},
		{"not revoked", "listed", settings + `revocation = "require"`, exitOK, []string{
			"revocation good by crl: ", "not on CRL 1 of", "verdict pass",
		}, nil},
		{"revoked", "revoked", settings + `revocation = "require"`, exitNo, []string{
			"revocation revoked by crl: ", "not ready: mail1.woodgrovebank.com certificate-revoked", "For the partner: - mail1.woodgrovebank.com presents",
		}, nil},
		{"nobody to ask", "", settings + `revocation = "require"`, exitNo, []string{
			"revocation unavailable: ", "not ready: mail1.woodgrovebank.com revocation-unavailable",
		}, nil},
		{"revocation unknown", "silent", settings + `revocation = "require"`, exitNotNow, []string{
			"revocation unknown: ", "404", "woodgrovebank.com: cannot tell: mail1.woodgrovebank.com revocation-unknown", "For you: - mail1.woodgrovebank.com presents",
		}, []string{"For the partner"}},
		// Its common name is what would count, and it has none.
		{"judged by the mail server", "", settings + "evidence = \"mta\"\nmta_issuer = \"Woodgrove Issuing\"", exitNo, []string{"whose common name, the only one that counts here, does not speak for", "which cannot be known here: taken as if it trusted"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := s.postfix.Addr()
			if c.service != "" {
				addr = s.postfix.ServiceAddr(c.service)
			}
			p := s.probe(t, addr, c.more)
			if p.code != c.code {
				t.Errorf("exit code %d, not %d", p.code, c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(p.text(), want) {
					t.Errorf("no %q", want)
				}
			}
			for _, never := range c.never {
				if strings.Contains(p.text(), never) {
					t.Errorf("there is %q", never)
				}
			}
			for line := range strings.Lines(p.out) {
				if len(strings.TrimSuffix(line, "\n")) > pageWidth {
					t.Errorf("a line of more than %d columns: %s", pageWidth, line)
				}
			}
			if t.Failed() || testing.Verbose() {
				t.Logf("exit code %d\n%s%s", p.code, p.out, p.err)
			}
		})
	}
	t.Run("receiving alone", func(t *testing.T) { s.testReceivingAlone(t) })
	t.Run("unreachable", func(t *testing.T) { s.testUnreachable(t) })
	t.Run("TLSA", func(t *testing.T) { s.testTLSA(t) })
	t.Run("JSON and learning", func(t *testing.T) { s.testLearn(t) })
}

// testReceivingAlone: who is only to be received from needs not ask us for anything.
func (s *probeSite) testReceivingAlone(t *testing.T) {
	write(t, filepath.Join(s.dir, "receive.list"), "woodgrovebank.com\n", 0o644)
	defer write(t, filepath.Join(s.dir, "receive.list"), "", 0o644)
	p := s.probe(t, s.postfix.ServiceAddr("unasked"), "")
	if p.code != exitOK || !strings.Contains(p.text(), "on the receive list") || !strings.Contains(p.text(), "does not ask for a client certificate") {
		t.Errorf("exit code %d\n%s", p.code, p.out)
	}
}

// testUnreachable: one server that cannot be reached is worth a word, all of them a
// later try.
func (s *probeSite) testUnreachable(t *testing.T) {
	if err := s.dns.Add("woodgrovebank.com MX 20 mail2.woodgrovebank.com\nmail2.woodgrovebank.com A 127.0.0.2\n"); err != nil {
		t.Fatal(err)
	}
	p := s.probe(t, s.postfix.Addr(), "")
	if p.code != exitOK || !strings.Contains(p.text(), "- mail2.woodgrovebank.com accepts no connection at port ") {
		t.Errorf("exit code %d\n%s", p.code, p.out)
	}
	if first, second := strings.Index(p.out, "mail1.woodgrovebank.com (MX 10)"), strings.Index(p.out, "mail2.woodgrovebank.com (MX 20)"); first < 0 || second < first {
		t.Errorf("not in the order of the MX records:\n%s", p.out)
	}
	s.dns.Remove("mail1.woodgrovebank.com", "A")
	p = s.probe(t, s.postfix.Addr(), "")
	if p.code != exitNotNow || !strings.Contains(p.text(), "cannot tell: mail1.woodgrovebank.com no-such-name, mail2.woodgrovebank.com connect-failed") {
		t.Errorf("exit code %d\n%s", p.code, p.out)
	}
	s.dns.Behave("woodgrovebank.com", "MX", dnsserver.ServFail, 0)
	p = s.probe(t, s.postfix.Addr(), "")
	if p.code != exitNotNow || !strings.Contains(p.text(), "woodgrovebank.com: cannot tell: dns-bogus") {
		t.Errorf("exit code %d\n%s", p.code, p.out)
	}
	s.dns.Behave("woodgrovebank.com", "MX", dnsserver.Answer, 0)
	s.dns.Remove("woodgrovebank.com", "MX")
	if err := s.dns.Add("woodgrovebank.com MX 10 mail1.woodgrovebank.com\nmail1.woodgrovebank.com A 127.0.0.1\n"); err != nil {
		t.Fatal(err)
	}
}

// testTLSA: what DNSSEC proves counts with dane = true, and is compared in any case.
func (s *probeSite) testTLSA(t *testing.T) {
	s.dns.Secure(".")
	digits := strings.ReplaceAll(s.good.KeyFingerprint(), ":", "")
	dane := "[partner.\"woodgrovebank.com\"]\ndane = true\nname_match = \"strict\""
	p := s.probe(t, s.postfix.Addr(), dane)
	if p.code != exitNo || !strings.Contains(p.text(), "TLSA none") || !strings.Contains(p.text(), "MX records proven by DNSSEC") {
		t.Errorf("exit code %d\n%s", p.code, p.out)
	}
	if err := s.dns.Add("_25._tcp.mail1.woodgrovebank.com TLSA 3 1 1 " + digits + "\n"); err != nil {
		t.Fatal(err)
	}
	p = s.probe(t, s.postfix.Addr(), dane)
	if p.code != exitOK || !strings.Contains(p.text(), "TLSA 1 record, matches verdict pass, auth=dane") {
		t.Errorf("exit code %d\n%s", p.code, p.out)
	}
	p = s.probe(t, s.postfix.ServiceAddr("server"), "")
	if p.code != exitOK || !strings.Contains(p.text(), "TLSA 1 record, no match") || !strings.Contains(p.text(), "that none of its TLSA records names") {
		t.Errorf("exit code %d\n%s", p.code, p.out)
	}
	s.dns.Behave("_25._tcp.mail1.woodgrovebank.com", "TLSA", dnsserver.Bogus, 0)
	p = s.probe(t, s.postfix.Addr(), dane)
	if p.code != exitNo || !strings.Contains(p.text(), "mail1.woodgrovebank.com certificate-host-mismatch") || !strings.Contains(p.text(), "could not be judged: TLSA") {
		t.Errorf("exit code %d\n%s", p.code, p.out)
	}
	s.dns.Behave("_25._tcp.mail1.woodgrovebank.com", "TLSA", dnsserver.Answer, 0)
	s.dns.Insecure(".")
}

// testLearn: what is good is stored, and nothing else; the store has it afterwards.
func (s *probeSite) testLearn(t *testing.T) {
	p := s.probe(t, s.postfix.ServiceAddr("wrong"), "", "--learn", "--json")
	if a := p.assessment(t); p.code != exitNo || a.Learned != nil || !strings.Contains(p.err, "nothing to store of woodgrovebank.com") {
		t.Errorf("exit code %d\n%s%s", p.code, p.out, p.err)
	}
	p = s.probe(t, s.postfix.Addr(), "", "--json", "--learn")
	a := p.assessment(t)
	if p.code != exitOK || a.Answer != readiness.Ready || len(a.Learned) != 1 || !strings.Contains(p.err, "stored: "+a.Learned[0]) {
		t.Fatalf("exit code %d\n%s%s", p.code, p.out, p.err)
	}
	certificate := a.Hosts[0].Addresses[0].Certificates[0]
	if certificate.Fingerprint != a.Learned[0] || certificate.Result != policy.ResultPass || len(certificate.Rows) != 16 || len(a.Findings) != 0 ||
		!a.Hosts[0].Addresses[0].TLS.ClientCertificateRequested {
		t.Errorf("%s", p.out)
	}
	if strings.Contains(p.out, `"der"`) {
		t.Error("the octets of certificates are in the JSON")
	}
	store := trust.NewStore(filepath.Join(s.dir, "state", "certificates"))
	if _, err := store.Refresh(); err != nil {
		t.Fatal(err)
	}
	all := store.All()
	if len(all) != 1 || !all[0].X509.Equal(s.good.Leaf) || all[0].Source != trust.SourceProbe || all[0].Domain != "woodgrovebank.com" || len(all[0].Presented) != 1 {
		t.Errorf("stored: %+v", all)
	}
}
