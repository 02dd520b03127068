package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"domain-secured/policy"
)

// badFiles has for each file below testdata/bad, without ".toml", what is said
// about it, without the file's name.
var badFiles = map[string][]string{
	"address-host-name":           {`:2: policy.listen = "inet:mx1.contoso.com:1": "mx1.contoso.com" is not an IP address`},
	"address-ipv6-bare":           {`:2: policy.listen = "inet:::1:25": want "inet:host:port"`},
	"address-no-host":             {`:2: policy.listen = "inet::1": "" is not an IP address`},
	"address-no-port":             {`:2: policy.listen = "inet:127.0.0.1": want "inet:host:port"`},
	"address-no-scheme":           {`:2: policy.listen = "127.0.0.1:1": want "unix:/path", "inet:host:port" or ""`},
	"address-port-word":           {`:2: policy.listen = "inet:127.0.0.1:smtp": "smtp" is not a port`},
	"address-port-zero-high":      {`:2: policy.listen = "inet:127.0.0.1:65536": "65536" is not a port`},
	"address-scheme":              {`:2: policy.listen = "tcp:127.0.0.1:1": want "unix:/path", "inet:host:port" or ""`},
	"address-unix-directory-long": {`:2: policy.listen = "unix:/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx/p": a socket's path has at most 107 octets`},
	"address-unix-empty":          {`:2: policy.listen = "unix:": the path is missing`},
	"address-unix-long":           {`:2: policy.listen = "unix:/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx": a socket's path has at most 107 octets`},
	"client-address":              {`:2: partner."woodgrovebank.com".client_addresses: "192.0.2.256" is not an address or network such as "192.0.2.0/24"`},
	"client-address-bits":         {`:2: partner."woodgrovebank.com".client_addresses: "192.0.2.0/33" is not an address or network such as "192.0.2.0/24"`},
	"client-address-mapped":       {`:2: partner."woodgrovebank.com".client_addresses: "::ffff:192.0.2.0/120" is not an address or network such as "192.0.2.0/24"`},
	"client-address-name":         {`:2: partner."woodgrovebank.com".client_addresses: "mail.woodgrovebank.com" is not an address or network such as "192.0.2.0/24"`},
	"connector-address":           {`:3: connector.client_addresses: "10.8" is not an address or network such as "192.0.2.0/24"`},
	"connector-partner":           {`:5: connector.partners: "*.tailspintoys.com" is a pattern: list the domain itself (subdomains = true on its partner covers what is below it)`},
	"connector-port": {
		`:3: connector.ports: -1 is not a port`,
		`:7: connector.ports: 70000 is not a port`,
	},
	"contact-letters":            {`:2: partner."woodgrovebank.com".contact: only printable ASCII can go into a reply, and at most 100 characters`},
	"contact-line":               {`:2: defaults.contact: only printable ASCII can go into a reply, and at most 100 characters`},
	"contact-long":               {`:2: defaults.contact: only printable ASCII can go into a reply, and at most 100 characters`},
	"doors-same":                 {`:4: policy.listen and milter.listen are the same: every door needs an address of its own`},
	"doors-same-as-default":      {`:2: policy.listen and milter.listen are the same: every door needs an address of its own`},
	"doors-same-unix":            {`:4: policy.listen and milter.listen are the same: every door needs an address of its own`},
	"enum-defaults-with-partner": {`:2: defaults.mode = "enforced" is not one of "off", "testing", "enforce" (did you mean "enforce"?)`},
	"enum-empty":                 {`:2: defaults.mode = "" is not one of "off", "testing", "enforce"`},
	"enum-evidence":              {`:3: defaults.evidence = "cert" is not one of "certificate", "mta"`},
	"enum-from_alignment":        {`:3: defaults.from_alignment = "stamps" is not one of "off", "stamp", "enforce" (did you mean "stamp"?)`},
	"enum-min_tls":               {`:3: defaults.min_tls = "TLSv1.4" is not one of "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"`},
	"enum-mode":                  {`:3: defaults.mode = "enforced" is not one of "off", "testing", "enforce" (did you mean "enforce"?)`},
	"enum-name_match":            {`:3: defaults.name_match = "Exchange" is not one of "exchange", "strict" (did you mean "exchange"?)`},
	"enum-on_failure":            {`:3: defaults.on_failure = "bounce" is not one of "tempfail", "reject"`},
	"enum-order":                 {`:2: revocation.order = "oscp" is not one of "crl", "ocsp" (did you mean "ocsp"?)`},
	"enum-partner-mode":          {`:3: partner."woodgrovebank.com".mode = "test" is not one of "off", "testing", "enforce"`},
	"enum-revocation":            {`:3: defaults.revocation = "requires" is not one of "require", "if-available", "off" (did you mean "require"?)`},
	"enum-send_verify":           {`:3: defaults.send_verify = "chain" is not one of "", "names", "vetted", "pins"`},
	"enum-treat":                 {`:6: connector.treat = "externally-secured" is not one of "enforce", "off", "external", "internal"`},
	"enum-trust":                 {`:3: defaults.trust = "pin" is not one of "chain", "pins" (did you mean "pins"?)`},
	"enum-usage":                 {`:3: defaults.usage = "client-and-server" is not one of "client", "client-or-server", "any" (did you mean "client-or-server"?)`},
	"escalate-after":             {`:2: defaults.escalate_after = "1d" is not a duration such as "24h" or "90m"`},
	"escalate-after-inherited":   {`:2: defaults.escalate_after = "1d" is not a duration such as "24h" or "90m"`},
	"external-for-everyone":      {`:3: connector "vpn" is "external" for every client: set client_addresses, ports or listeners`},
	"external-without-partners":  {`:4: connector "vpn" is "external" without partners: name the domains that it secures`},
	"grace":                      {`:2: revocation.grace = "1 day" is not a duration such as "24h" or "90m"`},
	"grace-negative":             {`:2: revocation.grace = "-1h" is not a duration such as "24h" or "90m"`},
	"hostname-ip":                {`:1: hostname = "192.0.2.1" is not a host name`},
	"hostname-label":             {`:1: hostname = "mx1" is not a host name`},
	"hostname-wildcard":          {`:1: hostname = "*.contoso.com" is not a host name`},
	"http-remote":                {`:2: http.listen = "inet:0.0.0.0:18893" is reachable from other machines: set http.allow_remote = true if that is meant`},
	"internal-without-addresses": {`:4: connector "filter" is "internal" and needs both client_addresses and ports: anyone it matches can forge stamps`},
	"internal-without-anything":  {`:3: connector "filter" is "internal" for every client: set client_addresses, ports or listeners`},
	"internal-without-ports":     {`:4: connector "filter" is "internal" and needs both client_addresses and ports: anyone it matches can forge stamps`},
	"list-empty": {
		`:2: lists.receive is empty: name a file (an empty file is an empty list)`,
		`:3: lists.send is empty: name a file (an empty file is an empty list)`,
	},
	"many": {
		`:1: hostname = "mx1" is not a host name`,
		`:3: milter.listen = "x": want "unix:/path", "inet:host:port" or ""`,
		`:5: defaults.mode = "on" is not one of "off", "testing", "enforce"`,
		`:6: unknown key defaults.mod (did you mean "mode"?)`,
		`:8: partner."woodgrovebank.com".pins: "x" is not a fingerprint in hexadecimal: a pin is the SHA-256 of a certificate or public key`,
		`:10: connector "" is "off" for every client: set client_addresses, ports or listeners`,
	},
	"min-bits":                   {`:2: defaults.min_bits = -1 is not a number of key bits`},
	"min-bits-partner":           {`:2: partner."woodgrovebank.com".min_bits = 2048 is not a number of key bits`},
	"mta-by-default":             {`:4: partner."woodgrovebank.com".evidence = "mta" needs mta_issuer, the common name of the issuer that the MTA is to report`},
	"mta-by-default-revocation":  {`:4: partner."woodgrovebank.com".evidence = "mta" needs revocation = "off": an MTA reports nothing to check it with`},
	"mta-issuer-unused":          {`:2: partner."woodgrovebank.com".mta_issuer: mta_issuer is only looked at with evidence = "mta"`},
	"mta-with-roots":             {`:5: partner."woodgrovebank.com".roots: with evidence = "mta" the MTA's own roots count, not these`},
	"mta-without-issuer":         {`:2: partner."woodgrovebank.com".evidence = "mta" needs mta_issuer, the common name of the issuer that the MTA is to report`},
	"mta-without-revocation-off": {`:2: partner."woodgrovebank.com".evidence = "mta" needs revocation = "off": an MTA reports nothing to check it with`},
	"name-label":                 {`:2: partner."woodgrovebank.com".names: "mail" is not a name that a certificate can count with`},
	"name-space":                 {`:2: partner."woodgrovebank.com".names: "mail provider.example" is not a name that a certificate can count with`},
	"name-suffix":                {`:2: partner."woodgrovebank.com".names: "*.co.uk" is not a name that a certificate can count with`},
	"off-for-everyone":           {`:3: connector "open" is "off" for every client: set client_addresses, ports or listeners`},
	"order-twice":                {`:2: revocation.order names "crl" twice`},
	"order-empty":                {`:2: revocation.order is empty: nobody could be asked (defaults.revocation = "off" asks nobody, and lets mail pass)`},
	"crl-file-missing":           {`:2: revocation.crl_files: stat /nonexistent/a.crl: no such file or directory`},
	"partner-address":            {`:2: [partner."alice@woodgrovebank.com"]: "alice@woodgrovebank.com" is an address: list the domain after the @`},
	"partner-dot":                {`:2: [partner.".woodgrovebank.com"]: ".woodgrovebank.com" is not a domain: it has an empty label`},
	"partner-empty":              {`:2: [partner.""]: the domain is empty`},
	"partner-idna":               {`:2: [partner."xn--aä.com"]: "xn--aä.com" is not an internationalized domain name: idna: invalid label "aä"`},
	"partner-ip":                 {`:2: [partner."192.0.2.1"]: "192.0.2.1" is an IP address: only domains can be listed`},
	"partner-label":              {`:2: [partner."localhost"]: "localhost" is not a domain: it has a single label`},
	"partner-long-label":         {`:2: [partner."xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.com"]: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.com" is not a domain: a label is longer than 63 octets`},
	"partner-suffix":             {`:2: [partner."co.uk"]: "co.uk" is a public suffix: anyone can register a name below it`},
	"partner-twice-by-case":      {`:1: [partner."woodgrovebank.com"]: woodgrovebank.com has a table already`},
	"partner-twice-by-dot":       {`:2: [partner."woodgrovebank.com."]: woodgrovebank.com has a table already`},
	"partner-twice-by-idna":      {`:3: [partner."xn--bcher-kva.example"]: xn--bcher-kva.example has a table already`},
	"partner-underscore":         {`:2: [partner."wood_grove.com"]: "wood_grove.com" is not a domain: "_" is not allowed in a host name`},
	"partner-wildcard":           {`:2: [partner."*.woodgrovebank.com"]: "*.woodgrovebank.com" is a pattern: list the domain itself (subdomains = true on its partner covers what is below it)`},
	"partners-without-external":  {`:4: connector "vpn" has partners, which only "external" looks at`},
	"pin-empty":                  {`:2: partner."woodgrovebank.com".pins: "" is not a fingerprint in hexadecimal: a pin is the SHA-256 of a certificate or public key`},
	"pin-hex":                    {`:2: partner."woodgrovebank.com".pins: "0g0g0g0g0g0g0g0g0g0g0g0g0g0g0g0g0g0g0g0g0g0g0g0g0g0g0g0g0g0g0g0g" is not a fingerprint in hexadecimal: a pin is the SHA-256 of a certificate or public key`},
	"pin-md5":                    {`:2: partner."woodgrovebank.com".pins: "00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00" has 16 octets and is not a SHA-256, which has 32: a pin is the SHA-256 of a certificate or public key`},
	"pin-sha1":                   {`:2: partner."woodgrovebank.com".pins: "0000000000000000000000000000000000000000" has 20 octets and is not a SHA-256, which has 32: a pin is the SHA-256 of a certificate or public key`},
	"pins-by-default":            {`:3: partner."woodgrovebank.com": trust = "pins" without pins: nothing could ever pass`},
	"pins-empty":                 {`:2: partner."woodgrovebank.com": trust = "pins" without pins: nothing could ever pass`},
	"pins-without-pins":          {`:2: partner."woodgrovebank.com": trust = "pins" without pins: nothing could ever pass`},
	"postfix-version-old":        {`:2: tlsmap.postfix_version = "2.9" is too old: 2.11 is the first that can be told all there is to say`},
	"send-names-with-pins":       {`:4: partner."woodgrovebank.com".send_verify = "names" with trust = "pins": where only a pin is trusted, a name proves nothing`},
	"send-vetted-with-mta":       {`:5: partner."woodgrovebank.com".send_verify = "vetted" with evidence = "mta": what only the mail server judges cannot be judged here`},
	"tafile-dir-blank":           {`:2: tlsmap.tafile_dir = "/var/spool/post fix": Postfix cannot be told of a path with a blank or a comma in it`},
	"postfix-version":            {`:2: tlsmap.postfix_version = "3" is not a version such as "3.7"`},
	"probe-host":                 {`:2: partner."woodgrovebank.com".probe_hosts = "mail_9.woodgrovebank.com" is not a host name`},
	"probe-host-wildcard":        {`:2: partner."woodgrovebank.com".probe_hosts = "*.woodgrovebank.com" is not a host name`},
	"probe-port":                 {`:2: probe.port = 0 is not a port`},
	"probe-port-high":            {`:2: probe.port = 65536 is not a port`},
	"proxy":                      {`:2: revocation.proxy = "proxy.contoso.com:3128" is not http://host:port`},
	"proxy-https":                {`:2: revocation.proxy = "https://proxy.contoso.com:3128" is not http://host:port`},
	"resolver-port":              {`:2: dns.resolver = "192.0.2.53:domain" is not an address and port such as "127.0.0.1:53"`},
	"resolver":                   {`:2: dns.resolver = "192.0.2.53" is not an address and port such as "127.0.0.1:53"`},
	"roots-empty":                {`:2: defaults.roots is empty: nothing could ever be trusted (pins alone: trust = "pins")`},
	"roots-empty-partner":        {`:2: partner."woodgrovebank.com".roots is empty: nothing could ever be trusted (pins alone: trust = "pins")`},
	"roots-empty-inherited":      {`:4: partner."woodgrovebank.com".roots is empty: nothing could ever be trusted (pins alone: trust = "pins")`},
	"roots-missing-inherited":    {`:4: partner."woodgrovebank.com".roots: no such file`},
	"roots-missing":              {`:5: partner."woodgrovebank.com".roots: no such file`},
	"roots-missing-default":      {`:2: defaults.roots: no such file`},
	"send-tlsrpt":                {`:2: send.tlsrpt = "inet:127.0.0.1:1": Postfix reports to a unix socket, "unix:/path"`},
	"send-tlsrpt-same":           {`:4: send.tlsrpt and milter.listen are the same: every door needs an address of its own`},
	"send-tlsrpt-scheme":         {`:2: send.tlsrpt = "a.sock": want "unix:/path", "inet:host:port" or ""`},
	"send-pins-without-pins":     {`:2: partner."woodgrovebank.com": send_verify = "pins" without pins: nothing could ever be sent`},
	"state-dir-empty":            {`:1: state_dir is empty`},
	"syntax-bare":                {`:2: milter.listen: expected value but found "net" instead`},
	"syntax-escape":              {`:1: hostname: invalid escape in string '\q'`},
	"syntax-header":              {`:3: expected '.' or ']' to end table name, but got '\n' instead`},
	"syntax-no-value":            {`:2: milter.listen: expected value but found '\n' instead`},
	"syntax-nul":                 {`:2: state_dir: TOML files cannot contain control characters: '0x00'`},
	"syntax-string":              {`:1: hostname: strings cannot contain newlines`},
	"syntax-table-twice":         {`:3: Key 'milter' has already been defined.`},
	"syntax-twice":               {`:3: milter.listen: Key 'milter.listen' has already been defined.`},
	"type-array":                 {`:2: revocation.order: incompatible types: TOML value has type string; destination has type slice`},
	"type-array-element":         {`:2: revocation.order: incompatible types: TOML value has type int64; destination has type string`},
	"type-bool":                  {`:2: dns.trust_ad: incompatible types: TOML value has type string; destination has type boolean`},
	"type-connector":             {`:1: connector: incompatible types: TOML value has type map[string]any; destination has type slice`},
	"type-connector-ports":       {`:4: connector.ports: incompatible types: TOML value has type string; destination has type integer`},
	"type-date":                  {`:1: hostname: incompatible types: TOML value has type time.Time; destination has type string`},
	"type-hostname":              {`:2: hostname: incompatible types: TOML value has type int64; destination has type string`},
	"type-in-partner":            {`:4: partner."woodgrovebank.com".min_bits: incompatible types: TOML value has type string; destination has type integer`},
	"type-listen":                {`:2: milter.listen: incompatible types: TOML value has type bool; destination has type string`},
	"type-partner":               {`:1: partner is no table: settings of a domain stand in [partner."example.com"]`},
	"type-partner-table":         {`:2: partner."woodgrovebank.com": expected table but found string`},
	"type-pins-in-partner":       {`:2: partner."woodgrovebank.com".pins: incompatible types: TOML value has type string; destination has type slice`},
	"type-port":                  {`:3: probe.port: incompatible types: TOML value has type string; destination has type integer`},
	"type-port-float":            {`:2: probe.port: incompatible types: TOML value has type float64; destination has type integer`},
	"type-port-overflow":         {`:2: probe.port: 99999999999999999999 is out of range for int64`},
	"type-roots":                 {`:3: defaults.roots: incompatible types: TOML value has type string; destination has type slice`},
	"type-table":                 {`:1: milter: expected table but found string`},
	"unix-group":                 {`:3: policy.unix_group = "no-such-group-here": there is no such group`},
	"unix-group-of-all":          {`:2: milter.unix_group = "no-such-group-here": there is no such group`},
	"unix-mode":                  {`:3: policy.unix_mode = "0888" is not a mode such as "0660"`},
	"unix-mode-large":            {`:3: policy.unix_mode = "04755" is not a mode such as "0660"`},
	"unix-mode-of-all":           {`:2: milter.unix_mode = "rw-rw----" is not a mode such as "0660"`},
	"unknown-case":               {`:1: unknown key Hostname (did you mean "hostname"?)`},
	"unknown-case-partner":       {`:2: unknown key partner."woodgrovebank.com".Mode (did you mean "mode"?)`},
	"unknown-control-character":  {`:1: unknown key "a\nb"`},
	"unknown-dotted":             {`:1: unknown key milter.listne (did you mean "listen"?)`},
	"unknown-in-defaults":        {`:4: unknown key defaults.name_matches (did you mean "name_match"?)`},
	"unknown-in-defaults-pins":   {`:3: unknown key defaults.pins`},
	"unknown-in-dns":             {`:4: unknown key dns.resolvr (did you mean "resolver"?)`},
	"unknown-in-http":            {`:4: unknown key http.allow_remotes (did you mean "allow_remote"?)`},
	"unknown-in-inline":          {`:1: unknown key connector.nam (did you mean "name"?)`},
	"unknown-in-lists":           {`:4: unknown key lists.recieve (did you mean "receive"?)`},
	"unknown-in-milter":          {`:4: unknown key milter.listne (did you mean "listen"?)`},
	"unknown-in-own":             {`:4: unknown key own.certificate (did you mean "certificates"?)`},
	"unknown-in-partner":         {`:3: unknown key partner."woodgrovebank.com".sub_domains (did you mean "subdomains"?)`},
	"unknown-in-partner-table": {
		`:3: unknown key partner."woodgrovebank.com".tls`,
	},
	"unknown-in-policy":           {`:4: unknown key policy.unix_mod (did you mean "unix_mode"?)`},
	"unknown-in-probe":            {`:4: unknown key probe.ports (did you mean "port"?)`},
	"unknown-in-revocation":       {`:4: unknown key revocation.graze (did you mean "grace"?)`},
	"unknown-in-second-connector": {`:7: unknown key connector.client_adresses (did you mean "client_addresses"?)`},
	"unknown-in-send":             {`:4: unknown key send.mail_log (did you mean "maillog"?)`},
	"unknown-in-tlsmap":           {`:4: unknown key tlsmap.postfix`},
	"unknown-table":               {`:1: unknown key polcy (did you mean "policy"?)`},
	"unknown-top":                 {`:2: unknown key hostnam (did you mean "hostname"?)`},
	"unknown-twice": {
		`:3: unknown key milter.x`,
		`:5: unknown key policy.x`,
	},
}

