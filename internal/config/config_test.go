package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"go.uber.org/goleak"

	"domain-secured/policy"
)

func TestMain(m *testing.M) {
	if list := os.Getenv("TEST_EDIT_LIST"); list != "" {
		os.Exit(editAsAnotherProcess(list, strings.Fields(os.Getenv("TEST_EDIT_DOMAINS"))))
	}
	goleak.VerifyTestMain(m)
}

// load loads a file of that text, with empty lists.
func load(t testing.TB, text string) *Config {
	t.Helper()
	c, err := Load(writeFiles(t, map[string]string{"c.toml": text, "receive.list": "", "send.list": ""}, "c.toml"), fakeRoots)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func sample(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("testdata/good/all-keys.toml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSampleIsWhole: every key there is stands in the sample.
func TestSampleIsWhole(t *testing.T) {
	var root map[string]any
	if _, err := toml.Decode(sample(t), &root); err != nil {
		t.Fatal(err)
	}
	table := func(v any, names ...string) map[string]any {
		for _, name := range names {
			v = v.(map[string]any)[name]
		}
		return v.(map[string]any)
	}
	missing := func(where string, known []string, there ...map[string]any) {
		for _, name := range known {
			if !slices.ContainsFunc(there, func(t map[string]any) bool { return t[name] != nil }) {
				t.Errorf("%s.%s is not in the sample", where, name)
			}
		}
	}
	missing("", fieldNames(keysType), root)
	for field := range keysType.Fields() {
		name := field.Tag.Get("toml")
		known := fieldNames(field.Type)
		if name == "policy" || name == "tlsmap" || name == "http" {
			// They have the socket's mode and group from [milter].
			known = slices.DeleteFunc(known, func(s string) bool { return strings.HasPrefix(s, "unix_") })
		}
		if field.Type.Kind() == reflect.Struct {
			missing(name, known, table(root, name))
		}
	}
	partner := table(root, "partner", "woodgrovebank.com")
	missing("partner", fieldNames(reflect.TypeFor[partnerKeys]()), partner, table(root, "defaults"))
	var connectors []map[string]any
	for _, c := range arrayOf(root["connector"]) {
		connectors = append(connectors, c.(map[string]any))
	}
	missing("connector", fieldNames(reflect.TypeFor[connectorKeys]()), connectors...)
}

func TestSample(t *testing.T) {
	c := load(t, sample(t))
	p := c.Snapshot.Partners["woodgrovebank.com"]
	if p == nil || len(c.Snapshot.Partners) != 1 {
		t.Fatalf("partners %v", c.Snapshot.Partners)
	}
	want := *c.Snapshot.Defaults
	want.Domain = "woodgrovebank.com"
	var pin policy.Hash
	for i := range pin {
		pin[i] = byte(i)
	}
	want.Pins = []policy.Hash{pin}
	want.Names = []string{"mail.provider.example"}
	want.ClientAddresses = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	want.ProbeHosts = []string{"mail9.woodgrovebank.com"}
	if !reflect.DeepEqual(*p, want) {
		t.Errorf("partner\n%+v\nnot\n%+v", *p, want)
	}
	connectors := []policy.Connector{{
		Name: "vpn", ClientAddresses: []netip.Prefix{netip.MustParsePrefix("10.8.0.0/16")},
		Treat: policy.TreatExternal, Partners: []string{"tailspintoys.com"},
	}, {
		Name: "content filter", ClientAddresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		Ports: []uint16{10025}, Treat: policy.TreatInternal,
	}}
	if !reflect.DeepEqual(c.Snapshot.Connectors, connectors) {
		t.Errorf("connectors\n%+v\nnot\n%+v", c.Snapshot.Connectors, connectors)
	}
}

// TestDefaults: a file that says nothing means what the first part of the sample
// says, and that is what is written here.
func TestDefaults(t *testing.T) {
	empty := load(t, "")
	first, _, found := strings.Cut(sample(t), "[partner.")
	if !found {
		t.Fatal("the sample has no partner")
	}
	said := load(t, first)
	dir := filepath.Dir(empty.File)
	door := func(address string) Door { return Door{Address{"tcp", address}, 0o660, -1} }
	want := Config{
		File:            filepath.Join(dir, "c.toml"),
		StateDir:        "/var/lib/domain-secured",
		Lists:           Lists{dir + "/receive.list", dir + "/send.list"},
		Milter:          door("127.0.0.1:18890"),
		Policy:          door("127.0.0.1:18891"),
		TLSMap:          door("127.0.0.1:18892"),
		HTTP:            door("127.0.0.1:18893"),
		TLSRPT:          Door{Mode: 0o660, Group: -1},
		PostfixVersion:  "3.7",
		QueueDirectory:  "/var/spool/postfix",
		ProbePort:       25,
		RevocationOrder: []string{"crl", "ocsp"},
		CRLFiles:        []string{},
		OwnCertificates: []string{},
	}
	defaults := policy.Partner{
		Mode: policy.ModeEnforce, NameMatch: policy.NameMatchExchange, Evidence: policy.EvidenceCertificate,
		Trust: policy.TrustChain, Roots: &policy.Roots{}, Usage: policy.UsageClientOrServer, MinTLS: 0x0303, MinBits: 128,
		Revocation: policy.RevocationRequire, OnFailure: policy.OnFailureTempfail, FromAlignment: policy.FromAlignmentStamp,
	}
	if got := *empty.Snapshot.Defaults; !reflect.DeepEqual(got, defaults) {
		t.Errorf("defaults\n%+v\nnot\n%+v", got, defaults)
	}
	if got := *said.Snapshot.Defaults; !reflect.DeepEqual(got, defaults) {
		t.Errorf("the sample's defaults\n%+v\nnot\n%+v", got, defaults)
	}
	if empty.Snapshot.Receive.Len() != 0 || empty.Snapshot.Send.Len() != 0 || len(empty.Snapshot.Partners) != 0 || len(empty.Snapshot.Connectors) != 0 {
		t.Errorf("there is something in %+v", empty.Snapshot)
	}
	for what, c := range map[string]*Config{"an empty file": empty, "the sample": said} {
		got := *c
		got.Snapshot, got.Warnings, got.NoProxy = nil, nil, nil
		got.File, got.Lists = want.File, Lists{strings.Replace(c.Lists.Receive, filepath.Dir(c.File), dir, 1), strings.Replace(c.Lists.Send, filepath.Dir(c.File), dir, 1)}
		for field := range reflect.TypeFor[Config]().Fields() {
			a, b := reflect.ValueOf(got).FieldByIndex(field.Index), reflect.ValueOf(want).FieldByIndex(field.Index)
			if field.IsExported() && !reflect.DeepEqual(a.Interface(), b.Interface()) {
				t.Errorf("%s means %s = %#v, not %#v", what, field.Name, a, b)
			}
		}
	}
}

// TestPartnersDoNotLeak: what one partner says holds for it alone. The decoder
// writes into slices that are there already.
func TestPartnersDoNotLeak(t *testing.T) {
	read := make(map[string]*policy.Roots)
	roots := func(names []string) (*policy.Roots, string, error) {
		r := &policy.Roots{ID: [32]byte{byte(len(read) + 1)}}
		read[strings.Join(names, " ")] = r
		return r, "", nil
	}
	file := writeFiles(t, map[string]string{"receive.list": "", "send.list": "", "c.toml": `
[defaults]
roots = ["a.pem", "b.pem", "c.pem"]
revocation = "off"
[partner."adatum.com"]
roots = ["/x.pem"]
pins = ["` + strings.Repeat("01", 32) + `"]
names = ["mail.provider.example"]
client_addresses = ["192.0.2.1", "2001:db8::/32"]
subdomains = true
mode = "testing"
[partner."contoso.com"]
[partner."fabrikam.com"]
roots = ["/y.pem", "system"]
`}, "c.toml")
	c, err := Load(file, roots)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(file)
	abc := strings.Join([]string{dir + "/a.pem", dir + "/b.pem", dir + "/c.pem"}, " ")
	for _, want := range []struct {
		p     *policy.Partner
		roots string
	}{
		{c.Snapshot.Defaults, abc}, {c.Snapshot.Partners["contoso.com"], abc},
		{c.Snapshot.Partners["adatum.com"], "/x.pem"}, {c.Snapshot.Partners["fabrikam.com"], "/y.pem system"},
	} {
		if want.p.Roots == nil || want.p.Roots != read[want.roots] {
			t.Errorf("%q has other roots than %s: %v", want.p.Domain, want.roots, read)
		}
	}
	if len(read) != 3 {
		t.Errorf("roots were read %d times: %v", len(read), read)
	}
	plain := *c.Snapshot.Partners["contoso.com"]
	plain.Domain = ""
	if !reflect.DeepEqual(plain, *c.Snapshot.Defaults) {
		t.Errorf("an empty table means\n%+v\nnot\n%+v", plain, *c.Snapshot.Defaults)
	}
	adatum := c.Snapshot.Partners["adatum.com"]
	if len(adatum.Pins) != 1 || len(adatum.Names) != 1 || len(adatum.ClientAddresses) != 2 || !adatum.Subdomains || adatum.Mode != policy.ModeTesting {
		t.Errorf("adatum.com %+v", adatum)
	}
	fabrikam := c.Snapshot.Partners["fabrikam.com"]
	if fabrikam.Pins != nil || fabrikam.Names != nil || fabrikam.ClientAddresses != nil || fabrikam.Subdomains || fabrikam.Mode != policy.ModeEnforce {
		t.Errorf("fabrikam.com %+v", fabrikam)
	}
}

// TestRootsAreNotReadInVain: who builds no chain needs none.
func TestRootsAreNotReadInVain(t *testing.T) {
	c := load(t, `
[partner."adatum.com"]
trust = "pins"
pins = ["`+strings.Repeat("01", 32)+`"]
roots = ["missing.pem"]
[partner."contoso.com"]
evidence = "mta"
mta_issuer = "Contoso CA"
revocation = "off"
`)
	for name, p := range c.Snapshot.Partners {
		if p.Roots != nil {
			t.Errorf("%s has roots", name)
		}
	}
}

func TestForms(t *testing.T) {
	c := load(t, `
hostname = "MX1.Contoso.com"
state_dir = "state"
[milter]
listen = ""
unix_mode = "600"
unix_group = "root"
[policy]
listen = "unix:run/policy.sock"
[tlsmap]
listen = "inet:[::1]:18892"
unix_mode = "0777"
unix_group = ""
tafile_dir = "ta"
[http]
listen = "inet:0.0.0.0:0"
allow_remote = true
[revocation]
order = ["ocsp"]
crl_files = ["c.toml", "/dev/null"]
grace = "90m"
proxy = "http://[2001:db8::1]:3128"
[own]
certificates = ["own.pem"]
[send]
maillog = "journal"
tlsrpt = "unix:run/tlsrpt.sock"
[defaults]
escalate_after = "24h"
min_tls = "TLSv1"
contact = "postmaster@contoso.com, +1 555 0100"
[partner."B`+"Ü"+`CHER.Example."]
names = ["*.Provider.Example"]
client_addresses = ["192.0.2.1/24", "::ffff:192.0.2.9", "fe80::1%eth0"]
pins = ["SHA256:`+strings.Repeat("aB:", 31)+`Ab"]
`)
	dir := filepath.Dir(c.File)
	for _, got := range []struct {
		what      string
		got, want any
	}{
		{"hostname", c.Hostname, "mx1.contoso.com"},
		{"state_dir", c.StateDir, dir + "/state"},
		{"milter", c.Milter, Door{Address{}, 0o600, 0}},
		{"policy", c.Policy, Door{Address{"unix", dir + "/run/policy.sock"}, 0o600, 0}},
		{"tlsmap", c.TLSMap, Door{Address{"tcp", "[::1]:18892"}, 0o777, -1}},
		{"http", c.HTTP, Door{Address{"tcp", "0.0.0.0:0"}, 0o600, 0}},
		{"as text", c.Milter.Listen.String() + " " + c.Policy.Listen.String() + " " + c.TLSMap.Listen.String(), " unix:" + dir + "/run/policy.sock inet:[::1]:18892"},
		{"tafile_dir", c.TAFileDir, dir + "/ta"},
		{"order", c.RevocationOrder, []string{"ocsp"}},
		{"crl_files", c.CRLFiles, []string{dir + "/c.toml", "/dev/null"}},
		{"grace", c.RevocationGrace, 90 * time.Minute},
		{"certificates", c.OwnCertificates, []string{dir + "/own.pem"}},
		{"maillog", c.Maillog, "journal"},
		{"tlsrpt", c.TLSRPT, Door{Address{"unix", dir + "/run/tlsrpt.sock"}, 0o600, 0}},
		{"allow_remote", c.AllowRemote, true},
		{"escalate_after", c.Snapshot.Defaults.EscalateAfter, 24 * time.Hour},
		{"min_tls", c.Snapshot.Defaults.MinTLS, policy.ParseTLSVersion("TLSv1")},
		{"contact", c.Snapshot.Defaults.Contact, "postmaster@contoso.com, +1 555 0100"},
	} {
		if !reflect.DeepEqual(got.got, got.want) {
			t.Errorf("%s = %#v, want %#v", got.what, got.got, got.want)
		}
	}
	p := c.Snapshot.Partners["xn--bcher-kva.example"]
	if p == nil {
		t.Fatalf("partners %v", c.Snapshot.Partners)
	}
	prefixes := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.0.2.9/32"), netip.MustParsePrefix("fe80::1/128")}
	if !slices.Equal(p.ClientAddresses, prefixes) || !slices.Equal(p.Names, []string{"*.provider.example"}) || len(p.Pins) != 1 || p.Pins[0][31] != 0xab {
		t.Errorf("partner %+v", p)
	}
}

// TestBOM: as some editors begin a file.
func TestBOM(t *testing.T) {
	if c := load(t, "\ufeffhostname = \"mx1.contoso.com\"\r\n[milter]\r\nlisten = \"\"\r\n"); c.Hostname != "mx1.contoso.com" || !c.Milter.Listen.IsZero() {
		t.Errorf("%+v", c)
	}
	if got := problemsOf(t, "c.toml", "\ufeff\r\nhostname = \"mx1\"\r\n"); got != `c.toml:2: hostname = "mx1" is not a host name` {
		t.Error(got)
	}
}

func TestWarnings(t *testing.T) {
	file := writeFiles(t, map[string]string{"receive.list": "woodgrovebank.com\nfabrikam.com\n", "send.list": "contoso.com\n", "c.toml": `
[send]
maillog = "journal"
[defaults]
trust = "pins"
[partner."adatum.com"]
pins = ["` + strings.Repeat("01", 32) + `"]
dane = true
[partner."contoso.com"]
trust = "chain"
names = ["mail.provider.example"]
`}, "c.toml")
	c, err := Load(file, func([]string) (*policy.Roots, string, error) { return &policy.Roots{}, "no system roots", nil })
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"no system roots",
		`[partner."adatum.com"] has settings but is in neither list`, `[partner."contoso.com"] names`, `[defaults] trust = "pins"`,
	}
	if len(c.Warnings) != len(want) {
		t.Errorf("%d warnings, not %d", len(c.Warnings), len(want))
	}
	for _, w := range want {
		if !slices.ContainsFunc(c.Warnings, func(s string) bool { return strings.HasPrefix(s, w) }) {
			t.Errorf("nobody warns: %s\n%s", w, strings.Join(c.Warnings, "\n"))
		}
	}
	for range 2 { // reading the lists again does not say it again
		if c, err = c.WithLists(); err != nil || len(c.Warnings) < len(want) {
			t.Fatalf("reading the lists again: %v, %q", err, c.Warnings)
		}
	}
	if len(c.Warnings) != len(want) {
		t.Errorf("read three times, the lists make %d warnings, not %d:\n%s", len(c.Warnings), len(want), strings.Join(c.Warnings, "\n"))
	}
	mta := writeFiles(t, map[string]string{"receive.list": "woodgrovebank.com\n", "send.list": "", "c.toml": "[defaults]\nevidence = \"mta\"\nrevocation = \"off\"\n"}, "c.toml")
	if c, err = Load(mta, fakeRoots); err != nil || len(c.Warnings) != 1 || !strings.HasPrefix(c.Warnings[0], `[defaults] evidence = "mta"`) {
		t.Errorf("%v: %q", err, c.Warnings)
	}
}

// TestQuietWhenAllIsWell: nothing is said about the configuration that the
// documentation begins with.
func TestQuietWhenAllIsWell(t *testing.T) {
	if c := load(t, "[defaults]\nrevocation = \"off\"\n"); len(c.Warnings) != 0 {
		t.Errorf("%q", c.Warnings)
	}
}

func TestKeepFixed(t *testing.T) {
	const old = `
state_dir = "/a"
[milter]
listen = "inet:127.0.0.1:1"
[policy]
listen = "unix:/a"
unix_mode = "0600"
`
	was := load(t, old+"[defaults]\nmode = \"testing\"\n")
	same := load(t, old)
	if changed := same.KeepFixed(was); changed != nil {
		t.Errorf("nothing changed, yet %q did", changed)
	}
	if same.Snapshot.Defaults.Mode != policy.ModeEnforce {
		t.Error("the mode is what it was before")
	}
	now := load(t, `
state_dir = "/b"
[milter]
listen = ""
unix_mode = "0666"
[policy]
listen = "unix:/b"
unix_mode = "0640"
unix_group = "root"
[tlsmap]
unix_mode = "0660"
[http]
listen = ""
unix_mode = "0660"
`)
	want := []string{"milter.listen", "milter.unix_mode", "policy.listen", "policy.unix_mode", "policy.unix_group", "http.listen", "state_dir"}
	if changed := now.KeepFixed(was); !slices.Equal(changed, want) {
		t.Errorf("changed %q, want %q", changed, want)
	}
	if now.Milter != was.Milter || now.Policy != was.Policy || now.TLSMap != was.TLSMap || now.HTTP != was.HTTP || now.StateDir != was.StateDir {
		t.Errorf("not kept: %+v", now)
	}
	if changed := now.KeepFixed(was); changed != nil {
		t.Errorf("the second time %q changed", changed)
	}
}
