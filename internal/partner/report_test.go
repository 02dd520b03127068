package partner

import (
	"strings"
	"testing"
)

// TestPresented: a leaf with other certificates behind it is another chain.
func TestPresented(t *testing.T) {
	a, b, x := newCertificate(leaf(t).Raw), newCertificate(leaf(t).Raw), newCertificate(leaf(t).Raw)
	show := func(chains ...[]Certificate) *Host {
		h := new(Host)
		for _, chain := range chains {
			h.Addresses = append(h.Addresses, &Address{TLS: &TLS{Chain: chain, Other: []Certificate{b}}})
		}
		return h
	}
	r := &Report{Hosts: []*Host{show([]Certificate{a, x}, []Certificate{a}), show([]Certificate{a, x}, nil), {Addresses: []*Address{{}}}}}
	names := map[Fingerprint]string{a.SHA256: "a", b.SHA256: "b", x.SHA256: "x"}
	say := func(chains [][]Certificate) string {
		var words []string
		for _, chain := range chains {
			word := ""
			for _, c := range chain {
				word += names[c.SHA256]
			}
			words = append(words, word)
		}
		return strings.Join(words, " ")
	}
	if got := say(r.Presented()); got != "ax b a" {
		t.Errorf("presented %q", got)
	}
	if got := say(r.Chains()); got != "ax b" {
		t.Errorf("chains %q", got)
	}
}