func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bad files: %v", err)
	}
	seen := make(map[string]bool)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".toml")
		seen[name] = true
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var want string
			for i, line := range badFiles[name] {
				if i > 0 {
					want += "\n"
				}
				want += filepath.Base(file) + line
			}
			switch got := problemsOf(t, filepath.Base(file), string(text)); {
			case want == "":
				t.Errorf("what is to be said of it? Now:\n%s", got)
			case got != want:
				t.Errorf("it says\n%s\nnot\n%s", got, want)
			}
		})
	}
	for name := range badFiles {
		if !seen[name] {
			t.Errorf("there is no testdata/bad/%s.toml", name)
		}
	}
}

// problemsOf loads a file of that text, beside two empty lists, and returns what
// is wrong with it, without the folder.
func problemsOf(t *testing.T, name, text string) string {
	t.Helper()
	file := writeFiles(t, map[string]string{name: text, "receive.list": "", "send.list": ""}, name)
	_, err := Load(file, fakeRoots)
	if err == nil {
		return ""
	}
	var problems Problems
	if !errors.As(err, &problems) {
		t.Errorf("the error is no Problems: %v", err)
	}
	return strings.ReplaceAll(err.Error(), filepath.Dir(file)+"/", "")
}

// TestPartnerIsNoTable: settings that would be passed over in silence.
func TestPartnerIsNoTable(t *testing.T) {
	for _, text := range []string{
		"partner = \"woodgrovebank.com\"\n", "partner = []\n", "[[partner]]\n",
		"partner = [{ \"woodgrovebank.com\" = { mode = \"off\" } }]\n",
	} {
		if got := problemsOf(t, "c.toml", text); !strings.HasPrefix(got, "c.toml:1: ") {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// TestOneProblemIsOneLine, whatever it quotes.
func TestOneProblemIsOneLine(t *testing.T) {
	for _, text := range []string{
		`"a\nb" = 1`, `[partner."a\nb.com"]`, `[partner."woodgrovebank.com"]` + "\n" + `"m\u001bode" = 1`, `hostname = "a\nb"`,
		`[[connector]]` + "\n" + `name = "a\nb"` + "\n" + `treat = "off"`, `"a\nb" = `, `lists = { "a\nb" = 1 }`,
	} {
		got := problemsOf(t, "c.toml", text)
		if got == "" || strings.Contains(got, "\n") || strings.ContainsRune(got, '\x1b') {
			t.Errorf("%s: %q", text, got)
		}
	}
}

func TestBadLists(t *testing.T) {
	const good = "# who we trade with\nwoodgrovebank.com # since 2019\n\nfabrikam.com\n"
	for _, c := range []struct{ what, receive, send, want string }{
		{"pattern", good + "*.contoso.com\n", "", `receive.list:5: "*.contoso.com" is a pattern: list the domain itself (subdomains = true on its partner covers what is below it)`},
		{"suffix", good, "# a\nco.uk\n", `send.list:2: "co.uk" is a public suffix: anyone can register a name below it`},
		{"address", "alice@woodgrovebank.com", "", `receive.list:1: "alice@woodgrovebank.com" is an address: list the domain after the @`},
		{"two on a line", "\n\nwoodgrovebank.com fabrikam.com\n", "", `receive.list:3: "woodgrovebank.com fabrikam.com" is not a domain: " " is not allowed in a host name`},
		{"a label", "localhost\r\n", "", `receive.list:1: "localhost" is not a domain: it has a single label`},
		{"an IP address", "192.0.2.1\n", "", `receive.list:1: "192.0.2.1" is an IP address: only domains can be listed`},
		{"IPv6", "[2001:db8::1]\n", "", `receive.list:1: "[2001:db8::1]" is an IP address: only domains can be listed`},
		{"NUL", "woodgrovebank.com\n\x00\n", "", `receive.list:2: "\x00" is not a domain: "\x00" is not allowed in a host name`},
		{"not UTF-8", "\xff.com\n", "", `receive.list:1: "\xff.com" is not an internationalized domain name: it is not UTF-8`},
		{"both", "x\n", "x\n", `receive.list:1: "x" is not a domain: it has a single label`},
	} {
		t.Run(c.what, func(t *testing.T) {
			file := writeFiles(t, map[string]string{"c.toml": "", "receive.list": c.receive, "send.list": c.send}, "c.toml")
			_, err := Load(file, fakeRoots)
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("no Problems: %v", err)
			}
			if got := strings.ReplaceAll(err.Error(), filepath.Dir(file)+"/", ""); got != c.want {
				t.Errorf("it says\n%s\nnot\n%s", got, c.want)
			}
		})
	}
}

func TestMissingFiles(t *testing.T) {
	file := writeFiles(t, map[string]string{"c.toml": "", "send.list": ""}, "c.toml")
	dir := filepath.Dir(file)
	for _, c := range []struct{ want, make string }{
		{dir + "/receive.list: the receive list does not exist (for an empty list make an empty file: touch " + dir + "/receive.list)", "receive.list"},
		{"", ""},
	} {
		if _, err := Load(file, fakeRoots); err == nil && c.want != "" || err != nil && err.Error() != c.want {
			t.Errorf("it says\n%v\nnot\n%s", err, c.want)
		}
		if c.make != "" {
			write(t, filepath.Join(dir, c.make), "")
		}
	}
	if err := os.Remove(filepath.Join(dir, "send.list")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "send.list"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file, fakeRoots); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder for a list: %v", err)
	}
	if _, err := Load(filepath.Join(dir, "none.toml"), fakeRoots); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no TOML file: %v", err)
	}
	if _, err := Load(dir, fakeRoots); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder for a TOML file: %v", err)
	}
}

// TestTooLarge: a file that is no configuration is not read into memory.
func TestTooLarge(t *testing.T) {
	file := writeFiles(t, map[string]string{"c.toml": ""}, "c.toml")
	if err := os.Truncate(file, maxTOML+1); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file, fakeRoots); err == nil || !strings.Contains(err.Error(), "larger than 16777216 bytes") {
		t.Errorf("a TOML file of 16 MiB: %v", err)
	}
}

// fakeRoots knows every file but those named missing.pem.
func fakeRoots(names []string) (*policy.Roots, string, error) {
	for _, name := range names {
		if filepath.Base(name) == "missing.pem" {
			return nil, "", errors.New("no such file")
		}
	}
	return &policy.Roots{}, "", nil
}

// writeFiles makes the files in a new folder and returns the path of one.
func writeFiles(t testing.TB, files map[string]string, which string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		write(t, filepath.Join(dir, name), text)
	}
	return filepath.Join(dir, which)
}

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
