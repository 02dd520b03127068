package policy

import (
	"slices"
	"strings"
	"testing"
)

// domainsOf returns the readings of an address as strings.
func domainsOf(s string) []string {
	r := senderReadings(&Facts{Sender: s})
	var domains []string
	for _, reading := range r.all[:r.n] {
		domains = append(domains, reading.domain)
	}
	return domains
}

func TestSenderDomains(t *testing.T) {
	const w = "woodgrovebank.com"
	for sender, want := range map[string][]string{
		// None at all.
		"":          nil,
		"<>":        nil,
		"alice":     nil,
		"<alice>":   nil,
		"@":         nil,
		"alice@":    nil,
		"<alice@>":  nil,
		"alice@ ":   nil,
		"alice@...": nil,
		// The plain forms.
		"alice@woodgrovebank.com":                         {w},
		"<alice@woodgrovebank.com>":                       {w},
		"alice@WoodGroveBank.COM":                         {w},
		"alice@woodgrovebank.com.":                        {w},
		"<alice@woodgrovebank.com.>":                      {w},
		" <alice@woodgrovebank.com> ":                     {w},
		"alice@woodgrovebank.com..":                       {w},
		"alice@woodgrovebank.com\r":                       {w},
		"a b@x@WoodGroveBank.COM.":                        {w}, // what Postfix makes of <"a b@x"@WoodGroveBank.COM.>
		`<"a@contoso.com"@woodgrovebank.com>`:             {w},
		`"alice@woodgrovebank.com"`:                       {w},
		"<alice @ woodgrovebank.com>":                     {w},
		"<@relay.example:alice@woodgrovebank.com>":        {w},
		"<@a.example,@b.example:alice@woodgrovebank.com>": {w},
		"<alice@woodgrovebank.com (comment)>":             {w, "woodgrovebank.com (comment"},
		"alice@(here)woodgrovebank.com":                   {w, "(here)" + w},
		"alice@woodgrovebank(there).com":                  {w, "woodgrovebank(there).com"},
		"alice@woodgrovebank.com (by c@contoso.com)":      {w, "contoso.com"},
		"alice@woodgrovebank.com (never closed":           {w, "woodgrovebank.com (never closed"},
		"alice@woodgrovebank.com,":                        {w},
		`alice@"wood"grove"bank".com`:                     {w},
		`alice@wood\grovebank\.com`:                       {w},
		"alice@woodgrovebank.com>junk":                    {"woodgrovebank.com>junk"},
		// Without @.
		"woodgrovebank.com!alice":             {w},
		"<woodgrovebank.com!alice>":           {w},
		"WoodGroveBank.com!a!b":               {w},
		"alice%woodgrovebank.com":             {w},
		"<alice%woodgrovebank.com>":           {w},
		"alice%contoso.com%woodgrovebank.com": {w},
		"alice%woodgrovebank.com@":            {w},
		"alice@woodgrovebank.com@":            {w},
		"alice@woodgrovebank.com@@ @":         {w},
		"<alice@woodgrovebank.com@.>":         {w},
		"woodgrovebank.com!alice@":            {w},
		"woodgrovebank.com!a%contoso.com":     {w, "contoso.com"},
		"!woodgrovebank.com!alice":            {w},
		"alice%woodgrovebank.com%":            {w},
		"alice%woodgrovebank.com%%@":          {w},
		"!":                                   nil,
		"%%":                                  nil,
		// Not without, so only what is behind it counts.
		"woodgrovebank.com!alice@contoso.com": {"contoso.com"},
		"alice%woodgrovebank.com@contoso.com": {"contoso.com"},
		// Internationalized.
		"a@bücher.example":          {"xn--bcher-kva.example"},
		"a@BÜCHER.example":          {"xn--bcher-kva.example"},
		"a@ｗoodgrovebank.com":       {w},
		"a@woodgrovebank。com":       {w},
		"a@wood\u00adgrovebank.com": {w}, // a soft hyphen
		"a@xn--bcher-kva.example":   {"xn--bcher-kva.example"},
		// What is no host name stays as it is, in lower case.
		"a@mail_1.WoodGroveBank.com": {"mail_1.woodgrovebank.com"},
		"a@\xff.woodgrovebank.com":   {"\xff.woodgrovebank.com"},
		"a@[192.0.2.1]":              {"[192.0.2.1"},
	} {
		if got := domainsOf(sender); !slices.Equal(got, want) {
			t.Errorf("sender %q: domains %q, want %q", sender, got, want)
		}
	}
}

