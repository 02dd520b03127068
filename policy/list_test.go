package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestParseList(t *testing.T) {
	l, err := ParseList("\ufeff# partners\nWoodgroveBank.com # the bank\r\n\n  bücher.example\t\nwoodgrovebank.com.\nlast.example")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"woodgrovebank.com", "xn--bcher-kva.example", "last.example"}
	if got := slices.Collect(l.All()); !slices.Equal(got, want) || l.Len() != len(want) {
		t.Errorf("list %q of %d, want %q", got, l.Len(), want)
	}
	for _, domain := range want {
		if !l.Contains(domain) {
			t.Errorf("%q is not in the list", domain)
		}
	}
	for _, domain := range []string{"", "com", "oodgrovebank.com", "woodgrovebank.co", "xwoodgrovebank.com", "last.example\n", "woodgrovebank.com\nxn--bcher-kva.example", "\n"} {
		if l.Contains(domain) {
			t.Errorf("%q is in the list", domain)
		}
	}
}

func TestParseListError(t *testing.T) {
	_, err := ParseList("a.example\n# x\nb..example\nc.example\n")
	var line *LineError
	if !errors.As(err, &line) || line.Line != 3 {
		t.Errorf("error %v, want one of line 3", err)
	}
}

func TestEmptyList(t *testing.T) {
	for _, l := range []*List{nil, {}} {
		if l.Contains("woodgrovebank.com") || l.Len() != 0 || !l.Equal(&List{}) {
			t.Error("an empty list holds something")
		}
	}
}

// TestListMany compares the table with a map over enough domains to fill and
// grow it.
func TestListMany(t *testing.T) {
	var text strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&text, "d%d.example\n", i)
	}
	l, err := ParseList(text.String())
	if err != nil {
		t.Fatal(err)
	}
	if l.Len() != 50_000 {
		t.Fatalf("%d domains, want 50000", l.Len())
	}
	for i := range 100_000 {
		if got := l.Contains(fmt.Sprintf("d%d.example", i)); got != (i < 50_000) {
			t.Fatalf("d%d.example in the list: %v", i, got)
		}
	}
}

func FuzzParseList(f *testing.F) {
	f.Add("a.example\nb.example # x\n", "b.example")
	f.Add("\ufeffA.example.\r\n\r\n", "a.example")
	f.Add("a..b\n", "a..b")
	f.Fuzz(func(t *testing.T, text, probe string) {
		l, err := ParseList(text)
		if err != nil {
			return
		}
		all := slices.Collect(l.All())
		if len(all) != l.Len() {
			t.Fatalf("%d domains, but %d in all", l.Len(), len(all))
		}
		if l.Contains(probe) != slices.Contains(all, probe) {
			t.Errorf("%q in the list: %v, but the list is %q", probe, l.Contains(probe), all)
		}
		for _, domain := range all {
			if !l.Contains(domain) {
				t.Errorf("%q is listed but not found", domain)
			}
		}
	})
}
