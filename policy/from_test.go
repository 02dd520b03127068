package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func readFrom(bodies []string, truncated bool) fromDomains {
	f := From{bodies, truncated}
	return *f.read()
}

func namedBy(f *fromDomains) []string {
	var domains []string
	for _, r := range f.readings() {
		domains = append(domains, r.domain)
	}
	return domains
}

// TestFromWellFormed has the headers that the strict grammar is sure of: their
// readings are the domains of the mailboxes and nothing else.
func TestFromWellFormed(t *testing.T) {
	const w = "woodgrovebank.com"
	for _, test := range []struct {
		name, body string
		within     bool // woodgrovebank.com
		readings   []string
	}{
		// Within.
		{"address alone", " alice@woodgrovebank.com", true, []string{w}},
		{"in brackets", "<alice@woodgrovebank.com>", true, []string{w}},
		{"with a name", "Alice Smith <alice@woodgrovebank.com>", true, []string{w}},
		{"with a quoted name", `"Alice" <alice@woodgrovebank.com>`, true, []string{w}},
		{"name without a blank", `Alice<alice@woodgrovebank.com>`, true, []string{w}},
		{"quoted name without a blank", `"Alice"<alice@woodgrovebank.com>`, true, []string{w}},
		{"words and quoted words", `Alice "Al" Smith <alice@woodgrovebank.com>`, true, []string{w}},
		{"dots in a name", "John Q. Public <john@woodgrovebank.com>", true, []string{w}},
		{"comma in a quoted name", `"Smith, Alice" <alice@woodgrovebank.com>`, true, []string{w}},
		{"empty quoted name", `"" <alice@woodgrovebank.com>`, true, []string{w}},
		{"quoted pair in a name", `"Alice \"Al\" Smith" <alice@woodgrovebank.com>`, true, []string{w}},
		{"smiley in a name", `"Alice :)" <alice@woodgrovebank.com>`, true, []string{w}},
		{"encoded name", "=?utf-8?q?J=C3=BCrgen?= <j@woodgrovebank.com>", true, []string{w}},
		{"encoded word in quotes", `"=?utf-8?q?J=C3=BCrgen?=" <j@woodgrovebank.com>`, true, []string{w}},
		{"UTF-8 name", "Jürgen <j@woodgrovebank.com>", true, []string{w}},
		{"UTF-8 local part", "jürgen@woodgrovebank.com", true, []string{w}},
		{"case", "Alice <alice@WoodgroveBank.COM>", true, []string{w}},
		{"below", "alice@mail.woodgrovebank.com", true, []string{"mail.woodgrovebank.com"}},
		{"several mailboxes", "a@woodgrovebank.com, B <b@mail.woodgrovebank.com>", true, []string{w, "mail.woodgrovebank.com"}},
		{"twice the same domain", "a@woodgrovebank.com,b@woodgrovebank.com", true, []string{w}},
		{"group", "Board: a@woodgrovebank.com, <b@woodgrovebank.com> ;", true, []string{w}},
		{"two groups", "A:a@woodgrovebank.com;,B:b@woodgrovebank.com;", true, []string{w}},
		{"folded before the address", "Alice\r\n <alice@woodgrovebank.com>", true, []string{w}},
		{"folded by a milter", "\n\tAlice\n\t<alice@woodgrovebank.com>", true, []string{w}},
		{"folded quoted name", "\"Alice\n Smith\" <alice@woodgrovebank.com>", true, []string{w}},
		{"blanks in brackets", "< alice@woodgrovebank.com >", true, []string{w}},
		{"name as a comment", "alice@woodgrovebank.com (Alice)", true, []string{w}},
		{"comments around", "(a) Alice (b) <alice@woodgrovebank.com> (c)", true, []string{w}},
		{"nested comments", "alice@woodgrovebank.com (a (b (c)))", true, []string{w}},
		{"quoted local part", `"alice smith"@woodgrovebank.com`, true, []string{w}},
		{"every atom character", "!#$%&'*+-/?=^_`{|}~a@woodgrovebank.com", true, []string{w}},
		{"percent hack is a local part", "a%contoso.com@woodgrovebank.com", true, []string{w}},
		{"bang path is a local part", "contoso.com!a@woodgrovebank.com", true, []string{w}},
		// An address in a name or a comment is what mailing lists write.
		{"quoted address as a name", `"bob@contoso.com" <alice@woodgrovebank.com>`, true, []string{w}},
		{"our address as a name", `"alice@woodgrovebank.com" <list@evil.example>`, false, []string{"evil.example"}},
		{"via list", `"alice@woodgrovebank.com via List" <list@evil.example>`, false, []string{"evil.example"}},
		{"address in parentheses in a name", `"Alice (alice@woodgrovebank.com)" <list@evil.example>`, false, []string{"evil.example"}},
		{"address in single quotes in a name", `"'alice@woodgrovebank.com'" <list@evil.example>`, false, []string{"evil.example"}},
		{"encoded address as a name", "=?utf-8?q?alice=40woodgrovebank.com?= <list@evil.example>", false, []string{"evil.example"}},
		{"comment with an address", "list@evil.example (alice@woodgrovebank.com)", false, []string{"evil.example"}},
		{"comment before with an address", "(alice@woodgrovebank.com) list@evil.example", false, []string{"evil.example"}},
		{"nested comment and visible addresses only", "list@evil.example (for (Alice))", false, []string{"evil.example"}},
		{"domain alone as a name", "woodgrovebank.com <x@evil.example>", false, []string{"evil.example"}},
		// Not within.
		{"another domain", "a@contoso.com", false, []string{"contoso.com"}},
		{"one of two", "a@woodgrovebank.com, b@contoso.com", false, []string{w, "contoso.com"}},
		{"one of two in a group", "X: a@woodgrovebank.com, b@contoso.com;", false, []string{w, "contoso.com"}},
		{"behind a group", "X: a@woodgrovebank.com;, b@contoso.com", false, []string{w, "contoso.com"}},
		{"ends alike", "a@xwoodgrovebank.com", false, []string{"xwoodgrovebank.com"}},
		{"begins alike", "a@woodgrovebank.com.evil.example", false, []string{"woodgrovebank.com.evil.example"}},
		{"empty group", "Undisclosed:;", false, nil},
		{"empty group with a comment", "Undisclosed: (none) ;", false, nil},
		{"U-label", "a@bücher.example", false, []string{"xn--bcher-kva.example"}},
		{"U-label with a middle dot", "a@paral·lel.example", false, []string{"xn--parallel-koa.example"}},
		{"U-label with ZWNJ", "a@نامه\u200cای.example", false, []string{"xn--mgba3gch31f060k.example"}},
		{"A-label", "a@xn--bcher-kva.example", false, []string{"xn--bcher-kva.example"}},
	} {
		f := readFrom([]string{test.body}, false)
		if !f.wellFormed || f.incomplete() {
			t.Errorf("%s: %q: well-formed %v, incomplete %v", test.name, test.body, f.wellFormed, f.incomplete())
		}
		if f.within(w) != test.within {
			t.Errorf("%s: %q: within %v, want %v", test.name, test.body, !test.within, test.within)
		}
		if got := namedBy(&f); !slices.Equal(got, test.readings) {
			t.Errorf("%s: %q: readings %q, want %q", test.name, test.body, got, test.readings)
		}
	}
}

