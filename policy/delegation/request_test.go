package delegation

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"domain-secured/policy"
)

const (
	hexFingerprint = "94:6C:3B:A1:57:3C:8E:E1:0F:2F:56:AB:73:8B:D0:6C:94:6C:3B:A1:57:3C:8E:E1:0F:2F:56:AB:73:8B:D0:6C"
	hexKey         = "00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F"
)

// request is what Postfix 3.7 sends at DATA, all attributes in its order, with
// some values changed.
func request(changes ...string) string {
	attributes := []string{
		"request=smtpd_access_policy", "protocol_state=DATA", "protocol_name=ESMTP",
		"client_address=192.0.2.7", "client_name=mail1.woodgrovebank.com", "client_port=41142",
		"reverse_client_name=mail1.woodgrovebank.com", "server_address=192.0.2.25", "server_port=25",
		"helo_name=mail1.woodgrovebank.com", "sender=alice@woodgrovebank.com", "recipient=bob@contoso.com",
		"recipient_count=1", "queue_id=4F1C41BE0", "instance=5a3b.6921f0c1.4a0f1.0", "size=0", "etrn_domain=",
		"stress=", "sasl_method=", "sasl_username=", "sasl_sender=",
		"ccert_subject=mail1.woodgrovebank.com", "ccert_issuer=Research+20Root+20CA",
		"ccert_fingerprint=" + hexFingerprint, "ccert_pubkey_fingerprint=" + hexKey,
		"encryption_protocol=TLSv1.3", "encryption_cipher=TLS_AES_256_GCM_SHA384", "encryption_keysize=256",
		"policy_context=data",
	}
	for _, change := range changes {
		name, _, _ := strings.Cut(change, "=")
		for i, attribute := range attributes {
			if strings.HasPrefix(attribute, name+"=") {
				attributes[i] = change
			}
		}
	}
	return strings.Join(attributes, "\n") + "\n"
}

func TestParseRequest(t *testing.T) {
	fingerprint, err := policy.ParseHash(hexFingerprint)
	if err != nil {
		t.Fatal(err)
	}
	key, err := policy.ParseHash(hexKey)
	if err != nil {
		t.Fatal(err)
	}
	base := policy.Facts{
		QueueID: "4F1C41BE0", Instance: "5a3b.6921f0c1.4a0f1.0", Sender: "alice@woodgrovebank.com",
		Client: netip.MustParseAddrPort("192.0.2.7:41142"), Listener: "data", ListenerPort: 25,
		TLSVersion: "TLSv1.3", Cipher: "TLS_AES_256_GCM_SHA384", Bits: 256,
		Certificate: policy.Reported{
			Presence: policy.PresenceYes, Fingerprint: fingerprint, Key: key,
			Trusted: true, CN: "mail1.woodgrovebank.com", IssuerCN: "Research Root CA",
		},
	}
	untrusted := func(f *policy.Facts) {
		f.Certificate.Trusted, f.Certificate.CN, f.Certificate.IssuerCN = false, "", ""
	}
	for _, c := range []struct {
		what    string
		request string
		change  func(*policy.Facts)
	}{
		{"as it comes", request(), func(*policy.Facts) {}},
		{"with what later versions add", request() + "compatibility_level=3.6\nmail_version=3.11.6\ntls_sni=mx.contoso.com\n", func(*policy.Facts) {}},
		{"the same twice", request() + "sender=alice@woodgrovebank.com\n", func(*policy.Facts) {}},
		{"an equals sign in a value", request("sender==a=b@woodgrovebank.com"), func(f *policy.Facts) { f.Sender = "=a=b@woodgrovebank.com" }},
		{"no TLS", request("ccert_subject=", "ccert_issuer=", "ccert_fingerprint=", "ccert_pubkey_fingerprint=", "encryption_protocol=", "encryption_cipher=", "encryption_keysize=0"), func(f *policy.Facts) {
			f.TLSVersion, f.Cipher, f.Bits, f.Certificate = "", "", 0, policy.Reported{Presence: policy.PresenceNo}
		}},
		{"untrusted", request("ccert_subject=", "ccert_issuer="), untrusted},
		{"trusted, no CN", request("ccert_subject="), func(f *policy.Facts) { f.Certificate.CN = "" }},
		{"a raw public key", request("ccert_subject=", "ccert_issuer=", "ccert_fingerprint="), func(f *policy.Facts) {
			untrusted(f)
			f.Certificate.Fingerprint = policy.Hash{}
		}},
		{"MD5", request("ccert_fingerprint=94:6C:3B:A1:57:3C:8E:E1:0F:2F:56:AB:73:8B:D0:6C", "ccert_pubkey_fingerprint=00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F"), func(f *policy.Facts) {
			f.Certificate.Fingerprint, f.Certificate.Key = policy.Hash{}, policy.Hash{}
			f.Certificate.Complaint = "Postfix reports another digest than SHA-256: set smtpd_tls_fingerprint_digest = sha256 in main.cf"
		}},
		{"xtext", request("ccert_subject=Weird+20=+20CN+2Bwith+20spaces", "ccert_issuer=Research+20Intermediate+20CA+20+C3+A9"), func(f *policy.Facts) {
			f.Certificate.CN, f.Certificate.IssuerCN = "Weird = CN+with spaces", "Research Intermediate CA é"
		}},
		{"xtext cut off", request("ccert_subject=a+2", "ccert_issuer=+zz"), func(f *policy.Facts) {
			f.Certificate.CN, f.Certificate.IssuerCN = "a+2", "+zz"
		}},
		{"IPv6", request("client_address=2001:db8::7"), func(f *policy.Facts) { f.Client = netip.MustParseAddrPort("[2001:db8::7]:41142") }},
		{"no address", request("client_address=unknown", "client_port=unknown"), func(f *policy.Facts) { f.Client = netip.AddrPort{} }},
		{"no port", request("client_port=unknown"), func(f *policy.Facts) { f.Client = netip.MustParseAddrPort("192.0.2.7:0") }},
		{"null sender", request("sender="), func(f *policy.Facts) { f.Sender = "" }},
		{"a key size out of range", request("encryption_keysize=99999999999999999999"), func(f *policy.Facts) { f.Bits = 0 }},
		{"an odd key size", request("encryption_keysize=many"), func(f *policy.Facts) { f.Bits = 0 }},
	} {
		got, rest, err := parseRequest(c.request + "\nrest")
		want := base
		c.change(&want)
		if err != nil || got != want || rest != "rest" {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", c.what, got, err, want)
		}
	}
}

