package milter

import (
	"net/netip"
	"strings"
	"testing"

	"domain-secured/policy"
)

const (
	fingerprint = "7E:E9:D3:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D"
	sha1        = "7E:E9:D3:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11"
	md5         = "97:AA:D3:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D"
)

// factsOf returns what the judge is told at the DATA of a session.
func factsOf(t *testing.T, sent ...string) policy.Facts {
	t.Helper()
	s := newSite(t)
	r := newRig(t, s.Server)
	r.send(t, postfix+strings.Join(sent, "")+data)
	r.finish()
	if len(s.judge.facts) != 1 {
		t.Fatalf("asked %d times", len(s.judge.facts))
	}
	return s.judge.facts[0]
}

func hash(t *testing.T, s string) policy.Hash {
	t.Helper()
	h, err := policy.ParseHash(s)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestFacts: each fact from where MTAs tell it.
func TestFacts(t *testing.T) {
	got := factsOf(t,
		macros('C', "j", "mx.contoso.com", "v", "Postfix 3.7.11", "{daemon_name}", "mx.contoso.com", "{daemon_port}", "10025"), connect('6', 4711, "2001:db8::7"),
		macros('H', "{tls_version}", "TLSv1.2", "{cipher}", "x", "{cipher_bits}", "128"), helo,
		macros('M', "i", "an older one", "{mail_addr}", "alice@woodgrovebank.com", "{tls_version}", "TLSv1.3", "{cipher}", "TLS_AES_256_GCM_SHA384", "{cipher_bits}", "256",
			"{cert_subject}", "mail1.woodgrovebank.com", "{cert_issuer}", "Test Root"), packet('M', "<@a,@b:alice@WoodgroveBank.com>\x00SIZE=100\x00BODY=8BITMIME\x00"),
		macros('R', "i", "not yet"), macros('T', "i", "4XyZ"))
	want := policy.Facts{
		ToEnd: true, Server: "mx.contoso.com", QueueID: "4XyZ",
		Sender: "<@a,@b:alice@WoodgroveBank.com>", MailAddr: "alice@woodgrovebank.com",
		Client: netip.MustParseAddrPort("[2001:db8::7]:4711"), Listener: "mx.contoso.com", ListenerPort: 10025,
		TLSVersion: "TLSv1.3", Cipher: "TLS_AES_256_GCM_SHA384", Bits: 256,
		Certificate: policy.Reported{Presence: policy.PresenceYes, Trusted: true, CN: "mail1.woodgrovebank.com", IssuerCN: "Test Root"},
	}
	if got.Certificate.Complaint == "" {
		t.Error("no complaint about a fingerprint")
	}
	got.Certificate.Complaint = ""
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestNoFacts: what is not told is not known.
func TestNoFacts(t *testing.T) {
	got := factsOf(t, mail("x@x"))
	if got.Certificate.Complaint == "" {
		t.Error("no complaint about a certificate")
	}
	got.Certificate.Complaint = ""
	if want := (policy.Facts{ToEnd: true, Sender: "<x@x>"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestNumbers: what is no number is none.
func TestNumbers(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "x": 0, "-1": 0, "1e3": 0, "0x19": 0, " 25": 0, "0": 0, "25": 25, "65535": 65535, "65536": 0, "99999999999999999999": 0,
	} {
		f := factsOf(t, macros('C', "{daemon_port}", text), client, macros('H', "{cipher_bits}", text), helo, mail("x@x"))
		if int(f.ListenerPort) != want || f.Bits != want {
			t.Errorf("%q: port %d, %d bits, want %d", text, f.ListenerPort, f.Bits, want)
		}
	}
}

func TestClient(t *testing.T) {
	for _, c := range []struct{ name, packet, want string }{
		{"IPv4", connect('4', 1234, "192.0.2.7"), "192.0.2.7:1234"},
		{"IPv6", connect('6', 1234, "::1"), "[::1]:1234"},
		{"IPv6, tagged", connect('6', 1234, "IPv6:::1"), "[::1]:1234"},
		{"IPv6, tagged in other case", connect('6', 1234, "ipv6:2001:DB8::7"), "[2001:db8::7]:1234"},
		{"IPv4 in IPv6", connect('6', 1234, "::ffff:192.0.2.7"), "192.0.2.7:1234"},
		{"IPv4 in IPv6, tagged", connect('6', 1234, "IPv6:::ffff:192.0.2.7"), "192.0.2.7:1234"},
		{"no port", connect('4', 0, "192.0.2.7"), "192.0.2.7:0"},
		{"unix", connect('L', 0, "/run/s"), ""},
		{"unix with the name of an address", connect('L', 25, "192.0.2.7"), ""},
		{"unknown", packet('C', "unknown\x00U"), ""},
		{"unknown with more", packet('C', "unknown\x00U\x00\x19192.0.2.7\x00"), ""},
		{"a family nobody knows", connect('5', 25, "192.0.2.7"), ""},
		{"a name", connect('4', 25, "mail1.woodgrovebank.com"), ""},
		{"empty", connect('4', 25, ""), ""},
		{"only a tag", connect('6', 25, "IPv6:"), ""},
		{"not decimal", connect('4', 25, "192.0.2.007"), ""},
		{"an address and a port", connect('4', 25, "192.0.2.7:25"), ""},
	} {
		want := netip.AddrPort{}
		if c.want != "" {
			want = netip.MustParseAddrPort(c.want)
		}
		if got := factsOf(t, c.packet, mail("x@x")).Client; got != want {
			t.Errorf("%s: %v, want %v", c.name, got, want)
		}
	}
	// An address that cannot be read does not leave that of the session before.
	if got := factsOf(t, client, connect('U', 0, ""), mail("x@x")).Client; got.IsValid() {
		t.Errorf("another session has the client %v", got)
	}
}

// TestCertificate: what Sendmail and Postfix say of it, and what cannot be known.
func TestCertificate(t *testing.T) {
	known := hash(t, fingerprint)
	for _, c := range []struct {
		name      string
		macros    []string
		want      policy.Reported // without the complaint
		complaint string
	}{
		{"trusted", []string{"{verify}", "OK", "{cn_subject}", "mail1.woodgrovebank.com", "{cn_issuer}", "Test+20+3CRoot+3E+20CA", "{cert_fp}", fingerprint},
			policy.Reported{Presence: policy.PresenceYes, Trusted: true, Fingerprint: known, CN: "mail1.woodgrovebank.com", IssuerCN: "Test <Root> CA"}, ""},
		{"without braces", []string{"verify", "OK", "cn_subject", "x.example", "cert_fp", fingerprint},
			policy.Reported{Presence: policy.PresenceYes, Trusted: true, Fingerprint: known, CN: "x.example"}, ""},
		{"another name", []string{"{verify}", "OK", "{cn_subject}", "BadCertificateUnknown", "{ds_altname}", "*.woodgrovebank.com", "{cert_fp}", fingerprint},
			policy.Reported{Presence: policy.PresenceYes, Trusted: true, Fingerprint: known, AltName: "*.woodgrovebank.com"}, ""},
		{"another name, not trusted", []string{"{verify}", "FAIL", "{ds_altname}", "woodgrovebank.com", "{cert_fp}", fingerprint},
			policy.Reported{Presence: policy.PresenceYes, Fingerprint: known}, ""},
		{"another name, Postfix", []string{"v", "Postfix 3.7.11", "{cert_issuer}", "CA", "{ds_altname}", "woodgrovebank.com"},
			policy.Reported{Presence: policy.PresenceYes, Trusted: true, IssuerCN: "CA"}, "policy service"},
		{"not trusted", []string{"{verify}", "FAIL", "{cn_subject}", "mail1.woodgrovebank.com", "{cn_issuer}", "x", "{cert_fp}", fingerprint},
			policy.Reported{Presence: policy.PresenceYes, Fingerprint: known}, ""},
		{"none presented", []string{"{verify}", "NO", "{cn_subject}", "", "{cert_fp}", ""}, policy.Reported{Presence: policy.PresenceNo}, ""},
		{"none asked for", []string{"{verify}", "NOT", "{cn_subject}", "x", "{cert_fp}", fingerprint}, policy.Reported{Presence: policy.PresenceNo}, ""},
		{"a failure of other kind", []string{"{verify}", "TEMP", "{cn_subject}", "x", "{cert_fp}", fingerprint}, policy.Reported{Fingerprint: known}, ""},
		{"a word nobody knows", []string{"{verify}", "ok", "{cn_subject}", "x", "{cert_fp}", fingerprint}, policy.Reported{Fingerprint: known}, ""},
		{"DANE", []string{"{verify}", "TRUSTED", "{cn_subject}", "x", "{cert_fp}", fingerprint}, policy.Reported{Fingerprint: known}, ""},
		{"verify empty", []string{"{verify}", "", "{cn_subject}", "x", "{cert_issuer}", "y"}, policy.Reported{}, "confCERT_FINGERPRINT_ALGORITHM"},
		{"lower case, no colons", []string{"{verify}", "FAIL", "{cert_fp}", strings.ToLower(strings.ReplaceAll(fingerprint, ":", ""))},
			policy.Reported{Presence: policy.PresenceYes, Fingerprint: known}, ""},
		{"SHA-1", []string{"{verify}", "OK", "{cert_fp}", sha1}, policy.Reported{Presence: policy.PresenceYes, Trusted: true}, "another digest than SHA-256"},
		{"MD5 as the fingerprint", []string{"{verify}", "OK", "{cert_fp}", md5}, policy.Reported{Presence: policy.PresenceYes, Trusted: true}, "another digest than SHA-256"},
		{"MD5", []string{"{verify}", "OK", "{cert_md5}", md5}, policy.Reported{Presence: policy.PresenceYes, Trusted: true}, "another digest than SHA-256"},
		{"no fingerprint", []string{"{verify}", "OK"}, policy.Reported{Presence: policy.PresenceYes, Trusted: true}, "gives no fingerprint"},
		{"no fingerprint, not trusted", []string{"{verify}", "FAIL", "{cert_fp}", ""}, policy.Reported{Presence: policy.PresenceYes}, "gives no fingerprint"},
		{"garbage", []string{"{verify}", "OK", "{cert_fp}", "garbage"}, policy.Reported{Presence: policy.PresenceYes, Trusted: true}, "cannot be read"},
		{"half of it garbage", []string{"{verify}", "OK", "{cert_fp}", fingerprint[:93] + "XY"}, policy.Reported{Presence: policy.PresenceYes, Trusted: true}, "cannot be read"},
		{"no common name", []string{"{verify}", "OK", "{cn_subject}", "BadCertificateUnknown", "{cn_issuer}", "BadCertificateTooLong", "{cert_fp}", fingerprint},
			policy.Reported{Presence: policy.PresenceYes, Trusted: true, Fingerprint: known}, ""},
		{"a NUL in the name", []string{"{verify}", "OK", "{cn_subject}", "BadCertificateContainsNUL", "{cert_fp}", fingerprint},
			policy.Reported{Presence: policy.PresenceYes, Trusted: true, Fingerprint: known}, ""},
		{"Postfix, trusted", []string{"v", "Postfix 3.7.11", "{cert_subject}", "mail1.woodgrovebank.com", "{cert_issuer}", "Research Root CA"},
			policy.Reported{Presence: policy.PresenceYes, Trusted: true, CN: "mail1.woodgrovebank.com", IssuerCN: "Research Root CA"}, "policy service"},
		{"Postfix, no common name", []string{"v", "Postfix 3.7.11", "{cert_subject}", "", "{cert_issuer}", "Research+Root"},
			policy.Reported{Presence: policy.PresenceYes, Trusted: true, IssuerCN: "Research+Root"}, "policy service"},
		{"Postfix, an issuer without a name", []string{"v", "Postfix 3.7.11", "{cert_issuer}", ""}, policy.Reported{Presence: policy.PresenceYes, Trusted: true}, "policy service"},
		{"Postfix, not trusted or none", []string{"v", "Postfix 3.7.11", "{tls_version}", "TLSv1.3"}, policy.Reported{}, "policy service"},
		{"Postfix gives no fingerprint", []string{"v", "Postfix 3.7.11", "{cert_fp}", fingerprint}, policy.Reported{}, "policy service"},
		// Sendmail without {verify} tells names of certificates that failed.
		{"an issuer without v", []string{"{cert_subject}", "/CN=mail1.woodgrovebank.com", "{cert_issuer}", "/CN=CA", "{cn_subject}", "x", "{cert_fp}", fingerprint}, policy.Reported{}, "no macro {verify}"},
		{"another v", []string{"v", "8.17.1.9/Postfix", "{cert_subject}", "x", "{cert_issuer}", "CA"}, policy.Reported{}, "no macro {verify}"},
	} {
		got := factsOf(t, client, macros('H', c.macros...), helo, mail("x@x")).Certificate
		if !strings.Contains(got.Complaint, c.complaint) || (got.Complaint == "") != (c.complaint == "") {
			t.Errorf("%s: complaint %q, want %q", c.name, got.Complaint, c.complaint)
		}
		if got.Complaint = ""; got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestSendmailName(t *testing.T) {
	for s, want := range map[string]string{
		"":                                 "",
		"mail1.woodgrovebank.com":          "mail1.woodgrovebank.com",
		"Test+20+28Root+29+20CA":           "Test (Root) CA",
		"m+C3+A4il":                        "mäil",
		"a+2Bb":                            "a+b",
		"a+2bb":                            "a+b",
		"+":                                "+",
		"a+2":                              "a+2",
		"a+":                               "a+",
		"+zz+20":                           "+zz ",
		"+-1":                              "+-1",
		"++41":                             "+A",
		"+00":                              "\x00",
		"+0A+0D":                           "\n\r",
		"BadCertificateUnknown":            "",
		"BadCertificateTooLong":            "",
		"BadCertificateContainsNUL":        "",
		"badcertificate.woodgrovebank.com": "badcertificate.woodgrovebank.com",
	} {
		if got := sendmailName(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}
