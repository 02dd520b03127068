package postconf

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

const (
	filterAt = "inet:127.0.0.1:18890"
	freshOne = "{ " + filterAt + ", connect_timeout=5s, command_timeout=10s, content_timeout=60s, default_action=tempfail }"
)

// goodMilter is main.cf with nothing to find, with the milter.
func goodMilter() Params {
	return good().with(
		"smtpd_milters", freshOne,
		"non_smtpd_milters", filterAt,
		"milter_default_action", "tempfail",
		"milter_command_timeout", "30s",
		"milter_content_timeout", "300s",
		"milter_protocol", "6",
		"milter_macro_daemon_name", "mx.contoso.test",
		"inet_protocols", "all",
		"mynetworks", "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128 192.0.2.7/32 [fe80::]/64",
	)
}

func connector(treat, client string, ports ...uint16) Connector {
	return Connector{Name: treat + " " + client, ClientAddresses: []netip.Prefix{netip.MustParsePrefix(client)}, Ports: ports, Treat: treat}
}

// treatIn is what check writes for the lines of a connector.
func treatIn(name, clients, port, treat string) string {
	return "[domain-secured.toml] [[connector]]\nname = \"" + name + "\"\nclient_addresses = [" + clients + "]\nports = [" + port + "]\ntreat = \"" + treat + "\""
}

// local is the connector for mail from sendmail(1).
var local = Connector{Name: "local", ClientAddresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Ports: []uint16{0}, Treat: treatOff}

// TestLocalWaits: with the milter told of it, mail from sendmail(1) needs a connector.
func TestLocalWaits(t *testing.T) {
	for name, c := range map[string]struct {
		connectors []Connector
		waits      bool
	}{
		"none":     {nil, true},
		"off":      {[]Connector{local}, false},
		"enforced": {[]Connector{{ClientAddresses: local.ClientAddresses, Treat: "enforce"}, local}, true},
		"internal": {[]Connector{{ClientAddresses: local.ClientAddresses, Ports: []uint16{0}, Treat: treatInternal}}, false},
		"a port":   {[]Connector{{ClientAddresses: local.ClientAddresses, Ports: []uint16{10025}, Treat: treatOff}}, true},
	} {
		found := Check(&Settings{Main: Params(goodMilter())}, Want{PolicyListen: our, MilterListen: filterAt, Connectors: c.connectors})
		waits := slices.ContainsFunc(found, func(f Finding) bool { return strings.Contains(f.Problem, "for ever") && f.File == tomlFile })
		if waits != c.waits {
			t.Errorf("%s: %v", name, found)
		}
	}
}

