package postconf

import (
	"slices"
	"strings"
	"testing"
)

func TestParseMilters(t *testing.T) {
	for list, want := range map[string]string{
		"":                   "",
		" disable ":          "",
		"DISABLE,":           "DISABLE: answers: it must be inet:host:port or unix:path",
		"inet:h:1, unix:a/b": "inet:h:1 | unix:a/b",
		"{ local:a }{}":      "local:a: stops: text after '}'",
		"{ inet:h:1 command_timeout=5, { default_action = accept } protocol=2}": "inet:h:1 command_timeout=5 default_action=accept protocol=2",
		"{inet:h:1":                       "inet:h:1: stops: missing '}'",
		"{ }":                             ": stops: no address between the braces",
		"{ inet:h:1, timeout=5 }":         `inet:h:1: stops: unknown option "timeout"`,
		"{ inet:h:1, protocol= }":         `inet:h:1: stops: bad value for protocol: ""`,
		"{ inet:h:1, content_timeout }":   `inet:h:1: stops: missing '=' after "content_timeout"`,
		"{ inet:h:1, connect_timeout=0 }": `inet:h:1: stops: bad value for connect_timeout: "0"`,
		"inet:1@h":                        "inet:1@h: stops: garbage after the port: it must be inet:host:port",
		"inet:h:smtp":                     "inet:h:smtp",
		"h:1":                             "h:1: answers: it must be inet:host:port or unix:path",
	} {
		var got []string
		for _, m := range parseMilters(list) {
			text := m.address
			for _, name := range sortedNames(m.options) {
				text += " " + name + "=" + m.options[name]
			}
			if m.err != nil {
				text = m.address + ": answers: " + m.err.Error()
				if m.fatal {
					text = m.address + ": stops: " + m.err.Error()
				}
			}
			got = append(got, text)
		}
		if g := strings.Join(got, " | "); g != want {
			t.Errorf("%q: %s, want %s", list, g, want)
		}
	}
}

func TestForEveryone(t *testing.T) {
	for list, want := range map[string]string{
		"hash:/etc/postfix/x":      "",
		"hash:/x, static:DISABLE":  "DISABLE",
		"static:{ inet:h:1, x }":   "inet:h:1, x",
		"inline:{ 0.0.0.0/0=x }":   "",
		"cidr:/x":                  "",
		"cidr:{{0.0.0.0/0 a b}}":   "a b",
		"cidr:{{::1 a}, {::/0 b}}": "b",
		"cidr:{{10.0.0.0/8 a}}":    "",
		"cidr:{":                   "",
	} {
		got := ""
		for _, tb := range tables(list) {
			if result, ok := tb.forEveryone(); ok {
				got = result
			}
		}
		if got != want {
			t.Errorf("%q: %q, want %q", list, got, want)
		}
	}
}

func TestParseHosts(t *testing.T) {
	h := parseHosts("127.0.0.0/8, 192.0.2.1 [::1] [2001:db8::]/32 [::ffff:10.0.0.0]/104 [::ffff:10.1.1.1] !10.2.2.2 localhost .contoso.test /etc/x hash:/y 10.0.0.0/33 ::1 [fe80::1%eth0] [192.0.2.9]/24 [x")
	var got []string
	for _, p := range h.prefixes {
		got = append(got, p.String())
	}
	if want := []string{"127.0.0.0/8", "192.0.2.1/32", "::1/128", "2001:db8::/32", "10.0.0.0/8", "10.1.1.1/32", "192.0.2.9/24"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if want := []string{"localhost", ".contoso.test", "[x"}; !slices.Equal(h.names, want) {
		t.Errorf("%q", h.names)
	}
	if want := []string{"/etc/x", "hash:/y", "10.0.0.0/33", "::1", "[fe80::1%eth0]"}; !slices.Equal(h.tables, want) {
		t.Errorf("%q", h.tables)
	}
}

// FuzzMilters looks for lists of milters and hosts that cannot be taken apart, or whose line does not call us first.
func FuzzMilters(f *testing.F) {
	for _, list := range []string{filterAt, freshOne, "DISABLE", "{ unix:a, { protocol = 6, no_header_reply } } inet:1@h", "{", "}{", "static:{DISABLE} cidr:{{::/0 x}}", "[::ffff:10.0.0.0]/104 !10.0.0.1 $$"} {
		f.Add(list, list)
	}
	f.Fuzz(func(t *testing.T, list, maps string) {
		p := goodMilter().with(milterList, list, "smtpd_milter_maps", maps, localList, list, "mynetworks", list, "smtpd_authorized_xclient_hosts", list)
		s := &Settings{QueueDirectory: "/q", Main: p, Services: []Service{{Name: "smtp", Type: "inet", Params: p}}}
		for _, fd := range Check(s, Want{MilterListen: filterAt}) {
			if fd.Problem == "" {
				t.Errorf("%+v", fd)
			}
			for line := range strings.Lines(fd.Line) {
				value, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), milterList+" = ")
				if !ok {
					continue
				}
				calls := parseMilters(strings.ReplaceAll(value, "$$", "$"))
				if len(calls) == 0 || calls[0].err != nil || calls[0].address != filterAt {
					t.Errorf("%q does not begin with us", value)
				}
			}
		}
	})
}