func TestMailAddrIsBelieved(t *testing.T) {
	r := senderReadings(&Facts{Sender: "<woodgrovebank.com!alice>", MailAddr: "alice@contoso.com"})
	if r.n != 1 || r.all[0].domain != "contoso.com" {
		t.Errorf("readings %v, want contoso.com alone", r.all[:r.n])
	}
}

// TestMailAddrWithoutDomain: Sendmail leaves out a domain that is its own.
func TestMailAddrWithoutDomain(t *testing.T) {
	r := senderReadings(&Facts{Sender: "<@relay.example:alice@woodgrovebank.com>", MailAddr: "alice"})
	if r.n != 1 || r.all[0].domain != "woodgrovebank.com" {
		t.Errorf("readings %v, want woodgrovebank.com alone", r.all[:r.n])
	}
}

func TestEntry(t *testing.T) {
	list, err := ParseList("woodgrovebank.com\nbücher.example\nus.contoso.com\ncontoso.com\n" + strings.Repeat("ก", 16) + "n.example\n")
	if err != nil {
		t.Fatal(err)
	}
	thai, err := ParseDomain(strings.Repeat("ก", 16) + "n.example")
	if err != nil {
		t.Fatal(err)
	}
	s := NewSnapshot(list, nil, &Partner{}, map[string]*Partner{
		"contoso.com":    {Domain: "contoso.com", Subdomains: true},
		"fabrikam.com":   {Domain: "fabrikam.com", Subdomains: true}, // not listed
		"us.contoso.com": {Domain: "us.contoso.com"},
	}, nil)
	for sender, want := range map[string]string{
		"a@woodgrovebank.com":      "woodgrovebank.com",
		"a@mail.woodgrovebank.com": "", // exact, as in Exchange
		"a@xwoodgrovebank.com":     "",
		"a@woodgrovebank.com.evil": "",
		"a@contoso.com":            "contoso.com",
		"a@x.contoso.com":          "contoso.com",
		"a@x.y.contoso.com":        "contoso.com",
		"a@xcontoso.com":           "",
		"a@us.contoso.com":         "us.contoso.com",
		"a@x.us.contoso.com":       "contoso.com", // its nearest entry covers only itself
		"a@fabrikam.com":           "",
		"a@x.fabrikam.com":         "",
		// Unparseable is never unlisted.
		"a@mail_1.woodgrovebank.com":                             "woodgrovebank.com",
		"a@-.woodgrovebank.com":                                  "woodgrovebank.com",
		"a@.woodgrovebank.com":                                   "woodgrovebank.com",
		"a@x..woodgrovebank.com":                                 "woodgrovebank.com",
		"a@\xff.woodgrovebank.com":                               "woodgrovebank.com",
		"a@\xffwoodgrovebank.com":                                "woodgrovebank.com",
		"a@\x00woodgrovebank.com":                                "woodgrovebank.com",
		"a@x woodgrovebank.com":                                  "woodgrovebank.com",
		"a@[woodgrovebank.com]":                                  "woodgrovebank.com",
		"a@(here)woodgrovebank.com":                              "woodgrovebank.com",
		"a@x_y。woodgrovebank。com":                                "woodgrovebank.com",
		"a@x_y.bücher.example":                                   "xn--bcher-kva.example",
		"a@mail_1." + strings.Repeat("ก", 16) + "n.example":      thai,
		"a@\xff" + strings.Repeat("ก", 16) + "n.example":         thai,
		"a@x_y.us.contoso.com":                                   "us.contoso.com", // the most specific
		"a@x_woodgrovebank.com":                                  "woodgrovebank.com",
		"a@x-woodgrovebank.com":                                  "", // a host name of its own
		"a@" + strings.Repeat("x", 300) + ".woodgrovebank.com":   "woodgrovebank.com",
		"a@" + strings.Repeat("ü_", 3000) + ".woodgrovebank.com": "woodgrovebank.com",
	} {
		r := senderReadings(&Facts{Sender: sender})
		got := ""
		for _, reading := range r.all[:r.n] {
			if entry, listed := s.entry(reading); listed {
				got = entry
			}
		}
		if got != want {
			t.Errorf("sender %.60q: listed as %q, want %q", sender, got, want)
		}
	}
}

