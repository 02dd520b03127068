package tlsmap

import (
	"strings"
	"testing"

	"domain-secured/policy"
)

func TestAnswer(t *testing.T) {
	hash := policy.Hash{0xab, 0x01}
	printed := "AB:01" + strings.Repeat(":00", 30)
	names := []string{"woodgrovebank.com", "mail1.woodgrovebank.com"}
	now := Version{3, 7}
	for _, c := range []struct {
		name   string
		demand *policy.Demand
		v      Version
		want   string
	}{
		{"nothing", nil, now, "NOTFOUND "},
		{"names", &policy.Demand{Names: names, MinTLS: 0x0303, MinBits: 128}, now,
			"OK secure match=woodgrovebank.com:mail1.woodgrovebank.com ciphers=high protocols=>=TLSv1.2 servername=hostname"},
		{"roots", &policy.Demand{Names: names[:1], RootsFile: "domain-secured/roots-1.pem", MinTLS: 0x0304, MinBits: 256}, now,
			"OK secure match=woodgrovebank.com tafile=domain-secured/roots-1.pem ciphers=high exclude=AES128:CAMELLIA128:ARIA128 protocols=>=TLSv1.3 servername=hostname"},
		{"fingerprints", &policy.Demand{Fingerprints: []policy.Hash{hash, hash}, MinTLS: 0x0301, MinBits: 112}, now,
			"OK fingerprint match=" + printed + "|" + printed + " ciphers=medium protocols=>=TLSv1 servername=hostname"},
		{"before 3.6", &policy.Demand{Names: names[:1], MinTLS: 0x0303, MinBits: 128}, Version{3, 5},
			"OK secure match=woodgrovebank.com ciphers=high protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 servername=hostname"},
		{"before 3.4", &policy.Demand{Names: names[:1], MinTLS: 0x0303, MinBits: 128}, Version{3, 3},
			"OK secure match=woodgrovebank.com ciphers=high protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1"},
		{"3.10 is after 3.6", &policy.Demand{Names: names[:1], MinTLS: 0x0302, MinBits: 0}, Version{3, 10},
			"OK secure match=woodgrovebank.com ciphers=medium protocols=>=TLSv1.1 servername=hostname"},
		{"waits", &policy.Demand{Wait: "no-mx", Detail: "a\x00b\r\n\u00fc"}, now, "TEMP domain-secured: no-mx: a?b????"},
		// Whoever forgets to say why has made a mistake, and mail must not go for it.
		{"empty", &policy.Demand{}, now, "TEMP domain-secured: "},
		{"waits all the same", &policy.Demand{Wait: "internal-error", Names: names}, now, "TEMP domain-secured: internal-error"},
	} {
		if got := string(appendAnswer(nil, c.demand, c.v)); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
	if got := string(appendAnswer(nil, &policy.Demand{Wait: strings.Repeat("x", 1<<20)}, now)); len(got) > 1000 {
		t.Errorf("%d octets of why mail waits", len(got))
	}
}

func TestAnswerToSendmail(t *testing.T) {
	hash := policy.Hash{0xab, 0x01}
	shown := "ab:01" + strings.Repeat(":00", 30)
	prints := &policy.Demand{Fingerprints: []policy.Hash{{1}, hash}, MinTLS: 0x0303, MinBits: 128}
	names := &policy.Demand{Names: []string{"a.example", "mail1.a.example"}, MinTLS: 0x0303, MinBits: 256}
	for _, c := range []struct {
		name                 string
		demand               *policy.Demand
		version, fingerprint string
		want                 string
	}{
		{"nothing", nil, "TLSv1.3", shown, "OK NONE"},
		{"the certificate", prints, "TLSv1.3", shown, "OK TEMP+ENCR:128"},
		{"in other case", prints, "tlsv1.2", strings.ToUpper(shown), "OK TEMP+ENCR:128"},
		{"another certificate", prints, "TLSv1.3", "ac" + shown[2:], "OK TEMP+VERIFY:999+WAIT:certificate-not-expected"},
		{"none", prints, "", "", "OK TEMP+VERIFY:999"},
		{"MD5", prints, "TLSv1.3", shown[:47], "OK TEMP+VERIFY:999+WAIT:confCERT_FINGERPRINT_ALGORITHM-is-not-sha256"},
		{"old TLS", prints, "TLSv1.1", shown, "OK TEMP+VERIFY:999+WAIT:tls-too-weak"},
		{"unknown TLS", prints, "", shown, "OK TEMP+VERIFY:999+WAIT:tls-too-weak"},
		{"names", names, "TLSv1.3", shown, "OK TEMP+VERIFY:256+CN:a.example++CN:mail1.a.example"},
		{"names without TLS", names, "", "", "OK TEMP+VERIFY:999"},
		{"roots", &policy.Demand{Names: names.Names, RootsFile: "x"}, "TLSv1.3", shown, "OK TEMP+VERIFY:999+WAIT:roots-need-send_verify-vetted"},
		{"waits", &policy.Demand{Wait: "no-mx", Names: names.Names}, "TLSv1.3", shown, "OK TEMP+VERIFY:999+WAIT:no-mx"},
		{"words that mean something", &policy.Demand{Wait: "a+CN:b\n<OK>"}, "TLSv1.3", shown, "OK TEMP+VERIFY:999+WAIT:a-CN-b--OK-"},
		{"empty", &policy.Demand{}, "TLSv1.3", shown, "OK TEMP+VERIFY:999+WAIT:internal-error"},
	} {
		if got := string(appendAccess(nil, c.demand, c.version, c.fingerprint)); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
	many := &policy.Demand{Names: strings.Split(strings.Repeat("mail.a.example ", 100), " ")}
	if got := string(appendAccess(nil, many, "TLSv1.3", shown)); strings.Count(got, "CN:") != maxAccessNames {
		t.Errorf("%d names: %s", strings.Count(got, "CN:"), got)
	}
}

func TestKeys(t *testing.T) {
	for key, want := range map[string]policy.Destination{
		"woodgrovebank.com":              {Name: "woodgrovebank.com"},
		"WoodgroveBank.COM":              {Name: "WoodgroveBank.COM"}, // what it means is for others to say
		"woodgrovebank.com:587":          {Name: "woodgrovebank.com", Port: 587},
		"[mail1.woodgrovebank.com]":      {Name: "mail1.woodgrovebank.com", Host: true},
		"[mail1.woodgrovebank.com]:587":  {Name: "mail1.woodgrovebank.com", Host: true, Port: 587},
		"[mail1.woodgrovebank.com]:smtp": {Name: "mail1.woodgrovebank.com", Host: true},
		"[127.0.0.1]:25":                 {Name: "127.0.0.1", Host: true, Port: 25},
		"[2001:db8::1]:25":               {Name: "2001:db8::1", Host: true, Port: 25},
		"[mail1.woodgrovebank.com":       {Name: "mail1.woodgrovebank.com", Host: true},
		"woodgrovebank.com:99999":        {Name: "woodgrovebank.com"},
		"woodgrovebank.com:587:587":      {Name: "woodgrovebank.com"},
		" woodgrovebank.com":             {Name: "woodgrovebank.com"},
		"":                               {},
	} {
		if got, ok := parseKey(key); got != want || !ok {
			t.Errorf("%q: %+v, %v; want %+v", key, got, ok, want)
		}
	}
	for _, key := range []string{".woodgrovebank.com", ".com", ".", " .com"} {
		if _, ok := parseKey(key); ok {
			t.Errorf("%q is taken for a destination", key)
		}
	}
}

func TestVersions(t *testing.T) {
	for text, want := range map[string]Version{"3.7": {3, 7}, "3.10": {3, 10}, "10.0": {10, 0}} {
		if got, ok := ParseVersion(text); got != want || !ok {
			t.Errorf("%q: %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "3", "3.x", "-3.7", "3.-7"} {
		if got, ok := ParseVersion(text); ok {
			t.Errorf("%q: %v", text, got)
		}
	}
	if !(Version{4, 0}).AtLeast(3, 6) || (Version{2, 11}).AtLeast(3, 6) || (Version{3, 5}).AtLeast(3, 6) || !(Version{3, 6}).AtLeast(3, 6) {
		t.Error("versions are out of order")
	}
}
