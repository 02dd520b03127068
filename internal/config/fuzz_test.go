package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"domain-secured/policy"
)

// FuzzRead looks for a configuration that makes Read panic, that is refused
// without a word, or that is taken and cannot be used.
func FuzzRead(f *testing.F) {
	f.Add(sample(f))
	bad, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range bad {
		f.Add(read(f, name))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4<<10 {
			return // the search for a line reads its beginning many times
		}
		file := filepath.Join(dir, "c.toml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Read(file, fakeRoots)
		if err != nil {
			var problems Problems
			if c != nil || !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("%v with %v", err, c)
			}
			for _, p := range problems {
				if p.File != file || p.Message == "" || p.Line < 0 || p.Line > strings.Count(text, "\n")+2 {
					t.Errorf("%+v", p)
				}
			}
			return
		}
		s := c.Snapshot
		if c.StateDir == "" || c.Lists.Receive == "" || c.Lists.Send == "" || !filepath.IsAbs(c.Lists.Receive) || s == nil || s.Defaults == nil {
			t.Fatalf("%+v", c)
		}
		for name, p := range s.Partners {
			domain, err := policy.ParseDomain(name)
			if err != nil || domain != name || p.Domain != name {
				t.Errorf("partner %q: %v", name, err)
			}
			usable(t, p)
		}
		usable(t, s.Defaults)
		for _, connector := range s.Connectors {
			if connector.Treat != policy.TreatEnforce && connector.ClientAddresses == nil && connector.Ports == nil && connector.Listeners == nil {
				t.Errorf("%+v is for everyone", connector)
			}
		}
	})
}

// usable: nothing by which a partner would be judged is unknown to the rules.
func usable(t *testing.T, p *policy.Partner) {
	switch {
	case p.Mode != policy.ModeOff && p.Mode != policy.ModeTesting && p.Mode != policy.ModeEnforce,
		p.MinTLS == 0, p.MinBits < 0, p.Mode == "", p.Usage == "", p.Revocation == "", p.OnFailure == "",
		p.Roots == nil && p.Trust != policy.TrustPins && p.Evidence != policy.EvidenceMTA,
		p.Domain != "" && p.Trust == policy.TrustPins && p.Pins == nil,
		p.Domain != "" && p.Evidence == policy.EvidenceMTA && p.MTAIssuer == "",
		len(p.Contact) > maxContact, strings.ContainsAny(p.Contact, "\r\n\x00"):
		t.Errorf("partner %+v", p)
	}
}

// FuzzEditList looks for an edit that does not do what it says, or touches a
// line that it should not.
func FuzzEditList(f *testing.F) {
	for _, text := range []string{
		"", "# who we trade with\nwoodgrovebank.com # since 2019\n\n  Fabrikam.com.\t\nb\u00fccher.example\n# the end",
		"\ufeffcontoso.com\r\nfabrikam.com\r\n", "\ufeff\ufefffabrikam.com\n#\ufeffcontoso.com\n", "contoso.com\ncontoso.com\r\n\r\r\n", "\u0085contoso.com\u00a0\n\v\f\n",
	} {
		f.Add(text, "contoso.com", "fabrikam.com")
		f.Add(text, "b\u00dccher.example.", "CONTOSO.com")
	}
	f.Fuzz(func(t *testing.T, text, add, remove string) {
		before, err := policy.ParseList(text)
		if err != nil {
			return
		}
		var edit ListEdit
		if d, err := policy.ParseDomain(add); err == nil {
			edit.Add = []string{d}
		}
		if d, err := policy.ParseDomain(remove); err == nil {
			edit.Remove = []string{d}
		}
		changed, done := edit.apply(text)
		after, err := policy.ParseList(changed)
		if err != nil {
			t.Fatalf("%q became %q: %v", text, changed, err)
		}
		want := make(map[string]bool)
		for d := range before.All() {
			want[d] = true
		}
		for _, d := range edit.Remove {
			if was := want[d]; was != (len(done.Removed) == 1) || was == (len(done.Absent) == 1) {
				t.Errorf("%+v, but it was there: %v", done, was)
			}
			delete(want, d)
		}
		for _, d := range edit.Add {
			if was := want[d]; was == (len(done.Added) == 1) || was != (len(done.Present) == 1) {
				t.Errorf("%+v, but it was there: %v", done, was)
			}
			want[d] = true
		}
		if after.Len() != len(want) {
			t.Errorf("%q became %q with %d domains, not %d", text, changed, after.Len(), len(want))
		}
		for d := range want {
			if !after.Contains(d) {
				t.Errorf("%q became %q: %s is lost", text, changed, d)
			}
		}
		// Every other line is as it was, in the same order.
		var kept strings.Builder
		for line := range strings.Lines(text) {
			d, err := policy.ParseDomain(policy.ListLineDomain(strings.TrimPrefix(line, "\ufeff")))
			if err != nil || len(edit.Remove) == 0 || d != edit.Remove[0] {
				kept.WriteString(line)
			}
		}
		rest, unchanged := strings.CutPrefix(changed, kept.String())
		added := ""
		if len(done.Added) == 1 {
			added = done.Added[0] + "\n"
		}
		if !unchanged || strings.TrimPrefix(rest, "\n") != added {
			t.Errorf("%q became %q, not %q and %q", text, changed, kept.String(), added)
		}
	})
}