// TestNoFingerprintAttribute: what was not said is not a no.
func TestNoFingerprintAttribute(t *testing.T) {
	f, _, err := parseRequest("request=smtpd_access_policy\nsender=a@woodgrovebank.com\nencryption_protocol=TLSv1.3\n\n")
	if err != nil || f.Certificate.Presence != policy.PresenceUnknown {
		t.Errorf("presence %v, %v, want unknown", f.Certificate.Presence, err)
	}
}

func TestParseRequestErrors(t *testing.T) {
	for text, want := range map[string]error{
		"":                                errNoEnd,
		request():                         errNoEnd,
		"\n":                              errRequest,
		"sender=a\n\n":                    errRequest,
		"request=x\n\n":                   errRequest,
		"request=smtpd_access_policy\n\n": errSender,
		request() + "nonsense\n\n":        errNoValue,
		request() + "=x\n\n":              errNoValue,
		request() + "sender=mallory@fabrikam.com\n\n":      errRepeated,
		request() + "ccert_fingerprint=\n\n":               errRepeated,
		request("sender=a\x00@woodgrovebank.com") + "\n":   errNUL,
		strings.Repeat("x", 300) + "\n" + request() + "\n": errNoValue,
		"request=smtpd_access_policy\r\nsender=a\r\n\n":    errRequest,
	} {
		if _, _, err := parseRequest(text); !errors.Is(err, want) {
			t.Errorf("%.60q: %v, want %v", text, err, want)
		} else if len(err.Error()) > 200 {
			t.Errorf("%.60q: the error has %d characters", text, len(err.Error()))
		}
	}
}

// TestCaptured reads what real Postfix versions sent, attribute by attribute.
func TestCaptured(t *testing.T) {
	files, err := filepath.Glob("testdata/captured/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captured requests: %v", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for n, text := 1, string(data); text != ""; n++ {
			var f policy.Facts
			if f, text, err = parseRequest(text); err != nil {
				t.Fatalf("%s, request %d: %v", name, n, err)
			}
			if !f.Client.IsValid() || f.Certificate.Presence == policy.PresenceUnknown {
				t.Errorf("%s, request %d: %+v", name, n, f)
			}
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add(request() + "\n")
	f.Add(request("ccert_subject=+", "sender=<@a:b") + "\nrequest=")
	f.Add("request=smtpd_access_policy\nsender=\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		facts, rest, err := parseRequest(text)
		if err != nil {
			if len(err.Error()) > 400 {
				t.Errorf("an error of %d characters", len(err.Error()))
			}
			return
		}
		if !strings.Contains(text, "sender="+facts.Sender) {
			t.Errorf("sender %q is not in the request", facts.Sender)
		}
		if !strings.HasSuffix(text, "\n"+rest) {
			t.Errorf("%q is not what comes behind the request", rest)
		}
	})
}

func BenchmarkParseRequest(b *testing.B) {
	text := request() + "\n"
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := parseRequest(text); err != nil {
			b.Fatal(err)
		}
	}
}