func TestCheckMilter(t *testing.T) {
	const back = "127.0.0.1:10025"
	off := []string{dataList, ""} // of the policy door, which is not meant here
	services := func(all ...func(Params) Service) func(Params) []Service {
		return func(m Params) (list []Service) {
			for _, f := range all {
				list = append(list, f(m))
			}
			return list
		}
	}
	at := func(name, typ string, overrides ...string) func(Params) Service {
		return func(m Params) Service { return service(m, name, typ, overrides...) }
	}
	filtered := at("smtp", "inet", "content_filter", "scan:[127.0.0.1]:10024")
	proxied := at("smtp", "inet", "smtpd_proxy_filter", "127.0.0.1:10024")
	for _, c := range []struct {
		name       string
		main       Params
		listen     string // of the milter
		connectors []Connector
		services   func(main Params) []Service
		more       func(s *Settings)
		want       []string
	}{
		{name: "nothing", main: goodMilter()},
		{name: "nothing behind postscreen", main: goodMilter(), services: services(at("smtpd", "pass"))},
		{name: "a fresh Debian", main: goodMilter().with(milterList, "", localList, "", "smtpd_forbid_bare_newline", "no"), want: []string{
			`error "" smtpd_milters: smtpd_milters = ` + freshOne,
			`error "" smtpd_forbid_bare_newline: smtpd_forbid_bare_newline = normalize`,
			`warning "" non_smtpd_milters: non_smtpd_milters = ` + freshOne}},
		{name: "other milters are kept", main: goodMilter().with(milterList, "{ inet:127.0.0.1:8891, default_action=accept } unix:opendkim/s, inet:localhost:18890, 127.0.0.1:18890"), want: []string{
			`error "" smtpd_milters: smtpd_milters = ` + freshOne + ", { inet:127.0.0.1:8891, default_action=accept }, unix:opendkim/s"}},
		{name: "another's mistake has no line", main: goodMilter().with(milterList, filterAt+" inet"), want: []string{
			`error "" smtpd_milters: `}},
		{name: "a name for an address", main: goodMilter().with(milterList, "inet:mx1:18890"), want: []string{
			`warning "" smtpd_milters: smtpd_milters = ` + freshOne}},
		{name: "nonsense for a door", main: goodMilter(), listen: "18890", want: []string{`error "" : `}},
		{name: "accept for all", main: goodMilter().with(milterList, filterAt, "milter_default_action", "accept"), want: []string{
			`error "" milter_default_action: smtpd_milters = ` + freshOne,
			`warning "" milter_default_action: non_smtpd_milters = ` + freshOne}},
		{name: "shutdown on a Postfix that has it", main: goodMilter().with("milter_default_action", "shutdown", milterList, filterAt), more: func(s *Settings) { s.Version = "3.11.6" }},

		{name: "switched off for submission", main: goodMilter(), services: services(at("smtp", "inet"), at("submission", "inet", milterList, "", "smtpd_sasl_auth_enable", "yes", "smtpd_client_restrictions", "permit_sasl_authenticated, reject")), want: []string{
			`warning "submission inet" smtpd_milters:   -o { smtpd_milters = ` + freshOne + " }"}},
		{name: "no_milters in main.cf", main: goodMilter().with(overrides, "no_milters"), want: []string{
			`error "" receive_override_options: receive_override_options =`}},
		{name: "no_milters in main.cf, for pickup too", main: goodMilter().with(overrides, "no_milters,no_address_mappings"), more: func(s *Settings) {
			s.Pickup = []Service{service(s.Main, "pickup", "unix")}
		}, want: []string{
			`error "" receive_override_options: receive_override_options = no_address_mappings`,
			`warning "" receive_override_options: receive_override_options = no_address_mappings`}},
		{name: "pickup has a cleanup of its own", main: goodMilter(), more: func(s *Settings) {
			s.Pickup = []Service{service(s.Main, "pickup", "unix", "cleanup_service_name", "pre")}
			s.Cleanup = []Service{service(s.Main, "cleanup", "unix"), service(s.Main, "pre", "unix", localList, "inet:127.0.0.1:8891")}
		}, want: []string{`warning "pre unix" non_smtpd_milters:   -o { non_smtpd_milters = ` + freshOne + ", inet:127.0.0.1:8891 }"}},
		{name: "a socket that cleanup cannot see", main: goodMilter().with(milterList, "unix:/run/ds/m", localList, "unix:/run/ds/m"), listen: "unix:/run/ds/m", more: func(s *Settings) {
			s.Cleanup = []Service{service(s.Main, "cleanup", "unix")}
			s.Cleanup[0].Chroot = true
		}, want: []string{`warning "" non_smtpd_milters: `}},

		{name: "a filter's way back without the milter", main: goodMilter(), services: services(filtered, at(back, "inet", append(off, milterList, "")...)), want: []string{
			`warning "127.0.0.1:10025 inet" smtpd_data_restrictions: `}},
		{name: "a filter's way back with no_milters", main: goodMilter(), services: services(filtered, at(back, "inet", append(off, overrides, "no_milters")...)), want: []string{
			`warning "127.0.0.1:10025 inet" smtpd_data_restrictions: `}},
		{name: "a filter's way back", main: goodMilter(), services: services(filtered, at(back, "inet")), want: []string{
			`error "127.0.0.1:10025 inet" smtpd_milters: ` + treatIn(back, `"127.0.0.1"`, "10025", treatInternal)}},
		{name: "a filter's way back by name", main: goodMilter(), services: services(filtered, at("localhost:10025", "inet")), want: []string{
			`error "localhost:10025 inet" smtpd_milters: ` + treatIn("localhost:10025", `"127.0.0.1", "::1"`, "10025", treatInternal)}},
		{name: "a filter's way back, one address with a connector", main: goodMilter(), connectors: []Connector{connector(treatInternal, "127.0.0.1/32", 10025)}, services: services(filtered, at("localhost:10025", "inet")), want: []string{
			`error "localhost:10025 inet" smtpd_milters: ` + treatIn("localhost:10025", `"::1"`, "10025", treatInternal)}},
		{name: "a filter's way back, IPv4 only", main: goodMilter().with("inet_protocols", "ipv4"), connectors: []Connector{connector(treatInternal, "127.0.0.1/32", 10025)}, services: services(filtered, at("localhost:10025", "inet"))},
		{name: "a filter's way back with a connector", main: goodMilter(), connectors: []Connector{connector(treatInternal, "127.0.0.0/8", 10025)}, services: services(filtered, at(back, "inet"))},
		{name: "a connector for another port", main: goodMilter(), connectors: []Connector{connector(treatInternal, "127.0.0.0/8", 10026)}, services: services(filtered, at(back, "inet")), want: []string{
			`error "127.0.0.1:10025 inet" smtpd_milters: ` + treatIn(back, `"127.0.0.1"`, "10025", treatInternal)}},
		{name: "another connector comes first", main: goodMilter(), connectors: []Connector{connector("enforce", "127.0.0.0/8"), connector(treatInternal, "127.0.0.1/32", 10025)}, services: services(filtered, at(back, "inet")), want: []string{
			`error "127.0.0.1:10025 inet" smtpd_milters: ` + treatIn(back, `"127.0.0.1"`, "10025", treatInternal)}},
		{name: "a connector by listener", main: goodMilter(), connectors: []Connector{{Name: "x", Ports: []uint16{10025}, Listeners: []string{"FILTER"}, Treat: treatInternal}}, services: services(filtered, at(back, "inet", "milter_macro_daemon_name", "FILTER"))},
		{name: "a connector by another listener", main: goodMilter(), connectors: []Connector{{Name: "x", Ports: []uint16{10025}, Listeners: []string{"FILTER"}, Treat: treatInternal}}, services: services(filtered, at(back, "inet")), want: []string{
			`error "127.0.0.1:10025 inet" smtpd_milters: ` + treatIn(back, `"127.0.0.1"`, "10025", treatInternal)}},
		{name: "a filter's way back that is off", main: goodMilter(), connectors: []Connector{connector(treatOff, "127.0.0.0/8")}, services: services(filtered, at(back, "inet")), want: []string{
			`warning "127.0.0.1:10025 inet" smtpd_milters: `}},
		{name: "a way back without a filter that shows", main: goodMilter(), services: services(at("smtp", "inet"), at("[::1]:10025", "inet")), want: []string{
			`warning "[::1]:10025 inet" smtpd_milters: ` + treatIn("[::1]:10025", `"::1"`, "10025", treatInternal)}},
		{name: "a port with a name", main: goodMilter(), services: services(filtered, at("127.0.0.1:submission", "inet")), want: []string{
			`error "127.0.0.1:submission inet" smtpd_milters: ` + treatIn("127.0.0.1:submission", `"127.0.0.1"`, "587", treatInternal)}},
		{name: "a port with a name of its own", main: goodMilter(), services: services(filtered, at("127.0.0.1:reentry", "inet")), want: []string{
			`error "127.0.0.1:reentry inet" smtpd_milters: `}},
		{name: "a port with a name of its own, and a connector", main: goodMilter(), connectors: []Connector{connector(treatInternal, "127.0.0.0/8", 10025)}, services: services(filtered, at("127.0.0.1:reentry", "inet"))},
		{name: "a way back without TLS, with a connector", main: goodMilter(), connectors: []Connector{connector(treatInternal, "127.0.0.0/8", 10025)}, services: services(filtered, at(back, "inet", "smtpd_tls_security_level", "none"))},
		{name: "this machine alone", main: goodMilter(), services: services(at("127.0.0.1:25", "inet"), at("[::1]:25", "inet"))},
		{name: "this machine alone, without the milter", main: goodMilter().with(milterList, ""), services: services(at("127.0.0.1:25", "inet")), want: []string{
			`error "" smtpd_milters: smtpd_milters = ` + freshOne}},
		{name: "this machine alone, with a filter", main: goodMilter().with("content_filter", "scan:[127.0.0.1]:10024"), services: services(at("127.0.0.1:25", "inet"), at(back, "inet", "content_filter", "")), want: []string{
			`error "127.0.0.1:10025 inet" smtpd_milters: ` + treatIn(back, `"127.0.0.1"`, "10025", treatInternal)}},
		{name: "this machine alone, with a filter before the queue", main: goodMilter().with("smtpd_proxy_filter", "127.0.0.1:10024"), connectors: []Connector{connector(treatOff, "127.0.0.1/32", 10025)}, services: services(at("127.0.0.1:25", "inet"), at(back, "inet", "smtpd_proxy_filter", "")), want: []string{
			`warning "" smtpd_proxy_filter: `}},
		{name: "a way back that misses the milter", main: goodMilter(), services: services(filtered, at(back, "inet", milterList, "inet:[::1]:18890")), want: []string{
			`error "127.0.0.1:10025 inet" smtpd_milters:   -o { smtpd_milters = ` + freshOne + " }"}},
		{name: "local milters that Postfix cannot read", main: goodMilter().with(localList, filterAt+" 127.0.0.1:8891"), want: []string{`warning "" non_smtpd_milters: `}},
		{name: "a proxy on this machine", main: goodMilter(), services: services(at(back, "inet", milterList, "", "smtpd_upstream_proxy_protocol", "haproxy")), want: []string{
			`error "127.0.0.1:10025 inet" smtpd_milters:   -o { smtpd_milters = ` + freshOne + " }"}},
		{name: "a filter with no way back", main: goodMilter().with("content_filter", "scan:"), want: []string{`warning "" content_filter: `}},
		{name: "a filter with no way back, and a connector", main: goodMilter().with("content_filter", "scan:"), connectors: []Connector{connector(treatInternal, "192.0.2.0/24", 25)}},

		{name: "before the queue, milter behind", main: goodMilter(), services: services(proxied, at(back, "inet")), want: []string{
			`error "127.0.0.1:10025 inet" smtpd_milters: ` + treatIn(back, `"127.0.0.1"`, "10025", treatOff),
			`warning "smtp inet" smtpd_proxy_filter: `}},
		{name: "before the queue, off behind", main: goodMilter(), connectors: []Connector{connector(treatOff, "127.0.0.0/8")}, services: services(proxied, at(back, "inet")), want: []string{
			`warning "smtp inet" smtpd_proxy_filter: `}},
		{name: "before the queue, internal behind", main: goodMilter(), connectors: []Connector{connector(treatInternal, "127.0.0.1/32", 10025)}, services: services(proxied, at(back, "inet")), want: []string{
			`error "127.0.0.1:10025 inet" smtpd_proxy_filter: [domain-secured.toml] treat = "off"`,
			`warning "smtp inet" smtpd_proxy_filter: `}},
		{name: "before the queue, internal behind at an open port", main: goodMilter().with("smtpd_proxy_filter", "192.0.2.9:10024"), connectors: []Connector{connector(treatInternal, "192.0.2.9/32", 10025)}, services: services(at("smtp", "inet"), at("10025", "inet", "smtpd_proxy_filter", "")), want: []string{
			`error "10025 inet" smtpd_proxy_filter: [domain-secured.toml] treat = "off"`,
			`warning "" smtpd_proxy_filter: `}},
		{name: "before the queue, no milter behind", main: goodMilter().with("smtpd_proxy_filter", "127.0.0.1:10024"), services: services(at("smtp", "inet"), at(back, "inet", append(off, "smtpd_proxy_filter", "", overrides, "no_milters")...)), want: []string{
			`error "127.0.0.1:10025 inet" smtpd_milters:   -o { smtpd_milters = ` + freshOne + " }\n  -o receive_override_options=",
			`warning "" smtpd_proxy_filter: `,
			`warning "127.0.0.1:10025 inet" smtpd_data_restrictions: `}},

		{name: "smuggling on a service of its own", main: goodMilter(), services: services(at("smtp", "inet"), at("2525", "inet", "smtpd_forbid_bare_newline", "no"), at(back, "inet", milterList, "", "smtpd_forbid_bare_newline", "no")), want: []string{
			`error "2525 inet" smtpd_forbid_bare_newline:   -o smtpd_forbid_bare_newline=normalize`}},
		{name: "smuggling in main.cf, on a loopback port too", main: goodMilter().with("smtpd_forbid_bare_newline", "no"), services: services(at("127.0.0.1:25", "inet")), want: []string{
			`error "" smtpd_forbid_bare_newline: smtpd_forbid_bare_newline = normalize`}},
		{name: "smuggling, where it was a yes or no", main: goodMilter().with("smtpd_forbid_bare_newline", "no"), more: func(s *Settings) { s.Version = "3.7.9" }, want: []string{
			`error "" smtpd_forbid_bare_newline: smtpd_forbid_bare_newline = yes`}},
		{name: "smuggling, noted", main: goodMilter().with("smtpd_forbid_bare_newline", "note"), more: func(s *Settings) { s.Version = "3.9.1" }, want: []string{
			`warning "" smtpd_forbid_bare_newline: smtpd_forbid_bare_newline = normalize`}},
		{name: "smuggling, older", main: goodMilter().without("smtpd_forbid_bare_newline").with("smtpd_forbid_unauth_pipelining", "no", "smtpd_discard_ehlo_keywords", "etrn"), want: []string{
			`error "" : smtpd_forbid_unauth_pipelining = yes` + "\nsmtpd_discard_ehlo_keywords = etrn, chunking"}},
		{name: "smuggling, oldest", main: goodMilter().without("smtpd_forbid_bare_newline"), want: []string{
			`error "" : smtpd_discard_ehlo_keywords = chunking`}},
		{name: "smuggling, older, as well as can be", main: goodMilter().without("smtpd_forbid_bare_newline").with(dataList, "check_policy_service "+our+" reject_unauth_pipelining", "smtpd_discard_ehlo_keywords", "chunking, silent-discard"), want: []string{
			`warning "" : `}},

		{name: "XCLIENT from here", main: goodMilter().with("smtpd_authorized_xclient_hosts", "127.0.0.0/8 [::1] localhost !192.0.2.1"), want: []string{
			`warning "" smtpd_authorized_xclient_hosts: `}},
		{name: "XCLIENT from a table", main: goodMilter().with("smtpd_authorized_xclient_hosts", "hash:/etc/postfix/x /etc/postfix/y"), want: []string{
			`warning "" smtpd_authorized_xclient_hosts: `}},
		{name: "XCLIENT from elsewhere", main: goodMilter().with("smtpd_authorized_xclient_hosts", "127.0.0.1 proxy.contoso.test"), want: []string{
			`error "" smtpd_authorized_xclient_hosts: smtpd_authorized_xclient_hosts =`}},
		{name: "XCLIENT from anywhere", main: goodMilter(), services: services(at("smtp", "inet", "smtpd_authorized_xclient_hosts", "static:all")), want: []string{
			`error "smtp inet" smtpd_authorized_xclient_hosts:   -o smtpd_authorized_xclient_hosts=`}},

		{name: "more than this machine", main: goodMilter().with("mynetworks", "127.0.0.0/8 10.0.0.0/8, [2001:db8::]/32 hash:/x mx2.contoso.test"), want: []string{`warning "" mynetworks: `}},
		{name: "this machine's neighbours", main: goodMilter().with("mynetworks", "192.0.2.7/24"), want: []string{`warning "" mynetworks: `}},
		{name: "another machine", main: goodMilter().with("mynetworks", "192.0.2.8"), want: []string{`warning "" mynetworks: `}},
		{name: "more than this machine, with a connector", main: goodMilter().with("mynetworks", "10.0.0.0/8"), connectors: []Connector{connector(treatInternal, "10.1.2.3/32", 25)}},
		{name: "more than this machine, with a connector for others", main: goodMilter().with("mynetworks", "10.0.0.0/8"), connectors: []Connector{connector(treatInternal, "192.168.0.0/16", 25)}, want: []string{`warning "" mynetworks: `}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &Settings{Version: "3.7.11", QueueDirectory: "/var/spool/postfix", Main: c.main, Services: []Service{service(c.main, "smtp", "inet")},
				Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.7")}}
			if c.services != nil {
				s.Services = c.services(c.main)
			}
			if c.more != nil {
				c.more(s)
			}
			want := Want{PolicyListen: our, MilterListen: c.listen, Connectors: append([]Connector{local}, c.connectors...)}
			if c.listen == "" {
				want.MilterListen = filterAt
			}
			var got []string
			for _, f := range Check(s, want) {
				file := ""
				if f.File != "" {
					file = "[" + f.File + "] "
				}
				got = append(got, fmt.Sprintf("%v %q %s: %s%s", f.Severity, f.Service, f.Parameter, file, f.Line))
			}
			if g, w := strings.Join(got, "\n"), strings.Join(c.want, "\n"); g != w {
				t.Errorf("got\n%s\nwant\n%s", g, w)
			}
		})
	}
}

