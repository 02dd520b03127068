package trust

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"domain-secured/internal/testkit/pki"
)

// directory is the DER of a Name with one value an RDN.
func directory(t testing.TB, values ...any) []byte {
	t.Helper()
	types := []int{6, 10, 11, 3} // country, organization, unit, common name
	var rdns pkix.RDNSequence
	for i, value := range values {
		rdns = append(rdns, pkix.RelativeDistinguishedNameSET{{Type: asn1.ObjectIdentifier{2, 5, 4, types[i]}, Value: value}})
	}
	der, err := asn1.Marshal(rdns)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestConstraints: every kind of name, permitted and excluded, under a root and
// an authority, critical or not.
func TestConstraints(t *testing.T) {
	network := func(network, mask string) pki.Name {
		return pki.Name{Tag: 7, Value: append(netip.MustParseAddr(network).AsSlice(), netip.MustParseAddr(mask).AsSlice()...)}
	}
	address := func(s string) pki.Name { return pki.IP(netip.MustParseAddr(s)) }
	names := func(all ...pki.Name) []pki.Name { return all }
	bank, other := directory(t, "US", "Woodgrove Bank"), directory(t, "US", "Contoso")
	unit := directory(t, "US", "woodgrove  BANK", "Mail")
	teletex := directory(t, "US", asn1.RawValue{Tag: asn1.TagT61String, Bytes: []byte("Woodgrove Bank")})
	otherName := pki.Name{Tag: 0, Value: append([]byte{6, 3, 42, 3, 4}, 0xa0, 2, 5, 0)}
	const (
		good   = ""
		not    = "not permitted by"
		out    = "excluded by"
		unsure = "cannot be compared"
	)
	for _, c := range []struct {
		what                string
		permitted, excluded []pki.Name
		subject             []byte
		names               []pki.Name
		want                string
	}{
		{"DNS, itself", names(pki.DNS("woodgrovebank.com")), nil, nil, names(pki.DNS("Woodgrovebank.COM")), good},
		{"DNS, below", names(pki.DNS("woodgrovebank.com")), nil, nil, names(pki.DNS("a.b.woodgrovebank.com")), good},
		{"DNS, beside", names(pki.DNS("woodgrovebank.com")), nil, nil, names(pki.DNS("awoodgrovebank.com")), not},
		{"DNS, one of two", names(pki.DNS("woodgrovebank.com")), nil, nil, names(pki.DNS("woodgrovebank.com"), pki.DNS("contoso.com")), not},
		{"DNS, second of two", names(pki.DNS("contoso.com"), pki.DNS("woodgrovebank.com")), nil, nil, names(pki.DNS("woodgrovebank.com")), good},
		{"DNS, dot, below", names(pki.DNS(".woodgrovebank.com")), nil, nil, names(pki.DNS("a.woodgrovebank.com")), good},
		{"DNS, dot, itself", names(pki.DNS(".woodgrovebank.com")), nil, nil, names(pki.DNS("woodgrovebank.com")), not},
		{"DNS, excluded", nil, names(pki.DNS("woodgrovebank.com")), nil, names(pki.DNS("a.woodgrovebank.com")), out},
		{"DNS, excluded, beside", nil, names(pki.DNS("a.woodgrovebank.com")), nil, names(pki.DNS("b.woodgrovebank.com")), good},
		{"DNS, both", names(pki.DNS("woodgrovebank.com")), names(pki.DNS("woodgrovebank.com")), nil, names(pki.DNS("woodgrovebank.com")), out},
		{"DNS, all excluded", nil, names(pki.DNS("")), nil, names(pki.DNS("woodgrovebank.com")), out},
		{"DNS, wildcard", names(pki.DNS("woodgrovebank.com")), nil, nil, names(pki.DNS("*.woodgrovebank.com")), good},
		{"DNS, wildcard above", names(pki.DNS("a.woodgrovebank.com")), nil, nil, names(pki.DNS("*.woodgrovebank.com")), not},
		{"DNS, wildcard reaches", nil, names(pki.DNS("a.woodgrovebank.com")), nil, names(pki.DNS("*.woodgrovebank.com")), out},
		{"DNS, wildcard reaches deep", nil, names(pki.DNS(".a.b.woodgrovebank.com")), nil, names(pki.DNS("*.WoodgroveBank.com")), out},
		{"DNS, wildcard beside", nil, names(pki.DNS("a.contoso.com")), nil, names(pki.DNS("*.woodgrovebank.com")), good},
		{"DNS, invalid", names(pki.DNS("woodgrovebank.com")), nil, nil, names(pki.DNS("a..woodgrovebank.com"), pki.DNS("woodgrovebank.com")), "cannot parse dnsName"},
		{"DNS, another kind", names(pki.DNS("contoso.com")), nil, nil, names(address("192.0.2.1")), good},

		{"mail, host", names(pki.Email("woodgrovebank.com")), nil, nil, names(pki.Email("a@Woodgrovebank.com")), good},
		{"mail, host below", names(pki.Email("woodgrovebank.com")), nil, nil, names(pki.Email("a@b.woodgrovebank.com")), not},
		{"mail, domain", names(pki.Email(".woodgrovebank.com")), nil, nil, names(pki.Email("a@b.woodgrovebank.com")), good},
		{"mail, domain itself", names(pki.Email(".woodgrovebank.com")), nil, nil, names(pki.Email("a@woodgrovebank.com")), not},
		{"mail, mailbox", names(pki.Email("a@woodgrovebank.com")), nil, nil, names(pki.Email("a@WOODGROVEBANK.com")), good},
		{"mail, another mailbox", names(pki.Email("a@woodgrovebank.com")), nil, nil, names(pki.Email("A@woodgrovebank.com")), not},
		{"mail, excluded", nil, names(pki.Email("woodgrovebank.com")), nil, names(pki.Email("a@woodgrovebank.com")), out},
		{"mail, two at signs", names(pki.Email("woodgrovebank.com")), nil, nil, names(pki.Email("a@b@woodgrovebank.com")), "not authorized to sign"},

		{"URI, host", names(pki.URI("woodgrovebank.com")), nil, nil, names(pki.URI("https://Woodgrovebank.com:8443/a")), good},
		{"URI, host below", names(pki.URI("woodgrovebank.com")), nil, nil, names(pki.URI("https://a.woodgrovebank.com/")), not},
		{"URI, domain", names(pki.URI(".woodgrovebank.com")), nil, nil, names(pki.URI("https://a.b.woodgrovebank.com/")), good},
		{"URI, not the host", names(pki.URI("woodgrovebank.com")), nil, nil, names(pki.URI("https://woodgrovebank.com@contoso.com/")), not},
		{"URI, excluded", nil, names(pki.URI(".woodgrovebank.com")), nil, names(pki.URI("https://a.woodgrovebank.com/")), out},
		{"URI without host", names(pki.URI("woodgrovebank.com")), nil, nil, names(pki.URI("urn:x")), "empty host"},

		{"address", names(network("192.0.2.0", "255.255.255.0")), nil, nil, names(address("192.0.2.1")), good},
		{"address beside", names(network("192.0.2.0", "255.255.255.0")), nil, nil, names(address("192.0.3.1")), not},
		{"address of another family", names(network("192.0.2.0", "255.255.255.0")), nil, nil, names(address("2001:db8::1")), not},
		{"address excluded", nil, names(network("2001:db8::", "ffff:ffff::")), nil, names(address("2001:db8::1")), out},
		// Where constraints are sorted by addresses with bits outside their mask, this
		// one is not found.
		{"address of a sloppy network", nil, names(network("9.0.0.0", "255.0.0.0"), network("10.0.0.9", "255.0.0.0")), nil, names(address("10.0.0.1")), out},

		{"directory name", names(pki.Directory(bank)), nil, bank, nil, good},
		{"directory name, other case and spaces, below", names(pki.Directory(bank)), nil, unit, nil, good},
		{"directory name, other", names(pki.Directory(bank)), nil, other, nil, not},
		{"directory name, above", names(pki.Directory(unit)), nil, bank, nil, not},
		{"directory name, empty", names(pki.Directory(bank)), nil, []byte{0x30, 0}, nil, good},
		{"directory name, all", names(pki.Directory([]byte{0x30, 0})), nil, other, nil, good},
		{"directory name, excluded", nil, names(pki.Directory(bank)), unit, nil, out},
		{"directory name, excluded, other", nil, names(pki.Directory(bank)), other, nil, good},
		{"directory name, excluded, may be", nil, names(pki.Directory(bank)), teletex, nil, out},
		{"directory name, may be", names(pki.Directory(bank)), nil, teletex, nil, not},
		{"directory name, alternative", names(pki.Directory(bank)), nil, bank, names(pki.Directory(other)), not},
		{"directory name, alternative only", names(pki.Directory(bank)), nil, other, names(pki.Directory(bank)), not},
		{"directory name, alternative too", names(pki.Directory(bank)), nil, bank, names(pki.Directory(unit)), good},

		{"other name", nil, names(otherName), bank, names(otherName), unsure},
		{"other name permitted", names(otherName), nil, bank, names(otherName), unsure},
		{"other name, none", nil, names(otherName), bank, names(pki.DNS("woodgrovebank.com")), good},
		{"registered identifier", names(pki.Name{Tag: 8, Value: []byte{42}}), nil, bank, names(pki.Name{Tag: 8, Value: []byte{42}}), unsure},
	} {
		t.Run(c.what, func(t *testing.T) {
			for _, critical := range []bool{false, true} {
				constrained := pki.CAOptions{Extra: limits(t, critical, c.permitted, c.excluded)}
				// Below a root, the authority between must be within as well; it has no
				// alternative names, and a subject only directory names look at.
				between := pki.CAOptions{}
				if len(c.permitted) > 0 && c.permitted[0].Tag == 4 {
					between.RawSubject = c.permitted[0].Value
				}
				for where, l := range map[string]line{"root": {root: constrained, ca: between}, "authority": {ca: constrained}} {
					if where == "root" && len(between.RawSubject) == 2 {
						continue // no authority is nameless
					}
					l.leaf = pki.LeafOptions{RawSubject: c.subject, Names: c.names}
					leaf, roots := l.issue(t, nil)
					t.Run(fmt.Sprint(where, critical), func(t *testing.T) { judge(t, leaf, roots, c.want) })
				}
			}
		})
	}
}

// TestConstraintsBetween: an authority must be within them too, unless it only
// renews itself (RFC 5280 section 4.2.1.10).
func TestConstraintsBetween(t *testing.T) {
	bank, contoso := directory(t, "US", "Woodgrove Bank"), directory(t, "US", "Contoso")
	permits := limits(t, true, []pki.Name{pki.Directory(bank)}, nil)
	for what, c := range map[string]struct {
		root, ca []byte
		why      string
	}{
		"within":           {contoso, bank, ""},
		"outside":          {bank, contoso, "not permitted by"},
		"outside, renewed": {contoso, contoso, ""},
	} {
		t.Run(what, func(t *testing.T) {
			leaf, roots := line{
				root: pki.CAOptions{RawSubject: c.root, Extra: permits}, ca: pki.CAOptions{RawSubject: c.ca},
				leaf: pki.LeafOptions{RawSubject: directory(t, "US", "Woodgrove Bank", "Mail")},
			}.issue(t, nil)
			judge(t, leaf, roots, c.why)
		})
	}
}

// TestConstraintsOnSubjectMail: an address in the subject counts if there are no
// alternative names.
func TestConstraintsOnSubjectMail(t *testing.T) {
	subject, err := asn1.Marshal(pkix.RDNSequence{{{Type: oidMailAddress, Value: "a@contoso.com"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		permitted string
		names     []string
		why       string
	}{
		{"woodgrovebank.com", nil, `rfc822Name "a@contoso.com" is not permitted by`},
		{"contoso.com", nil, ""},
		{"woodgrovebank.com", []string{"mail1.woodgrovebank.com"}, ""},
	} {
		leaf, roots := line{
			ca:   pki.CAOptions{Extra: limits(t, true, []pki.Name{pki.Email(c.permitted)}, nil)},
			leaf: pki.LeafOptions{RawSubject: subject, DNSNames: c.names},
		}.issue(t, nil)
		judge(t, leaf, roots, c.why)
	}
}

// TestMalformedConstraints: what crypto/x509 does not look at in them.
func TestMalformedConstraints(t *testing.T) {
	const tree = "820b636f6e746f736f2e636f6d" // contoso.com
	for what, c := range map[string]struct{ value, why string }{
		"plain":                        {"3011a00f300d" + tree, ""},
		"a minimum of zero":            {"3014a0123010" + tree + "800100", ""},
		"a minimum":                    {"3014a0123010" + tree + "800101", "cannot be compared"},
		"a maximum":                    {"3014a0123010" + tree + "810101", "cannot be compared"},
		"nothing permitted, said so":   {"3013a000a10f300d820b776f6f6467726f76652e78", "do not parse"},
		"nothing excluded, said so":    {"3013a00f300d" + tree + "a100", "do not parse"},
		"a kind that there is not":     {"3007a00530038f0141", "do not parse"},
		"directory name, not explicit": {"3006a00430028400", "do not parse"},
	} {
		for _, mark := range []string{"", "!"} {
			t.Run(mark+what, func(t *testing.T) {
				leaf, roots := line{
					ca:   pki.CAOptions{Extra: with(t, mark+"2.5.29.30", c.value)},
					leaf: pki.LeafOptions{DNSNames: []string{"contoso.com"}},
				}.issue(t, nil)
				judge(t, leaf, roots, c.why)
			})
		}
	}
}

// TestConstrainedBesideGood: another chain without constraints is enough.
func TestConstrainedBesideGood(t *testing.T) {
	root := ca(t, nil, "Root")
	constrained, err := root.Intermediate(pki.CAOptions{Name: "Authority", Extra: limits(t, true, nil, []pki.Name{pki.DNS("")})})
	if err != nil {
		t.Fatal(err)
	}
	free, err := root.Resign(&constrained.Certificate, func(tbs []byte) []byte {
		return []byte(strings.Replace(string(tbs), "\x55\x1d\x1e", "\x55\x1d\x7f", 1)) // an extension of nobody's
	})
	if err == nil && len(free.Leaf.UnhandledCriticalExtensions) == 0 {
		err = errors.New("the extension is still known")
	}
	if err != nil {
		t.Fatal(err)
	}
	c := presented(leaf(t, constrained, "mail1.woodgrovebank.com"))
	judge(t, c, pool(root), "excluded by")
	free.Leaf.UnhandledCriticalExtensions = nil
	c.Presented = append(c.Presented, free.Leaf)
	judge(t, c, pool(root), "")
}

// TestComparisonsAreBounded: names and constraints that would be a quarter of a
// million comparisons are not compared.
func TestComparisonsAreBounded(t *testing.T) {
	many := func(n int, where string) (names []pki.Name) {
		for i := range n {
			names = append(names, pki.DNS(fmt.Sprintf("n%d.%s", i, where)))
		}
		return names
	}
	directories := func(n int, where string) (names []pki.Name) {
		for i := range n {
			names = append(names, pki.Directory(directory(t, "US", where, fmt.Sprint(i))))
		}
		return names
	}
	for _, c := range []struct {
		make func(n int, where string) []pki.Name
		n    int
		why  string
	}{
		{many, 400, ""}, {many, 600, errTooManyNames.Error()},
		{directories, 100, ""}, {directories, 130, errTooManyNames.Error()},
	} {
		leaf, roots := line{
			ca:   pki.CAOptions{Extra: limits(t, true, nil, c.make(c.n, "contoso.com"))},
			leaf: pki.LeafOptions{Names: c.make(c.n, "woodgrovebank.com")},
		}.issue(t, nil)
		judge(t, leaf, roots, c.why)
	}
}

// TestLongNamesAreBounded: neither is the work that long names make, which are prepared
// for each comparison.
func TestLongNamesAreBounded(t *testing.T) {
	// One character of three octets, which preparing makes eighteen.
	long := strings.Repeat("\ufdfa", 20_000)
	var directories, texts []pki.Name
	for i := range 100 {
		directories = append(directories, pki.Directory(directory(t, "US", fmt.Sprint(i))))
		texts = append(texts, pki.DNS(fmt.Sprintf("n%d.example", i)))
	}
	for what, c := range map[string]struct{ excluded, names []pki.Name }{
		"constraint": {[]pki.Name{pki.Directory(directory(t, "US", long))}, directories},
		"name":       {directories, []pki.Name{pki.Directory(directory(t, "US", long))}},
		"text":       {texts, []pki.Name{pki.DNS(strings.Repeat("a.", 100_000) + "example")}},
	} {
		constraints := limits(t, true, nil, c.excluded)[0]
		leaf, _ := line{leaf: pki.LeafOptions{Names: c.names}}.issue(t, nil)
		authority := &x509.Certificate{Extensions: []pkix.Extension{constraints}}
		comparisons := 0
		if err := checkNames([]*x509.Certificate{leaf.X509, authority}, make([]bool, 2), &comparisons); err != errTooManyNames {
			t.Errorf("%s: %v after %d comparisons", what, err, comparisons)
		}
	}
}

// FuzzConstraints: whatever names and constraints are, they are compared without
// a panic; what is excluded itself never passes, nor what cannot be compared.
func FuzzConstraints(f *testing.F) {
	for _, seed := range []struct {
		permitted, excluded, names []pki.Name
	}{
		{[]pki.Name{pki.DNS("a.example"), pki.Email("x@a.example"), pki.URI(".a.example")}, []pki.Name{pki.DNS("b.a.example")},
			[]pki.Name{pki.DNS("*.a.example"), pki.Email("x@a.example"), pki.URI("http://u@b.a.example:1/")}},
		{[]pki.Name{pki.Directory(directory(f, "US", "O"))}, []pki.Name{{Tag: 7, Value: make([]byte, 8)}},
			[]pki.Name{pki.Directory(directory(f, "us", " o ", "U")), {Tag: 7, Value: make([]byte, 16)}, {Tag: 0, Value: []byte{6, 1, 42}}}},
	} {
		constraints := limits(f, true, seed.permitted, seed.excluded)[0].Value
		c, _ := line{leaf: pki.LeafOptions{Names: seed.names}}.issue(f, nil)
		names, ok := extension(c.X509, oidSubjectAltName)
		if !ok {
			f.Fatal("no alternative names")
		}
		f.Add(constraints, names)
	}
	f.Fuzz(func(t *testing.T, constraints, names []byte) {
		permitted, excluded, err := readConstraints(constraints)
		if err != nil {
			return
		}
		c := &x509.Certificate{RawSubject: []byte{0x30, 0}, Extensions: []pkix.Extension{{Id: oidSubjectAltName, Value: names}}}
		all, err := namesOf(c)
		if err != nil {
			return
		}
		for _, name := range all {
			why := name.outside(permitted, excluded)
			for _, tree := range permitted {
				if tree.base.kind == name.kind && tree.odd && why == "" {
					t.Fatalf("%s passes a constraint that nobody defines", name)
				}
			}
			for _, tree := range excluded {
				same := tree.base.kind == name.kind && bytes.Equal(tree.base.value, name.value)
				if same && (name.kind == kindDNS || name.kind == kindDirectory || !name.kind.comparable()) && why == "" {
					t.Fatalf("%s passes although it is excluded", name)
				}
			}
		}
	})
}