// FuzzSender holds any address to the one promise that matters: behind the last
// @, a listed domain is never overlooked.
func FuzzSender(f *testing.F) {
	list, err := ParseList("woodgrovebank.com\n")
	if err != nil {
		f.Fatal(err)
	}
	s := NewSnapshot(list, nil, &Partner{}, nil, nil)
	for _, seed := range []string{"alice", "<@a,@b:c", `"x@y"`, "a (b", "a\xff", "d!a%b", ""} {
		f.Add(seed, ">")
	}
	f.Fuzz(func(t *testing.T, local, tail string) {
		senderReadings(&Facts{Sender: local})
		if strings.Trim(tail, " .>\r\n\t,;") != "" {
			return
		}
		sender := local + "@WoodgroveBank.com" + tail
		if found := s.Sender(&Facts{Sender: sender}); !found.Listed() {
			t.Errorf("sender %q is not listed", sender)
		}
	})
}

// TestIgnoredCharacters: what stands for nothing in a domain (UTS 46, "ignored")
// does not let a sender off, however much of it there is.
func TestIgnoredCharacters(t *testing.T) {
	list, err := ParseList("woodgrovebank.com\nxn--bcher-kva.example\n")
	if err != nil {
		t.Fatal(err)
	}
	s := NewSnapshot(list, nil, &Partner{Mode: ModeEnforce, FromAlignment: FromAlignmentEnforce}, nil, nil)
	for _, ignored := range []rune{0xad, 0x34f, 0x180b, 0x200b, 0x2060, 0xfe0f, 0xe0100} {
		for _, n := range []int{1, 80, 130, 240, 400} {
			some := strings.Repeat(string(ignored), n)
			for _, domain := range []string{"woodgrove" + some + "bank.com", "WOODGROVEBANK." + some + "com", "bu" + some + "\u0308cher.example"} {
				if sender := s.Sender(&Facts{Sender: "<a@" + domain + ">"}); !sender.Listed() {
					t.Errorf("%d times U+%04X: not listed", n, ignored)
				}
				from := From{Bodies: []string{"a@" + domain}}
				d := from.read()
				if listed := slices.ContainsFunc(d.readings(), func(r reading) bool { _, l := s.entry(r); return l }); !listed && !d.incomplete() {
					t.Errorf("From, %d times U+%04X: not listed: %d readings", n, ignored, len(d.readings()))
				}
			}
		}
	}
}

// TestDotsOfTwoAlphabets: however many dots end a domain, it is listed.
func TestDotsOfTwoAlphabets(t *testing.T) {
	for _, domain := range []string{"woodgrovebank.com.\u3002", "woodgrovebank.com\uff0e\uff61", "woodgrovebank.com\u3002.\u3002"} {
		r := senderReadings(&Facts{Sender: "a@" + domain})
		if r.n != 1 || r.all[0] != (reading{"woodgrovebank.com", true}) {
			t.Errorf("%q: %+v", domain, r.all[:r.n])
		}
	}
}