// TestMilterOff has a list of milters in which ours is not meant to be.
func TestMilterOff(t *testing.T) {
	p := goodMilter().with(milterList, "inet:127.0.0.1:8891", "content_filter", "scan:", "mynetworks", "10.0.0.0/8", "milter_default_action", "accept")
	found := Check(&Settings{Main: p, Services: []Service{service(p, "smtp", "inet")}}, Want{PolicyListen: our})
	if len(found) != 1 || found[0].Severity != Warning || !strings.HasPrefix(found[0].Problem, "the milter door is off") {
		t.Errorf("%v", found)
	}
}

func TestFirstConnector(t *testing.T) {
	w := Want{Connectors: []Connector{
		{Name: "listener", Listeners: []string{"A"}},
		{Name: "port", Ports: []uint16{25}},
		{Name: "address and port", ClientAddresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Ports: []uint16{26, 27}},
		{Name: "address", ClientAddresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}},
	}}
	for _, c := range []struct {
		client   string
		port     int
		listener string
		want     string
	}{
		{"10.0.0.1", 25, "A", "listener"}, {"10.0.0.1", 25, anyListener, "listener"}, {"10.0.0.1", 25, "", "port"}, {"10.0.0.1", 27, "", "address and port"},
		{"10.0.0.1", 0, "", "address"}, {"::1", 27, "", "address"}, {"192.0.2.1", 27, "B", "none"},
	} {
		got := "none"
		if k := w.connector(netip.MustParseAddr(c.client), c.port, c.listener); k != nil {
			got = k.Name
		}
		if got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestFindingForOurFile(t *testing.T) {
	f := Finding{Severity: Error, Service: "smtp inet", Problem: "it is so", Line: "a = 1", File: tomlFile}
	if want := "error: smtp inet: it is so\n  put into domain-secured.toml:\n    a = 1"; f.String() != want {
		t.Errorf("%q", f.String())
	}
}