// TestFromBroken has headers that some software reads otherwise than another:
// nothing is within any domain, and every domain that may be read is found.
func TestFromBroken(t *testing.T) {
	const w = "woodgrovebank.com"
	for _, test := range []struct {
		name     string
		bodies   []string
		readings []string // at least these
	}{
		{"no header", nil, nil},
		{"empty", []string{""}, nil},
		{"blank", []string{" \t"}, nil},
		{"name alone", []string{"Alice"}, nil},
		{"empty brackets", []string{"Alice <>"}, nil},
		{"no local part", []string{"@woodgrovebank.com"}, []string{w}},
		{"no domain", []string{"alice@"}, nil},
		{"at signs alone", []string{"@@@"}, nil},
		{"empty brackets behind an address", []string{`"alice@woodgrovebank.com" <>`}, []string{w}},
		{"comment alone", []string{"(alice@woodgrovebank.com)"}, []string{w}},

		// Several headers: RFC 5322 section 3.6 allows one.
		{"the same twice", []string{"a@woodgrovebank.com", "a@woodgrovebank.com"}, []string{w}},
		{"ours second", []string{"a@evil.example", "a@woodgrovebank.com"}, []string{"evil.example", w}},
		{"ours first", []string{"a@woodgrovebank.com", "a@evil.example"}, []string{"evil.example", w}},
		{"second one empty", []string{"a@woodgrovebank.com", ""}, []string{w}},
		{"names of several count", []string{`"a@woodgrovebank.com" <a@evil.example>`, "b@evil.example"}, []string{w, "evil.example"}},

		// An address where a name should be.
		{"unquoted address as a name", []string{"alice@woodgrovebank.com <x@evil.example>"}, []string{w, "evil.example"}},
		{"and its other way", []string{"x@evil.example <alice@woodgrovebank.com>"}, []string{w, "evil.example"}},
		{"two in brackets", []string{"<x@evil.example> <alice@woodgrovebank.com>"}, []string{w, "evil.example"}},
		{"name behind the brackets", []string{"<x@evil.example> alice@woodgrovebank.com"}, []string{w, "evil.example"}},
		{"name without brackets", []string{"Alice alice@woodgrovebank.com"}, []string{w}},
		{"two without a comma", []string{"x@evil.example alice@woodgrovebank.com"}, []string{w, "evil.example"}},
		{"comment between", []string{"x@evil.example (alice@woodgrovebank.com) <y@evil.example>"}, []string{w, "evil.example"}},
		{"semicolon between", []string{"x@evil.example; alice@woodgrovebank.com"}, []string{w, "evil.example"}},
		{"comma at the end", []string{"alice@woodgrovebank.com,"}, []string{w}},
		{"comma at the start", []string{",alice@woodgrovebank.com"}, []string{w}},
		{"comma in an unquoted name", []string{"Smith, Alice <alice@woodgrovebank.com>"}, []string{w}},
		{"address as a group's name", []string{"alice@woodgrovebank.com: x@evil.example;"}, []string{w, "evil.example"}},
		{"quoted address as a group's name", []string{`"alice@woodgrovebank.com": x@evil.example;`}, []string{w, "evil.example"}},
		{"quoted address as an empty group's name", []string{`"alice@woodgrovebank.com":;`}, []string{w}},
		{"group in a group", []string{"A: B: alice@woodgrovebank.com;;"}, []string{w}},
		{"group never closed", []string{"A: alice@woodgrovebank.com"}, []string{w}},
		{"semicolon without a group", []string{"alice@woodgrovebank.com;"}, []string{w}},
		{"group without a name", []string{": alice@woodgrovebank.com;"}, []string{w}},
		{"null members of a group", []string{"A:,alice@woodgrovebank.com,,;"}, []string{w}},

		// More than one @.
		{"two at signs", []string{"alice@woodgrovebank.com@evil.example"}, []string{w, "evil.example"}},
		{"doubled", []string{"alice@@woodgrovebank.com"}, []string{w}},
		{"behind the brackets", []string{"<alice@woodgrovebank.com>@evil.example"}, []string{w, "evil.example"}},
		{"at sign in a quoted local part", []string{`"alice@woodgrovebank.com"@evil.example`}, []string{w, "evil.example"}},
		{"brackets in a quoted local part", []string{`"<alice@woodgrovebank.com>,"@evil.example`}, []string{w, "evil.example"}},
		{"quoted pair in a local part", []string{`"alice\@woodgrovebank.com"@evil.example`}, []string{w, "evil.example"}},
		{"escaped without quotes", []string{`alice\@woodgrovebank.com@evil.example`}, []string{w, "evil.example"}},
		{"fullwidth at", []string{"alice＠woodgrovebank.com"}, []string{w}},
		{"small at", []string{"alice﹫woodgrovebank.com"}, []string{w}},
		{"fullwidth at in a local part", []string{"alice＠woodgrovebank.com@evil.example"}, []string{w, "evil.example"}},
		{"fullwidth at in a quoted local part", []string{`"alice＠woodgrovebank.com"@evil.example`}, []string{w, "evil.example"}},
		{"fullwidth at in a name", []string{"alice＠woodgrovebank.com <x@evil.example>"}, []string{w, "evil.example"}},

		// Routes (RFC 5322 section 4.4): the mailbox is at the last domain, but
		// there are clients and servers that take the first.
		{"route", []string{"<@evil.example,@b.example:alice@woodgrovebank.com>"}, []string{"evil.example", "b.example", w}},
		{"route by us", []string{"<@woodgrovebank.com:x@evil.example>"}, []string{"evil.example", w}},
		{"route without brackets", []string{"@evil.example:alice@woodgrovebank.com"}, []string{"evil.example", w}},

		// Quotes, comments and backslashes that are not what they seem.
		{"quote never closed", []string{`"Alice <alice@woodgrovebank.com>`}, []string{w}},
		{"quote opened behind", []string{`alice@woodgrovebank.com"`}, []string{w}},
		{"comment never closed", []string{"x@evil.example (alice@woodgrovebank.com"}, []string{w, "evil.example"}},
		{"comment not opened", []string{"alice@woodgrovebank.com)"}, []string{w}},
		{"comment closed by a quoted pair", []string{`x@evil.example (\) alice@woodgrovebank.com`}, []string{w, "evil.example"}},
		{"backslash at the end", []string{`alice@woodgrovebank.com\`}, []string{w}},
		{"backslash at the end of a quote", []string{`"alice@woodgrovebank.com\`}, []string{w}},
		{"backslash at the end of a comment", []string{`x@evil.example (alice@woodgrovebank.com\`}, []string{w}},
		{"backslash at the end of a line", []string{"\"Alice\\\r\n \" <alice@woodgrovebank.com>"}, []string{w}},
		{"name that ends at a quoted pair for some", []string{`"a\" <alice@woodgrovebank.com>" <x@evil.example>`}, []string{w, "evil.example"}},
		{"comment that ends at a quoted pair for some", []string{`x@evil.example (\) alice@woodgrovebank.com)`}, []string{w, "evil.example"}},
		{"comment that ends at an inner one for some", []string{"x@evil.example ((b) <alice@woodgrovebank.com>)"}, []string{w, "evil.example"}},
		{"comments that are a quote for some", []string{`(") <x@evil.example> (" <alice@woodgrovebank.com>)`}, []string{w, "evil.example"}},
		{"quotes that are a comment for some", []string{`")" <alice@evil.example> (x) (alice@woodgrovebank.com)`}, []string{w, "evil.example"}},
		{"quote that opens a comment for some", []string{`"(" <x@evil.example> (alice@woodgrovebank.com)`}, []string{w, "evil.example"}},
		{"quote that closes and opens a comment for some", []string{`")(" <x@evil.example> (alice@woodgrovebank.com)`}, []string{w, "evil.example"}},
		{"encoded word in a name that ends early for some", []string{`"a\" =?utf-8?q?alice=40woodgrovebank.com?=" <x@evil.example>`}, []string{w, "evil.example"}},
		{"comment before the at sign", []string{"alice(x)@woodgrovebank.com"}, []string{w}},
		{"comment behind the at sign", []string{"alice@(x)woodgrovebank.com"}, []string{w}},
		{"nested comment behind the at sign", []string{"alice@(x(y))woodgrovebank.com"}, []string{w}},
		{"comments and blanks behind the at sign", []string{"alice@ (x) (y) woodgrovebank.com"}, []string{w}},
		{"comment with a quoted pair behind the at sign", []string{`alice@(x\)y)woodgrovebank.com`}, []string{w}},
		{"comment not closed behind the at sign", []string{"alice@(woodgrovebank.com"}, []string{w}},
		{"comment in the domain", []string{"alice@woodgrove(x)bank.com"}, []string{w}},
		{"comment in a comment's domain", []string{"x@evil.example (alice@woodgrove(x)bank.com)"}, []string{w, "evil.example"}},
		{"comment behind a quoted parenthesis", []string{`"(" <alice@woodgrovebank(x).com>`}, []string{w}},
		{"comments around the dot", []string{"<alice@woodgrovebank (x) . (y) com>"}, []string{w}},
		{"comment in brackets", []string{"<alice@woodgrovebank.com (x)>"}, []string{w}},
		{"comment first in brackets", []string{"<(x)alice@woodgrovebank.com>"}, []string{w}},
		{"blanks around the at sign", []string{"alice @ woodgrovebank.com"}, []string{w}},
		{"blanks around the dot", []string{"alice@woodgrovebank . com Smith"}, []string{w}},
		{"blanks and a comment around the dot", []string{"alice@ (x) woodgrovebank . (y) com Smith"}, []string{w}},
		{"folded in the domain", []string{"<alice@woodgrove\r\n bank.com>"}, []string{w}},
		{"blank behind the domain", []string{"<alice@woodgrovebank.com Smith>"}, []string{w}},
		{"no-break space behind the domain", []string{"<alice@woodgrovebank.com\u00a0Smith>"}, []string{w}},
		{"quoted domain", []string{`alice@"woodgrovebank.com"`}, []string{w}},
		{"quoted part of the domain", []string{`alice@"woodgrove"bank.com`}, []string{w}},
		{"escape in the domain", []string{`alice@wood\grovebank.com`}, []string{w}},
		{"bracketed domain", []string{"alice@<woodgrovebank.com>"}, []string{w}},
		{"everything quoted", []string{`"alice@woodgrovebank.com"`}, []string{w}},
		{"quoted in brackets", []string{`<"alice@woodgrovebank.com">`}, []string{w}},
		{"brackets never closed", []string{"Alice <alice@woodgrovebank.com"}, []string{w}},
		{"brackets twice", []string{"<<alice@woodgrovebank.com>>"}, []string{w}},
		{"mailto", []string{"<mailto:alice@woodgrovebank.com>"}, []string{w}},

		// Octets.
		{"NUL behind", []string{"alice@woodgrovebank.com\x00@evil.example"}, []string{w, "evil.example"}},
		{"NUL and more of a domain behind", []string{"alice@woodgrovebank.com\x00.evil.example"}, []string{w, "woodgrovebank.com.evil.example"}},
		{"NUL within", []string{"alice@wood\x00grovebank.com (x) y"}, []string{w}},
		{"NUL between at sign and domain", []string{"alice@\x00woodgrovebank.com"}, []string{w}},
		{"NUL in a name", []string{"Al\x00ice <alice@woodgrovebank.com>"}, []string{w}},
		{"NUL everywhere", []string{"\x00a\x00@\x00w\x00o\x00o\x00d\x00g\x00r\x00o\x00v\x00e\x00b\x00a\x00n\x00k\x00.\x00c\x00o\x00m"}, []string{w}},
		{"DEL within", []string{"alice@wood\x7fgrovebank.com"}, []string{w}},
		{"carriage return alone", []string{"alice@woodgrovebank.com\rx"}, []string{w}},
		{"line feed alone", []string{"x@evil.example\nFrom: alice@woodgrovebank.com"}, []string{w, "evil.example"}},
		{"line of blanks", []string{"x@evil.example,\r\n \r\n alice@woodgrovebank.com"}, []string{w, "evil.example"}},
		{"line of blanks at the end", []string{"alice@woodgrovebank.com\r\n "}, []string{w}},
		{"NEL", []string{"Al\u0085ice <alice@woodgrovebank.com>"}, []string{w}},
		{"Latin-1 name", []string{"J\xfcrgen <j@woodgrovebank.com>"}, []string{w}},
		{"Shift_JIS in quotes", []string{"\"\x83\\\" <x@evil.example>, \"<alice@woodgrovebank.com>\" <x@evil.example>"}, []string{w, "evil.example"}},
		{"no UTF-8 before the domain", []string{"alice@\xffwoodgrovebank.com"}, []string{w}},
		{"no UTF-8 behind the domain", []string{"alice@woodgrovebank.com\xff"}, []string{w}},
		{"no UTF-8 within the domain", []string{"alice@wood\xffgrovebank.com"}, []string{w}},
		{"invisible letter in the domain", []string{"alice@wood\u200bgrove\u200ebank.com"}, []string{w}},

		// Domains that are none.
		{"domain literal", []string{"alice@[192.0.2.1]"}, nil},
		{"domain in a literal", []string{"alice@[woodgrovebank.com]"}, []string{w}},
		{"single label", []string{"root@localhost"}, []string{"localhost"}},
		{"dot at the end", []string{"alice@woodgrovebank.com."}, []string{w}},
		{"dots at the end", []string{"<alice@woodgrovebank.com...>"}, []string{w}},
		{"dot at the start", []string{"alice@.woodgrovebank.com"}, []string{".woodgrovebank.com"}},
		{"underscore", []string{"alice@mail_1.woodgrovebank.com"}, []string{"mail_1.woodgrovebank.com"}},
		{"hyphen at the end", []string{"alice@woodgrovebank.com-"}, []string{w}},
		{"digits at the end", []string{"alice@woodgrovebank.com.1"}, []string{w}},
		{"single letter at the end", []string{"alice@woodgrovebank.com.x,"}, []string{w, "woodgrovebank.com.x"}},
		{"other letters at the end", []string{"alice@woodgrovebank.comü,"}, []string{w}},
		{"slash behind", []string{"alice@woodgrovebank.com/x"}, []string{w}},
		{"equals sign within", []string{"alice@x=woodgrovebank.com Smith"}, []string{"x=woodgrovebank.com"}},
		{"dots in the local part", []string{"a..b@woodgrovebank.com"}, []string{w}},
		{"dot ends the local part", []string{"a.@woodgrovebank.com"}, []string{w}},
		{"dot begins the local part", []string{".a@woodgrovebank.com"}, []string{w}},
		{"empty local part", []string{`""@woodgrovebank.com`}, []string{w}},
		{"fullwidth letters", []string{"alice@ｗｏｏｄgrovebank.com"}, []string{w}},
		{"circled letters", []string{"alice@ⓦoodgrovebank.com"}, []string{w}},
		{"ideographic dot", []string{"alice@woodgrovebank。com"}, []string{w}},
		{"fullwidth dot", []string{"alice@woodgrovebank．com"}, []string{w}},
		{"halfwidth dot", []string{"alice@woodgrovebank｡com"}, []string{w}},
		{"small dot", []string{"alice@woodgrovebank﹒com"}, []string{w}},
		{"one dot leader", []string{"alice@wood\x00grovebank․com"}, []string{w}},
		{"soft hyphen", []string{"alice@wood\u00adgrovebank.com"}, []string{w}},
		{"fullwidth brackets", []string{"Alice＜alice@woodgrovebank.com＞"}, []string{w}},
		{"capital U-label", []string{"alice@BÜCHER.example"}, []string{"xn--bcher-kva.example"}},
		{"mixed labels", []string{"alice@bücher.xn--bcher-kva.example"}, []string{"xn--bcher-kva.xn--bcher-kva.example"}},
		{"U-label and blanks", []string{"alice @ bücher.example Alice"}, []string{"xn--bcher-kva.example"}},
		{"U-label and a no-break space", []string{"alice@bücher.example\u00a0Alice"}, []string{"xn--bcher-kva.example"}},
		{"symbol in a U-label", []string{"alice@i❤.example"}, []string{"xn--i-7iq.example"}},
		{"U-label in typographic quotes", []string{"alice@”bücher.example”"}, []string{"xn--bcher-kva.example"}},
		{"ZWNJ in a U-label", []string{"alice@نامه\u200cای.example x"}, []string{"xn--mgba3gch31f060k.example"}},

		// One for each habit of reading on.
		{"drops a control character", []string{"alice@bü\x00cher.example .x"}, []string{"xn--bcher-kva.example"}},
		{"and blanks next to dots", []string{"alice@bü\x00cher . example x"}, []string{"xn--bcher-kva.example"}},
		{"drops blanks", []string{"alice@bü cher.example\x00x"}, []string{"xn--bcher-kva.example"}},
		{"drops both", []string{"alice@bü ch\x00er.example"}, []string{"xn--bcher-kva.example"}},
		{"keeps punctuation", []string{"alice@a_b.example\x00x"}, []string{"a_b.example"}},
		{"and control characters", []string{"alice@a_\x00b.example x"}, []string{"a_\x00b.example"}},
		{"and blanks", []string{"alice@a_\x00b c.example>"}, []string{"a_\x00b c.example"}},
		{"bang path", []string{"woodgrovebank.com!alice"}, []string{w}},
		{"percent hack", []string{"alice%woodgrovebank.com"}, []string{w}},

		// Encoded words in addresses (RFC 2047 section 5 forbids them).
		{"encoded local part", []string{"=?utf-8?q?alice=40woodgrovebank.com?=@evil.example"}, []string{w, "evil.example"}},
		{"encoded and cut by NUL", []string{"=?utf-8?b?YWxpY2VAd29vZGdyb3ZlYmFuay5jb20=?==?utf-8?q?=00?==?utf-8?b?YWxpY2U=?=@evil.example"}, []string{w, "evil.example"}},
		{"encoded in brackets", []string{"<=?us-ascii?Q?alice=40woodgrovebank.com?=>"}, []string{w}},
		{"encoded in a quoted local part", []string{`"=?utf-8?q?alice=40woodgrovebank.com?="@evil.example`}, []string{w, "evil.example"}},
		{"encoded domain", []string{"alice@=?utf-8?q?woodgrovebank.com?="}, []string{w}},
		{"encoded part of the domain", []string{"alice@wood=?utf-8?q?grove?=bank.com"}, []string{w}},
		{"encoded address alone", []string{"=?utf-8?B?YWxpY2VAd29vZGdyb3ZlYmFuay5jb20=?="}, []string{w}},
		{"encoded in two words", []string{"=?utf-8?q?alice=40wood?= =?utf-8?q?grovebank.com?="}, []string{w}},
		{"encoded in two words, folded", []string{"=?utf-8?q?alice=40wood?=\r\n =?utf-8?q?grovebank.com?="}, []string{w}},
		{"encoded in two words that touch", []string{"=?utf-8?q?alice=40wood?==?utf-8?q?grovebank.com?="}, []string{w}},
		{"second encoded word is not looked at", []string{"=?utf-8?q?alice=40woodgrovebank.com?= =?utf-8?q?.evil.example?="}, []string{w, "woodgrovebank.com.evil.example"}},
		{"letter split between words", []string{"=?utf-8?q?alice=40b=c3?= =?utf-8?q?=bccher.example?="}, []string{"xn--bcher-kva.example"}},
		{"any charset", []string{"=?x-unknown*en?q?alice=40woodgrovebank.com?="}, []string{w}},
		{"no charset", []string{"=??q?alice=40woodgrovebank.com?="}, []string{w}},
		{"UTF-16", []string{"=?utf-16be?q?=00a=00=40=00w=00oodgrovebank.com?="}, []string{w}},
		{"encoded word never closed", []string{"=?utf-8?q?alice=40woodgrovebank.com"}, []string{w}},
		{"encoded word in a broken one", []string{"=?x?b? =?utf-8?q?alice=40woodgrovebank.com?="}, []string{w}},
		{"question mark in an encoded word", []string{"=?utf-8?q?a?b=40woodgrovebank.com?="}, []string{w}},
		{"data behind the padding", []string{"=?utf-8?b?YWxpY2VAd29vZGdyb3ZlYmFuay5jb20=LmV2aWwuZXhhbXBsZQ==?="}, []string{w, "woodgrovebank.com.evil.example"}},
		{"blanks in an encoded word", []string{"=?utf-8?b?YWxpY2VA d29vZGdyb3Zl\r\n YmFuay5jb20=?="}, []string{w}},
		{"underscores for blanks", []string{"=?utf-8?q?alice=40woodgrovebank_._com_Smith?="}, []string{w}},
		{"half an end mark", []string{"=?utf-8?b?YWxpQHdvb2Rncm92ZWJhbmsuY29t?abcd"}, []string{w}},
		{"at sign in an encoded word", []string{"=?utf-8?q?alice@woodgrovebank.com?= <x@evil.example>"}, []string{w, "evil.example"}},
		{"broken escape", []string{"=?utf-8?q?=4=G0=40woodgrovebank.com=4?="}, []string{w}},
	} {
		f := readFrom(test.bodies, false)
		if f.wellFormed || f.incomplete() {
			t.Errorf("%s: %q: well-formed %v, incomplete %v", test.name, test.bodies, f.wellFormed, f.incomplete())
		}
		got := namedBy(&f)
		for _, domain := range append(got, w) {
			if f.within(domain) {
				t.Errorf("%s: %q: within %q", test.name, test.bodies, domain)
			}
		}
		for _, want := range test.readings {
			if !slices.Contains(got, want) {
				t.Errorf("%s: %q: readings %q lack %q", test.name, test.bodies, got, want)
			}
		}
		if test.readings == nil && slices.ContainsFunc(f.readings(), func(r reading) bool { return r.hostName }) {
			t.Errorf("%s: %q: readings %q, want no host name", test.name, test.bodies, got)
		}
	}
}

// TestFromReadingsAreListed looks readings up as the rules do: what is no host
// name is compared by its end.
func TestFromReadingsAreListed(t *testing.T) {
	list, err := ParseList("woodgrovebank.com\n")
	if err != nil {
		t.Fatal(err)
	}
	s := NewSnapshot(list, nil, &Partner{}, nil, nil)
	for body, want := range map[string]bool{
		"alice@.woodgrovebank.com":                      true,
		"alice@x\xff.woodgrovebank.com":                 true,
		"alice@x\x00.woodgrovebank.com y":               true,
		"alice@mail_1.woodgrovebank.com Alice":          true,
		"alice@x=woodgrovebank.com, x":                  true,
		"alice@[x woodgrovebank.com]":                   true,
		"Alice at woodgrovebank.com <x@evil.example":    false,
		`"alice@woodgrovebank.com" <x@evil.example>`:    false,
		"alice@woodgrovebank.com.evil.example, ":        false,
		"alice@mail.woodgrovebank.com, ":                false, // exact, as in Exchange
		"J\xfcrgen, W. <j@evil.example>":                false,
		"Smith, Alice <alice@evil.example> (Woodgrove)": false,
	} {
		f := readFrom([]string{body}, false)
		found := false
		for _, r := range f.readings() {
			_, listed := s.entry(r)
			found = found || listed
		}
		if found != want {
			t.Errorf("%q: listed %v, want %v: readings %q", body, found, want, namedBy(&f))
		}
	}
}

func TestFromIncomplete(t *testing.T) {
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "a@x%d.woodgrovebank.com,", i)
		}
		return strings.TrimSuffix(b.String(), ",")
	}
	for name, test := range map[string]struct {
		bodies     []string
		truncated  bool
		incomplete bool
		within     bool
	}{
		"one":                         {[]string{"a@woodgrovebank.com"}, false, false, true},
		"truncated":                   {[]string{"a@woodgrovebank.com"}, true, true, false},
		"truncated to none":           {nil, true, true, false},
		"as many as can be":           {[]string{many(maxFromReadings)}, false, false, true},
		"one too many":                {[]string{many(maxFromReadings + 1)}, false, true, false},
		"one too many, broken":        {[]string{many(maxFromReadings+1) + ","}, false, true, false},
		"many times the same":         {[]string{strings.Repeat("a@woodgrovebank.com,", 3000) + "a@woodgrovebank.com"}, false, false, true},
		"many times the same, broken": {[]string{strings.Repeat("a@woodgrovebank.com,", 3000)}, false, false, false},
		"many times, without commas":  {[]string{strings.Repeat("a@woodgrovebank.com ", 3000)}, false, false, false},
		"UTF-7":                       {[]string{"=?Utf-7?q?alice+AEA-woodgrovebank.com?=@evil.example"}, false, true, false},
		"UTF-7 in a name":             {[]string{"=?utf-7?q?+AEA-?= <a@woodgrovebank.com>"}, false, false, true},
		"too much work: comments":     {[]string{strings.Repeat("@(", 30000)}, false, true, false},
		"too much work: parentheses":  {[]string{"@" + strings.Repeat("(", 60000)}, false, true, false},
		"too much work: conversions":  {[]string{strings.Repeat("@ü ", 15000)}, false, true, false},
	} {
		f := readFrom(test.bodies, test.truncated)
		if f.incomplete() != test.incomplete || f.within("woodgrovebank.com") != test.within {
			t.Errorf("%s: incomplete %v, within %v", name, f.incomplete(), f.within("woodgrovebank.com"))
		}
		if len(f.readings()) > maxFromReadings {
			t.Errorf("%s: %d readings", name, len(f.readings()))
		}
	}
}

func TestFromWithin(t *testing.T) {
	f := readFrom([]string{"a@x.woodgrovebank.com"}, false)
	for domain, want := range map[string]bool{
		"x.woodgrovebank.com":   true,
		"woodgrovebank.com":     true,
		"com":                   true, // whether it is a partner's is not asked here
		"":                      false,
		".woodgrovebank.com":    false,
		"grovebank.com":         false,
		"y.x.woodgrovebank.com": false,
		"contoso.com":           false,
	} {
		if f.within(domain) != want {
			t.Errorf("within %q: %v", domain, !want)
		}
	}
	var none fromDomains
	if none.within("") {
		t.Error("no header is within something")
	}
}

// hostileLabels are labels that are dear to convert, each another one.
func hostileLabels(n, characters int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("\n @")
		for j := range characters {
			b.WriteRune(rune(0x4e00 + (i*31+j*37)%8000))
		}
		fmt.Fprintf(&b, "\u00ad%d", i)
	}
	return b.String()
}

func BenchmarkFrom(b *testing.B) {
	for name, body := range map[string]string{
		"plain":       "alice@woodgrovebank.com",
		"named":       `"Alice Smith" <alice@woodgrovebank.com>`,
		"U-label":     "Jürgen <j@bücher.example>",
		"broken":      "alice@woodgrovebank.com <x@evil.example>",
		"encoded":     "=?utf-8?q?alice=40woodgrovebank.com?=@evil.example",
		"64K-list":    strings.Repeat("Alice <alice@woodgrovebank.com>, ", 2000) + "alice@woodgrovebank.com",
		"64K-broken":  strings.Repeat("<a@ü> ", 10000),
		"64K-long":    "@" + strings.Repeat("ü_ ", 16000),
		"64K-comment": strings.Repeat("@(", 32000),
		"64K-word":    strings.Repeat("=?u?q?@=40", 6500),
		"64K-dots":    strings.Repeat("@a . ", 13000),
		"64K-labels":  hostileLabels(66, 320),
		"64K-short":   hostileLabels(250, 80),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			bodies := []string{body}
			for b.Loop() {
				f := readFrom(bodies, false)
				f.within("woodgrovebank.com")
			}
		})
	}
}
